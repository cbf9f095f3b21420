//! Labels and names of what the operator makes.

use std::collections::BTreeMap;

/// Who writes: the field manager, the value of `managed-by`, and the reporter of events.
pub const MANAGER: &str = "streaming-operator";

const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The kind, in lower case.
pub(crate) const KIND: &str = "app.kubernetes.io/name";
/// The name.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";

/// What the operator's watches ask for.
pub(crate) fn selector() -> String {
    format!("{MANAGED_BY}={MANAGER}")
}

/// Pods of components that may have windows.
pub(crate) fn windowed() -> String {
    format!("{},{KIND} in (channel,joiner)", selector())
}

/// What a component's pods are found by. It can't be changed once a Deployment has it. `managed-by` keeps it from
/// catching pods of the same `app` that somebody else made.
pub(crate) fn pods(name: &str) -> BTreeMap<String, String> {
    map([("app", name), (MANAGED_BY, MANAGER)])
}

/// All labels of a component's objects.
pub(crate) fn all(kind: &str, name: &str) -> BTreeMap<String, String> {
    let mut labels = pods(name);
    labels.extend(map([
        (KIND, kind.to_lowercase().as_str()),
        (INSTANCE, name),
        ("app.kubernetes.io/part-of", "streaming-runtime"),
    ]));
    labels
}

fn map<const N: usize>(labels: [(&str, &str); N]) -> BTreeMap<String, String> {
    labels
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
