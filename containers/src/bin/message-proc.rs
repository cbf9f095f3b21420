//! The container that logs what it gets: every POST, to whatever route, as one line `Data received: ...`.

use std::io::Write as _;
use std::net::Ipv4Addr;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::post;
use streaming_containers::clock::Clock;
use streaming_containers::received;
use tokio::signal::unix::{SignalKind, signal};

/// A window's rows come in one message.
const LARGEST: usize = 64 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port = std::env::var("APP_PORT").unwrap_or_else(|_| "8080".to_owned());
    let port: u16 = port
        .trim()
        .parse()
        .with_context(|| format!("APP_PORT: `{port}` is no port"))?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .await
        .with_context(|| format!("cannot listen on port {port}"))?;
    println!("listening on {}", listener.local_addr()?);
    let clock = Clock::start();
    let router = Router::new()
        .fallback(post(move |message: Bytes| async move { log(clock, &message) }))
        .layer(DefaultBodyLimit::max(LARGEST));
    axum::serve(listener, router)
        .with_graceful_shutdown(told_to_end()?)
        .await?;
    Ok(())
}

/// What could not be logged has not been received.
fn log(clock: Clock, message: &[u8]) -> StatusCode {
    let line = received(clock.now(), message);
    let mut out = std::io::stdout().lock();
    match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn told_to_end() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
