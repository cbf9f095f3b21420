//! Events: what changed between two statuses of a resource. The same status twice gives none, so that nothing is told in
//! a loop.

use kube::runtime::events::{Event, EventType};
use streaming_api::Status;

use super::text;
use crate::reason::{self, condition};

/// What there is to tell.
pub(crate) fn events(before: &Status, now: &Status) -> Vec<Event> {
    let find = |status: &Status, type_: &str| {
        let mut all = status.conditions.iter();
        all.find(|condition| condition.type_ == type_).cloned()
    };
    let mut events = Vec::new();
    let (was, is) = (find(before, condition::READY), find(now, condition::READY));
    if let Some(is) = is {
        let expected =
            is.status == "True" || [reason::ROLLING_OUT, reason::SUSPENDED].contains(&is.reason.as_str());
        let told = was.is_some_and(|was| {
            // Of what is wrong with the resource, the text is the news; of what runs, or of what the server answered,
            // it is detail that differs from one time to the next.
            let detail = reason::REASONS.contains(&is.reason.as_str());
            was.status == is.status
                && was.reason == is.reason
                && (detail || news(&was.message) == news(&is.message))
        });
        if !told {
            let type_ = if expected {
                EventType::Normal
            } else {
                EventType::Warning
            };
            events.push(event(type_, &is.reason, &is.message));
        }
    }
    let (was, is) = (find(before, condition::WARNING), find(now, condition::WARNING));
    if let Some(is) = is
        && was.is_none_or(|was| was.message != is.message)
    {
        events.push(event(EventType::Warning, &is.reason, &is.message));
    }
    events
}

/// A message without what comes and goes with pods.
fn news(message: &str) -> &str {
    message.strip_suffix(super::STILL_RUNS).unwrap_or(message)
}

fn event(type_: EventType, reason: &str, message: &str) -> Event {
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(text::cut(message, text::MOST_OF_A_NOTE)),
        action: "Reconcile".to_owned(),
        secondary: None,
    }
}
