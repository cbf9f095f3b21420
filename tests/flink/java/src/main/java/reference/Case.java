package reference;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.types.Row;

/** Events, and the queries that are to see them, by name. */
record Case(String name, long bound, List<String> tables, List<Event> events, Map<String, String> queries) {
    /** An event: which table's, when it happened, and its row. */
    record Event(int table, long timestamp, Row row) {}

    static Case of(JsonNode described) {
        List<String> tables = new ArrayList<>();
        described.get("tables").forEach(table -> tables.add(table.asText()));
        List<Event> events = new ArrayList<>();
        for (JsonNode event : described.get("events")) {
            JsonNode v = event.path("v");
            Row row = Row.of(
                    event.get("id").asText(),
                    event.path("k").textValue(),
                    v.isNumber() ? v.doubleValue() : null);
            int table = tables.indexOf(event.get("table").asText());
            events.add(new Event(table, event.get("ts").asLong(), row));
        }
        Map<String, String> queries = new LinkedHashMap<>();
        described.get("queries").fields().forEachRemaining(
                query -> queries.put(query.getKey(), query.getValue().asText()));
        return new Case(described.get("name").asText(), described.get("bound").asLong(), tables, events, queries);
    }
}
