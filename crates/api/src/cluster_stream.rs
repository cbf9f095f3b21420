//! `ClusterStream`: a connection to a broker.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::status::Status;
use crate::text::ResourceName;

/// A broker and how to reach it. Streams name topics on it.
#[derive(Clone, Debug, PartialEq, CustomResource, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "streaming.vivien.io",
    version = "v1alpha1",
    kind = "ClusterStream",
    namespaced,
    status = "Status",
    shortname = "cst",
    category = "streaming",
    derive = "PartialEq",
    doc = "A ClusterStream is a connection to a message broker. Streams name topics on it.",
    printcolumn(
        name = "Protocol",
        type_ = "string",
        json_path = ".spec.protocol",
        description = "Wire protocol"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the broker can be used"
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
pub struct ClusterStreamSpec {
    /// The broker's wire protocol: `redis` (Redis Streams, 6.2 and later), `rabbitmq` (AMQP 0-9-1) or `mqtt`
    /// (MQTT 5, or 3.1.1 where the broker has no 5).
    pub protocol: Protocol,
    /// Connection settings by the names of Dapr's pub/sub components, all as strings. Redis: `redisHost`,
    /// `redisPassword`, `redisUsername`, `redisDB`, `enableTLS`, `maxLenApprox`. RabbitMQ: `host` or
    /// `connectionString`, `durable`, `deliveryMode`, `prefetchCount`. MQTT: `url`, `qos`, `retain`. An unknown name
    /// gives a warning. Credentials are better kept in a Secret: see `propertiesFrom`.
    pub properties: Properties,
    /// Properties whose values come from a Secret or a ConfigMap of the same namespace; they win over `properties`
    /// of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub properties_from: Vec<PropertyFrom>,
    /// How the connection is encrypted. Setting it, even to `{}`, turns TLS on; without it the properties decide
    /// (`enableTLS`, `amqps://`, `mqtts://`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Accepted so that manifests of earlier runtimes apply; it has no effect. Credentials go to `properties` or
    /// `propertiesFrom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub auth_type: Option<String>,
}

/// Wire protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the field that holds it says what each means
pub enum Protocol {
    Redis,
    RabbitMq,
    Mqtt,
}

impl Protocol {
    /// The name that manifests use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::RabbitMq => "rabbitmq",
            Self::Mqtt => "mqtt",
        }
    }
}

/// Settings by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Properties(pub BTreeMap<String, String>);

impl Deref for Properties {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl JsonSchema for Properties {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Properties".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "maxProperties": 64,
            "additionalProperties": { "type": "string", "maxLength": 4096 },
        })
    }
}

/// One property whose value is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.secretKeyRef) != has(self.configMapKeyRef)",
    "message": "set exactly one of secretKeyRef and configMapKeyRef",
}]))]
pub struct PropertyFrom {
    /// Name of the property. Example: `redisPassword`.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key of a Secret that holds the value. It is mounted as a file, so a changed Secret is picked up without a
    /// restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeySelector>,
    /// The key of a ConfigMap that holds the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeySelector>,
}

/// A key of a Secret or ConfigMap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeySelector {
    /// Name of the Secret or ConfigMap, in the namespace of the ClusterStream.
    pub name: ResourceName,
    /// The key inside it.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
    /// True if a missing key only leaves the property unset; by default it is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// TLS settings of a broker connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.certificate) == has(self.privateKey)",
    "message": "certificate and privateKey go together",
}]))]
pub struct Tls {
    /// PEM file of the certificate authorities to trust, from a Secret. Default: the public ones (Mozilla's list).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<KeySelector>,
    /// PEM file of the client certificate, from a Secret, for brokers that ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<KeySelector>,
    /// PEM file of the client certificate's private key, from a Secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<KeySelector>,
    /// The name that the broker's certificate must carry. Default: the host that is connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub server_name: Option<String>,
}
