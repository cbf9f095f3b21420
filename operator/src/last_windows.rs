//! What components say of themselves: twice a minute each pod with windows is asked for the last one that it closed, so
//! that a resource's status can say why no rows come. Pods are asked, never brokers; what they answer is capped, and a
//! pod that does not answer is asked again the next time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Client, ResourceExt as _};
use streaming_api::{LastWindow, LastWindowCondition, LastWindowInput};
use streaming_plan::window::{ClosedWindow, LAST_WINDOW};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::apply::{in_time, told};
use crate::build::ADMIN;
use crate::dereference::Resource;
use crate::labels;
use crate::watch::Space;

/// A status is written no more often than this for what a window did.
const EVERY: Duration = Duration::from_secs(30);
/// For one pod's answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pods that are asked at a time.
const TOGETHER: usize = 16;
/// Bytes of an answer: more than the widest query has conditions.
const MOST_BYTES: usize = 1 << 20;

/// Whose window it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Owner {
    namespace: String,
    /// In lower case, as labels have it.
    kind: String,
    name: String,
}

/// The last windows, as far as they are known.
#[derive(Default)]
pub(crate) struct LastWindows(Mutex<HashMap<Owner, LastWindow>>);

impl LastWindows {
    fn lock(&self) -> MutexGuard<'_, HashMap<Owner, LastWindow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a resource's status should say: what its status says, until something newer is known.
    pub(crate) fn of(&self, resource: &Resource) -> Option<LastWindow> {
        let owner = Owner {
            namespace: resource.namespace.clone(),
            kind: resource.kind().to_lowercase(),
            name: resource.name.clone(),
        };
        let known = self.lock().get(&owner).cloned();
        known.or_else(|| resource.status.last_window.clone())
    }

    /// Takes in what pods said. Gives the namespaces in which that is news; who has no pod any more is forgotten.
    fn learn(&self, there: &HashSet<Owner>, said: Vec<(Owner, LastWindow)>) -> HashSet<String> {
        let mut known = self.lock();
        known.retain(|owner, _| there.contains(owner));
        let news = said.into_iter().filter_map(|(owner, window)| {
            let namespace = owner.namespace.clone();
            (known.insert(owner, window.clone()) != Some(window)).then_some(namespace)
        });
        news.collect()
    }
}

/// Asks for as long as the operator runs, and has a namespace looked at when there is news in it.
pub(crate) async fn follow(
    client: Client,
    known: Arc<LastWindows>,
    requests: UnboundedSender<ObjectRef<Space>>,
) {
    let mut due = interval(EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        // From the API server's cache: a pod that is a moment old is good enough.
        let which = ListParams::default().labels(&labels::windowed()).match_any();
        let pods = match in_time(Api::<Pod>::all(client.clone()).list(&which)).await {
            Ok(pods) => pods,
            Err(error) => {
                tracing::warn!(
                    error = told(&error),
                    "pods can't be listed; no status says what windows do"
                );
                continue;
            }
        };
        let pods: Vec<(Owner, String)> = pods.iter().filter_map(running).collect();
        let there = pods.iter().map(|(owner, _)| owner.clone()).collect();
        let said = stream::iter(pods)
            .map(async |(owner, address)| {
                let said = timeout(PATIENCE, ask(&address)).await;
                let said = said.context("no answer in time").flatten();
                said.inspect_err(|error| {
                    tracing::debug!(name = owner.name, address, %error, "a pod does not say what its windows do");
                })
                .ok()
                .flatten()
                .map(|window| (owner, shown(window)))
            })
            .buffer_unordered(TOGETHER)
            .filter_map(std::future::ready)
            .collect()
            .await;
        for namespace in known.learn(&there, said) {
            // Nobody listens any more only when the operator ends.
            requests.send(ObjectRef::new(&namespace)).ok();
        }
    }
}

