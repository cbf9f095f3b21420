//! One attempt to deliver: what a session sends at the same time to the same recipient, until there is an answer to each.

use std::sync::Arc;

use streaming_engine::component::SendId;
use streaming_engine::delivery::Answer;
use streaming_engine::event::Event;

use crate::clock;
use crate::metrics::Metrics;
use crate::recipient::Recipient;
use crate::traces::Underway;

/// One event on its way to one recipient.
pub(crate) struct Delivery {
    pub(crate) id: SendId,
    pub(crate) attempt: u32,
    pub(crate) event: Arc<Event>,
    pub(crate) span: Underway,
}

/// Delivers, and tells what came of it. `windows` says whether results are made of windows, whose ends are their times.
pub(crate) async fn deliver(
    recipient: Recipient,
    batch: Vec<Delivery>,
    windows: bool,
    metrics: Arc<Metrics>,
) -> Vec<(SendId, Answer)> {
    let events: Vec<Arc<Event>> = batch
        .iter()
        .map(|delivery| delivery.span.event(&delivery.event))
        .collect();
    let answers = recipient.deliver(&events).await;
    let mut failed = None;
    let mut failures = 0_usize;
    let ids: Vec<SendId> = batch.iter().map(|delivery| delivery.id).collect();
    for (delivery, answer) in batch.into_iter().zip(&answers) {
        let Delivery {
            attempt, event, span, ..
        } = delivery;
        match answer {
            Answer::Accepted => {
                // The time of what windows make is the end of its window.
                if windows && event.dead_letter.is_none() {
                    metrics.window_delivered(event.time, clock::system());
                }
                tracing::debug!(id = %event.id, to = %recipient, attempt, "delivered");
            }
            Answer::Retry(why) => {
                tracing::debug!(id = %event.id, to = %recipient, attempt, why, "not delivered");
            }
            Answer::Drop(why) => tracing::warn!(id = %event.id, to = %recipient, attempt, why, "refused"),
        }
        span.delivered(&recipient, &event, attempt, answer);
        if let Answer::Retry(why) = answer {
            failures += 1;
            failed.get_or_insert((event, attempt, why));
        }
    }
    // They have most likely failed for the same reason.
    if let Some((event, attempt, why)) = failed {
        let others = failures - 1;
        tracing::warn!(id = %event.id, to = %recipient, attempt, why, others, "not delivered; trying again");
    }
    ids.into_iter().zip(answers).collect()
}
