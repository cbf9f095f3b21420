//! The line that message-proc logs for a message: one line, whatever the message holds.

use streaming_engine::time::Time;

use crate::clock::rfc3339;

/// A log line about a message that arrived.
pub fn received(at: Time, message: &[u8]) -> String {
    let message = String::from_utf8_lossy(message.trim_ascii_end());
    format!("{} Data received: {}\n", rfc3339(at), printable(&message))
}

/// A text without what would do something to a terminal, or to a log: control characters, line separators, and what
/// makes the rest of a line read in another order than it is in (Unicode TR 36, bidirectional text spoofing).
pub fn printable(text: &str) -> String {
    let harmful = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if harmful(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_turn_around_what_stands_beside_it() {
        assert_eq!(printable("a\u{202e}b\u{2066}c\u{2028}d שלום"), "a b c d שלום");
    }

    #[test]
    fn a_message_is_one_line_whatever_it_holds() {
        let line = received(Time(0), b"{\"a\":\t1}\x1b[2J\xff\r\n");
        assert_eq!(
            line,
            "1970-01-01T00:00:00.000Z Data received: {\"a\": 1} [2J\u{fffd}\n"
        );
    }
}
