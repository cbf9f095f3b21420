//! The questions: each in Flink SQL and as a component's query.

use streaming_engine::query::{Emit, EventTime, JoinKind, Query, QueryInput, Windows};

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    /// For people, and unique.
    pub name: String,
    /// Flink's.
    pub sql: String,
    /// Ours; how late events may be comes with the events.
    pub query: Query,
    /// What comes out depends on the order of arrival in Flink, so that only events in order can be compared.
    pub ordered: bool,
    /// Floating point rounds differently.
    pub rounded: bool,
}

/// Windows in both languages.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    name: &'static str,
    windows: Windows,
    /// `{t}` is the table.
    sql: &'static str,
}

const SECOND: i64 = 1_000_000;

/// Ten seconds, back to back.
pub const TUMBLING: Window = Window {
    name: "tumbling",
    windows: Windows::Tumbling { length: 10 * SECOND },
    sql: "TABLE(TUMBLE(TABLE {t}, DESCRIPTOR(rowtime), INTERVAL '10' SECOND))",
};

/// Ten seconds every five.
pub const HOPPING: Window = Window {
    name: "hopping",
    windows: Windows::Hopping {
        length: 10 * SECOND,
        slide: 5 * SECOND,
    },
    sql: "TABLE(HOP(TABLE {t}, DESCRIPTOR(rowtime), INTERVAL '5' SECOND, INTERVAL '10' SECOND))",
};

/// Up to a pause of 4.25 s: events are half seconds apart, so no pause is exactly as long.
pub const SESSION: Window = Window {
    name: "session",
    windows: Windows::Session {
        gap: 4_250_000,
        max: 3600 * SECOND,
    },
    sql: "TABLE(SESSION(TABLE {t} PARTITION BY k, DESCRIPTOR(rowtime), INTERVAL '4.250' SECOND(1,3)))",
};

impl Question {
    /// Whether it is about sessions.
    pub fn is_of_sessions(&self) -> bool {
        matches!(self.query.windows, Windows::Session { .. })
    }
}

impl Window {
    fn over(&self, table: &str) -> String {
        self.sql.replace("{t}", table)
    }
}

fn input(variable: &str) -> QueryInput {
    QueryInput {
        variable: variable.to_owned(),
        time: Some(EventTime {
            timestamp: format!("{variable}.ts"),
            out_of_orderness: 0,
            idle_timeout: None,
        }),
        table: None,
    }
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// `extra` are a further condition of the join in SQL and in CEL.
fn join(window: &Window, kind: JoinKind, about: &str, extra: (&str, &str), filter: (&str, &str)) -> Question {
    let (a, b) = (window.over("a"), window.over("b"));
    let on = format!(
        "a.window_start = b.window_start AND a.window_end = b.window_end AND a.k = b.k{}",
        extra.0
    );
    let sql_filter = if filter.0.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", filter.0)
    };
    let sql = if kind == JoinKind::Anti {
        format!(
            "SELECT a.window_start, a.window_end, a.id FROM (SELECT * FROM {a}) a WHERE NOT EXISTS (SELECT * FROM (SELECT * FROM \
             {b}) b WHERE {on})"
        )
    } else {
        let word = format!("{kind:?}").to_uppercase();
        format!(
            "SELECT COALESCE(a.window_start, b.window_start), COALESCE(a.window_end, b.window_end), a.id, b.id FROM (SELECT * \
             FROM {a}) a {word} JOIN (SELECT * FROM {b}) b ON {on}{sql_filter}"
        )
    };
    let select = if kind == JoinKind::Anti {
        "[window.start, window.end, a.id]"
    } else {
        "[window.start, window.end, a.id, b.id]"
    };
    Question {
        name: format!(
            "{}, {} join{about}",
            window.name,
            format!("{kind:?}").to_lowercase()
        ),
        sql,
        query: Query {
            inputs: vec![input("a"), input("b")],
            windows: window.windows,
            join: kind,
            // In SQL null equals nothing, in CEL it equals null.
            on: Some(format!("a.k == b.k && a.k != null{}", extra.1)),
            filter: text(filter.1),
            select: text(select),
            emit: Emit::Each,
            ..Query::default()
        },
        ordered: false,
        rounded: false,
    }
}

fn aggregate(window: &Window, sql: &str, cel: &str) -> Question {
    let over = window.over("a");
    Question {
        name: format!("{}, {cel}", window.name),
        sql: format!(
            "SELECT window_start, window_end, k, {sql} FROM {over} GROUP BY window_start, window_end, k"
        ),
        query: Query {
            inputs: vec![input("a")],
            windows: window.windows,
            group_by: vec!["a.k".to_owned()],
            select: Some(format!("[window.start, window.end, a.k, {cel}]")),
            emit: Emit::Each,
            ..Query::default()
        },
        ordered: ["first", "last"].iter().any(|name| cel.starts_with(name)),
        rounded: ["stddev", "variance", "avg", "percentile"]
            .iter()
            .any(|name| cel.starts_with(name)),
    }
}

