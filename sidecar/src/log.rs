//! What the process says about itself: lines for a terminal, JSON for everything else.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Logs to standard error, what `filter` lets through.
///
/// # Errors
/// A filter that can't be understood.
pub fn start(filter: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let logs = tracing_subscriber::registry().with(EnvFilter::try_new(filter)?);
    let format = tracing_subscriber::fmt::layer().with_writer(stderr);
    // Whoever calls this twice has logs already.
    let _ = if stderr().is_terminal() {
        logs.with(format).try_init()
    } else {
        logs.with(format.json().flatten_event(true)).try_init()
    };
    Ok(())
}
