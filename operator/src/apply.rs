//! Step 4, apply: makes the cluster have a component's objects, and takes away what it has no more use for.
//!
//! Server-side apply, forced: a field that the operator sets is the operator's, whoever else has set it, and a field
//! that it doesn't set is left to others (<https://kubernetes.io/docs/reference/using-api/server-side-apply/>). Nothing
//! is sent where nothing would change.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Client, Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::build::Objects;
use crate::component::Component;
use crate::dereference::{Resource as Ours, Snapshot};
use crate::labels::MANAGER;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::reason;
use crate::status::rollout;

/// Why a component's objects are not as they should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// Something else has the name. Applying would take it over.
    #[error(
        "there is a {kind} `{name}` already, and it is not this component's; rename this resource, or remove the {kind}"
    )]
    NotOurs { kind: String, name: String },
    /// The object of a resource of the same name that was deleted a moment ago.
    #[error(
        "the {kind} `{name}` of an earlier resource of this name is still being deleted; this goes on when it is gone"
    )]
    Leaving { kind: String, name: String },
    /// The API server said no, or nothing.
    #[error("the API server did not take {kind} `{name}`: {}", told(.source))]
    Refused {
        kind: String,
        name: String,
        source: Box<kube::Error>,
    },
}

impl ApplyError {
    /// The condition's reason, and the metric's label.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotOurs { .. } | Self::Leaving { .. } => reason::NAME_IN_USE,
            Self::Refused { .. } => reason::APPLY_FAILED,
        }
    }

    pub(crate) fn refused<K: Resource<DynamicType = ()>>(name: &str, source: kube::Error) -> ApplyError {
        ApplyError::Refused {
            kind: K::kind(&()).into_owned(),
            name: name.to_owned(),
            source: Box::new(source),
        }
    }
}

/// A server's answer without the words that kube puts around it.
pub(crate) fn told(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// A request whose answer does not come would hold up everything behind it.
pub(crate) async fn in_time<T>(request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    const PATIENCE: Duration = Duration::from_secs(30);
    let late = |_| kube::Error::Service(format!("no answer within {} s", PATIENCE.as_secs()).into());
    tokio::time::timeout(PATIENCE, request).await.map_err(late)?
}

/// The step's tools.
pub(crate) struct Applier<'a> {
    pub(crate) client: &'a Client,
    pub(crate) memory: &'a Memory,
    pub(crate) metrics: &'a Metrics,
}

