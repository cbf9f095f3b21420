//! What leaves the engine: an event, and how it looks as a CloudEvent.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json::{Decoder, Identity};
use crate::layout::Layout;
use crate::row::RowBuilder;
use crate::time::Time;
use crate::value::Value;

/// A result, a message that is passed on, or a dead letter.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The CloudEvent's `id`: 32 hexadecimal digits, the same each time this event is made; or the one that a
    /// message that is passed on came with.
    pub id: String,
    /// The CloudEvent's `source`.
    pub source: Arc<str>,
    /// The CloudEvent's `type`.
    pub kind: Cow<'static, str>,
    /// The CloudEvent's `time`: the end of the window, or when the message was received.
    pub time: Time,
    /// Where the message came from, for one that is passed on.
    pub origin: Option<Origin>,
    /// What it says.
    pub data: Data,
    /// The CloudEvent's `subject`: what it has in common with all results of the same group and window.
    pub subject: Option<String>,
    /// Why it is a dead letter, if it is one.
    pub dead_letter: Option<DeadLetter>,
    /// The extension attribute `watermark`: of the events that come after this one, none happened before it.
    /// The last result of a window has it.
    pub watermark: Option<Time>,
    /// The extension attribute `sequence`: the number of this update among those of its group.
    pub sequence: Option<u64>,
    /// The trace that the message it was made of is part of. What is made of many is part of none.
    pub trace: Option<Box<Trace>>,
}

/// A place in a trace, as W3C's Trace Context has it (<https://www.w3.org/TR/trace-context/>).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The header, and extension attribute, `traceparent`.
    pub parent: String,
    /// The header, and extension attribute, `tracestate`; may be empty.
    pub state: String,
}

impl Trace {
    /// Longer states need not be passed on (Trace Context, 3.3.1.5).
    const LONGEST: usize = 512;

    /// Of what somebody says it is. A `traceparent` that isn't one is as if it weren't there, and its `tracestate` with it
    /// (Trace Context, 3.2).
    pub fn new(parent: &str, state: &str) -> Option<Trace> {
        let usable = |text: &&str| {
            let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            !text.is_empty() && text.len() <= Trace::LONGEST && plain
        };
        let text = |text: &str| Some(text).filter(usable).map(str::to_owned);
        Some(Trace {
            parent: text(parent).filter(|parent| is_parent(parent))?,
            state: text(state).unwrap_or_default(),
        })
    }

    /// That of a message, if it is in one.
    pub(crate) fn of(identity: &Identity<'_>) -> Option<Box<Trace>> {
        let state = identity.tracestate.as_deref().unwrap_or_default();
        Trace::new(identity.traceparent.as_deref()?, state).map(Box::new)
    }
}

/// Whether a text is a `traceparent`: version, trace, parent and flags. Later versions may say more, this one says no more
/// than that.
fn is_parent(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut part = |length| parts.next().filter(|part| part.len() == length && is_hex(part));
    let (Some(version), Some(trace), Some(parent), Some(_flags)) = (part(2), part(32), part(16), part(2))
    else {
        return false;
    };
    let whole = version != "00" || parts.next().is_none();
    let is_zero = |text: &str| text.bytes().all(|b| b == b'0');
    whole && version != "ff" && !is_zero(trace) && !is_zero(parent)
}

/// The place a message was taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The ClusterStream.
    pub cluster_stream: Arc<str>,
    /// The topic on it.
    pub topic: String,
}

/// An event's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// JSON.
    Json(Vec<u8>),
    /// Bytes that are not JSON: what a message was that could not be decoded.
    Bytes(Vec<u8>),
    /// A whole CloudEvent in structured JSON mode, as it came in.
    CloudEvent(Vec<u8>),
}

/// Why something went to a dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// CamelCase, also the label of the counter.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// `clusterStream/topic` that the message was taken from.
    pub source: String,
    /// Its position there; empty if the broker gives none.
    pub position: String,
    /// How often it had been delivered.
    pub count: u32,
}

