//! What is left of a spec that the schema refuses: its good fields, so that one slip does not hide the next.

use serde_json::{Map, Value, json};

use crate::document::Kind;

/// The spec without the fields that are wrong, with stand-ins for those that must be there. `None` if too little is left
/// to look at.
pub(super) fn without(kind: Kind, resource: &Value, wrong: &[&str]) -> Option<Value> {
    let mut spec = resource.get("spec")?.as_object()?.clone();
    for field in wrong {
        let Some(path) = field.strip_prefix("spec.") else {
            continue;
        };
        let mut names = path.split(['.', '[']);
        match (names.next()?, names.next()) {
            ("stream", Some(name)) => {
                if let Some(Value::Object(stream)) = spec.get_mut("stream") {
                    stream.remove(name);
                }
            }
            (name, _) => {
                spec.remove(name);
            }
        }
    }
    let stand_ins: &[(&str, Value)] = match kind {
        // Without these nothing can be said about the rest.
        Kind::ClusterStream if !(spec.contains_key("protocol") && spec.contains_key("properties")) => {
            return None;
        }
        Kind::Stream if !(spec.contains_key("clusterStream") && spec.contains_key("topic")) => return None,
        Kind::Table if !(spec.contains_key("stream") && spec.contains_key("key")) => return None,
        Kind::ClusterStream | Kind::Stream | Kind::Table => &[],
        Kind::Channel | Kind::Joiner => &[("servicePort", json!(1))],
        Kind::Processor => &[
            ("servicePort", json!(1)),
            ("replicas", json!(1)),
            ("container", json!({ "name": "" })),
        ],
    };
    // One that is wrong is not one that is missing.
    if resource.pointer("/spec/window").is_some() {
        spec.entry("window").or_insert_with(|| json!("1s"));
    }
    for (name, value) in stand_ins {
        spec.entry(*name).or_insert_with(|| value.clone());
    }
    if matches!(kind, Kind::Channel | Kind::Joiner) {
        let stream = spec
            .entry("stream")
            .or_insert_with(|| Value::Object(Map::new()))
            .as_object_mut()?;
        for list in ["from", "to"] {
            stream.entry(list).or_insert_with(|| json!([]));
        }
    }
    Some(Value::Object(spec))
}
