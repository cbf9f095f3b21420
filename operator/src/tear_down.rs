//! After a component's last look: it is being deleted, and goes when the brokers keep nothing for it any more. Its pods end,
//! then a Job runs its sidecar's tear-down, then the finalizer that held it is taken off. Every step is one that can be
//! repeated, and where it stands is in the cluster, so that another operator goes on with it. A broker that can't be reached
//! holds up nothing for ever: there is a limit, and an Event that says what is left.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use kube::runtime::events::{Event, EventType};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::apply::{ApplyError, controller, in_time};
use crate::build::tear_down as build;
use crate::dereference::{Leaving, Resource, Snapshot};
use crate::labels::{self, MANAGER};
use crate::memory::Memory;
use crate::reason;
use crate::status::rollout;
use crate::status::write::Writer;
use crate::watch;

/// Keeps a component until its tear-down is over.
pub(crate) const FINALIZER: &str = "streaming.vivien.io/tear-down";
/// How long publishers may take to forget the component's queues, which they would else declare again.
const SETTLED: Duration = Duration::from_mins(1);
/// How long all of it may take.
const LIMIT: Duration = Duration::from_mins(5);
/// How soon something that is being deleted is looked at again.
pub(crate) const AGAIN: Duration = Duration::from_secs(2);

/// Whether a component has the finalizer.
pub(crate) fn is_held(resource: &Resource) -> bool {
    resource.finalizers.iter().any(|known| known == FINALIZER)
}

/// The step's tools.
pub(crate) struct TearDown<'a> {
    pub(crate) client: &'a Client,
    pub(crate) memory: &'a Memory,
    pub(crate) writer: &'a Writer<'a>,
}