impl Applier<'_> {
    /// Applies a component's objects but the workload, which comes last, so that what it mounts is there when its pods start.
    ///
    /// # Errors
    /// The first object that could not be applied; what comes after it waits for another attempt.
    pub(crate) async fn prepare(
        &self,
        component: &Component,
        objects: &Objects,
        snapshot: &Snapshot,
    ) -> Result<(), ApplyError> {
        let live = named(&snapshot.config_maps, &component.plan_name());
        self.put(component, &objects.config_map, live, snapshot).await?;
        let live = named(&snapshot.services, &component.name);
        self.put(component, &objects.service, live, snapshot).await?;
        if let Some(claim) = &objects.claim {
            let live = named(&snapshot.claims, &component.claim_name());
            self.put(component, claim, live, snapshot).await?;
        }
        Ok(())
    }

    /// Looks whether the workload can have its name.
    ///
    /// # Errors
    /// Something else has it; or the API server doesn't say.
    pub(crate) async fn is_free(&self, component: &Component, snapshot: &Snapshot) -> Result<(), ApplyError> {
        let name = &component.name;
        if let Some(live) = deployment(snapshot, name) {
            return is_ours::<Deployment>(component, live.meta(), snapshot);
        }
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &component.namespace);
        match in_time(api.get_metadata_opt(name)).await {
            Ok(None) => Ok(()),
            Ok(Some(found)) => is_ours::<Deployment>(component, &found.metadata, snapshot),
            Err(error) => Err(ApplyError::refused::<Deployment>(name, error)),
        }
    }

    /// Asks whether the workload may be made, which policies and the like decide. Where that can't be asked without making it, as of
    /// a webhook that knows no dry runs, it is seen when it is made.
    ///
    /// # Errors
    /// It may not.
    pub(crate) async fn is_allowed(
        &self,
        component: &Component,
        objects: &Objects,
    ) -> Result<(), ApplyError> {
        const FORBIDDEN: u16 = 403;
        const INVALID: u16 = 422;
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &component.namespace);
        let how = PatchParams::apply(MANAGER).force().dry_run();
        let asked = in_time(api.patch(&component.name, &how, &Patch::Apply(&objects.deployment))).await;
        match asked {
            Err(kube::Error::Api(status)) if [FORBIDDEN, INVALID].contains(&status.code) => Err(
                ApplyError::refused::<Deployment>(&component.name, kube::Error::Api(status)),
            ),
            _ => Ok(()),
        }
    }

    /// Applies the workload, and forgets the plans that no pod needs any more. Gives the Deployment as it is now.
    ///
    /// # Errors
    /// As for [`Applier::prepare`].
    pub(crate) async fn deploy(
        &self,
        component: &Component,
        objects: &Objects,
        snapshot: &Snapshot,
    ) -> Result<Deployment, ApplyError> {
        let live = deployment(snapshot, &component.name);
        let written = self
            .put(component, &objects.deployment, live.map(Resource::meta), snapshot)
            .await?;
        let deployment = written.or_else(|| live.cloned()).unwrap_or_default();
        if rollout::is_complete(&deployment, self.memory) {
            self.prune(component, snapshot).await?;
        }
        Ok(deployment)
    }

    /// Applies one object if that would change anything, and gives what became of it.
    async fn put<K>(
        &self,
        component: &Component,
        desired: &K,
        live: Option<&ObjectMeta>,
        snapshot: &Snapshot,
    ) -> Result<Option<K>, ApplyError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let name = desired.name_any();
        let api: Api<K> = Api::namespaced(self.client.clone(), &component.namespace);
        let hash = blake3::hash(&serde_json::to_vec(desired).unwrap_or_default()).to_string();
        if live.is_some_and(|live| self.memory.is_current(live, &hash)) {
            return Ok(None);
        }
        let live = match live {
            Some(live) => Some(live.clone()),
            // The watches see what bears our label only. Whatever else has the name must not be taken over.
            None => in_time(api.get_metadata_opt(&name))
                .await
                .map_err(|error| ApplyError::refused::<K>(&name, error))?
                .map(|found| found.metadata),
        };
        let mut desired = desired.clone();
        if let Some(live) = &live {
            is_ours::<K>(component, live, snapshot)?;
            // Refused for another object that got the name meanwhile.
            desired.meta_mut().uid.clone_from(&live.uid);
        }
        let how = PatchParams::apply(MANAGER).force();
        let now = in_time(api.patch(&name, &how, &Patch::Apply(desired))).await;
        let now = now.map_err(|error| ApplyError::refused::<K>(&name, error))?;
        let changed = live.is_none_or(|live| live.resource_version != now.meta().resource_version);
        if changed {
            tracing::info!(kind = %K::kind(&()), namespace = component.namespace, name, "applied");
        }
        self.metrics.written(&K::kind(&()), "apply", changed);
        self.memory.object_written(now.meta(), hash);
        Ok(Some(now))
    }

    /// Deletes the plans that no pod of the component mounts any more.
    async fn prune(&self, component: &Component, snapshot: &Snapshot) -> Result<(), ApplyError> {
        let current = component.plan_name();
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &component.namespace);
        for plan in &snapshot.config_maps {
            let name = plan.name_any();
            if name == current || is_ours::<ConfigMap>(component, plan.meta(), snapshot).is_err() {
                continue;
            }
            let how = DeleteParams::default().preconditions(Preconditions {
                uid: plan.uid(),
                resource_version: None,
            });
            match in_time(api.delete(&name, &how)).await {
                Ok(_) => {
                    self.metrics.written("ConfigMap", "delete", true);
                    tracing::info!(namespace = component.namespace, name, "deleted an old plan");
                }
                // Gone already, or replaced by another.
                Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
                Err(error) => return Err(ApplyError::refused::<ConfigMap>(&name, error)),
            }
        }
        Ok(())
    }

    /// Leaves a component's Deployment as it is, except that suspending stops its pods and the opposite starts them
    /// again: suspending is the brake, and a brake must work on what is broken. Gives the Deployment, if there is one.
    ///
    /// # Errors
    /// Where the API server refuses it.
    pub(crate) async fn keep(
        &self,
        resource: &Ours,
        suspended: bool,
        snapshot: &Snapshot,
    ) -> Result<Option<Deployment>, ApplyError> {
        let Some(live) = deployment(snapshot, &resource.name)
            .filter(|live| controller(live.meta()).is_some_and(|owner| owner.uid == resource.uid))
        else {
            return Ok(None);
        };
        if suspended == (live.spec.replicas == Some(0)) {
            return Ok(Some(live.clone()));
        }
        let asked = resource.document.pointer("/spec/replicas");
        let asked = asked.and_then(serde_json::Value::as_i64).unwrap_or(1);
        let replicas = if suspended { 0 } else { asked.max(1) };
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &resource.namespace);
        let patch =
            Patch::Merge(json!({"metadata": {"uid": live.metadata.uid}, "spec": {"replicas": replicas}}));
        let how = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let scaled = in_time(api.patch(&resource.name, &how, &patch)).await;
        let scaled = scaled.map_err(|error| ApplyError::refused::<Deployment>(&resource.name, error))?;
        self.metrics.written("Deployment", "patch", true);
        Ok(Some(scaled))
    }
}

fn deployment<'s>(snapshot: &'s Snapshot, name: &str) -> Option<&'s Deployment> {
    let found = snapshot
        .deployments
        .iter()
        .find(|object| object.name_any() == name);
    found.map(AsRef::as_ref)
}

fn named<'s, K: Resource>(objects: &'s [std::sync::Arc<K>], name: &str) -> Option<&'s ObjectMeta> {
    let found = objects
        .iter()
        .find(|object| object.meta().name.as_deref() == Some(name));
    found.map(|object| object.meta())
}

pub(crate) fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    let mut owners = meta.owner_references.iter().flatten();
    owners.find(|owner| owner.controller == Some(true))
}

fn is_ours<K: Resource<DynamicType = ()>>(
    component: &Component,
    live: &ObjectMeta,
    snapshot: &Snapshot,
) -> Result<(), ApplyError> {
    let owner = controller(live);
    if owner.is_some_and(|owner| owner.uid == component.uid) {
        return Ok(());
    }
    let kind = K::kind(&()).into_owned();
    let name = live.name.clone().unwrap_or_default();
    let was_ours = owner.is_some_and(|owner| {
        owner.api_version.starts_with(streaming_api::GROUP)
            && snapshot.resources.iter().all(|there| there.uid != owner.uid)
    });
    Err(if was_ours {
        ApplyError::Leaving { kind, name }
    } else {
        ApplyError::NotOurs { kind, name }
    })
}
