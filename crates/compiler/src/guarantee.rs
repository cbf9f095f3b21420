//! What each edge promises, derived from protocol, settings and window, and never more than that.

use std::collections::BTreeMap;

use streaming_engine::expr::has_aggregate;
use streaming_plan::{
    Edge, Emit, Guarantee, Input, JoinKind, Output, Plan, Protocol, Query, Role, Topic, Windows,
};

use crate::properties;

/// The edges of a plan: one for each input, then one for each output.
pub(crate) fn edges(plan: &Plan) -> Vec<Edge> {
    let name = &plan.component.name;
    let mut edges: Vec<Edge> = plan
        .inputs
        .iter()
        .map(|input| Edge {
            from: topic(&input.source),
            to: input
                .route
                .as_ref()
                .map_or_else(|| name.clone(), |route| format!("{name}/{route}")),
            guarantee: arriving(plan, input),
        })
        .collect();
    edges.extend(plan.outputs.iter().map(|output| Edge {
        from: name.clone(),
        to: match output {
            Output::Component { component, route, .. } => format!("{component}/{route}"),
            Output::Stream(to) => topic(to),
        },
        guarantee: leaving(plan, output),
    }));
    edges.extend(plan.late_to.iter().map(|to| Edge {
        from: name.clone(),
        to: topic(to),
        guarantee: late(plan, to),
    }));
    // A Stream that joins itself arrives once.
    edges.dedup();
    edges
}

fn topic(topic: &Topic) -> String {
    format!("{}/{}", topic.cluster_stream, topic.topic)
}

/// The settings that hold for an input, the subscription's before the connection's.
fn setting<'p>(plan: &'p Plan, input: &'p Input, name: &str) -> Option<&'p str> {
    let own = input.properties.get(name);
    own.or_else(|| {
        plan.cluster_streams
            .get(&input.source.cluster_stream)?
            .properties
            .get(name)
    })
    .map(String::as_str)
}

fn protocol(plan: &Plan, cluster_stream: &str) -> Option<Protocol> {
    plan.cluster_streams
        .get(cluster_stream)
        .map(|cluster| cluster.protocol)
}

/// From a broker to the component.
fn arriving(plan: &Plan, input: &Input) -> Guarantee {
    let protocol = protocol(plan, &input.source.cluster_stream);
    let get = |name: &str| setting(plan, input, name);
    let loss = match protocol {
        Some(Protocol::Redis) => trimmed(get("maxLenApprox"), get("streamTTL")),
        Some(Protocol::RabbitMq) => rabbitmq_loss(get),
        Some(Protocol::Mqtt) => mqtt_loss(get),
        None => None,
    };
    let loss = loss.or_else(|| dropped_late(plan, input));
    let mut repeats = Vec::new();
    let mut improve = loss.as_ref().map(|(_, better)| (*better).to_owned());
    // What the broker forgets when it has sent it, it never sends again.
    let forgets = match protocol {
        Some(Protocol::Mqtt) => get("qos") == Some("0"),
        Some(Protocol::RabbitMq) => properties::is_true(get("autoAck")),
        Some(Protocol::Redis) | None => false,
    };
    if !forgets {
        if !has_ids(protocol) {
            repeats.push(NO_IDS);
            improve.get_or_insert_with(|| CLOUD_EVENTS.to_owned());
        }
        if matches!(plan.role, Role::Relay { .. }) {
            repeats.push("a crash between the container's answer and its acknowledgement delivers again");
        }
    }
    Guarantee {
        loss: loss.map(|(why, _)| why),
        repeats: join(&repeats),
        improve,
    }
}

/// In event time a message may come after its windows have closed.
fn dropped_late(plan: &Plan, input: &Input) -> Loss {
    let Role::Window(query) = &plan.role else {
        return None;
    };
    let mut inputs = plan.inputs.iter().zip(&query.inputs);
    let timed = inputs.any(|(planned, read)| planned == input && read.time.is_some());
    (timed && plan.late_to.is_none()).then(|| {
        let why = "an event that comes after its windows have closed is dropped, and counted".to_owned();
        (why, "`lateTo`")
    })
}

const NO_IDS: &str = "messages have no id";
const CLOUD_EVENTS: &str = "publishers that send CloudEvents, whose ids are used";

/// From the component to a recipient.
fn leaving(plan: &Plan, output: &Output) -> Guarantee {
    let loss = match output {
        Output::Stream(to) => published_loss(plan, to),
        Output::Component { .. } => None,
    };
    let mut repeats = Vec::new();
    let mut improve = loss.as_ref().map(|(_, better)| (*better).to_owned());
    match &plan.role {
        // What a message finds in a Table hangs on which of both came first.
        Role::Window(query) if query.windows == Windows::Unbounded && query.trigger.is_none() => {
            repeats.push("a Table's row may have changed when a message is delivered again");
        }
        Role::Window(query) if !in_event_time(query) => {
            repeats.push("windows by receipt time may regroup after a crash");
            improve.get_or_insert_with(|| "event time (`timestamp` on the Streams)".to_owned());
        }
        // Without a clock the same messages make the same windows. But a window's messages are acknowledged one by one,
        // and what is made again of some of them has the ids that it had only where each row depends on its own alone.
        Role::Window(query) => {
            if plan.state.is_none() && !is_by_row(query) {
                repeats.push(
                    "a crash between the acknowledgements of a window makes it again of what is left of it",
                );
                improve.get_or_insert_with(|| "`state` with `storage`".to_owned());
            }
            if waits_by_the_clock(query) {
                repeats.push("windows that a silent Stream leaves to the clock (idleTimeout) may regroup after a crash");
            }
        }
        Role::Relay { .. } => repeats.push("what the container sends again is sent again"),
        Role::Map { .. } => {}
    }
    if !matches!(plan.role, Role::Relay { .. }) && !all_have_ids(plan) {
        repeats.push(NO_IDS);
        improve.get_or_insert_with(|| CLOUD_EVENTS.to_owned());
    }
    Guarantee {
        loss: loss.map(|(why, _)| why),
        repeats: join(&repeats),
        improve,
    }
}

