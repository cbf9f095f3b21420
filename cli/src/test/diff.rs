//! What differs between the deliveries that were expected and those that came, said so that a person sees it.

use std::fmt::Write as _;

use super::json::{self, Level};
use super::record::{Content, Record, seconds};
use crate::report::printable;
use crate::style::Style;

/// Differences that are shown of one recipient.
const SHOWN: usize = 10;
/// Places that are shown of one pair of deliveries.
const PLACES: usize = 8;
/// Characters of a value that are shown.
const WIDTH: usize = 160;
/// Pairs of deliveries that are compared to line two long lists up; beyond it they are compared by position.
const PAIRS: usize = 4_000_000;

/// What is compared besides the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Data and times.
    Times,
    /// Data only: after a crash, the same rows may come later.
    Data,
}

/// One difference.
#[derive(Debug)]
enum Difference<'a> {
    Changed(&'a Record, &'a Record),
    Missing(&'a Record),
    Extra(&'a Record),
}

/// Text that tells what differs at one recipient; `None` if nothing does.
pub(crate) fn compare(
    expected: &[Record],
    actual: &[Record],
    strictness: Strictness,
    file: &str,
    style: Style,
) -> Option<String> {
    let differences = differences(expected, actual, strictness);
    if differences.is_empty() {
        return None;
    }
    let mut out = String::new();
    for difference in differences.iter().take(SHOWN) {
        match difference {
            Difference::Changed(want, got) => {
                let mut places = Vec::new();
                if strictness == Strictness::Times && want.at != got.at {
                    places.push(("at".to_owned(), seconds(want.at), seconds(got.at)));
                }
                if let (Some(want), Some(got)) = (&want.dead_letter, &got.dead_letter)
                    && want != got
                {
                    places.push(("deadLetter".to_owned(), want.clone(), got.clone()));
                }
                if !same_content(&want.data, &got.data) {
                    inside("data", &text(&want.data), &text(&got.data), &mut places);
                }
                let _ = writeln!(out, "    {file}:{}: differs", want.line);
                for (path, want, got) in places.iter().take(PLACES) {
                    let _ = writeln!(
                        out,
                        "      {path}: {} {}",
                        style.error(&format!("- {}", short(want))),
                        style.good(&format!("+ {}", short(got)))
                    );
                }
                if places.len() > PLACES {
                    out += "      and more\n";
                }
            }
            Difference::Missing(want) => {
                let _ = writeln!(out, "    {file}:{}: did not come", want.line);
                let _ = writeln!(
                    out,
                    "      {}",
                    style.error(&format!("- {}", short(want.to_line().trim_end())))
                );
            }
            Difference::Extra(got) => {
                out += "    came without being expected\n";
                let _ = writeln!(
                    out,
                    "      {}",
                    style.good(&format!("+ {}", short(got.to_line().trim_end())))
                );
            }
        }
    }
    if differences.len() > SHOWN {
        let _ = writeln!(out, "    and {} more differences", differences.len() - SHOWN);
    }
    Some(out)
}

fn differences<'a>(
    expected: &'a [Record],
    actual: &'a [Record],
    strictness: Strictness,
) -> Vec<Difference<'a>> {
    let same = |a: &Record, b: &Record| same(a, b, strictness);
    let head = expected
        .iter()
        .zip(actual)
        .take_while(|(a, b)| same(a, b))
        .count();
    let (expected, actual) = (&expected[head..], &actual[head..]);
    let tail = expected
        .iter()
        .rev()
        .zip(actual.iter().rev())
        .take_while(|(a, b)| same(a, b))
        .count();
    let (expected, actual) = (&expected[..expected.len() - tail], &actual[..actual.len() - tail]);
    let mut found = Vec::new();
    let (mut from, mut until) = (0, 0);
    for (i, j) in common(expected, actual, same) {
        gap(&expected[from..i], &actual[until..j], &mut found);
        (from, until) = (i + 1, j + 1);
    }
    gap(&expected[from..], &actual[until..], &mut found);
    found
}

/// Between two deliveries that match: what is left is paired off in order.
fn gap<'a>(expected: &'a [Record], actual: &'a [Record], found: &mut Vec<Difference<'a>>) {
    let pairs = expected.len().min(actual.len());
    found.extend(
        expected
            .iter()
            .zip(actual)
            .map(|(want, got)| Difference::Changed(want, got)),
    );
    found.extend(expected[pairs..].iter().map(Difference::Missing));
    found.extend(actual[pairs..].iter().map(Difference::Extra));
}

