//! What has to be judged of a component: all that it does, as it does it.

use std::sync::Arc;

use streaming_engine::component::{SendId, Target};
use streaming_engine::delivery::Answer;
use streaming_engine::durable::Durable;
use streaming_engine::event::{Data, Event};
use streaming_engine::time::Time;

use crate::Stats;
use crate::broker::Brokers;

/// Something that is on its way to a recipient.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) id: SendId,
    pub(crate) to: Target,
    pub(crate) event: Arc<Event>,
    /// How often it was sent, as the component counts.
    pub(crate) attempt: u32,
}

/// Says what is right.
pub(crate) trait Judge {
    /// A life begins. What was not acked is given again next.
    fn begins(&mut self, _now: Time) {}

    /// A message is about to be given to the component, which was so many times before, in this life or another.
    fn arrives(&mut self, message: usize, attempts: u32, now: Time);

    /// All that was not acked has been given again.
    fn recovers(&mut self, _now: Time) {}

    /// Time has passed, and what is due by now is done next.
    fn passes(&mut self, now: Time);

    /// No more messages come.
    fn flushes(&mut self) {}

    /// The component acks a message: all that was made of it must have been accepted by every recipient.
    fn acks(&mut self, message: usize) -> Result<(), String>;

    /// The component sends something, which is on its way with the rest.
    fn sends(&mut self, sent: &Sent, on_the_way: &[Sent], now: Time) -> Result<(), String>;

    /// A recipient answers; `roll` is below 12. What it takes is its own from here on, whether or not the component
    /// ever learns that.
    fn answers(&mut self, sent: &Sent, roll: u32, now: Time) -> Result<Answer, String>;

    /// Whether a message is held for good, and never acked.
    fn stays(&self, _message: usize) -> bool {
        false
    }

    /// The component has died.
    fn dies(&mut self) -> Result<(), String>;

    /// Everything has come to rest. Gives what is known of it.
    fn ends(&mut self, component: &Durable, brokers: &Brokers) -> Result<Stats, String>;
}

/// What an event says.
pub(crate) fn text(event: &Event) -> String {
    let (Data::Json(data) | Data::Bytes(data) | Data::CloudEvent(data)) = &event.data;
    String::from_utf8_lossy(data).into_owned()
}
