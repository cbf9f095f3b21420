//! How a client introduces itself.

use amq_protocol::protocol::connection::StartOk;
use amq_protocol::types::{AMQPValue, FieldTable, ShortString};

/// Who logs in, and where to. It has the password, so it can't be printed.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
    /// The client's certificate says who it is.
    pub(crate) external: bool,
    pub(crate) vhost: ShortString,
    /// How often each side lets the other know that it is there, in seconds.
    pub(crate) heartbeat: u16,
}

/// What the broker may do that clients of long ago don't understand.
const CAPABILITIES: [&str; 5] = [
    // Say why a login is refused.
    "authentication_failure_close",
    "basic.nack",
    "connection.blocked",
    "consumer_cancel_notify",
    "publisher_confirms",
];

impl Login {
    /// The answer to a broker that asks who is there.
    pub(super) fn start_ok(&self) -> StartOk {
        let mut capabilities = FieldTable::default();
        for capability in CAPABILITIES {
            capabilities.insert(capability.into(), AMQPValue::Boolean(true));
        }
        let mut properties = FieldTable::default();
        properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
        for (name, value) in [
            ("connection_name", "streaming-runtime"),
            ("product", "streaming-runtime"),
            ("version", env!("CARGO_PKG_VERSION")),
        ] {
            properties.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let (mechanism, response) = if self.external {
            ("EXTERNAL", String::new())
        } else {
            ("PLAIN", format!("\0{}\0{}", self.user, self.password))
        };
        StartOk {
            client_properties: properties,
            mechanism: mechanism.into(),
            response: response.into(),
            locale: "en_US".into(),
        }
    }
}
