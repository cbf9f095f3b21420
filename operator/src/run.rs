//! The operator's life: watches start, the caches fill, namespaces are looked at until somebody says stop.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use kube::Client;
use kube::runtime::controller::{self, Config, ReconcileRequest};
use kube::runtime::events::Recorder;
use kube::runtime::reflector::ObjectRef;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, timeout_at};

use crate::build::Settings;
use crate::last_windows::{self, LastWindows};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::reconcile::{self, Context};
use crate::serve::{self, Readiness};
use crate::status::write::reporter;
use crate::watch::{self, Space};

/// Changes that come within this time of the first are looked at together: `kubectl apply` of a folder is a look or two.
const TOGETHER: Duration = Duration::from_millis(50);
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
    let (stores, mut tasks) = watch::start(&client, &requests, &metrics);
    tokio::select! {
        ready = stores.ready() => if !ready { bail!("a watch ended before its first list") },
        () = shutdown.clone() => return Ok(()),
        ended = &mut server => return ended.context("HTTP")?.context("HTTP"),
    }
    readiness.reached();
    tracing::info!(sidecar = settings.sidecar_image, "watching");

    let last_windows = Arc::new(LastWindows::default());
    tasks.spawn(last_windows::follow(
        client.clone(),
        Arc::clone(&last_windows),
        requests,
    ));
    let namespaces = stores.namespaces.clone();
    let recorder = Recorder::new(client.clone(), reporter());
    let context = Arc::new(Context {
        client,
        settings,
        stores,
        memory: Memory::default(),
        metrics,
        recorder,
        last_windows,
        failures: std::sync::Mutex::default(),
    });
    let queue = stream::unfold(queue, |mut queue| async move {
        let requests = gather(&mut queue).await?;
        Some((stream::iter(requests), queue))
    });
    let queue = queue
        .flatten()
        .map(|space| Ok::<_, Infallible>(ReconcileRequest::from(space)));
    let work = controller::applier(
        |space, context| Box::pin(reconcile::reconcile(space, context)),
        |space, error, context| reconcile::retry(&space, error, &context),
        context,
        namespaces,
        queue.take_until(shutdown.clone()),
        Config::default().concurrency(CONCURRENCY),
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

/// Waits for a request, and for those that come soon after it: each namespace once. The wait does not begin anew with each of
/// them, so that a busy namespace has its turn; `None` when no more can come.
async fn gather(queue: &mut UnboundedReceiver<ObjectRef<Space>>) -> Option<HashSet<ObjectRef<Space>>> {
    let mut requests = HashSet::from([queue.recv().await?]);
    let end = Instant::now() + TOGETHER;
    while let Ok(Some(more)) = timeout_at(end, queue.recv()).await {
        requests.insert(more);
    }
    Some(requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_namespace_has_its_turn() {
        let (requests, mut queue) = mpsc::unbounded_channel();
        // Requests without a pause, for as long as somebody takes them.
        let busy = tokio::spawn(async move {
            while requests.send(ObjectRef::new("busy")).is_ok() {
                requests.send(ObjectRef::new("other")).ok();
                tokio::task::yield_now().await;
            }
        });
        let gathered = gather(&mut queue).await.unwrap();
        assert!(gathered.contains(&ObjectRef::new("busy")) && gathered.len() <= 2);
        drop(queue);
        busy.await.unwrap();
    }

    #[tokio::test]
    async fn it_ends_when_nobody_can_ask() {
        let (requests, mut queue) = mpsc::unbounded_channel();
        requests.send(ObjectRef::new("last")).unwrap();
        drop(requests);
        assert_eq!(gather(&mut queue).await.unwrap().len(), 1);
        assert!(gather(&mut queue).await.is_none());
    }
}
