//! An HTTP server that lets nobody hold it up: requests begin in time, and at the end those under way are answered.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::session::told;

/// Time for a request's head to arrive, and that a connection may be unused. Longer than clients keep theirs, so that
/// it is they who close.
const HEAD: Duration = Duration::from_secs(75);
/// Connections at a time; more wait until one is closed. Nobody can take all file descriptors of the process.
const MOST: usize = 1024;
/// After a connection could not be accepted, for want of file descriptors perhaps.
const BREATH: Duration = Duration::from_millis(100);

/// Serves until `over`, then answers what is under way.
pub(crate) async fn serve(listener: TcpListener, router: Router, mut over: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST => accepted,
            Some(_) = connections.join_next() => continue,
            () = told(&mut over) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "can't accept a connection");
                sleep(BREATH).await;
                continue;
            }
        };
        // An answer waits for nothing; where that can't be set it is only slower.
        let _ = stream.set_nodelay(true);
        let (service, mut over) = (TowerToHyperService::new(router.clone()), over.clone());
        connections.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            // How a connection fails is its client's affair.
            tokio::select! {
                _ = connection.as_mut() => return,
                () = told(&mut over) => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}
