//! What runs under faults: resources as a user would write them, compiled as the operator compiles them, with the promise that
//! `check` and a resource's status print.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use streaming_compiler::{Document, compile};
use streaming_plan::{ClusterStream, Guarantee, Plan};

use crate::broker::Kind;

/// What the sidecar under test does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A Joiner: an inner join of two topics over windows of event time, each row by itself.
    Join,
    /// A Channel, message by message.
    Filter,
    /// A Channel of two pods that share a topic.
    Pair,
}

/// Event time between two pairs, in milliseconds.
pub const STEP: u64 = 10;
/// The length of a window.
const WINDOW: &str = "500ms";
/// How much later than another one an event may come that happened before it. Publishers that try again overtake themselves.
const DISORDER: &str = "3s";

/// A pipeline's parts, by names that no other run has.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// What it does.
    pub shape: Shape,
    /// Of what broker.
    pub kind: Kind,
    /// Where the sidecar finds the broker.
    pub port: u16,
    /// What all names begin with.
    pub name: &'r str,
    /// Where the container listens.
    pub container: u16,
    /// The sidecar's memory limit, if not the usual. Then rows have the padding of events.
    pub memory: Option<&'r str>,
    /// Properties of the `ClusterStream` that are not the usual.
    pub properties: &'r [(&'r str, &'r str)],
}

/// A pipeline as it was compiled.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Of the sidecar that faults happen to.
    pub plan: Plan,
    /// Of the sidecar beside the container.
    pub sink: Plan,
    /// What the way from the first to the second is said to promise.
    pub promise: Guarantee,
    /// The topics that the load goes to.
    pub topics: Vec<String>,
}

/// The name of the broker.
pub const EVENTS: &str = "events";
/// The only reason for repeats that `CloudEvents` take away, as the compiler says it.
const NO_IDS: &str = "messages have no id";

impl Pipeline {
    /// Compiles it.
    ///
    /// # Errors
    /// The compiler finds a problem, or a way on which it promises less than that nothing is lost. Of pods that share a topic on
    /// MQTT it says what happens when one is replaced, which is another matter than faults that they live through.
    pub fn new(request: &Request<'_>) -> Result<Pipeline> {
        let name = request.name;
        let sides: &[&str] = match request.shape {
            Shape::Join => &["left", "right"],
            Shape::Filter | Shape::Pair => &["left"],
        };
        let topics: Vec<String> = sides.iter().map(|side| format!("{name}-{side}")).collect();
        let cluster_stream = request.kind.cluster_stream(request.port, request.properties);
        let mut documents = vec![resource("ClusterStream", EVENTS, &cluster_stream)];
        for (side, topic) in sides.iter().zip(&topics) {
            let mut spec = json!({"clusterStream": EVENTS, "topic": topic, "recipients": [name]});
            if request.shape == Shape::Join {
                spec["timestamp"] = json!(format!("{side}.at"));
                spec["outOfOrderness"] = json!(DISORDER);
            }
            documents.push(resource("Stream", side, &spec));
        }
        let sink = format!("{name}-sink");
        documents.push(resource(
            "Processor",
            &sink,
            &json!({"replicas": 1, "servicePort": request.container, "publishes": [],
                "container": {"name": "sink", "image": "sink"}}),
        ));
        documents.push(component(request, &sink));
        let documents: Vec<Document> = (0..)
            .zip(documents)
            .map(|(origin, value)| Document { value, origin })
            .collect();
        let compilation = compile(&documents);
        ensure!(compilation.problems.is_empty(), "{:?}", compilation.problems);
        for edge in &compilation.edges {
            let loss = &edge.guarantee.loss;
            let lives = request.shape == Shape::Pair && request.kind == Kind::Mqtt;
            ensure!(loss.is_none() || lives, "{} to {}: {loss:?}", edge.from, edge.to);
        }
        let plan = |name: &str| {
            let found = compilation.plans.iter().find(|plan| plan.component.name == name);
            found.cloned().with_context(|| format!("no plan for {name}"))
        };
        let to = format!("{sink}/rows");
        let promise = compilation.edges.iter().find(|edge| edge.to == to);
        Ok(Pipeline {
            plan: plan(name)?,
            sink: plan(&sink)?,
            promise: promise.context("nothing is promised")?.guarantee.clone(),
            topics,
        })
    }

    /// Whether what is printed is that nothing comes twice, as long as publishers send `CloudEvents`; which the load does.
    pub fn promises_no_repeats(&self) -> bool {
        self.promise.repeats.as_deref().is_none_or(|why| why == NO_IDS)
    }

    /// The broker, as who sends the load finds it.
    ///
    /// # Errors
    /// None: what was made here can be read.
    pub fn events(kind: Kind, port: u16) -> Result<ClusterStream> {
        Ok(serde_json::from_value(kind.cluster_stream(port, &[]))?)
    }
}

fn resource(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "streaming.vivien.io/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "faults"},
        "spec": spec})
}

/// The Joiner or Channel.
fn component(request: &Request<'_>, sink: &str) -> Value {
    let padding = request.memory.map_or("", |_| ", \"padding\": left.padding");
    let to = json!([{"component": format!("{sink}/rows")}]);
    let (kind, mut spec) = match request.shape {
        Shape::Join => (
            "Joiner",
            json!({"servicePort": 8080, "window": WINDOW, "emit": "Each", "lateTo": format!("{EVENTS}/{}-late", request.name),
                "stream": {"from": ["left", "right"], "to": to, "where": "left.n == right.n",
                    "select": format!("{{\"n\": left.n, \"m\": right.n{padding}}}")}}),
        ),
        Shape::Filter | Shape::Pair => (
            "Channel",
            json!({"servicePort": 8080, "replicas": if request.shape == Shape::Pair { 2 } else { 1 }, "stream": {"from": ["left"], "to": to, "where": "left.n >= 0",
                "select": format!("{{\"n\": left.n, \"m\": left.n{padding}}}")}}),
        ),
    };
    if let Some(memory) = request.memory {
        spec["resources"] = json!({"limits": {"memory": memory}});
    }
    resource(kind, request.name, &spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pipeline_promises_that_nothing_comes_twice_or_is_lost() {
        for kind in Kind::ALL {
            for shape in [Shape::Join, Shape::Filter, Shape::Pair] {
                let request = Request {
                    shape,
                    kind,
                    port: 1,
                    name: "run-1",
                    container: 8080,
                    memory: Some("64Mi"),
                    properties: &[],
                };
                let pipeline = Pipeline::new(&request).unwrap();
                assert!(
                    pipeline.promises_no_repeats(),
                    "{kind:?} {shape:?}: {}",
                    pipeline.promise
                );
                assert_eq!(pipeline.plan.memory_budget, 32 << 20);
            }
        }
    }
}
