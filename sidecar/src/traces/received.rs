//! A session's messages: each has a span from when it is taken in until it is acked.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use streaming_engine::event::Event;
use streaming_engine::json::{Decoder, MAX_MESSAGE_BYTES};
use streaming_engine::time::Time;
use streaming_plan::{Plan, Protocol};

use super::context::Context;
use super::span::{Kind, Span};
use super::{Telling, Traces, Underway};
use crate::broker::Message;
use crate::clock;

/// Messages whose spans may be open: a few megabytes. Windows may hold many more.
const OPEN: usize = 16_384;
/// Messages of each input that a window's result has links to, at most.
const LINKS: usize = 16;

/// The messages that are not acked yet, as far as they have spans.
#[derive(Default)]
pub(crate) struct Received(Option<Open>);

struct Open {
    telling: Arc<Telling>,
    component: String,
    /// By input: its `ClusterStream`, and what that speaks.
    inputs: Vec<(String, &'static str)>,
    decoder: Decoder,
    /// By input and token.
    spans: HashMap<(usize, u64), Begun>,
}

struct Begun {
    context: Context,
    parent: Option<Context>,
    start: Time,
    topic: Arc<str>,
    position: Box<str>,
    bytes: usize,
}

impl Traces {
    /// For a session of a plan.
    pub(crate) fn session(&self, plan: &Plan) -> Received {
        let Traces(Some(telling)) = self else {
            return Received(None);
        };
        let input = |input: &streaming_plan::Input| {
            let name = &input.source.cluster_stream;
            let stream = plan.cluster_streams.get(name);
            let system = stream.map_or("", |stream| match stream.protocol {
                Protocol::Redis => "redis",
                Protocol::RabbitMq => "rabbitmq",
                Protocol::Mqtt => "mqtt",
            });
            (name.clone(), system)
        };
        Received(Some(Open {
            telling: Arc::clone(telling),
            component: plan.component.name.clone(),
            inputs: plan.inputs.iter().map(input).collect(),
            decoder: Decoder::new(MAX_MESSAGE_BYTES),
            spans: HashMap::new(),
        }))
    }
}

impl Received {
    /// A message is taken in.
    pub(crate) fn taken(&mut self, input: usize, message: &Message) {
        let Received(Some(open)) = self else {
            return;
        };
        // As the engine reads it, which is what the message's results go by; then what stands beside it.
        let identity = open.decoder.identify(&message.payload).ok().flatten();
        let parent = identity.and_then(|identity| Context::parse(&identity.traceparent?));
        let parent = parent.or_else(|| Context::parse(&message.trace.as_ref()?.parent));
        let context = open.telling.sampler.begin(parent);
        if !context.sampled {
            return;
        }
        if open.spans.len() >= OPEN {
            open.telling.outlet.dropped();
            return;
        }
        let begun = Begun {
            context,
            parent,
            start: clock::system(),
            topic: Arc::clone(&message.topic),
            position: message.position.clone(),
            bytes: message.payload.len(),
        };
        open.spans.insert((input, message.token), begun);
    }

    /// A message is acked.
    pub(crate) fn acked(&mut self, input: usize, token: u64) {
        if let Received(Some(open)) = self
            && let Some(begun) = open.spans.remove(&(input, token))
        {
            open.tell(input, &begun, None);
        }
    }

    /// Something is to be delivered. `made_of` gives the messages that wait for it, so many of each input at most; what is made
    /// of a `window` has a trace of its own, with links to theirs.
    pub(crate) fn sending(
        &self,
        event: &Event,
        window: bool,
        made_of: impl FnOnce(usize) -> Vec<(usize, u64)>,
    ) -> Underway {
        let Received(Some(open)) = self else {
            return Underway(None);
        };
        let telling = &open.telling;
        let messages = made_of(LINKS);
        if let ([message], false) = (&messages[..], window) {
            return match open.spans.get(message) {
                Some(begun) => Underway::below(telling, begun.context.within(), Some(begun.context)),
                // Its trace is not told: it goes on as it is.
                None if event.trace.is_some() => Underway(None),
                None => Underway::below(telling, Context::untold(), None),
            };
        }
        let mut underway = Underway::below(telling, telling.sampler.begin(None), None);
        if let Underway(Some(begun)) = &mut underway
            && begun.context.sampled
        {
            let contexts = messages.iter().filter_map(|message| open.spans.get(message));
            begun.links = contexts.map(|message| message.context).collect();
        }
        underway
    }
}

impl Open {
    fn tell(&self, input: usize, begun: &Begun, failure: Option<String>) {
        self.telling.outlet.put(|| {
            let (cluster_stream, system) = self
                .inputs
                .get(input)
                .map_or(("", ""), |(name, system)| (name, system));
            let mut attributes = vec![
                ("messaging.system", json!(system)),
                ("messaging.operation.type", json!("process")),
                ("messaging.destination.name", json!(&*begun.topic)),
                ("messaging.consumer.group.name", json!(self.component)),
                ("messaging.message.body.size", json!(begun.bytes)),
                ("streaming.cluster_stream", json!(cluster_stream)),
            ];
            if !begun.position.is_empty() {
                attributes.push(("messaging.message.id", json!(&*begun.position)));
            }
            Span {
                context: begun.context,
                parent: begun.parent.map(|parent| parent.span),
                links: Vec::new(),
                name: format!("process {}", begun.topic),
                kind: Kind::Consumer,
                start: begun.start,
                end: clock::system(),
                attributes,
                failure,
            }
        });
    }
}

/// With the session, what was not acked by then.
impl Drop for Received {
    fn drop(&mut self) {
        let Received(Some(open)) = self else {
            return;
        };
        for ((input, _), begun) in std::mem::take(&mut open.spans) {
            open.tell(input, &begun, Some("not acked: it comes again".to_owned()));
        }
    }
}
