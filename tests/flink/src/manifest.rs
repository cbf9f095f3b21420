//! A question as resources: what a user would write, compiled as the operator and streamctl compile it.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use streaming_compiler::{Document, compile};
use streaming_engine::query::{JoinKind, Query, Windows};
use streaming_plan::Role;

/// The fields of a component for a query, by their names, those of `stream` first.
pub fn fields(query: &Query) -> (Map<String, Value>, Map<String, Value>) {
    let mut stream = Map::new();
    let mut spec = Map::new();
    let texts = [
        ("on", &query.on),
        ("where", &query.filter),
        ("select", &query.select),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            stream.insert(name.to_owned(), json!(text));
        }
    }
    let mut put = |name: &str, value: Value| spec.insert(name.to_owned(), value);
    let length = |micros: i64| json!(format!("{}ms", micros / 1000));
    match query.windows {
        Windows::Unbounded => {}
        Windows::Tumbling { length: window } => {
            put("window", length(window));
        }
        Windows::Hopping {
            length: window,
            slide,
        } => {
            put("window", length(window));
            put("slide", length(slide));
        }
        Windows::Session { gap, max } => {
            put("gap", length(gap));
            put("window", length(max));
        }
    }
    if query.join != JoinKind::Inner {
        put("type", json!(format!("{:?}", query.join).to_lowercase()));
    }
    if !query.group_by.is_empty() {
        put("groupBy", json!(query.group_by));
    }
    if let Some(having) = &query.having {
        put("having", json!(having));
    }
    put("emit", json!(format!("{:?}", query.emit)));
    (stream, spec)
}

/// The query that the compiler makes of the resources for a query, with events this many milliseconds late.
pub fn compiled(query: &Query, bound: i64) -> Result<Query> {
    let resource = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "streaming.vivien.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let mut documents = vec![resource(
        "ClusterStream",
        "events",
        json!({"protocol": "redis", "properties": {"redisHost": "redis:6379"}}),
    )];
    for input in &query.inputs {
        let time = input.time.as_ref().context("no event time")?;
        let mut spec = json!({
            "clusterStream": "events", "topic": input.variable, "recipients": ["parity"], "timestamp": time.timestamp,
        });
        if bound > 0 {
            spec["outOfOrderness"] = json!(format!("{bound}ms"));
        }
        documents.push(resource("Stream", &input.variable, spec));
    }
    let (mut stream, mut spec) = fields(query);
    let from: Vec<&str> = query.inputs.iter().map(|input| input.variable.as_str()).collect();
    stream.insert("from".to_owned(), json!(from));
    stream.insert("to".to_owned(), json!([{"stream": "events/rows"}]));
    spec.insert("stream".to_owned(), Value::Object(stream));
    spec.insert("servicePort".to_owned(), json!(8080));
    let kind = if from.len() == 1 { "Channel" } else { "Joiner" };
    documents.push(resource(kind, "parity", Value::Object(spec)));
    let documents: Vec<Document> = (0..)
        .zip(documents)
        .map(|(origin, value)| Document { value, origin })
        .collect();
    let compilation = compile(&documents);
    if !compilation.problems.is_empty() {
        bail!("{:?}", compilation.problems);
    }
    match compilation.plans.into_iter().next().map(|plan| plan.role) {
        Some(Role::Window(query)) => Ok(query),
        role => bail!("not a window: {role:?}"),
    }
}
