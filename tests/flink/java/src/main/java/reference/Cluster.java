package reference;

import java.time.Instant;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.Arrays;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ArrayNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.legacy.SinkFunction;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.Schema;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.types.Row;

/** Flink, in this process: each case is a job, of one task an operator. */
final class Cluster implements AutoCloseable {
    private static final TypeInformation<Row> ROW =
            Types.ROW_NAMED(new String[] {"id", "k", "v"}, Types.STRING, Types.STRING, Types.DOUBLE);
    private static final Schema SCHEMA = Schema.newBuilder()
            .column("id", DataTypes.STRING())
            .column("k", DataTypes.STRING())
            .column("v", DataTypes.DOUBLE())
            .columnByMetadata("rowtime", DataTypes.TIMESTAMP_LTZ(3))
            .watermark("rowtime", "SOURCE_WATERMARK()")
            .build();

    /** By query. */
    private static final Map<String, Queue<Row>> RESULTS = new ConcurrentHashMap<>();

    private final MiniCluster cluster;

    Cluster() throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("metrics.reporter.gate.factory.class", Gate.class.getName());
        configuration.setString("rest.port", "0");
        configuration.setString("taskmanager.memory.network.max", "256mb");
        configuration.setString("taskmanager.memory.network.min", "256mb");
        cluster = new MiniCluster(new MiniClusterConfiguration.Builder()
                .setConfiguration(configuration)
                .setNumTaskManagers(1)
                .setNumSlotsPerTaskManager(1)
                .build());
        cluster.start();
    }

    /** Runs a case's queries; what Flink refuses of them is in {@code errors}. */
    ObjectNode run(Case of) throws Exception {
        ObjectNode answer = new ObjectMapper().createObjectNode().put("name", of.name());
        ObjectNode rows = answer.putObject("rows");
        ObjectNode errors = answer.putObject("errors");
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment(new Configuration());
        env.setParallelism(1);
        env.setBufferTimeout(0);
        StreamTableEnvironment tables = StreamTableEnvironment.create(env);
        tables.getConfig().setLocalTimeZone(ZoneId.of("UTC"));
        for (int table = 0; table < of.tables().size(); table++) {
            DataStream<Row> events = env.addSource(new Feed(table)).returns(ROW);
            tables.createTemporaryView(of.tables().get(table), events, SCHEMA);
        }
        RESULTS.clear();
        of.queries().forEach((name, sql) -> {
            try {
                DataStream<Row> results = tables.toDataStream(tables.sqlQuery(sql));
                RESULTS.put(name, new ConcurrentLinkedQueue<>());
                results.addSink(new Results(name));
            } catch (RuntimeException error) {
                errors.put(name, reason(error));
            }
        });
        Feed.start(of);
        cluster.executeJobBlocking(env.getStreamGraph().getJobGraph());
        RESULTS.forEach((name, results) -> {
            ArrayNode list = rows.putArray(name);
            results.forEach(row -> add(list, row));
        });
        return answer;
    }

    /** The innermost cause says what Flink has against a query. */
    private static String reason(Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        return String.valueOf(cause.getMessage());
    }

    private static void add(ArrayNode array, Object value) {
        if (value == null) {
            array.addNull();
        } else if (value instanceof Row row) {
            ArrayNode fields = array.addArray();
            for (int field = 0; field < row.getArity(); field++) {
                add(fields, row.getField(field));
            }
        } else if (value instanceof Object[] items) {
            ArrayNode list = array.addArray();
            Arrays.asList(items).forEach(item -> add(list, item));
        } else if (value instanceof LocalDateTime time) {
            array.add(time.toInstant(ZoneOffset.UTC).toEpochMilli());
        } else if (value instanceof Instant time) {
            array.add(time.toEpochMilli());
        } else if (value instanceof Number number) {
            array.add(number.doubleValue());
        } else {
            array.add(value.toString());
        }
    }

    /** Keeps what comes out. */
    private static final class Results implements SinkFunction<Row> {
        private static final long serialVersionUID = 1L;

        private final String query;

        Results(String query) {
            this.query = query;
        }

        @Override
        public void invoke(Row row, Context context) {
            RESULTS.get(query).add(row);
        }
    }

    @Override
    public void close() throws Exception {
        cluster.close();
    }
}
