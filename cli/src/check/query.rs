//! A windowed component in words: when its messages happened, what is collected, and how it leaves.

use std::fmt::Write as _;

use streaming_engine::time::Time;
use streaming_plan::{Emit, JoinKind, Query, QueryInput};

use crate::test::seconds;

/// A line for each thing that is not as in a plain inner join of receipt time.
pub(super) fn lines(query: &Query) -> Vec<String> {
    let mut lines: Vec<String> = query.inputs.iter().filter_map(input).collect();
    match query.join {
        JoinKind::Inner => {}
        JoinKind::Left => lines.push("left join: what matches nothing to its right stays".to_owned()),
        JoinKind::Right => lines.push("right join: what matches nothing to its left stays".to_owned()),
        JoinKind::Full => lines.push("full join: what matches nothing stays".to_owned()),
        JoinKind::Anti => lines.push("anti join: only what matches nothing".to_owned()),
    }
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if !query.group_by.is_empty() {
        lines.push(format!("a group for each {}", query.group_by.join(", ")));
    }
    for (what, source) in [("groups with", &query.having), ("sent when", &query.trigger)] {
        lines.extend(
            source
                .as_deref()
                .map(|source| format!("{what} {}", one_line(source))),
        );
    }
    match query.emit {
        Emit::Batch => {}
        Emit::Each => lines.push("a message for each result".to_owned()),
        Emit::Updates => {
            lines.push("early results, at most once a second, that later ones replace".to_owned());
        }
    }
    lines
}

fn input(input: &QueryInput) -> Option<String> {
    let name = &input.variable;
    if let Some(key) = &input.table {
        return Some(format!("{name}: the latest of each {key}"));
    }
    let time = input.time.as_ref()?;
    let mut line = format!("{name}: happened at {}", time.timestamp);
    if time.out_of_orderness > 0 {
        let _ = write!(
            line,
            ", up to {} s out of order",
            seconds(Time(time.out_of_orderness))
        );
    }
    if let Some(idle) = time.idle_timeout {
        let _ = write!(line, ", idle after {} s", seconds(Time(idle)));
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use streaming_plan::EventTime;

    use super::*;

    #[test]
    fn what_is_said_is_told() {
        let query = Query {
            inputs: vec![
                QueryInput {
                    variable: "panel".into(),
                    time: Some(EventTime {
                        timestamp: "panel.at".into(),
                        out_of_orderness: 5_000_000,
                        idle_timeout: Some(60_000_000),
                    }),
                    ..QueryInput::default()
                },
                QueryInput {
                    variable: "site".into(),
                    table: Some("site.id".into()),
                    ..QueryInput::default()
                },
            ],
            join: JoinKind::Left,
            group_by: vec!["panel.id".into(), "site.name".into()],
            having: Some("count()\n  >= 2".into()),
            emit: Emit::Updates,
            ..Query::default()
        };
        assert_eq!(
            lines(&query),
            [
                "panel: happened at panel.at, up to 5 s out of order, idle after 60 s",
                "site: the latest of each site.id",
                "left join: what matches nothing to its right stays",
                "a group for each panel.id, site.name",
                "groups with count() >= 2",
                "early results, at most once a second, that later ones replace",
            ]
        );
        assert_eq!(lines(&Query::default()), [""; 0]);
    }
}
