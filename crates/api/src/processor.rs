//! `Processor`: the user's own container.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::status::Status;
use crate::target::Target;
use crate::text::{ComponentRef, ResourceName, Route};
use crate::workload::{ContainerTemplate, PodTemplate};

/// Runs the user's container and delivers messages to it.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "streaming.vivien.io",
    version = "v1alpha1",
    kind = "Processor",
    namespaced,
    status = "Status",
    shortname = "proc",
    category = "streaming",
    derive = "PartialEq",
    doc = "A Processor runs a container of yours and posts messages to it.",
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".spec.container.image",
        description = "Image of the container"
    ),
    printcolumn(
        name = "Replicas",
        type_ = "integer",
        json_path = ".spec.replicas",
        description = "Pods asked for"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the Processor runs as it says"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it does or doesn't",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    ),
    printcolumn(
        name = "Guarantees",
        type_ = "string",
        json_path = ".status.guarantees",
        description = "What each hop promises, and the setting that would improve it",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ProcessorSpec {
    /// Number of pods. 0 means 1; `suspend` is what stops a Processor.
    #[schemars(range(min = 0, max = 1000))]
    pub replicas: i32,
    /// Port on which the container listens for HTTP.
    #[schemars(range(min = 1, max = 65535))]
    pub service_port: i32,
    /// The container to run, as in a pod.
    #[schemars(
        schema_with = "crate::embed::container",
        extend("x-kubernetes-validations" = [
            {
                "rule": "has(self.image) && size(self.image) > 0",
                "message": "a Processor's container needs an image",
            },
            {
                "rule": "!has(self.securityContext) || !has(self.securityContext.privileged) || !self.securityContext.privileged",
                "message": "privileged containers are not allowed",
            },
        ])
    )]
    pub container: ContainerTemplate,
    /// HTTP route on which the container takes messages of Streams that name no `route` of their own. Default: the
    /// Stream's topic. Example: `billables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_route: Option<Route>,
    /// One recipient of what the container sends on, as `component/route`: the short form of a `to` with one
    /// component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<ComponentRef>,
    /// Recipients of what the container hands to its sidecar without naming a topic; every one of them gets
    /// everything. What the container answers to a delivery is never sent on: only its status code counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub to: Vec<Target>,
    /// ClusterStreams that the container may publish to, and whose credentials its sidecar therefore gets. Without
    /// it: all of the namespace, with a warning. `[]` means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub publishes: Option<Vec<ResourceName>>,
    /// Messages of one Stream that the container handles at a time. Default 1, which keeps them in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub concurrency: Option<i32>,
    /// True stops the component: no pods run, no messages are taken, and what is on the broker stays there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Additions to the pod that the component runs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplate>,
}
