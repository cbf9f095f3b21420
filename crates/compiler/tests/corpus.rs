//! The corpus of resources, good and bad. A bad one begins with the messages that it must get, all of them and no
//! others:
//!
//! ```yaml
//! # problem: StreamNotFound at Joiner orders-by-customer spec.stream.from[0]: no Stream …
//! #    help: did you mean `orders`?
//! # warning: …
//! ```
//!
//! `UPDATE_CORPUS=1 cargo test -p streaming-compiler --test corpus` writes them anew, to be read before they are
//! committed.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test reads files and its environment

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use streaming_compiler::{Compilation, Document, Problem, compile};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn manifests(folder: &str) -> Vec<PathBuf> {
    yaml_files(&root().join("tests").join(folder))
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn documents(text: &str) -> Vec<Document> {
    let values: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    values
        .into_iter()
        .enumerate()
        .map(|(origin, value)| Document { value, origin })
        .collect()
}

fn said(compilation: &Compilation) -> String {
    let mut out = String::new();
    for (what, found) in [
        ("problem", &compilation.problems),
        ("warning", &compilation.warnings),
    ] {
        for Problem {
            kind,
            name,
            field,
            reason,
            message,
            help,
            ..
        } in found
        {
            let about: Vec<&str> = [kind, name, field]
                .into_iter()
                .map(String::as_str)
                .filter(|s| !s.is_empty())
                .collect();
            writeln!(out, "# {what}: {reason} at {}: {message}", about.join(" ")).unwrap();
            if let Some(help) = help {
                writeln!(out, "#    help: {help}").unwrap();
            }
        }
    }
    out
}

/// What can be applied of the examples by itself is good as a whole: each folder with a kustomization.
#[test]
fn no_example_gets_a_problem() {
    let mut wholes = Vec::new();
    kustomizations(&root().join("examples"), &mut wholes);
    let mut with_plans = 0;
    for whole in wholes {
        let files = resources(&whole);
        let all: Vec<Document> = files
            .iter()
            .flat_map(|file| documents(&fs::read_to_string(file).unwrap()))
            .collect();
        let compilation = compile(&all);
        assert!(
            compilation.problems.is_empty(),
            "{}\n{}",
            whole.display(),
            said(&compilation)
        );
        let ours = all.iter().any(|document| {
            document.value["apiVersion"]
                .as_str()
                .is_some_and(|version| version.starts_with("streaming.vivien.io/"))
        });
        assert_eq!(ours, !compilation.plans.is_empty(), "{}: plans", whole.display());
        with_plans += usize::from(ours);
    }
    assert!(with_plans >= 6, "{with_plans} examples have plans");
}

/// The folders below `folder` that have a kustomization.
fn kustomizations(folder: &Path, found: &mut Vec<PathBuf>) {
    if folder.join("kustomization.yaml").exists() {
        found.push(folder.to_owned());
    }
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            kustomizations(&path, found);
        }
    }
}

/// The files that a folder's kustomization names, and those that the folders that it names do.
fn resources(folder: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(folder.join("kustomization.yaml")).unwrap();
    let kustomization: Value = serde_saphyr::from_str(&text).unwrap();
    kustomization["resources"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|name| {
            let path = folder.join(name.as_str().unwrap());
            if path.is_dir() {
                resources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The leading comment, and what follows.
fn split(text: &str) -> (String, &str) {
    let length = text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .map(|line| line.len() + 1)
        .sum();
    (text[..length].to_owned(), &text[length..])
}

#[test]
fn every_bad_resource_gets_its_message() {
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    let mut wrong = String::new();
    let files = manifests("bad-resources");
    assert!(files.len() >= 220, "{} files", files.len());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let (expected, manifest) = split(&text);
        let compilation = compile(&documents(manifest));
        let actual = said(&compilation);
        if actual.is_empty() {
            writeln!(wrong, "{} is good", file.display()).unwrap();
        } else if actual != expected {
            if update {
                fs::write(&file, format!("{actual}{manifest}")).unwrap();
            } else {
                write!(
                    wrong,
                    "{}\nexpected:\n{expected}actual:\n{actual}\n",
                    file.display()
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What the compiler says about good resources, and what it promises for their edges, stands beside each in a `.txt`.
#[test]
fn no_good_resource_gets_a_problem() {
    let update = std::env::var_os("UPDATE_CORPUS").is_some();
    let mut wrong = String::new();
    for file in manifests("good-resources") {
        let compilation = compile(&documents(&fs::read_to_string(&file).unwrap()));
        assert!(
            compilation.problems.is_empty(),
            "{}\n{}",
            file.display(),
            said(&compilation)
        );
        assert!(!compilation.plans.is_empty(), "{}: no plan", file.display());
        let mut actual = said(&compilation);
        for edge in &compilation.edges {
            writeln!(actual, "{} -> {}: {}", edge.from, edge.to, edge.guarantee).unwrap();
        }
        let beside = file.with_extension("txt");
        if update {
            fs::write(beside, actual).unwrap();
        } else if fs::read_to_string(&beside).unwrap() != actual {
            write!(wrong, "{}: actual:\n{actual}\n", beside.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
