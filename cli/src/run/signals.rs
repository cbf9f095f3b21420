//! Ctrl-C and SIGTERM: the first drains, the second ends at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::engine::Wake;
use crate::exit;

/// Tells of the first signal; the second doesn't ask.
pub(super) fn watch(wake: Sender<Wake>, stop: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut all = signals.forever();
        if all.next().is_some() {
            say!("\ndraining; once more to end at once");
            stop.store(true, Ordering::Relaxed);
            // Nobody there to be woken: it has seen `stop` and is ending.
            let _ = wake.send(Wake::Stop);
            if all.next().is_some() {
                std::process::exit(exit::INTERRUPTED);
            }
        }
    })?;
    Ok(())
}