impl Event {
    /// What a recipient that takes bare data gets: JSON, except for the bytes of a message that was none.
    pub fn data(&self) -> Cow<'_, [u8]> {
        match &self.data {
            Data::Json(data) | Data::Bytes(data) => Cow::Borrowed(data),
            Data::CloudEvent(event) => {
                let decoded =
                    Decoder::new(usize::MAX).decode(event, &Layout::default(), 0, &mut RowBuilder::default());
                match decoded.map(|decoded| decoded.data) {
                    Ok(Cow::Borrowed(data)) => Cow::Borrowed(data.as_bytes()),
                    Ok(Cow::Owned(data)) => Cow::Owned(data.into_bytes()),
                    // Data in base64 that is no JSON: there is no better JSON for it than the event itself.
                    Err(_) => Cow::Borrowed(event),
                }
            }
        }
    }

    /// The event in CloudEvents' structured JSON mode.
    pub fn to_cloudevent(&self) -> Vec<u8> {
        let data = match &self.data {
            Data::CloudEvent(event) => return event.clone(),
            Data::Json(data) | Data::Bytes(data) => data,
        };
        let mut out = Vec::with_capacity(data.len() + 512);
        out.extend_from_slice(b"{\"specversion\":\"1.0\"");
        attribute(&mut out, "id", &self.id);
        attribute(&mut out, "source", &self.source);
        attribute(&mut out, "type", &self.kind);
        if let Ok(time) = jiff::Timestamp::from_microsecond(self.time.0) {
            attribute(&mut out, "time", &time.to_string());
        }
        if let Some(subject) = &self.subject {
            attribute(&mut out, "subject", subject);
        }
        if let Some(Ok(watermark)) = self
            .watermark
            .map(|time| jiff::Timestamp::from_microsecond(time.0))
        {
            attribute(&mut out, "watermark", &watermark.to_string());
        }
        if let Some(sequence) = self.sequence {
            attribute(&mut out, "sequence", itoa::Buffer::new().format(sequence));
        }
        if let Some(trace) = &self.trace {
            attribute(&mut out, "traceparent", &trace.parent);
            if !trace.state.is_empty() {
                attribute(&mut out, "tracestate", &trace.state);
            }
        }
        if let Some(origin) = &self.origin {
            attribute(&mut out, "pubsubname", &origin.cluster_stream);
            attribute(&mut out, "topic", &origin.topic);
        }
        if let Some(dead_letter) = &self.dead_letter {
            attribute(&mut out, "deadletterreason", dead_letter.reason);
            attribute(&mut out, "deadlettermessage", &dead_letter.message);
            attribute(&mut out, "deadlettersource", &dead_letter.source);
            attribute(&mut out, "deadletterposition", &dead_letter.position);
            out.extend_from_slice(b",\"deadlettercount\":");
            out.extend_from_slice(itoa::Buffer::new().format(dead_letter.count).as_bytes());
        }
        if let Data::Json(json) = &self.data {
            attribute(&mut out, "datacontenttype", "application/json");
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(json);
        } else {
            attribute(&mut out, "datacontenttype", "application/octet-stream");
            attribute(&mut out, "data_base64", &STANDARD.encode(data));
        }
        out.push(b'}');
        out
    }

    /// Bytes that holding the event takes.
    pub(crate) fn bytes(&self) -> u64 {
        let (Data::Json(data) | Data::Bytes(data) | Data::CloudEvent(data)) = &self.data;
        let letter = self
            .dead_letter
            .as_ref()
            .map_or(0, |letter| letter.message.len() + letter.source.len());
        (data.capacity() + self.id.len() + letter + size_of::<Event>()) as u64
    }
}

fn attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_string(value, out);
}

