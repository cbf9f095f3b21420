//! A `ClusterStream` as a plan has it: its properties, and the files that hold those whose values are kept elsewhere.
//! The values themselves are known to nobody here.

use streaming_api::{ClusterStreamSpec, KeySelector};
use streaming_plan::{ClusterStream, PropertyFile, Protocol};

use crate::properties;

/// Where the operator mounts what comes from Secrets and `ConfigMaps`: a folder for each `ClusterStream`, in it a file for
/// each property.
pub const CREDENTIALS: &str = "/etc/streaming-credentials";

/// A property whose value is kept in a Secret or a `ConfigMap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The property's name.
    pub property: String,
    /// The file that it is to be found in, below [`CREDENTIALS`].
    pub path: String,
    /// What keeps it.
    pub keeper: Keeper,
    /// The keeper's name.
    pub name: String,
    /// The key inside the keeper.
    pub key: String,
    /// Whether it may be missing.
    pub optional: bool,
}

/// What keeps values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// A Secret.
    Secret,
    /// A `ConfigMap`.
    ConfigMap,
}

/// The plan's connection to a `ClusterStream`.
pub(crate) fn of(name: &str, spec: &ClusterStreamSpec) -> ClusterStream {
    let mut properties = spec.properties.0.clone();
    if let Some(tls) = &spec.tls {
        properties.insert("enableTLS".to_owned(), "true".to_owned());
        let name = tls.server_name.iter();
        properties.extend(name.map(|name| ("serverName".to_owned(), name.clone())));
    }
    let file = |kept: Kept| {
        let file = PropertyFile {
            path: format!("{CREDENTIALS}/{}", kept.path),
            optional: kept.optional,
        };
        (kept.property, file)
    };
    ClusterStream {
        protocol: protocol(spec.protocol),
        properties,
        files: kept(name, spec).map(file).collect(),
        consumers: Vec::new(),
    }
}

/// All properties of a `ClusterStream` that are kept elsewhere. Others are not looked for (which is warned about). What
/// `tls` names has its own place, and wins.
pub(crate) fn kept(name: &str, spec: &ClusterStreamSpec) -> impl Iterator<Item = Kept> {
    let tls = spec.tls.iter().flat_map(|tls| {
        let named = [
            ("caCert", &tls.ca),
            ("clientCert", &tls.certificate),
            ("clientKey", &tls.private_key),
        ];
        let given = named
            .into_iter()
            .filter_map(|(property, selector)| Some((property, selector.as_ref()?)));
        given.map(|(property, selector)| (property, Keeper::Secret, selector))
    });
    let tls: Vec<(&str, Keeper, &KeySelector)> = tls.collect();
    let is_free = |property: &str| !tls.iter().any(|(taken, ..)| *taken == property);
    let given = spec.properties_from.iter().filter_map(|from| {
        let (keeper, selector) = match (&from.secret_key_ref, &from.config_map_key_ref) {
            (Some(selector), _) => (Keeper::Secret, selector),
            (None, selector) => (Keeper::ConfigMap, selector.as_ref()?),
        };
        Some((from.name.as_str(), keeper, selector))
    });
    let mut all: Vec<_> = given
        .filter(|(property, ..)| is_free(property) && properties::may_be_kept(spec.protocol, property))
        .collect();
    all.extend(tls);
    all.into_iter().map(move |(property, keeper, selector)| Kept {
        property: property.to_owned(),
        path: format!("{name}/{property}"),
        keeper,
        name: selector.name.0.clone(),
        key: selector.key.clone(),
        optional: selector.optional == Some(true),
    })
}

/// The plan's word for a protocol.
pub(crate) fn protocol(protocol: streaming_api::Protocol) -> Protocol {
    match protocol {
        streaming_api::Protocol::Redis => Protocol::Redis,
        streaming_api::Protocol::RabbitMq => Protocol::RabbitMq,
        streaming_api::Protocol::Mqtt => Protocol::Mqtt,
    }
}
