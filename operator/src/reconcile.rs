//! One look at a namespace, in five steps: dereference, validate, build, apply, status.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::{Client, ResourceExt as _};
use streaming_api::Status;

use crate::apply::{Applier, ApplyError};
use crate::build::{Objects, Settings, build};
use crate::component::Component;
use crate::dereference::{Resource, Snapshot, dereference};
use crate::last_windows::LastWindows;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::status::write::{StatusError, Writer};
use crate::status::{self, Outcome, rollout};
use crate::tear_down::{self, TearDown};
use crate::validate::{Verdict, validate};
use crate::watch::{Space, Stores};

/// What every look at a namespace needs.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) stores: Stores,
    pub(crate) memory: Memory,
    pub(crate) metrics: Metrics,
    pub(crate) recorder: Recorder,
    pub(crate) last_windows: Arc<LastWindows>,
    /// Looks at each namespace that failed in a row.
    pub(crate) failures: Mutex<HashMap<String, u32>>,
}

impl Context {
    fn failures(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn succeeded(&self, namespace: &str) {
        self.failures().remove(namespace);
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            client: &self.client,
            memory: &self.memory,
            metrics: &self.metrics,
            recorder: &self.recorder,
        }
    }

    fn tear_down<'a>(&'a self, writer: &'a Writer<'a>) -> TearDown<'a> {
        TearDown {
            client: &self.client,
            memory: &self.memory,
            writer,
        }
    }
}

/// Why a namespace must be looked at again, though nothing in it changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An object; the resource's status says it too.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A status.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Apply(error) => error.reason(),
            Self::Status(_) => "StatusFailed",
        }
    }
}

/// Looks at a namespace. What fails for one resource does not keep the others from theirs.
pub(crate) async fn reconcile(space: Arc<Space>, context: Arc<Context>) -> Result<Action, Error> {
    let namespace = space.name_any();
    if space.metadata.deletion_timestamp.is_some() {
        // Nothing new can be made in it, no tear-down either, and all that there is goes.
        let snapshot = dereference(&context.stores, &context.memory, &namespace);
        let writer = context.writer();
        for leaving in &snapshot.leaving {
            context.tear_down(&writer).release(leaving).await?;
        }
        context.memory.keep_only(&namespace, &HashSet::new());
        context.succeeded(&namespace);
        return Ok(Action::await_change());
    }
    let began = Instant::now();
    // Boxed: it holds all that a look at a namespace needs.
    let result = Box::pin(look(&namespace, &context)).await;
    context
        .metrics
        .reconciled(began.elapsed(), result.as_ref().err().map(Error::reason));
    if result.is_ok() {
        context.succeeded(&namespace);
    }
    result
}

async fn look(namespace: &str, context: &Context) -> Result<Action, Error> {
    // dereference (no client: the watches' caches)
    let snapshot = dereference(&context.stores, &context.memory, namespace);
    if snapshot.resources.is_empty() && snapshot.leaving.is_empty() {
        return Ok(Action::await_change());
    }

    // validate (no client)
    let verdicts = validate(&snapshot.resources);

    let again = if snapshot.leaving.is_empty() {
        AGAIN
    } else {
        tear_down::AGAIN
    };
    let mut result = Ok(Action::requeue(again));
    let writer = context.writer();
    for (resource, verdict) in snapshot.resources.iter().zip(&verdicts) {
        let (outcome, error) = run(resource, verdict, &snapshot, context).await;

        // status (client)
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let status = Status {
            last_window: context.last_windows.of(resource),
            ..status::status(resource, verdict, &outcome, &Time(now))
        };
        let written = writer.write(resource, status).await;
        let error = error.map(Error::from).or(written.err().map(Error::from));
        if let Some(error) = error {
            result = Err(error);
        }
    }

    // and after the last status: what is being deleted (client)
    for leaving in &snapshot.leaving {
        let step = context.tear_down(&writer);
        if let Err(error) = step.step(leaving, &snapshot, Timestamp::now()).await {
            result = Err(error.into());
        }
    }
    result
}

/// The net below the watches. A look at what has not changed writes nothing.
const AGAIN: Duration = Duration::from_mins(10);

/// Builds and applies a component's objects, or leaves those that it has.
async fn run(
    resource: &Resource,
    verdict: &Verdict,
    snapshot: &Snapshot,
    context: &Context,
) -> (Outcome, Option<ApplyError>) {
    if matches!(resource.kind(), "ClusterStream" | "Stream" | "Table") {
        return (Outcome::NoWorkload, None);
    }
    let applier = Applier {
        client: &context.client,
        memory: &context.memory,
        metrics: &context.metrics,
    };
    let result = if let Some(component) = &verdict.component {
        // build (no client)
        let objects = build(component, &context.settings);

        // apply (client)
        let deployment = Box::pin(apply(resource, component, &objects, &applier, snapshot, context)).await;
        if deployment.is_err() && verdict.suspended {
            // Stopping must not wait for what can't be applied before it.
            if let Err(error) = applier.keep(resource, true, snapshot).await {
                tracing::warn!(%error, "not stopped");
            }
        }
        deployment.map(|deployment| Outcome::Applied(rollout::look(&deployment, &context.memory)))
    } else {
        let kept = applier.keep(resource, verdict.suspended, snapshot).await;
        kept.map(|deployment| {
            Outcome::Kept(deployment.map(|deployment| rollout::look(&deployment, &context.memory)))
        })
    };
    result.map_or_else(
        |error| {
            let outcome = Outcome::Failed {
                reason: error.reason(),
                message: error.to_string(),
            };
            (outcome, Some(error))
        },
        |outcome| (outcome, None),
    )
}

/// Applies a component's objects. Before anything of it runs: it must not share its name with one whose tear-down is not
/// over, which would take away what it has on the brokers, and it must not go without one of its own. Nor is there anything to
/// tear down of one that can't have its name, or may not run, and never ran.
async fn apply(
    resource: &Resource,
    component: &Component,
    objects: &Objects,
    applier: &Applier<'_>,
    snapshot: &Snapshot,
    context: &Context,
) -> Result<Deployment, ApplyError> {
    let mut leaving = snapshot.leaving.iter();
    if let Some(earlier) = leaving.find(|leaving| leaving.resource.name == resource.name) {
        return Err(ApplyError::Leaving {
            kind: earlier.resource.kind().to_owned(),
            name: resource.name.clone(),
        });
    }
    applier.prepare(component, objects, snapshot).await?;
    if component.reads && !tear_down::is_held(resource) {
        applier.is_free(component, snapshot).await?;
        applier.is_allowed(component, objects).await?;
        let writer = context.writer();
        context.tear_down(&writer).hold(resource).await?;
    }
    applier.deploy(component, objects, snapshot).await
}

/// How long to wait until a namespace that failed is looked at again, unless something in it changes before: twice as
/// long each time, from one second to five minutes.
pub(crate) fn retry(space: &Space, error: &Error, context: &Context) -> Action {
    const LONGEST: Duration = Duration::from_mins(5);
    let namespace = space.name_any();
    tracing::warn!(namespace, reason = error.reason(), %error, "not all could be done");
    let mut failures = context.failures();
    let count = failures.entry(namespace).or_default();
    let wait = Duration::from_secs(1 << (*count).min(9));
    *count = count.saturating_add(1);
    Action::requeue(wait.min(LONGEST))
}
