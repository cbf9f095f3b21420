//! `run --broker`: the pipeline on real brokers. Each component runs as its sidecar would, by the same library; what
//! would be its container is a small server here, and everything that arrives anywhere is told to the printer.
//!
//! A message's way: `sources` publishes it; a broker of `connect` hands it to a component; `stand` accepts the results
//! as a Processor, or `watch` sees them published.

mod connect;
mod sources;
mod stand;
mod watch;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use streaming_engine::counters::WindowReport;
use streaming_engine::delivery::Backoff;
use streaming_plan::{Container, Plan};
use streaming_sidecar::traces::Settings;
use streaming_sidecar::{Brokers, Listeners, Options};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch as flag};
use tokio::task::JoinSet;

use super::feed::Input;
use super::printer::Printer;
use crate::assemble::Assembly;
use crate::exit;
use crate::local::Observer as _;
use connect::Connections;
use sources::Sources;
use watch::{Told, Watched};

/// How long a recipient or a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a drain may take.
const DRAIN: Duration = Duration::from_secs(10);
/// Deliveries that may wait to be printed.
const UNPRINTED: usize = 1024;

/// Runs the pipeline until a signal comes or the time is up. `brokers` are `CLUSTERSTREAM=URL`.
pub(super) fn run(
    brokers: &[String],
    assembly: Assembly,
    inputs: Vec<Input>,
    limit: Option<Duration>,
    printer: Printer,
) -> anyhow::Result<ExitCode> {
    let connections = match Connections::new(brokers, &assembly) {
        Ok(connections) => connections,
        Err(message) => {
            say!("error: {message}");
            return Ok(exit::usage());
        }
    };
    streaming_sidecar::log::start("warn")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(pipeline(connections, assembly, inputs, limit, printer));
    // A thread that reads standard input can't be told to stop.
    runtime.shutdown_background();
    ended
}

async fn pipeline(
    connections: Connections,
    assembly: Assembly,
    inputs: Vec<Input>,
    limit: Option<Duration>,
    mut printer: Printer,
) -> anyhow::Result<ExitCode> {
    if let Err(error) = connections.check().await {
        say!("error: {error}");
        return Ok(exit::PROBLEMS);
    }
    let (tell, mut told) = mpsc::channel(UNPRINTED);
    let (close, mut closed) = mpsc::unbounded_channel();
    let (stop, stopped) = flag::channel(false);
    let sources = Sources::start(&connections, assembly.workloads.generators, inputs, &stopped).await?;
    let mut components = components(assembly.plans, &connections, (&tell, &close), &stopped).await?;
    drop((tell, close));
    let mut signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let mut delivered: u64 = 0;
    let mut failed = false;
    loop {
        if told.is_empty() {
            printer.flush();
        }
        tokio::select! {
            biased;
            _ = signals.0.recv() => end(&stop),
            _ = signals.1.recv() => end(&stop),
            () = &mut over, if !*stop.borrow() => { stop.send_replace(true); }
            Some((component, window)) = closed.recv() => printer.window(&component, &window),
            news = told.recv() => match news {
                Some(news) => {
                    delivered += 1;
                    news.show(&mut printer);
                }
                // Every component has ended.
                None => break,
            },
            Some(ended) = components.join_next() => {
                if let Err(error) = ended? {
                    printer.say(&error.to_string());
                    failed = true;
                    stop.send_replace(true);
                }
            }
        }
        if printer.is_broken() {
            stop.send_replace(true);
        }
    }
    while let Ok((component, window)) = closed.try_recv() {
        printer.window(&component, &window);
    }
    printer.flush();
    let (published, sent) = sources.finish().await;
    say!("published {published}, delivered {delivered}");
    if printer.is_broken() {
        return printer.broken();
    }
    Ok(if failed || !sent { exit::PROBLEMS } else { exit::OK })
}

/// The first signal drains, the second ends at once.
fn end(stop: &flag::Sender<bool>) {
    if stop.send_replace(true) {
        std::process::exit(exit::INTERRUPTED);
    }
    say!("\ndraining; once more to end at once");
}

type Running = JoinSet<Result<(), streaming_sidecar::RunError>>;

/// Starts every component, with what stands for its container.
async fn components(
    plans: Vec<Plan>,
    connections: &Connections,
    (tell, close): (
        &mpsc::Sender<Told>,
        &mpsc::UnboundedSender<(String, WindowReport)>,
    ),
    stopped: &flag::Receiver<bool>,
) -> anyhow::Result<Running> {
    let mut listening = Vec::new();
    let mut addresses: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for plan in plans {
        let deliver = TcpListener::bind(("127.0.0.1", 0)).await?;
        let inside = addresses.entry(plan.component.namespace.clone()).or_default();
        inside.insert(plan.component.name.clone(), deliver.local_addr()?.to_string());
        listening.push((plan, deliver));
    }
    let mut running = JoinSet::new();
    for (mut plan, deliver) in listening {
        if plan.container.is_some() {
            let port = stand::start(&plan, tell).await?;
            plan.container = Some(Container { port });
        }
        let mut brokers = Brokers::new();
        for name in plan.cluster_streams.keys() {
            if let Some(broker) = connections.get(&plan.component.namespace, name) {
                let watched = Watched::broker(broker, &plan.component, name, tell.clone());
                brokers.insert(name.clone(), watched);
            }
        }
        let options = Options {
            listeners: Listeners {
                deliver: Some(deliver),
                ..Listeners::default()
            },
            resolve: addresses
                .get(&plan.component.namespace)
                .cloned()
                .unwrap_or_default(),
            patience: PATIENCE,
            drain: DRAIN,
            backoff: Backoff::default(),
            traces: Settings::default(),
            windows: Some(close.clone()),
        };
        let mut stopped = stopped.clone();
        let shutdown = async move {
            // Without a sender it has ended too.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        running.spawn(streaming_sidecar::run(plan, brokers, options, shutdown));
    }
    Ok(running)
}
