//! The first step: paths into documents. Files, folders, standard input and kustomizations become JSON values for
//! the compiler, each with its tree of places, so that whatever is said about a document later can say where.

mod files;
mod kustomize;
mod node;
mod scalar;
mod secrets;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::Path;
use std::rc::Rc;

use serde_json::Value;

pub(crate) use node::{Mark, Node, Source, utf8};

use crate::report::{Finding, Place, any_error};

/// One resource, as the compiler takes it, and where it came from.
#[derive(Debug)]
pub(crate) struct Document {
    /// The resource as JSON.
    pub(crate) value: Value,
    /// The same with places.
    pub(crate) node: Rc<Node>,
    /// The file it stands in.
    pub(crate) source: Rc<Source>,
}

impl Document {
    /// The place of a field, or of the nearest of its ancestors that is there.
    pub(crate) fn place(&self, field: &str) -> Place {
        Place {
            source: Rc::clone(&self.source),
            mark: self.node.locate(field).mark,
        }
    }

    /// The place of a field's key rather than of its value.
    pub(crate) fn key_place(&self, field: &str) -> Place {
        Place {
            source: Rc::clone(&self.source),
            mark: self.node.locate_key(field),
        }
    }

    /// The place of a line and column (1-based) inside a field's text, where the file shows the text as it is.
    pub(crate) fn place_inside(
        &self,
        field: &str,
        line: usize,
        column: usize,
        length: usize,
    ) -> Option<Place> {
        let mark = self.node.locate(field).inside(line, column, length)?;
        Some(Place {
            source: Rc::clone(&self.source),
            mark,
        })
    }

    /// `Kind namespace/name`, for messages.
    pub(crate) fn subject(&self) -> String {
        let text = |path: &str| self.value.pointer(path).and_then(Value::as_str);
        let kind = text("/kind").unwrap_or("resource");
        let name = text("/metadata/name").unwrap_or("without a name");
        format!("{kind} {}/{name}", self.namespace())
    }

    /// The namespace it is in: `default` if it names none.
    pub(crate) fn namespace(&self) -> &str {
        self.value
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .unwrap_or("default")
    }
}

/// What was found at the paths.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// The resources, in the order in which they were read.
    pub(crate) documents: Vec<Document>,
    /// What could not be read (errors) and what was left out (warnings).
    pub(crate) findings: Vec<Finding>,
}

/// Reads all paths: files, folders (recursively; `*.yaml`, `*.yml` and `*.json`), `-` for standard input, and
/// kustomizations, wherever a folder holds one. Each file is read once, however often it is named.
pub(crate) fn load<P: AsRef<Path>>(paths: &[P]) -> Loaded {
    load_except(paths, &[])
}

/// Like [`load`], but without these folders directly below a path that is a folder.
pub(crate) fn load_except<P: AsRef<Path>>(paths: &[P], except: &[&str]) -> Loaded {
    let mut reader = files::Reader::new(except);
    for path in paths {
        reader.path(path.as_ref());
    }
    let mut loaded = reader.loaded;
    if loaded.documents.is_empty() && !any_error(&loaded.findings) {
        let all: Vec<String> = paths
            .iter()
            .map(|path| path.as_ref().display().to_string())
            .collect();
        let finding = Finding::error(
            "NothingFound",
            format!("there is no resource in {}", all.join(", ")),
        );
        loaded.findings.push(finding.help(
            "a resource has `apiVersion` and `kind`; in folders, files ending in .yaml, .yml and .json are read",
        ));
    }
    loaded
}