impl TearDown<'_> {
    /// Puts the finalizer on a component, before anything of it runs.
    ///
    /// # Errors
    /// Where the API server refuses it.
    pub(crate) async fn hold(&self, resource: &Resource) -> Result<(), ApplyError> {
        let kinds = watch::kinds();
        let Some(kind) = kinds.get(resource.kind) else {
            return Ok(());
        };
        // Finalizers are a set: those of others stay.
        let patch = Patch::Apply(json!({
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": { "name": resource.name, "uid": resource.uid, "finalizers": [FINALIZER] },
        }));
        self.patch(resource, &PatchParams::apply(MANAGER).force(), &patch)
            .await
    }

    /// Takes the finalizer off, so that the component goes.
    ///
    /// # Errors
    /// Where the API server refuses it.
    pub(crate) async fn release(&self, leaving: &Leaving) -> Result<(), ApplyError> {
        let resource = &leaving.resource;
        let mut finalizers = resource.finalizers.clone();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        // Whoever has put it there. The version keeps others' from being lost, or coming back.
        let patch = Patch::Merge(json!({"metadata": {
            "uid": resource.uid,
            "resourceVersion": resource.version,
            "finalizers": finalizers,
        }}));
        self.patch(resource, &managed(), &patch).await?;
        self.memory.released(resource);
        Ok(())
    }

    async fn patch(
        &self,
        resource: &Resource,
        how: &PatchParams,
        patch: &Patch<Value>,
    ) -> Result<(), ApplyError> {
        let kinds = watch::kinds();
        let Some(kind) = kinds.get(resource.kind) else {
            return Ok(());
        };
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &resource.namespace, kind);
        match in_time(api.patch(&resource.name, how, patch)).await {
            Ok(_) => Ok(()),
            // Gone, or another of its name: nothing is held.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(ApplyError::Refused {
                kind: resource.kind().to_owned(),
                name: resource.name.clone(),
                source: Box::new(error),
            }),
        }
    }

    /// Does what can be done now for a component that is being deleted.
    ///
    /// # Errors
    /// Where the API server refuses something; it is tried again.
    pub(crate) async fn step(
        &self,
        leaving: &Leaving,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<(), ApplyError> {
        if self.memory.is_released(&leaving.resource) {
            return Ok(());
        }
        let age = Duration::try_from(now.duration_since(leaving.since)).unwrap_or_default();
        let resource = &leaving.resource;
        let job = snapshot
            .jobs
            .iter()
            .find(|job| job.name_any() == build::name(resource));
        if age > LIMIT {
            let why = format!("it was not over within {} s", LIMIT.as_secs());
            let job = job.map(AsRef::as_ref).filter(|job| build::is_ours(job));
            return self.over(leaving, job, Some(why)).await;
        }
        match job {
            None => Box::pin(self.begin(leaving)).await,
            Some(job) if !build::is_ours(job) => self.not_ours(leaving).await,
            // Of an earlier one of this name: it goes by itself.
            Some(job) if !build::is_of(job, resource) => self.delete(job).await,
            Some(job) if is_suspended(job) => {
                let mut owned = snapshot.deployments.iter().filter(|deployment| {
                    controller(&deployment.metadata).is_some_and(|owner| owner.uid == resource.uid)
                });
                if let Some(deployment) = owned.next() {
                    // Its pods may still deliver and ack.
                    return self.stop(deployment).await;
                }
                if age > SETTLED || (self.is_settled(snapshot) && !self.is_draining(resource).await?) {
                    return self.run(job).await;
                }
                Ok(())
            }
            Some(job) => match finished(job) {
                None => Ok(()),
                Some(Ok(())) => self.over(leaving, Some(job), None).await,
                Some(Err(why)) => {
                    let why = self.last_words(job).await.unwrap_or(why);
                    self.over(leaving, Some(job), Some(why)).await
                }
            },
        }
    }

    /// Makes the Job, which waits, out of the Deployment, and then ends that.
    async fn begin(&self, leaving: &Leaving) -> Result<(), ApplyError> {
        let resource = &leaving.resource;
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &resource.namespace);
        let found = in_time(api.get_opt(&resource.name)).await;
        let found = found.map_err(|error| ApplyError::refused::<Deployment>(&resource.name, error))?;
        let found =
            found.filter(|found| controller(&found.metadata).is_some_and(|owner| owner.uid == resource.uid));
        let Some((deployment, job)) =
            found.and_then(|found| build::job(resource, &found).map(|job| (found, job)))
        else {
            let why = "its Deployment is gone, which says where that is".to_owned();
            return self.over(leaving, None, Some(why)).await;
        };
        let api: Api<Job> = Api::namespaced(self.client.clone(), &resource.namespace);
        let name = build::name(resource);
        // The watch sees what bears our label only. Whatever else has the name must not be taken over.
        let there = in_time(api.get_opt(&name)).await;
        let there = there.map_err(|error| ApplyError::refused::<Job>(&name, error))?;
        if there.as_ref().is_some_and(|there| !build::is_ours(there)) {
            return self.not_ours(leaving).await;
        }
        let how = PatchParams::apply(MANAGER).force();
        let made = in_time(api.patch(&name, &how, &Patch::Apply(&job))).await;
        made.map_err(|error| ApplyError::refused::<Job>(&name, error))?;
        tracing::info!(
            kind = resource.kind(),
            namespace = resource.namespace,
            name = resource.name,
            "tearing down"
        );
        self.stop(&deployment).await
    }

    /// Something else has the Job's name. It can't be waited for, since meanwhile the component would go on.
    async fn not_ours(&self, leaving: &Leaving) -> Result<(), ApplyError> {
        let name = build::name(&leaving.resource);
        let why =
            format!("the Job `{name}`, which would take it away, is there already and is not the operator's");
        self.over(leaving, None, Some(why)).await
    }

    /// Ends a Deployment, which is there until its pods are gone.
    async fn stop(&self, deployment: &Deployment) -> Result<(), ApplyError> {
        if deployment.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        self.end(deployment, DeleteParams::foreground()).await
    }

    async fn delete(&self, job: &Job) -> Result<(), ApplyError> {
        self.end(job, DeleteParams::background()).await
    }

    async fn end<K>(&self, object: &K, how: DeleteParams) -> Result<(), ApplyError>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let name = object.name_any();
        let namespace = object.namespace().unwrap_or_default();
        let api: Api<K> = Api::namespaced(self.client.clone(), &namespace);
        let how = how.preconditions(Preconditions {
            uid: object.uid(),
            resource_version: None,
        });
        match in_time(api.delete(&name, &how)).await {
            Ok(_) => Ok(()),
            // Gone already, or replaced by another.
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Ok(()),
            Err(error) => Err(ApplyError::refused::<K>(&name, error)),
        }
    }

    /// Lets the Job run.
    async fn run(&self, job: &Job) -> Result<(), ApplyError> {
        let name = job.name_any();
        let api: Api<Job> = Api::namespaced(self.client.clone(), &job.namespace().unwrap_or_default());
        let patch = Patch::Merge(json!({"metadata": {"uid": job.uid()}, "spec": {"suspend": false}}));
        let ran = in_time(api.patch(&name, &managed(), &patch)).await;
        ran.map(|_| ())
            .map_err(|error| ApplyError::refused::<Job>(&name, error))
    }

    /// Whether all pods of the namespace run the plans of now, which don't name what is being deleted.
    fn is_settled(&self, snapshot: &Snapshot) -> bool {
        snapshot.deployments.iter().all(|deployment| {
            let owner = controller(&deployment.metadata);
            let lives = owner.is_some_and(|owner| {
                snapshot
                    .resources
                    .iter()
                    .any(|resource| resource.uid == owner.uid)
            });
            lives && rollout::is_complete(deployment, self.memory)
        })
    }

    /// Whether pods of earlier plans are still on their way out.
    async fn is_draining(&self, resource: &Resource) -> Result<bool, ApplyError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &resource.namespace);
        let pods = in_time(api.list(&ListParams::default().labels(&labels::selector()))).await;
        let pods = pods.map_err(|error| ApplyError::refused::<Pod>(&resource.name, error))?;
        Ok(pods
            .items
            .iter()
            .any(|pod| pod.metadata.deletion_timestamp.is_some()))
    }

    /// What the Job's pod said last.
    async fn last_words(&self, job: &Job) -> Option<String> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &job.namespace()?);
        let which = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", job.name_any()));
        let pods = in_time(api.list(&which)).await.ok()?;
        let mut messages = pods.items.into_iter().filter_map(|pod| {
            let container = pod.status?.container_statuses?.into_iter().next()?;
            said(&container.state?.terminated?.message?)
        });
        messages.next()
    }

    /// Tells how it ended, and lets the component go.
    async fn over(
        &self,
        leaving: &Leaving,
        job: Option<&Job>,
        left: Option<String>,
    ) -> Result<(), ApplyError> {
        let (type_, reason, note) = match left {
            None => (
                EventType::Normal,
                reason::TORN_DOWN,
                "the brokers keep nothing for it any more".to_owned(),
            ),
            Some(why) => (
                EventType::Warning,
                reason::TEAR_DOWN_FAILED,
                format!("what the brokers kept for it may still be there: {why}"),
            ),
        };
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: "TearDown".to_owned(),
            secondary: None,
        };
        self.writer.publish(&leaving.resource, event).await;
        self.release(leaving).await?;
        match job {
            Some(job) => self.delete(job).await,
            None => Ok(()),
        }
    }
}

