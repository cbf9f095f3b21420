//! The queues that must be there before anything is published.

#![allow(clippy::unwrap_used)] // helpers of tests may, as tests do

use serde_json::{Value, json};
use streaming_compiler::{Compilation, Document, compile};

fn resource(kind: &str, name: &str, spec: &Value) -> Document {
    let value = json!({
        "apiVersion": "streaming.vivien.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "energy"},
        "spec": spec,
    });
    Document { value, origin: 0 }
}

fn pipeline(more: &[Document]) -> Compilation {
    let mut all = vec![
        resource(
            "ClusterStream",
            "redis",
            &json!({"protocol": "redis", "properties": {"redisHost": "r:6379"}}),
        ),
        resource(
            "ClusterStream",
            "rabbit",
            &json!({"protocol": "rabbitmq", "properties": {"host": "amqp://r"}}),
        ),
        resource(
            "Stream",
            "tenants",
            &json!({"clusterStream": "redis", "topic": "tenants"}),
        ),
        resource(
            "Stream",
            "power",
            &json!({"clusterStream": "rabbit", "topic": "power", "recipients": ["archive"]}),
        ),
        resource(
            "Processor",
            "archive",
            &json!({
                "replicas": 1, "servicePort": 8080, "publishes": [], "container": {"name": "a", "image": "a"},
            }),
        ),
        resource(
            "Processor",
            "maker",
            &json!({
                "replicas": 1, "servicePort": 8080, "publishes": ["rabbit"], "container": {"name": "a", "image": "a"},
            }),
        ),
        resource(
            "Joiner",
            "bill",
            &json!({
                "servicePort": 8080, "window": "1s",
                "stream": {"from": ["tenants", "power"], "where": "tenants.id == power.id", "to": [{"component": "archive"}]},
            }),
        ),
    ];
    all.extend_from_slice(more);
    compile(&all)
}

fn queues(compilation: &Compilation, component: &str, cluster_stream: &str) -> Vec<String> {
    let plan = compilation
        .plans
        .iter()
        .find(|plan| plan.component.name == component)
        .unwrap();
    let consumers = &plan.cluster_streams[cluster_stream].consumers;
    consumers
        .iter()
        .map(|c| format!("{} of {}", c.topic, c.group))
        .collect()
}

#[test]
fn a_plan_names_every_queue_that_it_may_publish_to() {
    let compiled = pipeline(&[]);
    assert!(compiled.problems.is_empty(), "{:?}", compiled.problems);
    let all = [
        "power of archive",
        "power of bill",
        "power.dead-letter of dead-letter",
    ];
    let every: Vec<String> = compiled
        .cluster_streams
        .iter()
        .flat_map(|found| &found.connection.consumers)
        .map(|c| format!("{} of {}", c.topic, c.group))
        .collect();
    assert_eq!(every, all);
    assert_eq!(
        queues(&compiled, "maker", "rabbit"),
        all,
        "its container publishes there"
    );
    // These publish nothing but dead letters.
    assert_eq!(queues(&compiled, "bill", "rabbit"), all[2..]);
    assert_eq!(queues(&compiled, "archive", "rabbit"), all[2..]);
    // Redis keeps entries for groups that come later.
    assert_eq!(queues(&compiled, "bill", "redis"), [""; 0]);
    let ports: Vec<_> = compiled
        .plans
        .iter()
        .map(|plan| plan.container.as_ref().map(|c| c.port))
        .collect();
    assert_eq!(ports, [Some(8080), Some(8080), None]);
}

#[test]
fn dead_letters_that_somebody_reads_need_no_other_queue() {
    let more = [resource(
        "Stream",
        "failed",
        &json!({
            "clusterStream": "rabbit", "topic": "power.dead-letter", "recipients": ["archive"],
        }),
    )];
    let queues = queues(&pipeline(&more), "maker", "rabbit");
    assert_eq!(
        queues,
        [
            "power of archive",
            "power of bill",
            "power.dead-letter of archive"
        ]
    );
}

#[test]
fn who_does_not_run_now_keeps_its_queue() {
    let channel = |suspend, filter: &str| {
        let stream = json!({"from": ["power"], "where": filter, "to": [{"component": "archive"}]});
        let spec = json!({"servicePort": 8080, "suspend": suspend, "stream": stream});
        queues(
            &pipeline(&[resource("Channel", "late", &spec)]),
            "maker",
            "rabbit",
        )
    };
    assert!(
        channel(true, "power.id > 1").contains(&"power of late".to_owned()),
        "suspended"
    );
    assert!(
        channel(false, "power.id >").contains(&"power of late".to_owned()),
        "broken"
    );
}

#[test]
fn a_mistake_in_one_component_changes_no_other_plan() {
    let channel = |filter: &str| {
        let stream = json!({"from": ["power"], "where": filter, "to": [{"component": "archive"}]});
        let spec = json!({"servicePort": 8080, "stream": stream, "deadLetter": "rejects"});
        let compiled = pipeline(&[resource("Channel", "late", &spec)]);
        let others = compiled
            .plans
            .into_iter()
            .filter(|plan| plan.component.name != "late");
        others.collect::<Vec<_>>()
    };
    let others = channel("power.id > 1");
    assert_eq!(others.len(), 3);
    assert_eq!(channel("power.id >"), others);
    let maker = others.iter().find(|plan| plan.component.name == "maker").unwrap();
    let consumers = &maker.cluster_streams["rabbit"].consumers;
    let kept = consumers
        .iter()
        .filter(|consumer| consumer.group == "dead-letter");
    let kept: Vec<_> = kept.map(|consumer| consumer.topic.as_str()).collect();
    assert_eq!(kept, ["power.dead-letter", "rejects"]);
}

#[test]
fn another_reader_is_news_only_to_those_who_publish() {
    let stream = json!({"from": ["power"], "to": [{"component": "archive"}]});
    let channel = resource("Channel", "late", &json!({"servicePort": 8080, "stream": stream}));
    let (before, after) = (pipeline(&[]), pipeline(&[channel]));
    for (name, same) in [("bill", true), ("archive", true), ("maker", false)] {
        let plan = |compiled: &Compilation| {
            let mut plans = compiled.plans.iter();
            plans.find(|plan| plan.component.name == name).unwrap().clone()
        };
        assert_eq!(plan(&before) == plan(&after), same, "{name}");
    }
}
