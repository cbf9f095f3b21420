//! Whatever the documents are, the compiler answers: it never panics, and what it says fits what it was given.

#![allow(clippy::unwrap_used)] // helpers of tests may, as tests do

use proptest::prelude::*;
use serde_json::{Value, json};
use streaming_compiler::{Compilation, Document, compile};

/// Any JSON, with the words of our resources among its strings.
fn anything() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "",
        "orders",
        "payments",
        "redis",
        "redis/orders",
        "billing",
        "billing/paid",
        "orders as o",
        "20s",
        "-1s",
        "1e9h",
        "orders.id == payments.id",
        "(((",
        "\u{0}",
        "größe",
        "redisHost",
        "amqp://a:@b@c",
        "#",
        "+/a/#",
        "inner",
        "Each",
        "9Mi",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "apiVersion",
        "kind",
        "metadata",
        "name",
        "namespace",
        "spec",
        "stream",
        "from",
        "to",
        "select",
        "where",
        "window",
        "servicePort",
        "component",
        "topic",
        "clusterStream",
        "recipients",
        "properties",
        "protocol",
        "container",
        "replicas",
        "deadLetter",
        "items",
        "slide",
        "gap",
        "publishes",
        "template",
        "tls",
        "true",
    ]);
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => ".{0,8}"]
}

/// Resources that fit together, by kind.
fn good() -> Vec<Value> {
    let resource = |kind: &str, name: &str, spec: Value| json!({ "apiVersion": "streaming.vivien.io/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec });
    vec![
        resource(
            "ClusterStream",
            "redis",
            json!({ "protocol": "redis", "properties": { "redisHost": "redis:6379" } }),
        ),
        resource(
            "Stream",
            "orders",
            json!({ "clusterStream": "redis", "topic": "orders", "recipients": ["billing"] }),
        ),
        resource(
            "Stream",
            "payments",
            json!({ "clusterStream": "redis", "topic": "pay", "deadLetter": "redis/failed" }),
        ),
        resource(
            "Joiner",
            "paid",
            json!({
                "servicePort": 8080, "window": "20s",
                "stream": { "from": ["orders", "pay as p"], "to": [{ "component": "billing" }], "where": "orders.id == p.id" },
            }),
        ),
        resource(
            "Channel",
            "big",
            json!({
                "servicePort": 8080,
                "stream": { "from": ["orders"], "to": [{ "stream": "redis/big" }], "select": "{'id': orders.id}" },
            }),
        ),
        resource(
            "Processor",
            "billing",
            json!({
                "replicas": 1, "servicePort": 8080, "container": { "name": "main", "image": "example.com/billing:1" },
            }),
        ),
    ]
}

/// Puts a value at the place that a list of choices leads to.
fn replace(value: &mut Value, choices: &[usize], with: Value) {
    let Some((choice, rest)) = choices.split_first() else {
        *value = with;
        return;
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let at = choice % fields.len();
            replace(fields.values_mut().nth(at).unwrap(), rest, with);
        }
        Value::Array(items) if !items.is_empty() => {
            let at = choice % items.len();
            replace(&mut items[at], rest, with);
        }
        leaf => *leaf = with,
    }
}

fn compiled(values: &[Value]) -> Compilation {
    let documents: Vec<Document> = values
        .iter()
        .enumerate()
        .map(|(origin, value)| Document {
            value: value.clone(),
            origin,
        })
        .collect();
    compile(&documents)
}

/// Holds for every compilation.
fn check(values: &[Value], compilation: &Compilation) {
    for problem in compilation.problems.iter().chain(&compilation.warnings) {
        assert!(problem.origin < values.len());
        assert!(!problem.message.is_empty() && !problem.reason.is_empty());
        assert!(
            problem.reason.chars().all(char::is_alphanumeric)
                && problem.reason.starts_with(char::is_uppercase)
        );
    }
    assert!(compilation.problems.is_sorted_by_key(|problem| problem.origin));
    assert!(compilation.warnings.is_sorted_by_key(|problem| problem.origin));
    for plan in &compilation.plans {
        let topics = plan.inputs.iter().map(|input| &input.source);
        for topic in topics.chain(plan.inputs.iter().filter_map(|input| input.dead_letter.as_ref())) {
            assert!(
                plan.cluster_streams.contains_key(&topic.cluster_stream),
                "{plan:?}"
            );
        }
        let text = serde_json::to_string(plan).unwrap();
        assert_eq!(
            serde_json::from_str::<streaming_plan::Plan>(&text).unwrap(),
            *plan
        );
        // What has a plan has no problem.
        assert!(!compilation.problems.iter().any(|problem| {
            problem.kind == plan.component.kind
                && problem.name == plan.component.name
                && problem.namespace == plan.component.namespace
                && problem.reason != "DefinedTwice"
        }));
    }
}

#[test]
fn what_is_good_stays_good() {
    let compilation = compiled(&good());
    assert!(compilation.problems.is_empty(), "{:?}", compilation.problems);
    assert_eq!(compilation.plans.len(), 3);
    check(&good(), &compilation);
}

#[test]
fn order_of_documents_does_not_matter() {
    let forwards = compiled(&good());
    let mut backwards = compiled(&good().into_iter().rev().collect::<Vec<_>>());
    backwards.plans.reverse();
    assert_eq!(forwards.plans, backwards.plans);
}

#[test]
fn depth_does_not_matter() {
    let mut value = json!(1);
    for _ in 0..5000 {
        value = Value::Array(vec![Value::Object(
            [("spec".to_owned(), value)].into_iter().collect(),
        )]);
    }
    let documents = [Document { value, origin: 0 }];
    assert_eq!(compile(&documents).problems[0].reason, "NotAResource");
    // A value this deep can't even be dropped on a small stack by its own recursion.
    let [Document { mut value, .. }] = documents;
    while let Some(inner) = value.pointer_mut("/0/spec").map(Value::take) {
        value = inner;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_documents(values in prop::collection::vec(anything(), 0..4)) {
        check(&values, &compiled(&values));
    }

    #[test]
    fn good_documents_with_parts_replaced(
        edits in prop::collection::vec((0..6_usize, prop::collection::vec(0..8_usize, 1..6), anything()), 1..4),
    ) {
        let mut values = good();
        for (document, path, with) in edits {
            replace(&mut values[document], &path, with);
        }
        check(&values, &compiled(&values));
    }
}
