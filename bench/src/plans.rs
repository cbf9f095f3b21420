//! The plans that sidecars are started with.

use std::collections::BTreeMap;

use streaming_plan::{
    ClusterStream, ComponentRef, Consumer, Input, Output, Plan, Protocol, Query, QueryInput, Role, Topic,
    VERSION, Windows,
};

use crate::brokers::{Broker, Ports};
use crate::workload::{SELECT, WHERE};

/// The component that gets the results.
pub(crate) const CONSUMER: &str = "display";

/// The join's inputs, and their topics.
pub(crate) const TENANTS: &str = "tenants";
pub(crate) const EVENTS: &str = "poweruse";

/// The most that the sidecar may hold.
const MEMORY: u64 = 64 << 20;

/// A join of tenants on one broker with events on another.
pub(crate) fn join(ports: Ports, (tenants, events): (Broker, Broker), window_ms: u64) -> Plan {
    let inputs = vec![input(TENANTS, tenants), input(EVENTS, events)];
    let variable = |input: &Input| QueryInput {
        variable: input.variable.clone(),
        ..QueryInput::default()
    };
    let role = Role::Window(Query {
        inputs: inputs.iter().map(variable).collect(),
        windows: Windows::Tumbling {
            length: i64::try_from(window_ms).unwrap_or(i64::MAX).saturating_mul(1000),
        },
        filter: Some(WHERE.to_owned()),
        select: Some(SELECT.to_owned()),
        ..Query::default()
    });
    plan("Joiner", ports, inputs, role)
}

/// A filter that lets every event on Redis through.
pub(crate) fn channel(ports: Ports) -> Plan {
    let role = Role::Map {
        r#where: None,
        select: None,
    };
    plan("Channel", ports, vec![input(EVENTS, Broker::Redis)], role)
}

/// The name of what bridges, and of who reads what it sends.
pub(crate) const BRIDGE: &str = "channel";

/// A Channel that moves a topic's messages to another topic.
pub(crate) fn bridge(ports: Ports, (from, source): (Broker, &str), (to, target): (Broker, &str)) -> Plan {
    let role = Role::Map {
        r#where: None,
        select: None,
    };
    let input = Input {
        variable: "message".to_owned(),
        ..input(source, from)
    };
    let mut plan = plan("Channel", ports, vec![input], role);
    plan.outputs = vec![Output::Stream(Topic {
        cluster_stream: to.name().to_owned(),
        topic: target.to_owned(),
    })];
    let target = Consumer {
        topic: target.to_owned(),
        group: BRIDGE.to_owned(),
    };
    let stream = plan.cluster_streams.entry(to.name().to_owned());
    let stream = stream.or_insert_with(|| cluster_stream(to.name(), ports));
    if matches!(to, Broker::RabbitMq(_)) {
        stream.consumers.push(target);
    }
    plan
}

fn plan(kind: &str, ports: Ports, inputs: Vec<Input>, role: Role) -> Plan {
    let brokers = inputs.iter().map(|input| input.source.cluster_stream.clone());
    let cluster_streams = brokers.map(|name| {
        let stream = cluster_stream(&name, ports);
        (name, stream)
    });
    Plan {
        version: VERSION,
        component: ComponentRef {
            kind: kind.to_owned(),
            namespace: "bench".to_owned(),
            name: kind.to_lowercase(),
            uid: format!("bench/{kind}"),
        },
        cluster_streams: cluster_streams.collect(),
        inputs,
        role,
        outputs: vec![Output::Component {
            component: CONSUMER.to_owned(),
            route: "rows".to_owned(),
            port: 80,
        }],
        late_to: None,
        publishes: Vec::new(),
        container: None,
        shared: None,
        memory_budget: MEMORY,
        state: None,
    }
}

fn input(topic: &str, broker: Broker) -> Input {
    Input {
        variable: topic.to_owned(),
        stream: topic.to_owned(),
        source: Topic {
            cluster_stream: broker.name().to_owned(),
            topic: topic.to_owned(),
        },
        properties: BTreeMap::new(),
        dead_letter: None,
        max_deliveries: 0,
        route: None,
    }
}

fn cluster_stream(name: &str, ports: Ports) -> ClusterStream {
    let (protocol, property, address) = if name == Broker::Redis.name() {
        (Protocol::Redis, "redisHost", format!("127.0.0.1:{}", ports.redis))
    } else if name == Broker::Mqtt.name() {
        (Protocol::Mqtt, "url", ports.url(Broker::Mqtt))
    } else {
        let url = format!("amqp://guest:guest@127.0.0.1:{}", ports.rabbitmq);
        (Protocol::RabbitMq, "connectionString", url)
    };
    ClusterStream {
        protocol,
        properties: BTreeMap::from([(property.to_owned(), address)]),
        files: BTreeMap::new(),
        consumers: Vec::new(),
    }
}
