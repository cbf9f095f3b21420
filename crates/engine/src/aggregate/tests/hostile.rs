//! Expressions and messages that try to make groups deep, slow or large.

use std::fmt::Write as _;
use std::thread;

use super::{Fields, WINDOW, add, results, spec};
use crate::aggregate::{Group, GroupResult, Groups};
use crate::expr::{Scope, compile_grouped, has_aggregate};
use crate::field::Field;

/// Runs on a small stack.
fn contained(work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().stack_size(2 << 20);
    thread.spawn(work).unwrap().join().unwrap();
}

fn compiles(select: &str) -> Result<(), &'static str> {
    let scope = Scope::new(&["a"]).unwrap();
    let found = compile_grouped(&["a.k"], Some(select), None, None, &scope);
    found.map(|_| ()).map_err(|problems| problems[0].1.reason)
}

#[test]
fn values_nest_as_deep_as_expressions_let_them() {
    contained(|| {
        for (open, close) in [
            ("first(", ")"),
            ("collect(", ")"),
            ("previous(first(", "))"),
            ("[1].map(i, first(", "))"),
        ] {
            let deep = |n: usize| format!("{open}{}a.x{}{close}", "[".repeat(n), "]".repeat(n));
            let most = (1..400)
                .take_while(|n| compiles(&deep(*n)).is_ok())
                .last()
                .unwrap();
            assert!(most > 30, "{most}");
            assert_eq!(compiles(&deep(most + 1)), Err("TooDeep"));
            let json = format!("{}1{}", "[".repeat(120), "]".repeat(120));
            let spec = spec(&["a.k"], Some(&deep(most)), None);
            let mut groups = Groups::new();
            add(
                &mut groups,
                &spec,
                &[(0, [Field::Null, Field::Json(&json), Field::Absent])],
            );
            let (key, group) = groups.sorted()[0];
            let mut bytes = Vec::new();
            group.encode(&mut bytes);
            let group = Group::decode(&spec, &bytes).unwrap();
            let previous = GroupResult::new(&spec, key, &group, WINDOW, None).next_previous();
            let result = GroupResult::new(&spec, key, &group, WINDOW, Some(&previous));
            // As JSON it nests too deep, but it was kept whole.
            let failed = result.select(&mut Vec::new()).map_err(|error| error.reason());
            assert_eq!(failed, Err("NotJson"), "{open}");
        }
    });
}

#[test]
fn long_sources_compile_at_once() {
    let mut select = String::from("[");
    for number in 0..1700 {
        write!(select, "sum(a.x + {number}.0),").unwrap();
    }
    select.push(']');
    assert!(has_aggregate(&select));
    assert_eq!(compiles(&select), Ok(()));
    assert!(!has_aggregate("a.x + 'sum(a.x)'"));
    assert!(!has_aggregate("sum("));
    assert!(has_aggregate("[1].exists(x, x > count())"));
    assert!(!has_aggregate("evalexpr: max(a.x, 1)"));
}

#[test]
fn keys_and_distinct_values_are_bounded() {
    let spec = spec(&["a.k"], Some("[count(), countDistinct(a.x)]"), None);
    let long = "x".repeat(17 * 1024);
    let items = format!("[{}0]", "0,".repeat(10_000));
    let many = format!("[{}0]", "0,".repeat(100_000));
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let mut groups = Groups::new();
    let rows: Vec<(usize, Fields<'_>)> = [
        Field::Str(&long),
        Field::Json(&items),
        Field::Json(&many),
        Field::Json(&deep),
        Field::Json("[1, 2.0]"),
    ]
    .into_iter()
    .map(|field| (0, [field, Field::Null, Field::Absent]))
    .collect();
    let failed = add(&mut groups, &spec, &rows);
    assert_eq!(
        failed,
        ["InvalidArgument", "InvalidArgument", "CostExceeded", "NotJson"]
    );
    assert_eq!(results(&groups, &spec), ["[1,0]"]);
    let longest = "x".repeat(1 << 20);
    let rows: Vec<(usize, Fields<'_>)> = [Field::Str(&longest), Field::Json(&deep), Field::Json(&items)]
        .into_iter()
        .map(|field| (0, [Field::Bool(true), field, Field::Absent]))
        .collect();
    assert_eq!(add(&mut groups, &spec, &rows), ["InvalidArgument", "NotJson"]);
    assert_eq!(results(&groups, &spec), ["[3,1]", "[1,0]"]);
}

#[test]
fn what_has_no_order_or_no_bytes_is_left_out() {
    let spec = spec(
        &[],
        Some(
            "[count(), min(a.x / a.y), max(type(a.x) == double ? dyn([1]) : dyn(2)), percentile(a.x / a.y, 0.5)]",
        ),
        None,
    );
    let zero = [Field::Null, Field::Number(0.0), Field::Number(0.0)];
    let mut groups = Groups::new();
    let failed = add(&mut groups, &spec, &[(0, zero)]);
    assert_eq!(failed, ["NotOrdered", "NoSuchOverload", "NotOrdered"]);
    assert_eq!(results(&groups, &spec), ["[1,null,null,null]"]);
}
