//! A component's process: what it needs is put together, sessions follow each other until it is told to end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use streaming_engine::component::Config;
use streaming_engine::counters::WindowReport;
use streaming_engine::delivery::Backoff;
use streaming_engine::durable::Kept;
use streaming_engine::state::StateError;
use streaming_plan::{Input, Plan, Protocol};
use streaming_store::Disk;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::broker::{Broker, Consumer};
use crate::config::{ConfigError, config, kept_as};
use crate::inbound::Inbound;
use crate::intake::Intake;
use crate::last_window::LastWindow;
use crate::metrics::Metrics;
use crate::publish::Publishing;
use crate::publisher::{self, Publisher};
use crate::recipient::{Addresses, Client, NoWay, Recipients};
use crate::retry::Retry;
use crate::session::{End, Session, told};
use crate::status::{Connection, Status};
use crate::traces::{self, Settings, Traces};
use crate::{admin, inbound, publish, server};

/// Connections by `ClusterStream` name.
pub type Brokers = BTreeMap<String, Arc<dyn Broker>>;

/// Where the process listens. What is `None` is not served.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For results that other components' sidecars post.
    pub deliver: Option<TcpListener>,
    /// For messages that the container publishes by HTTP.
    pub publish: Option<TcpListener>,
    /// For messages that the container publishes by gRPC.
    pub publish_grpc: Option<TcpListener>,
    /// For health checks and metrics.
    pub admin: Option<TcpListener>,
}

/// What a run needs beside its plan.
#[derive(Debug)]
pub struct Options {
    /// Where it listens.
    pub listeners: Listeners,
    /// Where components are, as `host:port`, that are not found by their names.
    pub resolve: BTreeMap<String, String>,
    /// How long a recipient, a container or a broker may take to answer.
    pub patience: Duration,
    /// How long what is in flight may take at the end.
    pub drain: Duration,
    /// Waits between deliveries of one result.
    pub backoff: Backoff,
    /// Where spans go, if they go anywhere.
    pub traces: Settings,
    /// Who is told of every window that closes, with the component's name, if anybody is.
    pub windows: Option<mpsc::UnboundedSender<(String, WindowReport)>>,
}

