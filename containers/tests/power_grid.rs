//! `examples/power-grid/live` whole: the containers' own programs, a sidecar beside each as its plan has it, a real MQTT broker,
//! and in place of the grid operator's web server one that gives a recorded file.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::{Container, request};
use serde_json::{Value, json};
use streaming_compiler::{Document, compile};
use streaming_engine::delivery::Backoff;
use streaming_plan::{ClusterStream, Plan};
use streaming_sidecar::broker::{Broker, Received, Source, Subscription, open, reached_at};
use streaming_sidecar::traces::Settings;
use streaming_sidecar::{Brokers, Listeners, Options, RunError, run};
use test_brokers::{Mosquitto, free_port};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

const RECORDED: &str = include_str!("fixtures/20180209rtfuelmix.csv");
/// Nothing here takes that long unless it hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// The documents of a kustomization, and of those that it names.
fn documents(folder: &Path) -> Vec<Value> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let kustomization: Value = serde_saphyr::from_str(&read("kustomization.yaml")).unwrap();
    let resources = kustomization["resources"].as_array().unwrap();
    let named = |name: &Value| {
        let name = name.as_str().unwrap();
        if folder.join(name).is_dir() {
            documents(&folder.join(name))
        } else {
            serde_saphyr::from_multiple(&read(name)).unwrap()
        }
    };
    resources.iter().flat_map(named).collect()
}

/// Answers every request with what the file is by then; gives its port, and keeps what was asked for.
fn web(file: &Arc<Mutex<String>>, asked: &Arc<Mutex<Vec<String>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (file, asked) = (Arc::clone(file), Arc::clone(asked));
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut stream = BufReader::new(stream);
            let Some((first, _)) = request(&mut stream) else {
                continue;
            };
            asked.lock().unwrap().push(first);
            let body = file.lock().unwrap().clone();
            let length = body.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.get_mut().write_all(answer.as_bytes()).ok();
        }
    });
    port
}

/// All components, with where their containers find them and are found.
struct Sidecars {
    running: JoinSet<Result<(), RunError>>,
    over: watch::Sender<bool>,
    /// By component: where its container publishes.
    publish: BTreeMap<String, u16>,
    /// By component: where its container listens.
    containers: BTreeMap<String, u16>,
}

impl Sidecars {
    async fn start(plans: Vec<Plan>, at: &impl Fn(&ClusterStream) -> ClusterStream) -> Sidecars {
        let bind = async || tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sidecars = Sidecars {
            running: JoinSet::new(),
            over: watch::channel(false).0,
            publish: BTreeMap::new(),
            containers: BTreeMap::new(),
        };
        let (mut listening, mut resolve) = (Vec::new(), BTreeMap::new());
        for plan in plans {
            let (deliver, publish) = (bind().await, bind().await);
            let name = plan.component.name.clone();
            resolve.insert(name.clone(), deliver.local_addr().unwrap().to_string());
            sidecars
                .publish
                .insert(name, publish.local_addr().unwrap().port());
            listening.push((plan, deliver, publish));
        }
        for (mut plan, deliver, publish) in listening {
            if let Some(container) = &mut plan.container {
                container.port = free_port().unwrap();
                sidecars
                    .containers
                    .insert(plan.component.name.clone(), container.port);
            }
            let broker =
                |(name, stream): (&String, &ClusterStream)| (name.clone(), open(name, &at(stream)).unwrap());
            let brokers: Brokers = plan.cluster_streams.iter().map(broker).collect();
            let options = Options {
                listeners: Listeners {
                    deliver: Some(deliver),
                    publish: Some(publish),
                    ..Listeners::default()
                },
                resolve: resolve.clone(),
                patience: PATIENCE,
                drain: PATIENCE,
                backoff: Backoff::default(),
                traces: Settings::default(),
                windows: None,
            };
            let mut over = sidecars.over.subscribe();
            let shutdown = async move {
                let _ = over.wait_for(|over| *over).await;
            };
            sidecars.running.spawn(run(plan, brokers, options, shutdown));
        }
        sidecars
    }

