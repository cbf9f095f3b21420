//! The part of a kustomization that says which resources there are: `resources` and `namespace`. What else one can
//! say is named when it is left out.

use std::path::{Path, PathBuf};

use super::node::{Mark, Node};

const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What a kustomization says that matters here.
pub(crate) struct Kustomization {
    pub(crate) resources: Vec<(Mark, String)>,
    pub(crate) namespace: Option<String>,
    /// What was not done, each with its place.
    pub(crate) ignored: Vec<(Mark, String)>,
}

impl Kustomization {
    /// Whether a file is one, by its name.
    pub(crate) fn is_name(path: &Path) -> bool {
        path.file_name().is_some_and(|n| NAMES.iter().any(|k| n == *k))
    }

    /// The kustomization of a folder.
    pub(crate) fn inside(folder: &Path) -> Option<PathBuf> {
        NAMES.iter().map(|n| folder.join(n)).find(|p| p.is_file())
    }

    /// Reads one.
    pub(crate) fn read(root: &Node) -> Self {
        let mut found = Self {
            resources: Vec::new(),
            namespace: None,
            ignored: Vec::new(),
        };
        for (key, mark) in root.keys() {
            match key {
                // What follows the first three changes nothing that a pipeline on a laptop depends on.
                "apiVersion" | "kind" | "metadata" | "images" | "labels" | "commonLabels"
                | "commonAnnotations" | "generatorOptions" => {}
                "resources" | "bases" => {
                    let items = root.get(key).map_or(&[][..], |n| n.items());
                    for item in items {
                        match item.as_str() {
                            Some(path) => found.resources.push((item.mark, path.to_owned())),
                            None => found
                                .ignored
                                .push((item.mark, "a resource must be a path".to_owned())),
                        }
                    }
                }
                "namespace" => found.namespace = root.get(key).and_then(|n| n.as_str()).map(str::to_owned),
                other => found.ignored.push((
                    mark,
                    format!(
                        "`{other}` is left out: streamctl reads a kustomization's `resources` and `namespace`"
                    ),
                )),
            }
        }
        found
    }
}