/// Aggregates in Flink SQL and in CEL.
const AGGREGATES: [(&str, &str); 13] = [
    ("COUNT(*)", "count()"),
    ("COUNT(v)", "count(a.v)"),
    ("SUM(v)", "sum(a.v)"),
    ("AVG(v)", "avg(a.v)"),
    ("MIN(v)", "min(a.v)"),
    ("MAX(v)", "max(a.v)"),
    ("FIRST_VALUE(v)", "first(a.v)"),
    ("LAST_VALUE(v)", "last(a.v)"),
    ("ARRAY_AGG(id)", "collect(a.id)"),
    ("STDDEV_SAMP(v)", "stddev(a.v)"),
    ("VAR_SAMP(v)", "variance(a.v)"),
    ("PERCENTILE(v, 0.9)", "percentile(a.v, 0.9)"),
    ("COUNT(DISTINCT v)", "countDistinct(a.v)"),
];

/// All of them.
pub fn questions() -> Vec<Question> {
    let mut all = Vec::new();
    let kinds = [
        JoinKind::Inner,
        JoinKind::Left,
        JoinKind::Right,
        JoinKind::Full,
        JoinKind::Anti,
    ];
    for window in [TUMBLING, HOPPING] {
        for kind in kinds {
            all.push(join(&window, kind, "", ("", ""), ("", "")));
            let band = (" AND a.v <= b.v", " && a.v <= b.v");
            all.push(join(&window, kind, ", on a range too", band, ("", "")));
        }
        let (null, none) = (("b.id IS NULL", "b == null"), ("", ""));
        all.push(join(&window, JoinKind::Left, " where there is no b", none, null));
        let filter = ("a.v > 0", "a.v > 0");
        all.push(join(&window, JoinKind::Full, " where a.v > 0", none, filter));
    }
    for window in [TUMBLING, HOPPING, SESSION] {
        for (sql, cel) in AGGREGATES {
            // Flink 2.3 has no FIRST_VALUE and LAST_VALUE for windows that share parts.
            let shared = !matches!(window.windows, Windows::Tumbling { .. });
            if shared && (cel.starts_with("first") || cel.starts_with("last")) {
                continue;
            }
            all.push(aggregate(&window, sql, cel));
        }
        all.extend(groups(&window));
    }
    for window in [TUMBLING, HOPPING] {
        all.push(joined(&window, JoinKind::Inner));
        all.push(joined(&window, JoinKind::Left));
    }
    all
}

/// What is done with groups.
fn groups(window: &Window) -> Vec<Question> {
    let over = window.over("a");
    let base = aggregate(window, "COUNT(*)", "count()");
    let having = Question {
        name: format!("{}, having count() > 1", window.name),
        sql: format!("{} HAVING COUNT(*) > 1", base.sql),
        query: Query {
            having: text("count() > 1"),
            ..base.query.clone()
        },
        ..base.clone()
    };
    let filtered = Question {
        name: format!("{}, count() where a.v > 0", window.name),
        sql: base.sql.replace(" GROUP BY", " WHERE v > 0 GROUP BY"),
        query: Query {
            filter: text("a.v > 0"),
            ..base.query.clone()
        },
        ..base.clone()
    };
    let mut all = vec![having, filtered];
    // A session has the groups as its keys; without groups it is another question.
    if !matches!(window.windows, Windows::Session { .. }) {
        all.push(Question {
            name: format!("{}, count() of all", window.name),
            sql: format!(
                "SELECT window_start, window_end, COUNT(*), COUNT(DISTINCT k) FROM {over} GROUP BY window_start, window_end"
            ),
            query: Query {
                group_by: Vec::new(),
                select: text("[window.start, window.end, count(), countDistinct(a.k)]"),
                ..base.query.clone()
            },
            ..base.clone()
        });
        all.push(Question {
            name: format!("{}, previous(count())", window.name),
            sql: format!(
                "SELECT s, e, k, n, LAG(n) OVER (PARTITION BY k ORDER BY t) FROM (SELECT window_start s, window_end e, \
                 window_time t, k, COUNT(*) n FROM {over} GROUP BY window_start, window_end, window_time, k)"
            ),
            query: Query {
                select: text("[window.start, window.end, a.k, count(), previous(count())]"),
                ..base.query.clone()
            },
            ..base
        });
    }
    all
}

/// A join whose rows are grouped.
fn joined(window: &Window, kind: JoinKind) -> Question {
    let word = format!("{kind:?}").to_uppercase();
    let (a, b) = (window.over("a"), window.over("b"));
    let base = join(
        window,
        kind,
        ", count() and sum(b.v) of each key",
        ("", ""),
        ("", ""),
    );
    Question {
        sql: format!(
            "SELECT window_start, window_end, k, COUNT(*), SUM(v) FROM (SELECT a.window_start, a.window_end, a.k, b.v FROM (SELECT * \
             FROM {a}) a {word} JOIN (SELECT * FROM {b}) b ON a.window_start = b.window_start AND a.window_end = b.window_end AND \
             a.k = b.k) GROUP BY window_start, window_end, k"
        ),
        query: Query {
            group_by: vec!["a.k".to_owned()],
            select: text("[window.start, window.end, a.k, count(), sum(b.v)]"),
            ..base.query.clone()
        },
        ..base
    }
}