    async fn stop(mut self) {
        self.over.send_replace(true);
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

/// Reads a topic, as who hasn't done so before: what is retained comes first.
struct Later(Box<dyn Source>);

impl Later {
    async fn subscribe(broker: &dyn Broker, who: &str, topic: &str) -> Later {
        let subscription = Subscription {
            topic: topic.to_owned(),
            group: who.to_owned(),
            consumer: who.to_owned(),
            shared: None,
            properties: BTreeMap::new(),
            in_flight: None,
        };
        Later(broker.subscribe(subscription).await.unwrap().0)
    }

    /// The next messages, with their topics.
    async fn next(&mut self) -> Vec<(String, Value)> {
        loop {
            let received = timeout(PATIENCE, self.0.receive()).await.unwrap();
            if let Received::Messages(messages) = received.unwrap() {
                let read = |payload| serde_json::from_slice(payload).unwrap();
                let each = messages
                    .iter()
                    .map(|message| (message.topic.to_string(), read(&message.payload)));
                return each.collect();
            }
        }
    }

    /// The next messages' data until there is this one.
    async fn until(&mut self, data: &Value) -> Vec<Value> {
        let mut all = Vec::new();
        while all.last() != Some(data) {
            all.extend(
                self.next()
                    .await
                    .into_iter()
                    .map(|(_, event)| event["data"].clone()),
            );
        }
        all
    }
}

/// What is computed for an instant, by its minute.
fn intensity(minute: &str, value: f64) -> Value {
    json!({"ts": format!("2018-02-09T11:{minute}:00Z"), "value": value, "units": "g / kWh"})
}

#[test]
fn a_recorded_file_becomes_a_retained_intensity() {
    let runtime = Runtime::new().unwrap();
    let mosquitto = Mosquitto::start().unwrap();
    let at = |stream: &ClusterStream| reached_at(stream, &mosquitto.url()).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/power-grid/live");
    let documents = documents(&example);
    let poller = documents
        .iter()
        .find(|document| document["metadata"]["name"] == "poller");
    let poller = &poller.unwrap()["spec"]["container"];
    assert!(poller["image"].as_str().unwrap().starts_with("message-poll:"));
    let numbered: Vec<Document> = documents
        .iter()
        .cloned()
        .enumerate()
        .map(|(origin, value)| Document { value, origin })
        .collect();
    let compilation = compile(&numbered);
    assert!(compilation.problems.is_empty(), "{:?}", compilation.problems);
    let broker = open("ny-power", &at(&compilation.plans[0].cluster_streams["ny-power"])).unwrap();
    let sidecars = runtime.block_on(Sidecars::start(compilation.plans, &at));

    let port = sidecars.containers["page"].to_string();
    let (page, log) = Container::start(env!("CARGO_BIN_EXE_message-proc"), &[("APP_PORT", &port)]);
    // All of the first instant, and that there is a second.
    let begun: String = RECORDED.split_inclusive('\n').take(9).collect();
    let (file, asked) = (Arc::new(Mutex::new(begun)), Arc::default());
    let web = format!("http://127.0.0.1:{}", web(&file, &asked));
    let mut variables: BTreeMap<&str, String> = BTreeMap::new();
    for variable in poller["env"].as_array().unwrap() {
        let [name, value] = ["name", "value"].map(|key| variable[key].as_str().unwrap());
        variables.insert(name, value.replace("http://mis.nyiso.com", &web));
    }
    variables.insert("POLL_DELAY", "50ms".to_owned());
    variables.insert("DAPR_HTTP_PORT", sidecars.publish["poller"].to_string());
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let (poller, _said) = Container::start(env!("CARGO_BIN_EXE_message-poll"), &variables);

    let golden = intensity("05", 187.68);
    runtime.block_on(async {
        let mut computed = Later::subscribe(&*broker, "computed", "ny-power/computed/co2").await;
        assert_eq!(computed.until(&golden).await.len(), 1);
        // Whoever comes when it has been published is told it too.
        let mut later = Later::subscribe(&*broker, "later", "ny-power/computed/co2").await;
        assert_eq!(later.until(&golden).await.len(), 1);

        RECORDED.clone_into(&mut file.lock().unwrap());
        let last = intensity("15", 189.74);
        assert_eq!(computed.until(&last).await, [intensity("10", 189.77), last]);
        let mut status = Later::subscribe(&*broker, "status", "ny-power/status/fuel-mix/updated").await;
        status.until(&json!({"ts": "2018-02-09T11:15:00Z"})).await;
        // Of each fuel the newest reading is retained on its own topic.
        let mut fuels = Later::subscribe(&*broker, "fuels", "ny-power/upstream/fuel-mix/+").await;
        let mut newest = BTreeMap::new();
        while newest.len() < 7 {
            newest.extend(fuels.next().await);
        }
        assert_eq!(
            newest["ny-power/upstream/fuel-mix/Natural Gas"]["data"],
            json!({"ts": "2018-02-09T11:20:00Z", "value": 3235, "units": "MW"})
        );
    });
    let golden = golden.to_string();
    let row = log
        .into_iter()
        .find_map(|line| Some(line.split_once(" Data received: ")?.1.to_owned()));
    assert_eq!(
        serde_json::from_str::<Value>(&row.unwrap()).unwrap().to_string(),
        golden
    );
    let asked = asked.lock().unwrap();
    assert!(
        asked[0].starts_with("GET /public/csv/rtfuelmix/2"),
        "{}",
        asked[0]
    );
    assert!(asked[0].contains("rtfuelmix.csv "), "{}", asked[0]);
    assert_eq!((poller.terminate(), page.terminate()), (Some(0), Some(0)));
    runtime.block_on(sidecars.stop());
}
