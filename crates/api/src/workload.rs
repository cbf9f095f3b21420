//! The fields about pods that components share.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Container, LocalObjectReference, ResourceRequirements, Toleration, TopologySpreadConstraint,
    Volume,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::ResourceName;

/// A container as in a pod.
pub type ContainerTemplate = Container;

/// How a Joiner or Channel runs on a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Workload {
    /// Accepted so that manifests of earlier runtimes apply. The runtime brings its own engine: of this container
    /// only `resources` and `imagePullPolicy` are used, and its image is not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::embed::container")]
    pub container: Option<ContainerTemplate>,
    /// True stops the component: no pods run, no messages are taken, and what is on the broker stays there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// CPU and memory for the component's engine. Its memory limit also bounds what it holds in open windows.
    /// Example: `{limits: {memory: 256Mi}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::embed::resources")]
    pub resources: Option<ResourceRequirements>,
    /// Number of pods. 0 means 1; `suspend` is what stops a component. A component with a window runs as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: Option<i32>,
    /// Additions to the pod that the component runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplate>,
}

/// The fields of a pod that can be set. There is no way to the node through them: no host paths, no host network,
/// no privileges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Labels of the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::embed::labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pod.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::embed::annotations")]
    pub annotations: BTreeMap<String, String>,
    /// Volumes that the container's `volumeMounts` can name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::embed::volumes")]
    pub volumes: Vec<Volume>,
    /// Secrets with the credentials of image registries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::embed::image_pull_secrets")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// The ServiceAccount to run as. Default: the namespace's `default`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<ResourceName>,
    /// Labels that a node must have for the pod to run on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::embed::labels")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that the pod puts up with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::embed::tolerations")]
    pub tolerations: Vec<Toleration>,
    /// Rules about the nodes and other pods that the pod wants near or far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::embed::affinity")]
    pub affinity: Option<Affinity>,
    /// How pods spread over zones and nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::embed::topology_spread_constraints")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Name of the PriorityClass of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<ResourceName>,
}
