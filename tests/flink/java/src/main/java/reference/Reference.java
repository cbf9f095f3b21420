package reference;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/**
 * Reads cases, a JSON object a line, and answers each with a line: the rows that Flink SQL gives for its queries.
 *
 * <p>A case: {@code name}; {@code bound}, the milliseconds that events may be out of order; {@code tables}, the names of its
 * tables; {@code events}, in the order of arrival, each with {@code table}, {@code id}, {@code k}, {@code v} and {@code ts}, its
 * time in milliseconds; {@code queries}, SQL by name. Times in rows are milliseconds since the epoch.
 */
public final class Reference {
    private Reference() {}

    public static void main(String[] args) throws Exception {
        // What Flink prints must not come between the answers.
        PrintStream answers = System.out;
        System.setOut(System.err);
        ObjectMapper json = new ObjectMapper();
        try (Cluster cluster = new Cluster();
                BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                answers.println(json.writeValueAsString(cluster.run(Case.of(json.readTree(line)))));
                answers.flush();
            }
        }
    }
}
