//! `log`: what message-proc does with a message, for lines on standard input.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use streaming_containers::received;

use crate::clock::Clock;
use crate::exit;

/// Runs the command.
pub(crate) fn log() -> anyhow::Result<ExitCode> {
    let clock = Clock::start();
    let mut out = io::stdout();
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let text = received(clock.now(), &line);
        line.clear();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => break,
            written => written?,
        }
    }
    Ok(exit::OK)
}
