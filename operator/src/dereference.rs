//! Step 1, dereference: all that a namespace has of ours, and all that was made of it. From the caches of the watches;
//! no request is sent.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service};
use kube::api::{DynamicObject, PartialObjectMeta};
use kube::{Resource as _, ResourceExt as _};
use serde_json::{Value, json};
use streaming_api::Status;
use streaming_plan::ComponentRef;

use crate::memory::{Memory, version};
use crate::tear_down::FINALIZER;
use crate::watch::Stores;

/// One namespace.
pub(crate) struct Snapshot {
    /// Older ones first, so that of two that want one name the older has it.
    pub(crate) resources: Vec<Resource>,
    pub(crate) deployments: Vec<Arc<Deployment>>,
    pub(crate) services: Vec<Arc<PartialObjectMeta<Service>>>,
    pub(crate) config_maps: Vec<Arc<PartialObjectMeta<ConfigMap>>>,
    pub(crate) claims: Vec<Arc<PartialObjectMeta<PersistentVolumeClaim>>>,
    /// Components that are being deleted, and wait for their tear-down.
    pub(crate) leaving: Vec<Leaving>,
    pub(crate) jobs: Vec<Arc<Job>>,
}

/// A component that is being deleted, and that we hold.
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    pub(crate) resource: Resource,
    /// When it was deleted.
    pub(crate) since: Timestamp,
}

impl Snapshot {
    /// The uids of all that is there.
    fn uids(&self) -> HashSet<&str> {
        let metas = (self.deployments.iter().map(|object| object.meta()))
            .chain(self.services.iter().map(|object| object.meta()))
            .chain(self.config_maps.iter().map(|object| object.meta()))
            .chain(self.claims.iter().map(|object| object.meta()));
        metas
            .filter_map(|meta| meta.uid.as_deref())
            .chain(self.resources.iter().map(|resource| resource.uid.as_str()))
            .chain(self.leaving.iter().map(|leaving| leaving.resource.uid.as_str()))
            .collect()
    }
}

/// One resource of ours.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// Its place in [`streaming_api::KINDS`].
    pub(crate) kind: usize,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) generation: Option<i64>,
    /// The cache's, for writes that must not undo others'.
    pub(crate) version: Option<String>,
    pub(crate) finalizers: Vec<String>,
    /// The status that it has, which may be newer than the cache.
    pub(crate) status: Status,
    /// What the compiler gets.
    pub(crate) document: Value,
}

impl Resource {
    pub(crate) fn kind(&self) -> &'static str {
        streaming_api::KINDS.get(self.kind).copied().unwrap_or_default()
    }

    /// Whether a plan is this resource's; all are of one namespace.
    pub(crate) fn is(&self, component: &ComponentRef) -> bool {
        self.kind() == component.kind && self.name == component.name
    }
}

/// Takes the snapshot.
pub(crate) fn dereference(stores: &Stores, memory: &Memory, namespace: &str) -> Snapshot {
    let mut found: Vec<(Option<i64>, Resource)> = Vec::new();
    let mut leaving = Vec::new();
    for (kind, store) in stores.resources.iter().enumerate() {
        for object in store.state_filter(|object| object.meta().namespace.as_deref() == Some(namespace)) {
            let created = object.creation_timestamp().map(|at| at.0.as_second());
            let resource = resource(kind, namespace, &object, memory);
            // What is being deleted is gone: who refers to it should say so, and nothing is made of it any more.
            match &object.meta().deletion_timestamp {
                None => found.push((created, resource)),
                Some(since) if resource.finalizers.iter().any(|held| held == FINALIZER) => {
                    let since = since.0;
                    leaving.push(Leaving { resource, since });
                }
                Some(_) => {}
            }
        }
    }
    let deployments = stores
        .deployments
        .state_filter(|object| object.meta().namespace.as_deref() == Some(namespace));
    let later = |resource: &Resource| {
        let mut owners = deployments.iter().flat_map(|object| object.owner_references());
        !owners.any(|owner| owner.uid == resource.uid)
    };
    // Of two of one second, who has a Deployment was seen first.
    found.sort_by_cached_key(|(at, resource)| (*at, later(resource), resource.kind, resource.name.clone()));
    let snapshot = Snapshot {
        resources: found.into_iter().map(|(_, resource)| resource).collect(),
        deployments,
        services: stores
            .services
            .state_filter(|object| object.meta().namespace.as_deref() == Some(namespace)),
        config_maps: stores
            .config_maps
            .state_filter(|object| object.meta().namespace.as_deref() == Some(namespace)),
        claims: stores
            .claims
            .state_filter(|object| object.meta().namespace.as_deref() == Some(namespace)),
        leaving,
        jobs: stores
            .jobs
            .state_filter(|object| object.meta().namespace.as_deref() == Some(namespace)),
    };
    memory.keep_only(namespace, &snapshot.uids());
    snapshot
}

fn resource(kind: usize, namespace: &str, object: &DynamicObject, memory: &Memory) -> Resource {
    let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
    let stored = object.data.get("status").cloned().unwrap_or_default();
    let stored: Status = serde_json::from_value(stored).unwrap_or_default();
    let status = memory
        .newer_status(&uid, version(object.meta()))
        .unwrap_or(stored);
    let mut document = json!({
        "apiVersion": object.types.as_ref().map(|types| &types.api_version),
        "kind": streaming_api::KINDS.get(kind),
        "metadata": { "name": name, "namespace": namespace, "uid": uid },
    });
    if let Some(spec) = object.data.get("spec") {
        document["spec"] = spec.clone();
    }
    Resource {
        kind,
        namespace: namespace.to_owned(),
        name,
        uid,
        generation: object.meta().generation,
        version: object.resource_version(),
        finalizers: object.finalizers().to_vec(),
        status,
        document,
    }
}
