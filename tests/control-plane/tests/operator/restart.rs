//! An operator's own life: it says when it knows the cluster, counts what it does, stops when it is told to, and the next
//! one takes over without changing anything.

use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use control_plane::ControlPlane;
use tokio::sync::oneshot;

use crate::space::{STREAMS, joiner, wait};
use crate::steady::versions;
use crate::{Space, installed, operate};

struct Operator {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Operator {
    fn start(control_plane: &'static ControlPlane) -> Operator {
        let (stop, stopped) = oneshot::channel();
        let (serves, address) = channel();
        let thread = std::thread::spawn(move || {
            let shutdown = async {
                stopped.await.ok();
            };
            operate(
                &control_plane.kubeconfig(),
                &mut |at| serves.send(at).unwrap(),
                shutdown,
            )
        });
        Operator {
            address: address.recv().unwrap(),
            stop,
            thread,
        }
    }

    /// What it answers, if that is 200.
    fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://{}{path}", self.address);
        let mut answer = ureq::get(url).call().ok()?;
        answer.body_mut().read_to_string().ok()
    }

    /// Whether it has counted any of this metric.
    fn has_counted(&self, metric: &str) -> Option<()> {
        let text = self.get("/metrics")?;
        text.lines().any(|line| line.starts_with(metric)).then_some(())
    }

    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap().unwrap();
    }
}

#[test]
fn another_operator_takes_over_and_changes_nothing() {
    // Not dropped, because threads use it; the watchdog ends it.
    let control_plane: &'static ControlPlane = Box::leak(Box::new(installed()));
    let first = Operator::start(control_plane);
    wait(|| first.get("/readyz")).expect("it is ready");
    assert_eq!(first.get("/healthz").as_deref(), Some("ok"));
    let space = Space::on(control_plane, "restart");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.roll_out("joiners", "join");
    wait(|| {
        first.has_counted(r#"streaming_operator_writes_total{kind="Deployment",verb="apply",changed="true"}"#)
    })
    .expect("a Deployment was applied");
    first.stop();

    let before = versions(&space);
    assert!(before.len() > 8, "{before:#?}");
    let second = Operator::start(control_plane);
    // It knows nothing of what the first has written, so it applies it once more.
    wait(|| {
        second
            .has_counted(r#"streaming_operator_writes_total{kind="Deployment",verb="apply",changed="false"}"#)
    })
    .expect("the Deployment was looked at");
    space.looked_at("1");
    assert_eq!(versions(&space), before);
    second.stop();
}