fn managed() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

fn is_suspended(job: &Job) -> bool {
    job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true))
}

/// How a Job ended, if it did.
fn finished(job: &Job) -> Option<Result<(), String>> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let mut ended = conditions.iter().filter(|condition| condition.status == "True");
    ended.find_map(|condition| match condition.type_.as_str() {
        "Complete" => Some(Ok(())),
        "Failed" => Some(Err(condition
            .message
            .clone()
            .unwrap_or_else(|| "its Job failed".to_owned()))),
        _ => None,
    })
}

/// The message of the last line of a sidecar's log.
fn said(log: &str) -> Option<String> {
    let last = log.lines().rev().find(|line| !line.trim().is_empty())?;
    let line: Value = serde_json::from_str(last).unwrap_or_default();
    let message = line["message"].as_str().unwrap_or(last);
    Some(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_log_says_why() {
        let log = "{\"level\":\"INFO\",\"message\":\"taken away\"}\n\
                   {\"level\":\"ERROR\",\"message\":\"left on the brokers: r/t: no\"}\n";
        assert_eq!(said(log).as_deref(), Some("left on the brokers: r/t: no"));
        assert_eq!(said("panicked\n").as_deref(), Some("panicked"));
        assert_eq!(said("\n"), None);
    }

    #[test]
    fn a_job_ends_well_or_says_why_not() {
        let job = |type_: &str| -> Job {
            serde_json::from_value(json!({"status": {"conditions": [
                {"type": "SuccessCriteriaMet", "status": "True"},
                {"type": type_, "status": "True", "message": "too late"},
            ]}}))
            .unwrap()
        };
        assert_eq!(finished(&job("Complete")), Some(Ok(())));
        assert_eq!(finished(&job("Failed")), Some(Err("too late".to_owned())));
        assert_eq!(finished(&job("Suspended")), None);
    }
}
