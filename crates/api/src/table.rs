//! `Table`: the latest message of each key of a Stream, for other messages to be looked up in.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::status::Status;
use crate::text::{Expression, ResourceName};

/// The latest message of each key of a Stream.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "streaming.vivien.io",
    version = "v1alpha1",
    kind = "Table",
    namespaced,
    status = "Status",
    shortname = "tb",
    category = "streaming",
    derive = "PartialEq",
    doc = "A Table is the latest message of each key of a Stream, which a Joiner looks other messages up in.",
    printcolumn(
        name = "Stream",
        type_ = "string",
        json_path = ".spec.stream",
        description = "Stream that it is made from"
    ),
    printcolumn(
        name = "Key",
        type_ = "string",
        json_path = ".spec.key",
        description = "What tells its rows apart"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the Table can be used"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it can or can't",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct TableSpec {
    /// Name of the Stream, in the same namespace, whose messages are the Table's rows. Each replaces the one of the same
    /// key before it; one whose data is null takes the row away.
    pub stream: ResourceName,
    /// CEL expression for what tells rows apart. The message is known by the Stream's name, as in a Joiner. A Joiner that
    /// uses the Table asks for an equality with it. Example: `customers.id`.
    #[schemars(length(min = 1))]
    pub key: Expression,
}
