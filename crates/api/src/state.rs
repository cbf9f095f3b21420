//! Where a component keeps what outlives its process.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{Quantity, ResourceName};

/// A component's own storage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StateSpec {
    /// Size of the PersistentVolumeClaim that is made for it, about twice what open windows hold at once. It outlives
    /// every edit, and goes with the component. Without it the state is on the pod's node (an emptyDir): it outlives a
    /// crash, and not the pod. Example: `1Gi`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Quantity>,
    /// The StorageClass of that claim. Default: the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<ResourceName>,
}