/// Appends a JSON string.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    // JSON has a form for every string.
    let _ = Value::Str(text.into()).write_json(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: Data) -> Event {
        Event {
            id: "0f".to_owned(),
            source: Arc::from("/ns/joiner/a\"b"),
            kind: Cow::Borrowed("t"),
            time: Time(1_500_000),
            origin: None,
            data,
            dead_letter: None,
            subject: None,
            watermark: None,
            sequence: None,
            trace: None,
        }
    }

    #[test]
    fn a_result_is_a_cloudevent() {
        let event = event(Data::Json(b"[1,2]".to_vec()));
        insta::assert_snapshot!(String::from_utf8(event.to_cloudevent()).unwrap(), @r#"{"specversion":"1.0","id":"0f","source":"/ns/joiner/a\"b","type":"t","time":"1970-01-01T00:00:01.5Z","datacontenttype":"application/json","data":[1,2]}"#);
        assert_eq!(*event.data(), *b"[1,2]");
    }

    #[test]
    fn a_result_in_event_time_says_how_far_time_is() {
        let mut event = event(Data::Json(b"1".to_vec()));
        event.watermark = Some(Time(2_000_000));
        let text = String::from_utf8(event.to_cloudevent()).unwrap();
        assert!(text.contains(r#""watermark":"1970-01-01T00:00:02Z""#), "{text}");
    }

    #[test]
    fn what_is_made_of_a_message_is_part_of_its_trace() {
        let identity = |parent: &str, state: &str| Identity {
            source: "s".into(),
            id: "1".into(),
            kind: "t".into(),
            watermark: None,
            traceparent: Some(parent.to_owned().into()),
            tracestate: Some(state.to_owned().into()),
        };
        let mut event = event(Data::Json(b"1".to_vec()));
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        event.trace = Trace::of(&identity(parent, "a=1"));
        let text = String::from_utf8(event.to_cloudevent()).unwrap();
        assert!(
            text.contains(&format!(r#""traceparent":"{parent}","tracestate":"a=1""#)),
            "{text}"
        );
        assert_eq!(Trace::of(&identity("", "a=1")), None);
        let long = Trace::of(&identity(parent, &"x".repeat(513)));
        assert_eq!(long.map(|trace| trace.state), Some(String::new()));
    }

    #[test]
    fn a_place_in_a_trace_is_as_specified_or_none() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for right in [
            format!("00-{trace}-{parent}-00"),
            format!("cc-{trace}-{parent}-01"),
            format!("cc-{trace}-{parent}-01-and more"),
        ] {
            assert_eq!(Trace::new(&right, "").map(|trace| trace.parent), Some(right));
        }
        for wrong in [
            String::new(),
            format!("00-{trace}-{parent}"),
            format!("00-{trace}-{parent}-01-more"),
            format!("00-{trace}-{parent}-01\n"),
            format!("ff-{trace}-{parent}-01"),
            format!("0-{trace}-{parent}-01"),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{parent}-{parent}-01"),
            format!("cc-{trace}-{parent}-01-{}", "x".repeat(513)),
            format!("cc-{trace}-{parent}-01-\n"),
        ] {
            assert_eq!(Trace::new(&wrong, "a=1"), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_dead_letter_says_why_and_keeps_the_bytes() {
        let mut event = event(Data::Bytes(vec![0xff, 0]));
        event.dead_letter = Some(DeadLetter {
            reason: "InvalidUtf8",
            message: "not UTF-8\n(at byte 0)".to_owned(),
            source: "redis/tenants".to_owned(),
            position: "1-0".to_owned(),
            count: 2,
        });
        insta::assert_snapshot!(String::from_utf8(event.to_cloudevent()).unwrap(), @r#"{"specversion":"1.0","id":"0f","source":"/ns/joiner/a\"b","type":"t","time":"1970-01-01T00:00:01.5Z","deadletterreason":"InvalidUtf8","deadlettermessage":"not UTF-8\n(at byte 0)","deadlettersource":"redis/tenants","deadletterposition":"1-0","deadlettercount":2,"datacontenttype":"application/octet-stream","data_base64":"/wA="}"#);
        assert_eq!(*event.data(), [0xff, 0]);
    }

    #[test]
    fn a_cloudevent_is_passed_on_as_it_came() {
        let text = br#"{ "specversion":"1.0","id":"1","source":"s","type":"t","x":1,"data":{ "a":1 } }"#;
        let passed = event(Data::CloudEvent(text.to_vec()));
        assert_eq!(passed.to_cloudevent(), text);
        assert_eq!(*passed.data(), *br#"{ "a":1 }"#);
        let times = event(Data::Json(b"1".to_vec()));
        assert!(
            !String::from_utf8(
                Event {
                    time: Time::MAX,
                    ..times
                }
                .to_cloudevent()
            )
            .unwrap()
            .contains("time")
        );
    }
}
