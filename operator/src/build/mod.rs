//! Step 3, build: a component's objects. Pure, and equal components give equal objects.

mod credentials;
mod pod;
mod state;
pub(crate) mod tear_down;
mod template;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(crate) use pod::ADMIN;

use crate::component::Component;
use crate::labels;

/// What is the same for all components.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Image of the sidecar.
    pub sidecar_image: String,
}

/// Where other components post their messages, on the sidecar.
const DELIVER: i32 = 3600;

/// What a component runs as.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Objects {
    pub(crate) config_map: ConfigMap,
    pub(crate) service: Service,
    pub(crate) claim: Option<PersistentVolumeClaim>,
    pub(crate) deployment: Deployment,
}

/// Builds all of it.
pub(crate) fn build(component: &Component, settings: &Settings) -> Objects {
    Objects {
        config_map: config_map(component),
        service: service(component),
        claim: state::claim(component),
        deployment: deployment(component, settings),
    }
}

/// The plan. It never changes: another plan has another name, and with it come other pods.
fn config_map(component: &Component) -> ConfigMap {
    ConfigMap {
        metadata: metadata(component, component.plan_name()),
        immutable: Some(true),
        data: Some(BTreeMap::from([(
            pod::PLAN_KEY.to_owned(),
            component.plan.clone(),
        )])),
        ..ConfigMap::default()
    }
}

fn service(component: &Component) -> Service {
    let port = ServicePort {
        name: Some("http".to_owned()),
        port: component.port,
        protocol: Some("TCP".to_owned()),
        target_port: Some(IntOrString::Int(DELIVER)),
        ..ServicePort::default()
    };
    Service {
        metadata: metadata(component, component.name.clone()),
        spec: Some(ServiceSpec {
            selector: Some(labels::pods(&component.name)),
            ports: Some(vec![port]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn deployment(component: &Component, settings: &Settings) -> Deployment {
    let strategy = if component.alone {
        "Recreate"
    } else {
        "RollingUpdate"
    };
    Deployment {
        metadata: metadata(component, component.name.clone()),
        spec: DeploymentSpec {
            replicas: Some(component.replicas),
            selector: LabelSelector {
                match_labels: Some(labels::pods(&component.name)),
                ..LabelSelector::default()
            },
            strategy: Some(DeploymentStrategy {
                type_: Some(strategy.to_owned()),
                ..DeploymentStrategy::default()
            }),
            // Old versions can't run again, because their plans are pruned.
            revision_history_limit: Some(0),
            template: template::of(component, settings),
            ..DeploymentSpec::default()
        },
        status: None,
    }
}

fn metadata(component: &Component, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(component.namespace.clone()),
        labels: Some(labels::all(component.kind, &component.name)),
        owner_references: Some(vec![owner(component)]),
        ..ObjectMeta::default()
    }
}

/// Through it the cluster deletes all of a component with it.
fn owner(component: &Component) -> OwnerReference {
    OwnerReference {
        api_version: format!("{}/{}", streaming_api::GROUP, streaming_api::VERSION),
        kind: component.kind.to_owned(),
        name: component.name.clone(),
        uid: component.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

#[cfg(test)]
mod tests;
