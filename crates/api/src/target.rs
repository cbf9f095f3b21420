//! Where results go: one item of a `to` list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{ComponentRef, StreamRef};

/// A recipient of results: a component's HTTP route or a topic. Exactly one of `component` and `stream` is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.component) != has(self.stream)",
    "message": "set exactly one of component and stream",
}]))]
pub struct Target {
    /// A Processor of the same namespace and the HTTP route on it that results are posted to, as `component/route`; a
    /// bare `component` means `component/component`. Example: `billable-proc/billables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentRef>,
    /// A topic that results are published to, as `clusterStream/topic`; a bare name is the Stream of that name, or
    /// else the topic of that name on the ClusterStream of that name. Example: `rabbit-stream/greetings-sink`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamRef>,
}
