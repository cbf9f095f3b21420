//! A dead letter, read back: the `CloudEvent` that a component published, and the message that is in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A dead letter as it is on a topic.
#[derive(Debug, Deserialize)]
pub(super) struct Letter {
    /// Its own id, by which it is named.
    pub(super) id: String,
    /// The component that could not use it.
    #[serde(rename = "source")]
    pub(super) component: String,
    #[serde(default)]
    pub(super) time: String,
    #[serde(rename = "deadletterreason")]
    pub(super) reason: String,
    #[serde(rename = "deadlettermessage", default)]
    pub(super) message: String,
    /// `clusterStream/topic` of the message; a component's `source` for a result.
    #[serde(rename = "deadlettersource")]
    pub(super) source: String,
    #[serde(rename = "deadletterposition", default)]
    pub(super) position: String,
    #[serde(rename = "deadlettercount", default)]
    pub(super) count: u32,
    data: Option<Box<RawValue>>,
    data_base64: Option<String>,
}

impl Letter {
    /// From what is on a topic; `None` if that is no dead letter.
    pub(super) fn parse(payload: &[u8]) -> Option<Letter> {
        serde_json::from_slice(payload).ok()
    }

    /// The message as it came, byte for byte but for blanks around JSON.
    pub(super) fn original(&self) -> Option<Vec<u8>> {
        match (&self.data, &self.data_base64) {
            (Some(data), _) => Some(data.get().as_bytes().to_vec()),
            (None, Some(text)) => STANDARD.decode(text).ok(),
            (None, None) => None,
        }
    }

    /// The `ClusterStream` and the topic that it came from; `None` for a result, which came from no topic.
    pub(super) fn origin(&self) -> Option<(&str, &str)> {
        self.source.split_once('/').filter(|(name, _)| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_was() {
        let text = |data: &str| {
            format!(
                r#"{{"specversion":"1.0","id":"0f","source":"/ns/joiner/j","type":"t","deadletterreason":"R",
                "deadlettermessage":"m","deadlettersource":"redis/a/b","deadletterposition":"1-0","deadlettercount":2,{data}}}"#
            )
        };
        let letter =
            Letter::parse(text(r#""data":{"n": 1.0,"n2":12345678901234567890}"#).as_bytes()).unwrap();
        assert_eq!(
            letter.original().unwrap(),
            br#"{"n": 1.0,"n2":12345678901234567890}"#
        );
        assert_eq!(letter.origin(), Some(("redis", "a/b")));
        let letter = Letter::parse(text(r#""data_base64":"/wA=""#).as_bytes()).unwrap();
        assert_eq!(letter.original().unwrap(), [0xff, 0]);
        let result = text(r#""data":1"#).replace("redis/a/b", "/ns/joiner/j");
        assert_eq!(Letter::parse(result.as_bytes()).unwrap().origin(), None);
        for no_letter in ["", "{}", "[]", r#"{"id":"1","source":"s"}"#] {
            assert!(Letter::parse(no_letter.as_bytes()).is_none());
        }
    }
}