/// A plan that can't be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The engine refuses it.
    #[error("the plan can't be run: {0}; it was made by an operator of another release")]
    Config(#[from] ConfigError),
    /// It sends to somewhere that it doesn't describe.
    #[error(transparent)]
    NoWay(#[from] NoWay),
}

/// What all sessions of a process share.
struct Process {
    plan: Plan,
    config: Config,
    brokers: Brokers,
    recipients: Recipients,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
    last_window: Arc<LastWindow>,
    traces: Traces,
    drain: Duration,
}

/// Runs a component until `shutdown` completes, and what is in flight has been given its time.
///
/// # Errors
/// A plan that can't be run. Whatever fails later is tried again for as long as it takes.
pub async fn run(
    plan: Plan,
    brokers: Brokers,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let config = Config {
        backoff: options.backoff,
        ..config(&plan)?
    };
    let streams: Vec<&str> = plan.inputs.iter().map(|input| input.stream.as_str()).collect();
    let metrics = Arc::new(Metrics::new(&streams));
    let (traces, exporting) = traces::start(&options.traces, &plan.component, &metrics);
    let status = Arc::new(Status::new(Arc::clone(&metrics)));
    let client = Client::new(options.patience);
    let mut publishing = JoinSet::new();
    let sinks = sinks(&plan, &brokers);
    let publishers = publisher::connect(sinks, options.patience, &status, &mut publishing);
    let addresses = Addresses::new(options.resolve);
    let recipients = Recipients::new(&plan, &addresses, &client, &publishers)?;

    let variables = plan.inputs.iter().map(|input| input.variable.clone());
    let told = options.windows.map(|told| (plan.component.name.clone(), told));
    let last_window = Arc::new(LastWindow::new(&config, variables, told));
    if plan.state.is_some() {
        status.missing_because(&Connection::State, "opening it");
    }
    let (over, is_over) = watch::channel(false);
    let mut servers = JoinSet::new();
    let process = Process {
        plan,
        config,
        brokers,
        recipients,
        status,
        metrics,
        last_window,
        traces,
        drain: options.drain,
    };
    serve(
        &process,
        options.listeners,
        &client,
        &publishers,
        &is_over,
        &mut servers,
    );

    let (stop, mut stopping) = watch::channel(false);
    let end = async {
        shutdown.await;
        stop.send_replace(true);
        // Only the sessions say when they are done.
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        biased;
        () = end => Instant::now(),
        ended = process.sessions(&mut stopping) => ended,
    };
    over.send_replace(true);
    let finish = async { while servers.join_next().await.is_some() {} };
    let left = || options.drain.saturating_sub(ended.elapsed()).max(LAST_ANSWERS);
    if timeout(left(), finish).await.is_err() {
        tracing::warn!("some requests were not answered in time");
    }
    exporting.finish(left()).await;
    tracing::info!("stopped");
    Ok(())
}

/// Time for the last requests to be answered, even where the drain took all there was.
const LAST_ANSWERS: Duration = Duration::from_secs(1);
/// A session that lasted this long was fine: when it is lost, the next is tried at once.
const STEADY: Duration = Duration::from_secs(10);

impl Process {
    /// Whether all inputs' brokers say when they got a message.
    fn stamped(&self) -> bool {
        let protocol = |input: &Input| {
            Some(
                self.plan
                    .cluster_streams
                    .get(&input.source.cluster_stream)?
                    .protocol,
            )
        };
        self.plan
            .inputs
            .iter()
            .all(|input| protocol(input) == Some(Protocol::Redis))
    }

    /// Opens the component's state, if it has any.
    fn kept(&self) -> Result<Option<Kept>, StateError> {
        let open = |state: &streaming_plan::State| {
            Ok(Kept {
                state: Box::new(Disk::open(state.path.as_ref(), self.plan.memory_budget)?),
                inputs: kept_as(&self.plan),
            })
        };
        self.plan.state.as_ref().map(open).transpose()
    }

    /// Begins a session with what was kept.
    fn session(&self, intake: Intake) -> Result<Session<'_>, StateError> {
        let kept = self.kept()?;
        let session = Session::new(
            self.config.clone(),
            kept,
            self.stamped(),
            intake,
            &self.recipients,
            &self.metrics,
            &self.last_window,
        )?;
        if self.plan.state.is_some() {
            self.status.connected(&Connection::State);
        }
        Ok(session.traced(self.traces.session(&self.plan)))
    }

    fn forgetful(&self, error: &StateError) {
        self.status.missing_because(&Connection::State, &error.0);
        tracing::warn!(%error, "the component's state can't be used; trying again");
    }

    /// One session after the other. Gives when it was told to stop.
    async fn sessions(&self, stopping: &mut watch::Receiver<bool>) -> Instant {
        let mut retry = Retry::new(&self.plan.component.name);
        loop {
            let mut ending = stopping.clone();
            let subscribed = tokio::select! {
                () = told(&mut ending) => return Instant::now(),
                subscribed = Intake::subscribe(&self.plan, &self.brokers, &self.status) => subscribed,
            };
            match subscribed {
                Ok(intake) => {
                    tracing::info!(component = %self.plan.component.name, inputs = self.plan.inputs.len(), "running");
                    let started = Instant::now();
                    let end = match self.session(intake) {
                        Ok(session) => session.run(stopping, self.drain).await,
                        Err(error) => End::Forgetful(error),
                    };
                    match end {
                        End::Drained => return Instant::now(),
                        End::Forgetful(error) => self.forgetful(&error),
                        End::Lost(connection, error) => {
                            self.status.missing_because(&connection, &error.to_string());
                            tracing::warn!(%error, reason = error.reason, "connection lost; what was not acked comes again");
                        }
                    }
                    if started.elapsed() >= STEADY {
                        retry.reset();
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, reason = error.reason, "can't subscribe yet; trying again");
                }
            }
            tokio::select! {
                () = told(&mut ending) => return Instant::now(),
                () = sleep(retry.next()) => {}
            }
        }
    }
}

fn serve(
    process: &Process,
    listeners: Listeners,
    client: &Client,
    publishers: &BTreeMap<String, Publisher>,
    over: &watch::Receiver<bool>,
    servers: &mut JoinSet<()>,
) {
    let Listeners {
        deliver,
        publish,
        publish_grpc,
        admin,
    } = listeners;
    let publishing = Publishing::new(&process.plan, publishers, &process.metrics, &process.traces);
    if let Some(listener) = deliver {
        let port = process.plan.container.as_ref().map(|container| container.port);
        let inbound = Inbound::new(
            &process.plan.component.name,
            port,
            client,
            &process.metrics,
            &process.traces,
        );
        servers.spawn(server::serve(listener, inbound::router(inbound), over.clone()));
    }
    if let Some(listener) = publish {
        let router = publish::http::router(publishing.clone(), &process.status);
        servers.spawn(server::serve(listener, router, over.clone()));
    }
    if let Some(listener) = publish_grpc {
        servers.spawn(publish::grpc::serve(listener, publishing, over.clone()));
    }
    if let Some(listener) = admin {
        let router = admin::router(&process.status, &process.metrics, &process.last_window);
        servers.spawn(server::serve(listener, router, over.clone()));
    }
}

/// What is published to: results, late events, dead letters and what the container sends.
fn sinks(plan: &Plan, brokers: &Brokers) -> Vec<(String, Arc<dyn Broker>, Vec<Consumer>)> {
    let letters = plan.inputs.iter().filter_map(|input| input.dead_letter.as_ref());
    let names: BTreeSet<&String> = plan
        .published()
        .chain(letters)
        .map(|topic| &topic.cluster_stream)
        .chain(&plan.publishes)
        .collect();
    let sink = |name: &String| {
        let known = plan.cluster_streams.get(name)?.consumers.iter();
        let consumers = known.map(|consumer| Consumer {
            topic: consumer.topic.clone(),
            group: consumer.group.clone(),
        });
        Some((name.clone(), Arc::clone(brokers.get(name)?), consumers.collect()))
    };
    names.into_iter().filter_map(sink).collect()
}
