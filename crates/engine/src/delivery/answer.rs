//! What a recipient's answer means.

use crate::field::Field;
use crate::json::Decoder;
use crate::layout::Layout;
use crate::row::RowBuilder;

/// A recipient's answer to one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has the message.
    Accepted,
    /// It should be asked again later; why.
    Retry(String),
    /// It will never take the message; why.
    Drop(String),
}

/// Answers longer than this are not an answer to a delivery; they count as one without a status.
const MAX_BODY: usize = 64 * 1024;

/// The answer of a subscriber to a message of a Stream, by Dapr's rules
/// (<https://docs.dapr.io/reference/api/pubsub_api/#expected-http-response>): 2xx is success unless the body says
/// otherwise, 404 drops, everything else is tried again. A body that says nothing Dapr defines is success.
pub fn classify(status: u16, body: &[u8]) -> Answer {
    match status {
        200..=299 => match status_of(body).as_deref() {
            Some("RETRY") => Answer::Retry("the subscriber answered RETRY".to_owned()),
            Some("DROP") => Answer::Drop("the subscriber answered DROP".to_owned()),
            _ => Answer::Accepted,
        },
        404 => Answer::Drop("the subscriber answered 404".to_owned()),
        _ => Answer::Retry(format!("the subscriber answered {status}")),
    }
}

/// The answer of a component to a result that was posted to one of its routes: the status alone counts. 404
/// drops as it does for a subscriber, so that a route that does not exist blocks nothing behind it.
pub fn classify_component(status: u16) -> Answer {
    match status {
        200..=299 => Answer::Accepted,
        404 => Answer::Drop("the component answered 404".to_owned()),
        _ => Answer::Retry(format!("the component answered {status}")),
    }
}

/// The member `status` of a body, in capitals, if there is such a thing.
fn status_of(body: &[u8]) -> Option<String> {
    let path = [Box::from("status")];
    let layout = Layout::new([path.as_slice()]);
    let mut row = RowBuilder::default();
    Decoder::new(MAX_BODY).decode(body, &layout, 0, &mut row).ok()?;
    match row.row().field(0) {
        Field::Str(status) => Some(status.trim().to_ascii_uppercase()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_decides_where_the_body_says_nothing() {
        for body in [
            "",
            "ok",
            "{}",
            "null",
            "[]",
            "{\"status\":1}",
            "{\"status\":\"SUCCESS\"}",
            "{\"status\":\"\"}",
        ] {
            assert_eq!(classify(200, body.as_bytes()), Answer::Accepted, "{body}");
            assert_eq!(classify(204, body.as_bytes()), Answer::Accepted, "{body}");
            assert!(matches!(classify(404, body.as_bytes()), Answer::Drop(_)));
            for status in [0, 100, 301, 400, 403, 429, 500, 503, 999, u16::MAX] {
                assert!(matches!(classify(status, body.as_bytes()), Answer::Retry(_)));
            }
        }
    }

    #[test]
    fn a_body_is_obeyed_whatever_its_spelling() {
        for body in [
            "{\"status\":\"RETRY\"}",
            " {\"x\":1,\n\"status\" : \" retry \"}\n",
            "{\"st\\u0061tus\":\"Retry\"}",
        ] {
            assert!(
                matches!(classify(200, body.as_bytes()), Answer::Retry(_)),
                "{body}"
            );
        }
        assert!(matches!(classify(202, b"{\"status\":\"drop\"}"), Answer::Drop(_)));
        assert!(
            matches!(classify(500, b"{\"status\":\"DROP\"}"), Answer::Retry(_)),
            "only a 2xx body counts"
        );
    }

    #[test]
    fn garbage_is_success() {
        let deep = "[".repeat(100_000);
        let long = format!("{{\"status\":\"RETRY\",\"x\":\"{}\"}}", "x".repeat(MAX_BODY));
        for body in [
            b"\xff\xfe".as_slice(),
            b"{\"status\":\"RETRY\"",
            deep.as_bytes(),
            long.as_bytes(),
        ] {
            assert_eq!(classify(200, body), Answer::Accepted);
        }
    }

    #[test]
    fn a_component_answers_by_its_status() {
        assert_eq!(classify_component(201), Answer::Accepted);
        assert!(matches!(classify_component(404), Answer::Drop(_)));
        assert!(matches!(classify_component(500), Answer::Retry(_)));
        assert!(matches!(classify_component(302), Answer::Retry(_)));
    }
}
