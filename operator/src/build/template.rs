//! The pod's template: the sidecar and the user's container, and what the user adds to the pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, PodSpec, PodTemplateSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Settings, credentials, pod, state};
use crate::component::Component;
use crate::labels;

/// The plan's hash, for people; what rolls the pods is the volume, whose name has it too.
const PLAN: &str = "streaming.vivien.io/plan";

/// Longer than the sidecar's 25 s for draining what it holds.
const GRACE_SECONDS: i64 = 35;

pub(super) fn of(component: &Component, settings: &Settings) -> PodTemplateSpec {
    let user = &component.template;
    // Ours win: the Deployment finds its pods by them.
    let mut labels = user.labels.clone();
    labels.extend(labels::all(component.kind, &component.name));
    let mut annotations = user.annotations.clone();
    annotations.insert(PLAN.to_owned(), component.hash.clone());
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(spec(component, settings)),
    }
}

fn spec(component: &Component, settings: &Settings) -> PodSpec {
    let user = &component.template;
    let mut volumes = user.volumes.clone();
    volumes.push(Volume {
        name: pod::PLAN_VOLUME.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: component.plan_name(),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    });
    volumes.extend(credentials::volume(component));
    volumes.extend(state::volume(component));
    let sidecar = pod::sidecar(component, settings);
    let base = PodSpec {
        volumes: Some(volumes),
        image_pull_secrets: list(&user.image_pull_secrets),
        service_account_name: user.service_account_name.as_ref().map(|name| name.0.clone()),
        node_selector: map(&user.node_selector),
        tolerations: list(&user.tolerations),
        affinity: user.affinity.clone(),
        topology_spread_constraints: list(&user.topology_spread_constraints),
        priority_class_name: user.priority_class_name.as_ref().map(|name| name.0.clone()),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        security_context: state::writable(component),
        ..PodSpec::default()
    };
    match &component.container {
        // A native sidecar: it is up before the user's code, and outlives it.
        Some(container) => PodSpec {
            init_containers: Some(vec![pod::native(sidecar)]),
            containers: vec![pod::users(container)],
            ..base
        },
        // Only our own code runs in it, which asks nothing of the API server.
        None => PodSpec {
            containers: vec![sidecar],
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            ..base
        },
    }
}

fn list<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    (!items.is_empty()).then(|| items.to_vec())
}

fn map(items: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!items.is_empty()).then(|| items.clone())
}