/// Late events go as they came.
fn late(plan: &Plan, to: &Topic) -> Guarantee {
    let loss = published_loss(plan, to);
    let repeats: &[&str] = if all_have_ids(plan) { &[] } else { &[NO_IDS] };
    Guarantee {
        improve: loss.as_ref().map(|(_, better)| (*better).to_owned()),
        loss: loss.map(|(why, _)| why),
        repeats: join(repeats),
    }
}

fn in_event_time(query: &Query) -> bool {
    query.inputs.iter().any(|input| input.time.is_some())
}

/// Whether each result is of the messages in it, whatever else is in the window.
fn is_by_row(query: &Query) -> bool {
    let groups = !query.group_by.is_empty()
        || query.having.is_some()
        || query.trigger.is_some()
        || query.select.as_deref().is_some_and(has_aggregate);
    query.join == JoinKind::Inner && query.emit == Emit::Each && !groups
}

fn waits_by_the_clock(query: &Query) -> bool {
    let times = query.inputs.iter().filter_map(|input| input.time.as_ref());
    times.into_iter().any(|time| time.idle_timeout.is_some())
}

fn all_have_ids(plan: &Plan) -> bool {
    let mut inputs = plan.inputs.iter();
    inputs.all(|input| has_ids(protocol(plan, &input.source.cluster_stream)))
}

/// Redis gives every entry an id that redelivery keeps; AMQP and MQTT give none.
fn has_ids(protocol: Option<Protocol>) -> bool {
    protocol == Some(Protocol::Redis)
}

fn join(reasons: &[&str]) -> Option<String> {
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Why messages may be lost, and the setting that prevents it.
type Loss = Option<(String, &'static str)>;

fn published_loss(plan: &Plan, to: &Topic) -> Loss {
    let cluster = plan.cluster_streams.get(&to.cluster_stream)?;
    let get = |name: &str| find(&cluster.properties, name);
    match cluster.protocol {
        Protocol::Redis => trimmed(get("maxLenApprox"), get("streamTTL")),
        Protocol::RabbitMq => transient(get("deliveryMode")),
        Protocol::Mqtt => qos(get("qos")),
    }
}

fn find<'p>(properties: &'p BTreeMap<String, String>, name: &str) -> Option<&'p str> {
    properties.get(name).map(String::as_str)
}

fn trimmed(length: Option<&str>, age: Option<&str>) -> Loss {
    if let Some(length) = length.filter(|length| !matches!(*length, "" | "0")) {
        let why = format!("Redis keeps about {length} entries of the stream, read or not (maxLenApprox)");
        return Some((why, "no `maxLenApprox`"));
    }
    let age = age.filter(|age| !matches!(*age, "" | "0"))?;
    Some((
        format!("Redis keeps entries for {age}, read or not (streamTTL)"),
        "no `streamTTL`",
    ))
}

fn rabbitmq_loss<'p>(get: impl Fn(&str) -> Option<&'p str>) -> Loss {
    if properties::is_true(get("autoAck")) {
        let why = "RabbitMQ forgets a message once it is sent (autoAck)".to_owned();
        return Some((why, "`autoAck: \"false\"`"));
    }
    if let Some(most) = get("maxLen")
        .or_else(|| get("maxLenBytes"))
        .filter(|most| !matches!(*most, "" | "0"))
    {
        let why = format!("RabbitMQ drops the oldest messages of a queue beyond {most} (maxLen)");
        return Some((why, "no `maxLen`"));
    }
    if let Some(age) = get("ttlInSeconds").filter(|age| !matches!(*age, "" | "0")) {
        let why = format!("RabbitMQ drops messages after {age} s (ttlInSeconds)");
        return Some((why, "no `ttlInSeconds`"));
    }
    transient(get("deliveryMode"))
}

/// The runtime publishes persistent messages unless it is told otherwise.
fn transient(delivery_mode: Option<&str>) -> Loss {
    matches!(delivery_mode, Some("0" | "1")).then(|| {
        let why =
            "RabbitMQ keeps transient messages in memory, and loses them when it restarts (deliveryMode)";
        (why.to_owned(), "`deliveryMode: \"2\"`")
    })
}

fn mqtt_loss<'p>(get: impl Fn(&str) -> Option<&'p str>) -> Loss {
    if properties::is_true(get("cleanSession")) {
        let why =
            "what is published while the component is away is not kept for it (cleanSession)".to_owned();
        return Some((why, "`cleanSession: \"false\"`"));
    }
    qos(get("qos"))
}

fn qos(qos: Option<&str>) -> Loss {
    (qos == Some("0")).then(|| {
        (
            "MQTT sends each message once and forgets it (qos 0)".to_owned(),
            "`qos: \"1\"`",
        )
    })
}
