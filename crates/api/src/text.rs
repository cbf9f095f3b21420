//! Strings with a form of their own: each knows its limits and its pattern once, for every field that holds one.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The patterns of the types below, so that whoever refuses a text can say in words what it should look like.
pub mod pattern {
    /// A [`Duration`](super::Duration): Go's, in whole milliseconds, because brokers stamp messages no finer.
    pub const DURATION: &str = r"^([0-9]+(ms|(\.[0-9]{1,3})?[smh]))+$";
    /// A [`ResourceName`](super::ResourceName).
    pub const RESOURCE_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
    /// A [`TopicName`](super::TopicName).
    pub const NO_WHITE_SPACE: &str = r"^[^\x00-\x20\x7f]+$";
    /// A [`StreamRef`](super::StreamRef). A topic may have slashes of its own.
    pub const STREAM_REF: &str = r"^[^\x00-\x20\x7f/]+(/[^\x00-\x20\x7f]+)?$";
    /// A quantity that is not negative, as Kubernetes reads it
    /// (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).
    pub const QUANTITY: &str = r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";
    /// A [`Route`](super::Route).
    pub const ROUTE: &str = "^[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$";
    /// An [`InputRef`](super::InputRef).
    pub const INPUT_REF: &str = r"^[^\x00-\x20\x7f]+( +as +[A-Za-z_][A-Za-z0-9_]*)?$";
    /// A [`ComponentRef`](super::ComponentRef).
    pub const COMPONENT_REF: &str = "^[a-z]([-a-z0-9]*[a-z0-9])?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]+)?$";
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text! {
    /// A duration as Go writes it: `20s`, `1m30s`, `500ms`. See [`crate::parse_micros`].
    Duration {
        "type": "string",
        "minLength": 2,
        "maxLength": 32,
        "pattern": pattern::DURATION,
        "x-kubernetes-validations": [{
            "rule": "duration(self) >= duration('1ms') && duration(self) <= duration('744h')",
            "message": "must be at least 1ms and at most 744h (31 days)",
        }],
    }
}

text! {
    /// A CEL expression. Blank means the same as none.
    Expression { "type": "string", "maxLength": 16384 }
}

text! {
    /// Name of another resource in the same namespace (a DNS subdomain, RFC 1123).
    ResourceName {
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": pattern::RESOURCE_NAME,
    }
}

text! {
    /// An amount, as Kubernetes writes it: `1Gi`.
    Quantity { "type": "string", "minLength": 1, "maxLength": 32, "pattern": pattern::QUANTITY }
}

text! {
    /// Name of a topic on a broker: anything without white space or control characters. 255 is what AMQP allows.
    TopicName { "type": "string", "minLength": 1, "maxLength": 255, "pattern": pattern::NO_WHITE_SPACE }
}

text! {
    /// An HTTP route, with or without its leading slash. Empty means the default.
    Route {
        "type": "string",
        "maxLength": 256,
        "pattern": pattern::ROUTE,
    }
}

text! {
    /// An input: `name` or `name as alias`.
    InputRef {
        "type": "string",
        "minLength": 1,
        "maxLength": 320,
        "pattern": pattern::INPUT_REF,
    }
}

text! {
    /// A topic to publish to: a Stream's name, or `clusterStream/topic`.
    StreamRef { "type": "string", "minLength": 1, "maxLength": 509, "pattern": pattern::STREAM_REF }
}

text! {
    /// A component to post to: `component/route`, or `component` for `component/component`.
    ComponentRef {
        "type": "string",
        "minLength": 1,
        "maxLength": 320,
        "pattern": pattern::COMPONENT_REF,
    }
}
