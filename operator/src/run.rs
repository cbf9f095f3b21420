//! The operator's life: watches start, the caches fill, namespaces are looked at until somebody says stop.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use kube::Client;
use kube::runtime::controller::{self, Config, ReconcileRequest};
use kube::runtime::events::Recorder;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::build::Settings;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::reconcile::{self, Context};
use crate::serve::{self, Readiness};
use crate::status::write::reporter;
use crate::watch;

/// Changes that come within this time of each other are looked at together: `kubectl apply` of a folder is one look.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// Namespaces that are looked at at a time.
const CONCURRENCY: u16 = 4;

/// Runs the operator until `shutdown`; what it is doing then, it finishes.
///
/// # Errors
/// Where it can't serve its own HTTP, or its watches end, which they don't by themselves.
pub async fn run(
    client: Client,
    settings: Settings,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let shutdown = shutdown.shared();
    let metrics = Metrics::new();
    let readiness = Readiness::default();
    let routes = serve::router(metrics.clone(), readiness.clone());
    let mut server = tokio::spawn(
        axum::serve(listener, routes)
            .with_graceful_shutdown(shutdown.clone())
            .into_future(),
    );

    let (requests, queue) = mpsc::unbounded_channel();
    let (stores, _watches) = watch::start(&client, &requests, &metrics);
    tokio::select! {
        ready = stores.ready() => if !ready { bail!("a watch ended before its first list") },
        () = shutdown.clone() => return Ok(()),
        ended = &mut server => return ended.context("HTTP")?.context("HTTP"),
    }
    readiness.reached();
    tracing::info!(sidecar = settings.sidecar_image, "watching");

    let namespaces = stores.namespaces.clone();
    let recorder = Recorder::new(client.clone(), reporter());
    let context = Arc::new(Context {
        client,
        settings,
        stores,
        memory: Memory::default(),
        metrics,
        recorder,
        failures: std::sync::Mutex::default(),
    });
    let queue = stream::unfold(queue, |mut queue| async move {
        let next = queue.recv().await?;
        Some((Ok::<_, Infallible>(ReconcileRequest::from(next)), queue))
    });
    let work = controller::applier(
        |space, context| Box::pin(reconcile::reconcile(space, context)),
        |space, error, context| reconcile::retry(&space, error, &context),
        context,
        namespaces,
        queue.take_until(shutdown.clone()),
        Config::default().debounce(DEBOUNCE).concurrency(CONCURRENCY),
    );
    // What fails is told where it fails. A namespace that isn't known yet, or not any more, brings its own event.
    let work = work.for_each(|_| std::future::ready(()));
    let mut work = std::pin::pin!(work);
    tokio::select! {
        () = &mut work => {}
        // Told to stop, it ends before the work does.
        ended = &mut server => {
            ended.context("HTTP")?.context("HTTP")?;
            if shutdown.peek().is_none() {
                bail!("the HTTP server ended by itself");
            }
            work.await;
        }
    }
    Ok(())
}
