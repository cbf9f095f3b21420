//! Who accepts what the engine made: a component's route, the component's own container, or a topic.

mod component;
mod container;
mod http;
mod topic;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use streaming_engine::component::Target;
use streaming_engine::delivery::Answer;
use streaming_engine::event::Event;
use streaming_plan::{Output, Plan, Role};

pub(crate) use component::Addresses;
pub(crate) use http::Client;

use crate::publisher::Publisher;
use component::Route;
use container::Subscriber;
use topic::Topic;

/// All recipients of a component, in the engine's order.
pub(crate) struct Recipients {
    outputs: Vec<Recipient>,
    /// By input. An input that is a dead letter itself has none.
    dead_letters: Vec<Option<Recipient>>,
    late: Option<Recipient>,
}

/// One recipient.
#[derive(Clone)]
pub(crate) enum Recipient {
    /// Another component, through its sidecar.
    Route(Arc<Route>),
    /// The component's own container.
    Subscriber(Arc<Subscriber>),
    /// A topic.
    Topic(Arc<Topic>),
}

/// A plan with a recipient that there is no way to.
#[derive(Debug, thiserror::Error)]
#[error("the plan sends to {to}, but {why}")]
pub struct NoWay {
    to: String,
    why: String,
}

impl Recipients {
    /// Those of a plan.
    pub(crate) fn new(
        plan: &Plan,
        addresses: &Addresses,
        client: &Client,
        publishers: &BTreeMap<String, Publisher>,
    ) -> Result<Recipients, NoWay> {
        let topic = |to: &streaming_plan::Topic| match publishers.get(&to.cluster_stream) {
            Some(publisher) => Ok(Recipient::Topic(Arc::new(Topic::new(to, publisher)))),
            None => Err(NoWay {
                to: format!("{}/{}", to.cluster_stream, to.topic),
                why: "has no such ClusterStream".to_owned(),
            }),
        };
        let outputs = if let Role::Relay { .. } = plan.role {
            let port = plan.container.as_ref().map(|container| container.port);
            let subscriber = |input: &streaming_plan::Input| {
                let route = input.route.as_deref().unwrap_or(&plan.component.name);
                let port = port.ok_or_else(|| NoWay {
                    to: route.to_owned(),
                    why: "names no container".to_owned(),
                })?;
                let subscriber = Subscriber::new(port, route, client)?;
                Ok(Recipient::Subscriber(Arc::new(subscriber)))
            };
            plan.inputs.iter().map(subscriber).collect::<Result<_, NoWay>>()?
        } else {
            let recipient = |output: &Output| match output {
                Output::Component {
                    component,
                    route,
                    port,
                } => {
                    let authority = addresses.of(component, &plan.component.namespace, *port);
                    Ok(Recipient::Route(Arc::new(Route::new(&authority, route, client)?)))
                }
                Output::Stream(to) => topic(to),
            };
            plan.outputs.iter().map(recipient).collect::<Result<_, NoWay>>()?
        };
        let dead_letter = |input: &streaming_plan::Input| input.dead_letter.as_ref().map(topic).transpose();
        Ok(Recipients {
            outputs,
            dead_letters: plan
                .inputs
                .iter()
                .map(dead_letter)
                .collect::<Result<_, NoWay>>()?,
            late: plan.late_to.as_ref().map(topic).transpose()?,
        })
    }

    /// Who a target is.
    pub(crate) fn get(&self, target: Target) -> Option<Recipient> {
        match target {
            Target::Output(output) => self.outputs.get(output).cloned(),
            Target::DeadLetter(input) => self.dead_letters.get(input).cloned().flatten(),
            Target::Late => self.late.clone(),
        }
    }
}

impl Recipient {
    /// Whether what is sent to it at the same time leaves together, in order.
    pub(crate) fn takes_batches(&self) -> bool {
        matches!(self, Recipient::Topic(_))
    }

    /// Delivers events. Whatever happens there is an answer to each, and in time.
    pub(crate) async fn deliver(&self, events: &[Arc<Event>]) -> Vec<Answer> {
        match self {
            Recipient::Route(route) => join_all(events.iter().map(|event| route.deliver(event))).await,
            Recipient::Subscriber(subscriber) => {
                join_all(events.iter().map(|event| subscriber.deliver(event))).await
            }
            Recipient::Topic(topic) => topic.deliver(events).await,
        }
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Recipient::Route(route) => write!(f, "{route}"),
            Recipient::Subscriber(subscriber) => write!(f, "{subscriber}"),
            Recipient::Topic(topic) => write!(f, "{topic}"),
        }
    }
}

/// The URL of a route.
fn url(authority: &str, route: &str) -> Result<hyper::Uri, NoWay> {
    let route = route.trim_start_matches('/');
    let url = format!("http://{authority}/{route}");
    url.parse().map_err(|error: hyper::http::uri::InvalidUri| NoWay {
        why: format!("that is no URL: {error}"),
        to: url,
    })
}