/// Indices of a longest common subsequence.
fn common(a: &[Record], b: &[Record], same: impl Fn(&Record, &Record) -> bool) -> Vec<(usize, usize)> {
    if a.is_empty() || b.is_empty() || a.len().saturating_mul(b.len()) > PAIRS {
        return Vec::new();
    }
    let width = b.len() + 1;
    let mut best = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            best[i * width + j] = if same(&a[i], &b[j]) {
                best[(i + 1) * width + j + 1] + 1
            } else {
                best[(i + 1) * width + j].max(best[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        if same(&a[i], &b[j]) {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if best[(i + 1) * width + j] >= best[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// Whether a delivery is the one that was expected.
fn same(want: &Record, got: &Record, strictness: Strictness) -> bool {
    (strictness == Strictness::Data || want.at == got.at)
        && (want.dead_letter.is_none() || want.dead_letter == got.dead_letter)
        && same_content(&want.data, &got.data)
}

fn same_content(want: &Content, got: &Content) -> bool {
    want.bytes() == got.bytes()
        || matches!((want, got), (Content::Json(want), Content::Json(got)) if json::same(want, got))
}

fn text(content: &Content) -> String {
    match content {
        Content::Json(text) => text.clone(),
        Content::Bytes(bytes) => format!("{} bytes: {}", bytes.len(), String::from_utf8_lossy(bytes)),
    }
}

/// Collects the places at which two values differ.
fn inside(path: &str, want: &str, got: &str, places: &mut Vec<(String, String, String)>) {
    if places.len() > PLACES || json::same(want, got) {
        return;
    }
    match (Level::of(want), Level::of(got)) {
        (Level::Object(a), Level::Object(b)) => {
            for (key, x) in &a {
                let path = format!("{path}.{key}");
                match b.get(key) {
                    Some(y) => inside(&path, x.get(), y.get(), places),
                    None => places.push((path, x.get().to_owned(), "nothing".to_owned())),
                }
            }
            for (key, y) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                places.push((format!("{path}.{key}"), "nothing".to_owned(), y.get().to_owned()));
            }
        }
        (Level::Array(a), Level::Array(b)) => {
            if a.len() != b.len() {
                places.push((
                    path.to_owned(),
                    format!("{} items", a.len()),
                    format!("{} items", b.len()),
                ));
            }
            for (i, (x, y)) in a.iter().zip(&b).enumerate() {
                inside(&format!("{path}[{i}]"), x.get(), y.get(), places);
            }
        }
        _ => places.push((path.to_owned(), want.to_owned(), got.to_owned())),
    }
}

fn short(text: &str) -> String {
    let text = printable(text);
    if text.chars().count() <= WIDTH {
        return text;
    }
    text.chars().take(WIDTH).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use streaming_engine::time::Time;

    use super::*;

    fn records(items: &[(i64, &str)]) -> Vec<Record> {
        let record = |(line, (at, data)): (usize, &(i64, &str))| Record {
            at: Time(at * 1_000_000),
            data: Content::Json((*data).to_owned()),
            topic: None,
            dead_letter: None,
            line: line + 1,
        };
        items.iter().enumerate().map(record).collect()
    }

    fn diff(expected: &[(i64, &str)], actual: &[(i64, &str)], strictness: Strictness) -> Option<String> {
        compare(
            &records(expected),
            &records(actual),
            strictness,
            "e.jsonl",
            Style::plain(),
        )
    }

    #[test]
    fn equal_deliveries_do_not_differ() {
        let items = [(1, r#"[{"a":1}]"#), (2, "2")];
        assert_eq!(
            diff(&items, &[(1, r#"[{"a":1.0}]"#), (2, "2")], Strictness::Times),
            None
        );
        assert_eq!(
            diff(&items, &[(3, r#"[{"a":1}]"#), (3, "2")], Strictness::Data),
            None
        );
        assert!(diff(&items, &[(1, r#"[{"a":1}]"#), (3, "2")], Strictness::Times).is_some());
    }

    #[test]
    fn a_change_is_shown_where_it_is() {
        let want = [(20, r#"[{"id":924,"kwh":1},{"id":243}]"#)];
        let got = [(40, r#"[{"id":924,"kwh":2,"x":null},{"id":243},3]"#)];
        assert_eq!(
            diff(&want, &got, Strictness::Times).unwrap(),
            "    e.jsonl:1: differs
      at: - 20 + 40
      data: - 2 items + 3 items
      data[0].kwh: - 1 + 2
      data[0].x: - nothing + null
"
        );
    }

    #[test]
    fn one_that_is_missing_or_too_much_does_not_make_the_rest_differ() {
        let want = [(1, "1"), (2, "2"), (3, "3"), (4, "4")];
        let got = [(1, "1"), (3, "3"), (9, "9"), (4, "4")];
        assert_eq!(
            diff(&want, &got, Strictness::Times).unwrap(),
            "    e.jsonl:2: did not come
      - {\"at\":2,\"data\":2}
    came without being expected
      + {\"at\":9,\"data\":9}
"
        );
    }

    #[test]
    fn order_counts() {
        assert!(diff(&[(1, "1"), (1, "2")], &[(1, "2"), (1, "1")], Strictness::Times).is_some());
    }

    #[test]
    fn long_lists_of_differences_are_cut() {
        let want: Vec<_> = (0..3000).map(|n| (n, "1")).collect();
        let shown = diff(&want, &[], Strictness::Times).unwrap();
        assert!(shown.lines().count() < 30 && shown.contains("and 2990 more differences"));
        let got: Vec<_> = (0..3000).map(|n| (n, "2")).collect();
        assert!(
            diff(&want, &got, Strictness::Times)
                .unwrap()
                .contains("and 2990 more")
        );
    }
}
