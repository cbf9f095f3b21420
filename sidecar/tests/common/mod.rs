//! What the tests of a running component need: plans, recipients that misbehave, and patience.

#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use streaming_engine::delivery::Backoff;
use streaming_plan::Plan;
use streaming_sidecar::broker::{Broker, Consumer, Outgoing, Sink, Subscription, open};
use streaming_sidecar::traces::Settings;
use streaming_sidecar::{Brokers, Listeners, Options, run};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nothing here takes that long unless it hangs.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A request that a recipient got.
#[derive(Clone, Debug)]
pub struct Got {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Got {
    pub fn id(&self) -> &str {
        self.headers["ce-id"].to_str().unwrap()
    }
}

/// What a recipient does with a request.
pub enum Reply {
    /// Answers with a status and a body.
    Say(u16, &'static str),
    /// Never answers.
    Stall,
}

/// An HTTP server that remembers what it got.
pub struct Recipient {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    changed: Arc<Notify>,
    server: JoinHandle<()>,
}

impl Recipient {
    /// One that takes everything.
    pub async fn start() -> Recipient {
        Recipient::that(0, |_, _| Reply::Say(200, "")).await
    }

    /// One that resets its first connections, and then does what `behaviour` says to the request of this number.
    pub async fn that(
        resets: usize,
        behaviour: impl Fn(usize, &Got) -> Reply + Send + Sync + 'static,
    ) -> Recipient {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (got, changed) = (Arc::<Mutex<Vec<Got>>>::default(), Arc::new(Notify::new()));
        let (memory, notify, behaviour) = (Arc::clone(&got), Arc::clone(&changed), Arc::new(behaviour));
        let handler = move |request: Request| {
            let (memory, notify, behaviour) =
                (Arc::clone(&memory), Arc::clone(&notify), Arc::clone(&behaviour));
            async move {
                let request = read(request).await;
                let reply = {
                    let mut memory = memory.lock().unwrap();
                    let reply = behaviour(memory.len(), &request);
                    memory.push(request);
                    reply
                };
                notify.notify_waiters();
                answer(reply).await
            }
        };
        let server = tokio::spawn(async move {
            for _ in 0..resets {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_zero_linger().unwrap();
            }
            axum::serve(listener, axum::Router::new().fallback(handler))
                .await
                .unwrap();
        });
        Recipient {
            address,
            got,
            changed,
            server,
        }
    }

    /// All requests so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Waits until what it got is enough, which takes long to tell and is not asked at each request.
    pub async fn until_all(&self, enough: impl Fn(&[Got]) -> bool) -> bool {
        let wait = async {
            while !enough(&self.got.lock().unwrap()) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, wait).await.is_ok()
    }

    /// How many requests it got.
    pub fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    /// Waits until what it got is enough.
    pub async fn until(&self, enough: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if enough(&self.got.lock().unwrap()) {
                    return self.got();
                }
                changed.await;
            }
        };
        let Ok(got) = timeout(PATIENCE, wait).await else {
            panic!(
                "it got {} requests: {:#?}",
                self.got().len(),
                self.got().iter().rev().take(5).collect::<Vec<_>>()
            );
        };
        got
    }
}

impl Drop for Recipient {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn read(request: Request) -> Got {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    Got {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

async fn answer(reply: Reply) -> Response {
    match reply {
        Reply::Say(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Reply::Stall => std::future::pending().await,
    }
}

/// A running component.
pub struct Running {
    pub deliver: SocketAddr,
    pub publish: SocketAddr,
    pub publish_grpc: SocketAddr,
    pub admin: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Runs a plan; results for the component `recipient` go to an address. In the end it waits for what is in
    /// flight for longer than any test does.
    pub async fn start(plan: Plan, brokers: &Brokers, recipient: Option<SocketAddr>) -> Running {
        Running::start_with(plan, brokers, recipient, PATIENCE * 10).await
    }

    /// The same, with so much time for the end.
    pub async fn start_with(
        plan: Plan,
        brokers: &Brokers,
        recipient: Option<SocketAddr>,
        drain: Duration,
    ) -> Running {
        Running::begin(plan, brokers, recipient, drain, Settings::default()).await
    }

    /// The same as [`Running::start`], with spans.
    pub async fn start_traced(
        plan: Plan,
        brokers: &Brokers,
        recipient: Option<SocketAddr>,
        traces: Settings,
    ) -> Running {
        Running::begin(plan, brokers, recipient, PATIENCE * 10, traces).await
    }

    async fn begin(
        plan: Plan,
        brokers: &Brokers,
        recipient: Option<SocketAddr>,
        drain: Duration,
        traces: Settings,
    ) -> Running {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let listeners = Listeners {
            deliver: Some(bind().await.unwrap()),
            publish: Some(bind().await.unwrap()),
            publish_grpc: Some(bind().await.unwrap()),
            admin: Some(bind().await.unwrap()),
        };
        let address = |listener: &Option<TcpListener>| listener.as_ref().unwrap().local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = Running {
            deliver: address(&listeners.deliver),
            publish: address(&listeners.publish),
            publish_grpc: address(&listeners.publish_grpc),
            admin: address(&listeners.admin),
            stop,
            task: tokio::spawn(async {}),
        };
        let options = Options {
            listeners,
            resolve: recipient
                .map(|address| ("recipient".to_owned(), address.to_string()))
                .into_iter()
                .collect(),
            patience: Duration::from_millis(500),
            drain,
            backoff: Backoff {
                initial_micros: 1000,
                max_micros: 20_000,
            },
            traces,
            windows: None,
        };
        let brokers = brokers.clone();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            run(plan, brokers, options, stopped).await.unwrap();
        });
        Running { task, ..running }
    }

