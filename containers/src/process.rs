//! The life of a container that publishes: its work, and its end when it is told to.

use std::process;
use std::thread;

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Runs `work` until SIGTERM or SIGINT, which end the process at once, with 0; or until it fails.
///
/// # Errors
/// Its error, or that signals can't be listened for.
pub fn until_told(work: fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    // As the first process of a container it would otherwise be deaf to SIGTERM.
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot listen for signals")?;
    let worker = thread::spawn(work);
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            process::exit(0);
        }
    });
    worker
        .join()
        .map_err(|_| anyhow::anyhow!("it came to a sudden end"))?
}
