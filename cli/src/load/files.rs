//! Which files are read, and the split of their documents into resources.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value;

use super::kustomize::Kustomization;
use super::node::{Kind, Mark, Node, Source, utf8};
use super::secrets::Secrets;
use super::{Document, Loaded, yaml};
use crate::report::{Finding, Place};

/// A manifest file may be this large; an API server refuses a single object beyond 1.5 MiB.
const MAX_FILE: u64 = 8 << 20;
/// Folders and kustomizations inside each other.
const MAX_NESTING: usize = 32;

/// Collects documents from paths.
pub(crate) struct Reader<'a> {
    pub(crate) loaded: Loaded,
    except: &'a [&'a str],
    seen: HashSet<PathBuf>,
    namespace: Vec<String>,
    depth: usize,
}

/// How a file came to be read, which decides how a document that is no resource is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// Given by the user or by a kustomization.
    Explicitly,
    /// Found in a folder.
    ByWalk,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(except: &'a [&'a str]) -> Self {
        Self {
            loaded: Loaded::default(),
            except,
            seen: HashSet::new(),
            namespace: Vec::new(),
            depth: 0,
        }
    }

    /// One path as the user gave it.
    pub(crate) fn path(&mut self, path: &Path) {
        if path.as_os_str() == "-" {
            let mut text = Vec::new();
            let read = io::stdin().lock().take(MAX_FILE + 1).read_to_end(&mut text);
            return self.bytes("<stdin>".to_owned(), read.map(|_| text), Named::Explicitly);
        }
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => self.folder(path, self.except),
            Ok(_) if Kustomization::is_name(path) => self.kustomization(path),
            Ok(_) => self.file(path, Named::Explicitly),
            Err(e) => self.unreadable(path, &e),
        }
    }

    fn folder(&mut self, path: &Path, except: &[&str]) {
        if !self.first_time(path) {
            return;
        }
        if let Some(file) = Kustomization::inside(path) {
            return self.kustomization(&file);
        }
        let mut names = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries.into_iter().map(|e| e.file_name()).collect::<Vec<_>>(),
            Err(e) => return self.unreadable(path, &e),
        };
        names.sort();
        self.depth += 1;
        for name in names {
            let child = path.join(&name);
            let text = name.to_string_lossy();
            if text.starts_with('.') || except.iter().any(|e| *e == text) || self.depth > MAX_NESTING {
                continue;
            }
            if child.is_dir() {
                self.folder(&child, &[]);
            } else if child.is_file()
                && matches!(
                    child.extension().and_then(|e| e.to_str()),
                    Some("yaml" | "yml" | "json")
                )
            {
                // A pipe or device among the manifests could be waited for without end: only files are read.
                self.file(&child, Named::ByWalk);
            }
        }
        self.depth -= 1;
    }

    /// A kustomization's resources, which are files or folders with kustomizations of their own.
    fn kustomization(&mut self, path: &Path) {
        if !self.first_time(path) {
            return;
        }
        let Some(source) = self.source(path) else { return };
        if self.depth > MAX_NESTING {
            return self.fault(
                &source,
                "TooDeep",
                "kustomizations nested too deep or in a circle".to_owned(),
            );
        }
        let documents = self.parse(&source);
        for root in documents {
            let kustomization = Kustomization::read(&root);
            for (mark, message) in kustomization.ignored {
                self.warn(&source, mark, "KustomizationFieldIgnored", message);
            }
            let outer = self.namespace.len();
            self.namespace.extend(kustomization.namespace);
            self.depth += 1;
            for (mark, resource) in kustomization.resources {
                let target = path.parent().unwrap_or(Path::new("")).join(&resource);
                match fs::metadata(&target) {
                    Ok(meta) if meta.is_dir() && Kustomization::inside(&target).is_none() => {
                        let message = format!("`{resource}` is a folder without a kustomization.yaml");
                        self.error(&source, mark, "NotFound", message);
                    }
                    Ok(meta) if meta.is_dir() => self.folder(&target, &[]),
                    Ok(_) => self.file(&target, Named::Explicitly),
                    Err(_) if resource.contains("://") || resource.starts_with("git@") => {
                        let message = format!("`{resource}` is remote; streamctl reads local resources only");
                        self.error(&source, mark, "RemoteResource", message);
                    }
                    Err(e) => self.error(&source, mark, "NotFound", format!("`{resource}`: {e}")),
                }
            }
            self.depth -= 1;
            self.namespace.truncate(outer);
        }
    }

    fn file(&mut self, path: &Path, named: Named) {
        if self.first_time(path)
            && let Some(source) = self.source(path)
        {
            self.documents(&source, named);
        }
    }

    fn source(&mut self, path: &Path) -> Option<Rc<Source>> {
        let mut text = Vec::new();
        let read = fs::File::open(path).and_then(|f| f.take(MAX_FILE + 1).read_to_end(&mut text));
        self.text(path.display().to_string(), read.map(|_| text))
    }

    fn bytes(&mut self, name: String, read: io::Result<Vec<u8>>, named: Named) {
        if let Some(source) = self.text(name, read) {
            self.documents(&source, named);
        }
    }

    fn text(&mut self, name: String, read: io::Result<Vec<u8>>) -> Option<Rc<Source>> {
        let bytes = match read {
            Ok(bytes) if bytes.len() as u64 <= MAX_FILE => bytes,
            Ok(_) => {
                let message = format!("larger than {} MiB", MAX_FILE >> 20);
                self.fault(&Source::new(name, String::new()), "TooLarge", message);
                return None;
            }
            Err(e) => {
                self.fault(&Source::new(name, String::new()), "Unreadable", e.to_string());
                return None;
            }
        };
        match utf8(bytes) {
            Ok(text) => Some(Source::new(name, text)),
            Err((mark, text)) => {
                let source = Source::new(name, text);
                // What can't be read may hide a password.
                let _ = source.secrets.set(Secrets::find(&[], false, &source.text));
                let message = "this byte is not UTF-8, which manifests are written in".to_owned();
                self.error(&source, mark, "InvalidUtf8", message);
                None
            }
        }
    }

    fn documents(&mut self, source: &Rc<Source>, named: Named) {
        for root in self.parse(source) {
            self.resource(source, root, named);
        }
    }

    fn parse(&mut self, source: &Rc<Source>) -> Vec<Rc<Node>> {
        let (roots, errors) = yaml::parse(&source.text);
        let secrets = Secrets::find(&roots, errors.is_empty(), &source.text);
        // A source is parsed once.
        let _ = source.secrets.set(secrets);
        for e in errors {
            self.error(source, e.mark, e.reason, e.message);
        }
        roots
    }

    /// A document, or each item of a list of them.
    fn resource(&mut self, source: &Rc<Source>, node: Rc<Node>, named: Named) {
        let text = |key: &str| node.get(key).and_then(|n| n.as_str());
        let (kind, version) = (text("kind"), text("apiVersion"));
        if let Some(kind) = kind
            && kind.ends_with("List")
            && let Some(items) = node.get("items")
        {
            for item in items.items() {
                self.resource(source, Rc::clone(item), named);
            }
            return;
        }
        // The compiler says what is wrong with a resource that was meant to be one.
        if kind.is_none() && version.is_none() && named == Named::ByWalk {
            let message = "neither `apiVersion` nor `kind`: not a resource, left out".to_owned();
            return self.warn(source, node.mark, "NotAResource", message);
        }
        let mut value = node.to_json();
        if let Some(namespace) = self.namespace.first()
            && let Some(Value::Object(meta)) = value.get_mut("metadata")
        {
            meta.insert("namespace".to_owned(), Value::String(namespace.clone()));
        }
        self.loaded.documents.push(Document {
            value,
            node,
            source: Rc::clone(source),
        });
    }

    fn first_time(&mut self, path: &Path) -> bool {
        self.seen
            .insert(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        let reason = if error.kind() == io::ErrorKind::NotFound {
            "NotFound"
        } else {
            "Unreadable"
        };
        let what = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        let message = format!("cannot read {}: {what}", path.display());
        self.loaded.findings.push(Finding::error(reason, message));
    }

    /// Something wrong with a whole file.
    fn fault(&mut self, source: &Rc<Source>, reason: &'static str, message: String) {
        self.error(
            source,
            Mark {
                line: 1,
                column: 1,
                length: 1,
            },
            reason,
            message,
        );
    }

    fn error(&mut self, source: &Rc<Source>, mark: Mark, reason: &'static str, message: String) {
        let place = Place {
            source: Rc::clone(source),
            mark,
        };
        self.loaded
            .findings
            .push(Finding::error(reason, message).at(place));
    }

    fn warn(&mut self, source: &Rc<Source>, mark: Mark, reason: &'static str, message: String) {
        let place = Place {
            source: Rc::clone(source),
            mark,
        };
        self.loaded
            .findings
            .push(Finding::warning(reason, message).at(place));
    }
}

impl Node {
    /// Keys of an object, with their places.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&str, Mark)> {
        let entries = if let Kind::Object(entries) = &self.kind {
            entries.as_slice()
        } else {
            &[]
        };
        entries.iter().map(|e| (e.key.as_str(), e.mark))
    }
}
