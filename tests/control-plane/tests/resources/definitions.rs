//! The definitions themselves, as a user of kubectl meets them.

use serde_json::Value;

use crate::{CONTROL_PLANE, kubectl, output, root};

/// Kind, short name, and the columns of `kubectl get -o wide`.
const KINDS: [(&str, &str, &str); 6] = [
    ("clusterstream", "cst", "NAME PROTOCOL READY REASON AGE"),
    ("stream", "st", "NAME CLUSTERSTREAM TOPIC READY REASON AGE"),
    ("table", "tb", "NAME STREAM KEY READY REASON AGE"),
    ("channel", "ch", "NAME FROM READY REASON AGE GUARANTEES"),
    ("joiner", "jn", "NAME WINDOW FROM READY REASON AGE GUARANTEES"),
    (
        "processor",
        "proc",
        "NAME IMAGE REPLICAS READY REASON AGE GUARANTEES",
    ),
];

#[test]
fn every_definition_is_structural_and_established() {
    let list: Value = serde_json::from_str(&kubectl("get crd -o json")).unwrap();
    let definitions = list["items"].as_array().unwrap();
    assert_eq!(definitions.len(), KINDS.len());
    for definition in definitions {
        let conditions = definition["status"]["conditions"].as_array().unwrap();
        let mut held: Vec<&str> = conditions
            .iter()
            .filter(|condition| condition["status"] == "True")
            .map(|condition| condition["type"].as_str().unwrap())
            .collect();
        held.sort_unstable();
        // Others that there are, such as NonStructuralSchema and Terminating, would be bad news.
        assert_eq!(held, ["Established", "NamesAccepted"], "{definition:#}");
    }
}

#[test]
fn kubectl_explains_a_field() {
    let text = kubectl("explain joiner.spec.stream.where");
    let description = text.split_once("DESCRIPTION:").unwrap().1.trim();
    assert!(
        description.len() > 40 && !description.contains("<empty>"),
        "{text}"
    );
}

#[test]
fn kubectl_lists_by_short_name_and_category_with_columns() {
    kubectl("create namespace listed");
    for example in [
        "examples/datacenter",
        "examples/hello-streaming",
        "examples/sugar",
    ] {
        let mut apply = CONTROL_PLANE.kubectl();
        let folder = root().join(example);
        output(apply.args(["apply", "--namespace=listed", "-k"]).arg(folder));
    }
    let all = kubectl("get streaming --namespace=listed -o name");
    for (kind, short, columns) in KINDS {
        let prefix = format!("{kind}.streaming.vivien.io/");
        assert!(all.contains(&prefix), "no {kind} in the category: {all}");
        let names = kubectl(&format!("get {short} --namespace=listed -o name"));
        assert!(names.lines().count() > 0 && names.lines().all(|name| name.starts_with(&prefix)));
        let table = kubectl(&format!("get {kind} --namespace=listed -o wide"));
        let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(header.join(" "), columns);
    }
}
