//! `log`: what message-proc does with a message, for lines on standard input.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use crate::clock::{Clock, rfc3339};
use crate::exit;
use crate::report::printable;

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

/// A log line about a message.
fn received(at: streaming_engine::time::Time, message: &[u8]) -> String {
    let message = String::from_utf8_lossy(message.trim_ascii_end());
    format!("{} Data received: {}\n", rfc3339(at), printable(&message))
}

#[cfg(test)]
mod tests {
    use streaming_engine::time::Time;

    #[test]
    fn a_message_is_one_line_whatever_it_holds() {
        let line = super::received(Time(0), b"{\"a\":\t1}\x1b[2J\xff\r\n");
        assert_eq!(
            line,
            "1970-01-01T00:00:00.000Z Data received: {\"a\": 1} [2J\u{fffd}\n"
        );
    }
}
