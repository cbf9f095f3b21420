//! The table of what is tested for which protocol, made of the suite itself: `docs/protocols.md` can't say anything else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::{Case, LISTS};

/// Columns: the name in the suite, and in the documentation.
const PROTOCOLS: [(&str, &str); 6] = [
    ("redis", "Redis 7.0"),
    ("redis_older", "Redis 6.2"),
    ("rabbitmq", "RabbitMQ"),
    ("mqtt", "MQTT 5"),
    ("mqtt_older", "MQTT 3.1.1"),
    ("embedded", "laptop"),
];

/// Tests that only one protocol has are in files of these names.
const OWN: [(&str, &str); 2] = [
    ("rabbitmq", include_str!("rabbitmq.rs")),
    ("mqtt", include_str!("mqtt.rs")),
];

/// The names of the tests in a file.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("#[tokio::test]\nasync fn ").skip(1);
    after.filter_map(|rest| Some(rest.split_once('(')?.0))
}

/// Who has what, in the order in which the suite names it.
fn rows() -> Vec<(String, Vec<&'static str>)> {
    let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut add = |behaviour: &str, protocols: &[&'static str]| {
        let name = behaviour.replace('_', " ");
        let at = *known.entry(name.clone()).or_insert_with(|| {
            rows.push((name, Vec::new()));
            rows.len() - 1
        });
        rows[at].1.extend(protocols);
    };
    for Case { beds, behaviours } in LISTS {
        for behaviour in *behaviours {
            add(behaviour, beds);
        }
    }
    for (protocol, text) in OWN {
        for test in tests(text) {
            add(test, &[protocol]);
        }
    }
    rows
}

fn table() -> String {
    let mut table = String::from("| behaviour |");
    for (_, name) in PROTOCOLS {
        write!(table, " {name} |").unwrap();
    }
    table.push_str("\n| --- |");
    table.push_str(&" :-: |".repeat(PROTOCOLS.len()));
    for (behaviour, protocols) in rows() {
        write!(table, "\n| {behaviour} |").unwrap();
        for (protocol, _) in PROTOCOLS {
            table.push_str(if protocols.contains(&protocol) {
                " ✓ |"
            } else {
                " |"
            });
        }
    }
    table + "\n"
}

#[test]
fn the_documentation_has_the_table_of_this_suite() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocols.md");
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("<!-- table -->\n\n").unwrap();
    let (there, after) = rest.split_once("\n<!-- end -->").unwrap();
    let here = table();
    if there == here {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(
            &file,
            format!("{before}<!-- table -->\n\n{here}\n<!-- end -->{after}"),
        )
        .unwrap();
        return;
    }
    panic!("docs/protocols.md has another table: run this test with UPDATE=1, and read the diff");
}
