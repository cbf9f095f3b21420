//! Resources to plans: everything that can be known about a pipeline before its first message.
//!
//! [`compile`] reads as the steps that it takes, one module each: [`document`] tells our resources from foreign ones,
//! [`schema`] refuses what an API server would refuse, [`catalog`] finds resources by name, [`streams`] resolves topics
//! and dead letters, [`tables`] looks at their keys, [`component`] resolves [`inputs`] and [`targets`], compiles each [`expression`] and builds the plans,
//! [`recipients`] looks at who receives a Stream, [`consumers`] at whose queues must be there, [`cycle`] at what goes round, and [`guarantee`] says what each edge
//! promises. All problems of all resources are reported, not only the first.
//!
//! Pure: no clock, no file, no network. Equal documents give equal results.

// A problem is the result of a step that found one: it is moved once, into the report.
#![allow(clippy::result_large_err)]

mod catalog;
mod component;
mod connection;
mod consumers;
mod cycle;
mod document;
mod expression;
mod guarantee;
mod inputs;
mod problem;
mod properties;
mod quantity;
pub mod reason;
mod recipients;
mod schema;
mod streams;
mod suggest;
mod tables;
mod targets;
mod unsupported;

use streaming_plan::{ClusterStream, Edge, Plan, Topic};

use catalog::Catalog;
use component::World;
use consumers::Consumers;
use document::{Resource, Spec};
use problem::Report;
use streams::Streams;

pub use connection::{CREDENTIALS, Keeper, Kept};
pub use document::Document;
pub use problem::Problem;

/// What resources compile to.
#[derive(Clone, Debug, Default)]
pub struct Compilation {
    /// A plan for each component without problems that is not suspended, in the order of the documents.
    pub plans: Vec<Plan>,
    /// What keeps resources from running, in the order of the documents.
    pub problems: Vec<Problem>,
    /// What runs, but perhaps not as meant, in the order of the documents.
    pub warnings: Vec<Problem>,
    /// What each hop of the plans promises, in the order of the plans.
    pub edges: Vec<Edge>,
    /// The Streams whose topic is known, by namespace and name.
    pub streams: Vec<Stream>,
    /// The broker connections, by namespace and name.
    pub cluster_streams: Vec<Connection>,
    /// Indexes of the documents that are resources of other groups, a Deployment or a Service.
    pub foreign: Vec<usize>,
}

/// A Stream whose topic is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// The caller's handle of its document.
    pub origin: usize,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The topic that it stands for.
    pub topic: Topic,
    /// The components that it names as recipients.
    pub recipients: Vec<String>,
    /// Where its messages go that can't be used; `None` if it is a dead letter itself.
    pub dead_letter: Option<Topic>,
}

/// A `ClusterStream` without problems.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    /// The caller's handle of its document.
    pub origin: usize,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Protocol and properties, as plans have them.
    pub connection: ClusterStream,
    /// Where the files come from that hold some of its properties.
    pub kept: Vec<Kept>,
}

/// Compiles all resources of some documents together.
pub fn compile(documents: &[Document]) -> Compilation {
    let mut report = Report::default();
    let (mut resources, foreign) = document::read(documents, &mut report);
    let mut checker = schema::Checker::default();
    for resource in &mut resources {
        schema::validate(resource, &mut checker, &mut report);
    }
    let catalog = Catalog::new(&resources, &mut report);
    let mut cluster_streams = connections(&resources, &catalog, &mut report);
    let streams = Streams::new(&resources, &catalog, &mut report);
    tables::check(&resources, &catalog, &streams, &mut report);
    let mut plans = plans(&resources, &catalog, &streams, &mut report);
    recipients::check(&streams, &catalog, &plans, &mut report);
    let refused = cycle::check(&plans, &catalog, &mut report);
    let mut at = 0..;
    plans.retain(|_| at.next().is_some_and(|at: usize| !refused.contains(&at)));
    let consumers = Consumers::new(&resources, &catalog, &streams);
    for plan in &mut plans {
        consumers.fill_plan(plan);
    }
    for found in &mut cluster_streams {
        consumers.fill(&found.namespace, &found.name, &mut found.connection);
    }

    let edges = plans.iter().flat_map(guarantee::edges).collect();
    let streams = streams.iter().map(stream).collect();
    let (problems, warnings) = report.finish();
    Compilation {
        plans,
        problems,
        warnings,
        edges,
        streams,
        cluster_streams,
        foreign,
    }
}

fn connections(resources: &[Resource], catalog: &Catalog<'_>, report: &mut Report) -> Vec<Connection> {
    let mut found = Vec::new();
    for resource in resources.iter().filter(|resource| catalog.leads_to(resource)) {
        let Some(Spec::ClusterStream(spec)) = &resource.spec else {
            continue;
        };
        properties::cluster_stream(resource, spec, report);
        found.push(Connection {
            origin: resource.origin,
            namespace: resource.namespace.clone(),
            name: resource.name.clone(),
            connection: connection::of(&resource.name, spec),
            kept: connection::kept(&resource.name, spec).collect(),
        });
    }
    found.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    found
}

fn plans(
    resources: &[Resource],
    catalog: &Catalog<'_>,
    streams: &Streams<'_>,
    report: &mut Report,
) -> Vec<Plan> {
    let world = World { catalog, streams };
    // One that another document defines too is looked at like all others; being refused, it gets no plan.
    let components = resources.iter().filter(|resource| resource.kind.is_component());
    components
        .filter_map(|resource| {
            let Some(spec) = &resource.spec else {
                // Refused by the schema; what is left of it is looked at for what else is wrong.
                let draft = resource.draft.as_ref()?;
                component::build(resource, draft, &world, report);
                return None;
            };
            let plan = component::build(resource, spec, &world, report)?;
            (!report.has_problem_of(resource)).then_some(plan)
        })
        .collect()
}

fn stream(stream: &streams::Resolved<'_>) -> Stream {
    Stream {
        origin: stream.resource.origin,
        namespace: stream.resource.namespace.clone(),
        name: stream.resource.name.clone(),
        topic: stream.topic.clone(),
        recipients: stream.spec.recipients.iter().map(|name| name.0.clone()).collect(),
        dead_letter: stream.dead_letter.clone(),
    }
}
