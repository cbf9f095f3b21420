//! streaming-sidecar: runs one component's plan. The modules of `streaming_sidecar` follow a message through it.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use streaming_plan::Plan;
use streaming_sidecar::options::Args;
use streaming_sidecar::{Brokers, broker, log, plan, run};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// It could not do it, for something that may be different next time.
const FAILED: u8 = 1;
/// Flags or plan are wrong, as they will be next time. What clap exits with.
const WRONG: u8 = 2;
/// A second signal ended it.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    // This thread is the engine's. Another one reads, delivers, and answers while a window closes.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime
            .block_on(sidecar())
            .err()
            .map_or(ExitCode::SUCCESS, ExitCode::from),
        Err(error) => fail(FAILED, &error).into(),
    }
}

async fn sidecar() -> Result<(), u8> {
    let args = Args::parse();
    log::start(&args.log).map_err(|e| {
        eprintln!("error: --log {}: {e}", args.log);
        WRONG
    })?;
    let plan = plan::read(&args.plan).map_err(|e| fail(WRONG, &e))?;
    let brokers = connections(&plan).map_err(|e| fail(WRONG, &e))?;
    if args.tear_down {
        return tear_down(&plan, &brokers, args.timeout).await;
    }
    let options = args.options().await.map_err(|e| fail(FAILED, &e))?;
    let shutdown = shutdown().map_err(|e| fail(FAILED, &e))?;
    run(plan, brokers, options, shutdown)
        .await
        .map_err(|e| fail(WRONG, &e))
}

/// Ends what the brokers keep for a component that is no more.
async fn tear_down(plan: &Plan, brokers: &Brokers, patience: Duration) -> Result<(), u8> {
    let left = streaming_sidecar::tear_down(plan, brokers, patience).await;
    if left.is_empty() {
        return Ok(());
    }
    let left: Vec<String> = left.iter().map(ToString::to_string).collect();
    Err(fail(FAILED, &format!("left on the brokers: {}", left.join("; "))))
}

fn connections(plan: &Plan) -> Result<Brokers, broker::BrokerError> {
    let streams = plan.cluster_streams.iter();
    streams
        .map(|(name, stream)| Ok((name.clone(), broker::open(name, stream)?)))
        .collect()
}

/// Completes with the first signal to end. The second one ends the process at once.
fn shutdown() -> std::io::Result<impl Future<Output = ()>> {
    let mut signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        next(&mut signals).await;
        tokio::spawn(async move {
            next(&mut signals).await;
            std::process::exit(INTERRUPTED);
        });
    })
}

async fn next((terminate, interrupt): &mut (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn fail(code: u8, error: &dyn Display) -> u8 {
    tracing::error!("{error}");
    code
}