/// A pod that can be asked, and where.
fn running(pod: &Pod) -> Option<(Owner, String)> {
    let label = |name: &str| pod.labels().get(name).cloned();
    let owner = Owner {
        namespace: pod.namespace()?,
        kind: label(labels::KIND)?,
        name: label(labels::INSTANCE)?,
    };
    let status = pod.status.as_ref()?;
    let runs = pod.metadata.deletion_timestamp.is_none() && status.phase.as_deref() == Some("Running");
    let address = status.pod_ip.clone().filter(|_| runs)?;
    // Of IPv6 the brackets are part of an authority.
    let host = if address.contains(':') {
        format!("[{address}]")
    } else {
        address
    };
    Some((owner, format!("{host}:{ADMIN}")))
}

/// The last window of the sidecar at an address; `None` if there was none yet.
async fn ask(address: &str) -> Result<Option<ClosedWindow>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(LAST_WINDOW)
        .header(header::HOST, address)
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        match status {
            StatusCode::NO_CONTENT => Ok(None),
            StatusCode::OK => Ok(Some(serde_json::from_slice(&body)?)),
            other => bail!("it answers {other}"),
        }
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => {
            ended?;
            // What has arrived is there to be read.
            let answer = answer.await;
            ensure!(answer.is_ok(), "it closed the connection");
            answer
        }
    }
}

/// As a status says it, within what the schema takes.
fn shown(window: ClosedWindow) -> LastWindow {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    LastWindow {
        start: cut(window.start, 64),
        end: cut(window.end, 64),
        rows: count(window.rows),
        errors: count(window.errors),
        inputs: window
            .inputs
            .into_iter()
            .take(64)
            .map(|input| LastWindowInput {
                name: cut(input.name, 256),
                received: count(input.received),
                filtered: count(input.filtered),
                matched: count(input.matched),
                late: count(input.late),
            })
            .collect(),
        conditions: window
            .conditions
            .into_iter()
            .take(256)
            .map(|condition| LastWindowCondition {
                condition: cut(condition.condition, 1024),
                turned_away: count(condition.turned_away),
                failed: count(condition.failed),
            })
            .collect(),
        cut_short: window.cut_short.map(|why| cut(why, 128)),
    }
}

/// The schema counts characters.
fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => text[..at].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn owner(namespace: &str) -> Owner {
        Owner {
            namespace: namespace.to_owned(),
            kind: "joiner".to_owned(),
            name: "j".to_owned(),
        }
    }

    fn window(start: &str) -> LastWindow {
        LastWindow {
            start: start.to_owned(),
            ..LastWindow::default()
        }
    }

    #[test]
    fn only_what_is_new_has_a_namespace_looked_at() {
        let known = LastWindows::default();
        let there = HashSet::from([owner("a"), owner("b")]);
        let said = || vec![(owner("a"), window("1")), (owner("b"), window("1"))];
        assert_eq!(known.learn(&there, said()).len(), 2);
        assert!(known.learn(&there, said()).is_empty());
        let news = known.learn(&there, vec![(owner("a"), window("2"))]);
        assert_eq!(news, HashSet::from(["a".to_owned()]));
        // Without a pod it is forgotten: what the status says stays.
        known.learn(&HashSet::from([owner("a")]), Vec::new());
        assert_eq!(known.lock().len(), 1);
    }

    #[test]
    fn a_status_is_within_its_schema() {
        let wide = ClosedWindow {
            start: "x".repeat(100),
            rows: u64::MAX,
            conditions: vec![
                streaming_plan::window::WindowCondition {
                    condition: "ä".repeat(2000),
                    ..Default::default()
                };
                300
            ],
            ..ClosedWindow::default()
        };
        let shown = shown(wide);
        assert_eq!((shown.start.len(), shown.rows), (64, i64::MAX));
        assert_eq!(shown.conditions.len(), 256);
        assert_eq!(shown.conditions[0].condition.chars().count(), 1024);
    }

    /// Answers one request with these bytes.
    async fn answers(bytes: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /lastwindow HTTP/1.1\r\n"));
            stream.write_all(bytes).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error() {
        let address = answers(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(ask(&address).await.unwrap(), None);
        for bytes in [
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".as_slice(),
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]",
            b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{",
            b"garbage\r\n\r\n",
            b"",
        ] {
            let address = answers(bytes).await;
            ask(&address).await.unwrap_err();
        }
    }
}