    /// Tells it to end, and waits until it has.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        timeout(PATIENCE, self.task)
            .await
            .expect("it does not end")
            .unwrap();
    }

    /// Ends it as a crash would.
    pub async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// A plan for a component `c`, with connections `a` and `b`, and a recipient called `recipient`.
pub fn plan(role: &Value, inputs: &Value, more: &Value) -> Plan {
    let mut plan = json!({
        "version": streaming_plan::VERSION,
        "component": {"kind": "Joiner", "namespace": "ns", "name": "c", "uid": "uid"},
        "clusterStreams": {
            "a": {"protocol": "redis", "properties": {}},
            "b": {"protocol": "rabbitmq", "properties": {}},
        },
        "inputs": inputs,
        "role": role,
        "outputs": [{"kind": "component", "component": "recipient", "route": "rows", "port": 8080}],
        "publishes": [],
        "memoryBudget": 100_000_000,
    });
    let fields = more.as_object().unwrap().clone();
    plan.as_object_mut().unwrap().extend(fields);
    serde_json::from_value(plan).unwrap()
}

/// An input `variable` that reads the topic of that name.
pub fn input(variable: &str, cluster_stream: &str, topic: &str) -> Value {
    json!({
        "variable": variable,
        "stream": topic,
        "source": {"clusterStream": cluster_stream, "topic": topic},
        "deadLetter": {"clusterStream": "a", "topic": "dead"},
        "maxDeliveries": 0,
        "route": format!("{variable}-route"),
    })
}

/// A join of two inputs over tumbling windows of so many milliseconds.
pub fn join(inputs: [&str; 2], window_ms: u64, emit: &str, conditions: [Option<&str>; 2]) -> Value {
    let [filter, select] = conditions;
    json!({
        "kind": "window",
        "inputs": inputs.map(|variable| json!({"variable": variable})),
        "windows": {"tumbling": {"length": window_ms * 1000}},
        "emit": emit,
        "filter": filter,
        "select": select,
    })
}

/// Publishes JSON.
pub async fn publish(broker: &dyn Broker, topic: &str, messages: impl IntoIterator<Item = Value>) {
    send(&*publisher(broker, topic).await, topic, messages).await;
}

/// A publisher to a topic that `c` reads.
pub async fn publisher(broker: &dyn Broker, topic: &str) -> Arc<dyn Sink> {
    let consumer = Consumer {
        topic: topic.to_owned(),
        group: "c".to_owned(),
    };
    broker.sink(&[consumer]).await.unwrap()
}

/// Publishers to `t` on `a` and to `p` on `b`.
pub async fn feeds(plan: &Plan) -> (Arc<dyn Sink>, Arc<dyn Sink>) {
    let broker = |name: &str| open(name, &plan.cluster_streams[name]).unwrap();
    (
        publisher(&*broker("a"), "t").await,
        publisher(&*broker("b"), "p").await,
    )
}

/// Publishes JSON, and waits until the broker has it.
pub async fn send(sink: &dyn Sink, topic: &str, messages: impl IntoIterator<Item = Value>) {
    let outgoing = |message: Value| Outgoing {
        topic: topic.into(),
        id: "".into(),
        content_type: "application/json",
        trace: None,
        payload: message.to_string().into(),
    };
    let batch = messages.into_iter().map(outgoing).collect();
    for result in timeout(PATIENCE, sink.publish(batch)).await.unwrap() {
        result.unwrap();
    }
}

/// Reads a number of messages of a topic, as a group that reads nothing else.
pub async fn take(broker: &dyn Broker, topic: &str, group: &str, count: usize) -> Vec<Value> {
    use streaming_sidecar::broker::Received;
    let subscription = Subscription {
        topic: topic.to_owned(),
        group: group.to_owned(),
        consumer: "test".to_owned(),
        shared: None,
        properties: BTreeMap::new(),
        in_flight: None,
    };
    let (mut source, _acker) = broker.subscribe(subscription).await.unwrap();
    let mut taken = Vec::new();
    let mut recovered = false;
    while taken.len() < count || !recovered {
        match timeout(PATIENCE, source.receive())
            .await
            .expect("too few messages")
            .unwrap()
        {
            Received::Messages(messages) => {
                taken.extend(
                    messages
                        .iter()
                        .map(|message| serde_json::from_slice::<Value>(&message.payload).unwrap()),
                );
            }
            Received::Recovered => recovered = true,
        }
    }
    taken
}

/// A GET or POST, as curl would.
pub async fn http(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let mut request = axum::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let exchange = async {
        let response = client.request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(Body::new(response.into_body()), usize::MAX)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    timeout(PATIENCE, exchange).await.expect("no answer")
}

/// Asks again until an answer is as it should be.
pub async fn http_until(url: &str, enough: impl Fn(u16, &str) -> bool) -> String {
    let ask = async {
        loop {
            let (status, body) = http("GET", url, &[], "").await;
            if enough(status, &body) {
                return body;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, ask).await.expect("the answer does not come")
}

/// The value of a metric.
pub async fn metric(admin: SocketAddr, line: &str) -> Option<f64> {
    let (_, text) = http("GET", &format!("http://{admin}/metrics"), &[], "").await;
    let line = text.lines().find_map(|l| l.strip_prefix(line))?;
    line.trim().parse().ok()
}
