//! Manifests as kubectl sends them: the text of each document, unread.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use control_plane::{Answer, Client};
use serde_json::{Value, json};

/// One document of a manifest.
pub(crate) struct Manifest {
    pub(crate) text: String,
    pub(crate) value: Value,
}

impl Manifest {
    /// Where it comes from, for messages.
    pub(crate) fn title(&self) -> String {
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        format!(
            "{} {}",
            text(&self.value["kind"]),
            text(&self.value["metadata"]["name"])
        )
    }

    /// Asks the server to create it, without doing so; `None` where it has no such kind, which kubectl would say.
    pub(crate) fn dry_run(&self, client: &Client) -> Option<Answer> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (api_version, kind) = (text(&self.value["apiVersion"]), text(&self.value["kind"]));
        let namespace = self.value["metadata"]["namespace"].as_str().unwrap_or("default");
        ensure_namespace(client, namespace);
        let path = client.path(&api_version, &kind, namespace).unwrap()?;
        let query = "dryRun=All&fieldValidation=Strict";
        Some(client.create(&format!("{path}?{query}"), &self.text).unwrap())
    }
}

/// The documents of a manifest, split as kubectl splits them.
pub(crate) fn read(file: &Path) -> Vec<Manifest> {
    let text = fs::read_to_string(file).unwrap();
    let mut texts = vec![String::new()];
    for line in text.lines() {
        if line.starts_with("---") {
            texts.push(String::new());
        } else if let Some(text) = texts.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    let manifests: Vec<Manifest> = texts
        .into_iter()
        .map(|text| {
            let value =
                serde_saphyr::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
            Manifest { text, value }
        })
        .filter(|manifest| !manifest.value.is_null())
        .collect();
    assert!(!manifests.is_empty(), "{} is empty", file.display());
    manifests
}

/// The manifests of a folder and those below it, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn ensure_namespace(client: &Client, name: &str) {
    static THERE: Mutex<Option<HashSet<String>>> = Mutex::new(None);
    let mut there = THERE.lock().unwrap_or_else(PoisonError::into_inner);
    let there = there.get_or_insert_with(|| HashSet::from(["default".to_owned()]));
    if there.insert(name.to_owned()) {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        let answer = client
            .create("/api/v1/namespaces", &namespace.to_string())
            .unwrap();
        assert!(answer.is_ok(), "namespace {name}: {answer:?}");
    }
}
