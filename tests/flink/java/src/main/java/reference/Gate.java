package reference;

import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.Metric;
import org.apache.flink.metrics.MetricConfig;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.reporter.MetricReporter;
import org.apache.flink.metrics.reporter.MetricReporterFactory;

/** Knows from Flink's own metrics whether all that was sent between tasks has been taken in. */
public final class Gate implements MetricReporter, MetricReporterFactory {
    private static final Map<Metric, String> SENT = new ConcurrentHashMap<>();
    private static final Map<Metric, String> TAKEN_IN = new ConcurrentHashMap<>();
    /** By input of the join, or of the only operator. */
    private static final Map<Metric, Integer> WATERMARKS = new ConcurrentHashMap<>();

    /** Waits until all records and these watermarks, by table, have arrived. */
    static void awaitTakenIn(List<Long> watermarks) throws InterruptedException {
        while (!(sum(SENT) == sum(TAKEN_IN) && arrived(watermarks))) {
            if (Thread.interrupted()) {
                throw new InterruptedException();
            }
            LockSupport.parkNanos(20_000);
        }
    }

    private static long sum(Map<Metric, String> counters) {
        return counters.keySet().stream().mapToLong(counter -> ((Counter) counter).getCount()).sum();
    }

    private static boolean arrived(List<Long> watermarks) {
        return WATERMARKS.entrySet().stream().allMatch(entry -> {
            Object value = ((Gauge<?>) entry.getKey()).getValue();
            return ((Long) value) >= watermarks.get(entry.getValue());
        });
    }

    @Override
    public void notifyOfAddedMetric(Metric metric, String name, MetricGroup group) {
        String operator = group.getAllVariables().get("<operator_name>");
        boolean task = operator == null && group.getAllVariables().containsKey("<task_name>");
        if (task && System.getenv("GATE_DEBUG") != null) {
            System.err.println("metric " + name + " " + group.getAllVariables());
        }
        if (task && name.equals("numRecordsOut")) {
            SENT.put(metric, name);
        } else if (task && name.equals("numRecordsIn")) {
            TAKEN_IN.put(metric, name);
        } else if (operator != null && name.equals("currentInput1Watermark")) {
            WATERMARKS.put(metric, 0);
        } else if (operator != null && name.equals("currentInput2Watermark")) {
            WATERMARKS.put(metric, 1);
        }
    }

    @Override
    public void notifyOfRemovedMetric(Metric metric, String name, MetricGroup group) {
        SENT.remove(metric);
        TAKEN_IN.remove(metric);
        WATERMARKS.remove(metric);
    }

    @Override
    public MetricReporter createMetricReporter(Properties properties) {
        return this;
    }

    @Override
    public void open(MetricConfig config) {}

    @Override
    public void close() {}
}
