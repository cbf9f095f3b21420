//! What an API server demands of a `CustomResourceDefinition`, and what we demand on top: a description and a limit on
//! everything.

#![allow(clippy::unwrap_used)] // helpers of tests may, as tests do

use serde_json::Value;
use streaming_api::{KINDS, definitions};

/// Calls `check` with the path and schema of every node below the root of every kind.
fn every_node(check: &mut dyn FnMut(&str, &Value)) {
    for definition in definitions() {
        let kind = definition["spec"]["names"]["kind"].as_str().unwrap().to_owned();
        walk(
            &kind,
            &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"],
            check,
        );
    }
}

fn walk(path: &str, node: &Value, check: &mut dyn FnMut(&str, &Value)) {
    check(path, node);
    for (name, property) in node["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, check);
    }
    if let Some(items) = node.get("items") {
        walk(&format!("{path}[]"), items, check);
    }
    if let Some(values) = node.get("additionalProperties") {
        walk(&format!("{path}{{}}"), values, check);
    }
}

#[test]
fn every_kind_has_its_names() {
    let names: Vec<_> = definitions()
        .iter()
        .map(|d| {
            let names = &d["spec"]["names"];
            assert_eq!(d["spec"]["scope"], "Namespaced");
            assert_eq!(names["categories"], serde_json::json!(["streaming"]));
            assert!(d["spec"]["versions"][0]["subresources"]["status"].is_object());
            assert!(
                d["spec"]["versions"][0]["additionalPrinterColumns"]
                    .as_array()
                    .unwrap()
                    .len()
                    >= 4
            );
            (
                names["kind"].as_str().unwrap().to_owned(),
                names["shortNames"][0].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let kinds: Vec<_> = names.iter().map(|(kind, _)| kind.as_str()).collect();
    let short: Vec<_> = names.iter().map(|(_, short)| short.as_str()).collect();
    assert_eq!(kinds, KINDS);
    assert_eq!(short, ["cst", "st", "tb", "ch", "jn", "proc"]);
}

/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>
#[test]
fn schemas_are_structural() {
    every_node(&mut |path, node| {
        assert!(node.is_object(), "{path}: not a schema: {node}");
        assert!(
            node["type"].is_string() || node["x-kubernetes-int-or-string"] == true,
            "{path}: neither type nor int-or-string"
        );
        for forbidden in [
            "$ref",
            "definitions",
            "oneOf",
            "anyOf",
            "allOf",
            "not",
            "nullable",
            "default",
            "uniqueItems",
        ] {
            assert!(node.get(forbidden).is_none(), "{path}: {forbidden}");
        }
        assert!(
            node.get("properties").is_none() || node.get("additionalProperties").is_none(),
            "{path}: properties and additionalProperties exclude each other"
        );
        for required in node["required"].as_array().into_iter().flatten() {
            assert!(
                node["properties"].get(required.as_str().unwrap()).is_some(),
                "{path}: requires the undeclared {required}"
            );
        }
        if node["type"] == "array" {
            assert!(node["items"].is_object(), "{path}: an array without items");
        }
    });
}

#[test]
fn every_property_has_a_description() {
    every_node(&mut |path, node| {
        let last = path.rsplit('.').next().unwrap();
        if path.contains('.') && !last.ends_with("[]") && !last.ends_with("{}") {
            let text = node["description"]
                .as_str()
                .unwrap_or_else(|| panic!("{path}: no description"));
            assert!(text.len() > 5 && !text.contains('\n'), "{path}: {text:?}");
        }
    });
}

#[test]
fn everything_is_limited() {
    every_node(&mut |path, node| match node["type"].as_str() {
        Some("string") => assert!(
            node.get("maxLength").is_some() || node.get("enum").is_some() || node["format"] == "date-time",
            "{path}: a string without a limit"
        ),
        Some("array") => assert!(node.get("maxItems").is_some(), "{path}: a list without a limit"),
        Some("object") if node.get("additionalProperties").is_some() => {
            assert!(
                node.get("maxProperties").is_some(),
                "{path}: a map without a limit"
            );
        }
        _ => {}
    });
}

/// `kubectl apply` keeps the whole resource in an annotation, which may hold 256 KiB.
#[test]
fn definitions_fit_into_an_annotation() {
    for definition in definitions() {
        let size = serde_json::to_vec(&definition).unwrap().len();
        assert!(size < 200_000, "{}: {size} bytes", definition["metadata"]["name"]);
    }
}

#[test]
fn what_design_asks_for_is_required() {
    let required = |kind: usize, path: &str| -> Vec<String> {
        let schema = &definitions()[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        serde_json::from_value(schema.pointer(path).unwrap()["required"].clone()).unwrap()
    };
    assert_eq!(required(0, "/properties/spec"), ["properties", "protocol"]);
    assert_eq!(required(1, "/properties/spec"), ["clusterStream", "topic"]);
    assert_eq!(required(2, "/properties/spec"), ["key", "stream"]);
    assert_eq!(required(3, "/properties/spec"), ["servicePort", "stream"]);
    assert_eq!(required(3, "/properties/spec/properties/stream"), ["from", "to"]);
    // A Joiner that looks up in tables needs no window.
    assert_eq!(required(4, "/properties/spec"), ["servicePort", "stream"]);
    assert_eq!(required(4, "/properties/spec/properties/stream"), ["from", "to"]);
    assert_eq!(
        required(5, "/properties/spec"),
        ["container", "replicas", "servicePort"]
    );
}
