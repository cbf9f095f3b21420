package reference;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.streaming.api.functions.source.legacy.SourceFunction;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.types.Row;

/**
 * The source of one table of the current case.
 *
 * <p>Which events are late depends on the order in which a join sees those of its two inputs, and between two sources Flink
 * promises none. So all sources go through one list of events and wait for their turn, and a turn ends when what was sent has
 * been taken in ({@link Gate}).
 */
final class Feed implements SourceFunction<Row> {
    private static final long serialVersionUID = 1L;

    private static Case current;
    private static int turn;
    private static List<Long> watermarks = new ArrayList<>();

    private final int table;
    private volatile boolean running = true;

    Feed(int table) {
        this.table = table;
    }

    static synchronized void start(Case next) {
        current = next;
        turn = 0;
        watermarks = new ArrayList<>();
        next.tables().forEach(name -> watermarks.add(Long.MIN_VALUE));
        Feed.class.notifyAll();
    }

    @Override
    public void run(SourceContext<Row> context) throws InterruptedException {
        Case of = current;
        for (int number = 0; number < of.events().size(); number++) {
            Case.Event event = of.events().get(number);
            if (!awaitTurn(number)) {
                return;
            }
            if (event.table() != table) {
                continue;
            }
            context.collectWithTimestamp(event.row(), event.timestamp());
            // As BoundedOutOfOrdernessWatermarks counts it, but after each event and not every 200 ms.
            long watermark = event.timestamp() - of.bound() - 1;
            if (watermark > watermarks.get(table)) {
                watermarks.set(table, watermark);
                context.emitWatermark(new Watermark(watermark));
            }
            Gate.awaitTakenIn(watermarks);
            next();
        }
        // A source that ends says that nothing is late any more; all of them say so together.
        awaitTurn(of.events().size());
    }

    private boolean awaitTurn(int number) throws InterruptedException {
        synchronized (Feed.class) {
            while (running && turn < number) {
                Feed.class.wait();
            }
        }
        return running;
    }

    private static synchronized void next() {
        synchronized (Feed.class) {
            turn++;
            Feed.class.notifyAll();
        }
    }

    @Override
    public void cancel() {
        synchronized (Feed.class) {
            running = false;
            Feed.class.notifyAll();
        }
    }
}
