//! The line that message-proc logs for a message: one line, whatever the message holds.

use streaming_engine::time::Time;

use crate::clock::rfc3339;

/// A log line about a message that arrived.
pub fn received(at: Time, message: &[u8]) -> String {
    let message = String::from_utf8_lossy(message.trim_ascii_end());
    format!("{} Data received: {}\n", rfc3339(at), printable(&message))
}

/// A text without what would do something to a terminal, or to a log.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_whatever_it_holds() {
        let line = received(Time(0), b"{\"a\":\t1}\x1b[2J\xff\r\n");
        assert_eq!(
            line,
            "1970-01-01T00:00:00.000Z Data received: {\"a\": 1} [2J\u{fffd}\n"
        );
    }
}
