//! A cluster in which nothing changes sees no writes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Space;
use crate::space::{MARKER, STREAMS, joiner};

const WRITTEN: [&str; 10] = [
    "clusterstreams",
    "streams",
    "channels",
    "joiners",
    "processors",
    "deployments",
    "services",
    "jobs",
    "configmaps",
    "events",
];

/// The resource version of everything that an operator may write, except for markers.
pub(crate) fn versions(space: &Space) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut versions = BTreeMap::new();
    for plural in WRITTEN {
        for object in space.list(plural) {
            let name = text(&object["metadata"]["name"]);
            if !name.starts_with(MARKER) {
                versions.insert(
                    format!("{plural}/{name}"),
                    text(&object["metadata"]["resourceVersion"]),
                );
            }
        }
    }
    versions
}

#[test]
fn looked_at_again_and_again_nothing_is_written() {
    let space = Space::new("steady");
    space.apply(STREAMS);
    space.apply(&joiner("good", "20s", "left.id == right.id"));
    space.apply(&joiner("bad", "20s", "left.id == nothing.id"));
    space.apply(
        "{apiVersion: streaming.vivien.io/v1alpha1, kind: Processor, metadata: {name: proc}, \
         spec: {replicas: 0, servicePort: 80, publishes: [], \
         container: {name: c, image: i, resources: {limits: {memory: '0.5Gi', cpu: '0.5'}}}}}",
    );
    space.roll_out("joiners", "good");
    space.roll_out("processors", "proc");
    space.ready("joiners/bad", "UnknownName");
    assert_eq!(space.get("deployments/proc")["spec"]["replicas"], 1);
    space.looked_at("0");
    let before = versions(&space);
    assert!(before.len() > 10, "{before:#?}");
    // Each makes the operator look at all of the namespace anew.
    for marker in ["1", "2", "3"] {
        space.looked_at(marker);
    }
    assert_eq!(versions(&space), before);
}
