//! One test: a folder with manifests, `input/` and `expected/`.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::record::{self, Record};
use crate::assemble::{Assembly, assemble};
use crate::load::{Mark, Source, load_except};
use crate::local::TopicName;
use crate::report::{Finding, Place, Severity};

const INPUT: &str = "input";
const EXPECTED: &str = "expected";
/// Folders inside each other that are looked through.
const MAX_NESTING: usize = 32;

/// A folder's content.
pub(crate) struct Case {
    pub(crate) folder: PathBuf,
    pub(crate) assembly: Assembly,
    /// Recorded messages by topic, each in the order of its file.
    pub(crate) inputs: Vec<(TopicName, Vec<Record>)>,
    /// Expected deliveries by recipient, which is the file's path below `expected/` without its ending.
    pub(crate) expected: BTreeMap<String, Vec<Record>>,
    pub(crate) findings: Vec<Finding>,
}

/// The folders of tests at and below these paths.
pub(crate) fn discover(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            return Err(format!("{} is not a folder", path.display()));
        }
        let before = found.len();
        walk(path, &mut found, 0).map_err(|e| format!("{}: {e}", path.display()))?;
        if found.len() == before {
            return Err(format!(
                "{}: no test here: a test is a folder with {INPUT}/ in it",
                path.display()
            ));
        }
    }
    Ok(found)
}

fn walk(path: &Path, found: &mut Vec<PathBuf>, depth: usize) -> io::Result<()> {
    if path.join(INPUT).is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type()?.is_dir() && depth < MAX_NESTING {
            folders.push(entry.path());
        }
    }
    folders.sort();
    folders
        .iter()
        .try_for_each(|folder| walk(folder, found, depth + 1))
}

impl Case {
    /// Reads a folder. What is wrong with it is in `findings`.
    pub(crate) fn read(folder: &Path, update: bool) -> Self {
        let mut assembly = assemble(load_except(&[folder], &[INPUT, EXPECTED]));
        let mut findings = std::mem::take(&mut assembly.findings);
        // What manifests are warned about is for `check`.
        findings.retain(|finding| finding.severity == Severity::Error);
        let mut inputs = Vec::new();
        for (name, path) in files(&folder.join(INPUT), &mut findings) {
            match assembly.stream(&name) {
                Ok(topic) => match record::read(&path, &mut findings) {
                    Ok(records) => {
                        if assembly.is_wildcard(&topic) && records.iter().any(|r| r.topic.is_none()) {
                            let message =
                                format!("`{}` has wildcards: each line needs a `topic`", topic.topic);
                            findings.push(about(&path, "WildcardTopic", message));
                        }
                        inputs.push((topic, records));
                    }
                    Err(e) => findings.push(about(&path, "Unreadable", e.to_string())),
                },
                Err(e) => findings.push(about(&path, "UnknownStream", e)),
            }
        }
        let mut expected = BTreeMap::new();
        let there = folder.join(EXPECTED);
        if there.is_dir() {
            for (name, path) in files(&there, &mut findings) {
                match record::read(&path, &mut findings) {
                    Ok(records) => drop(expected.insert(name, records)),
                    Err(e) => findings.push(about(&path, "Unreadable", e.to_string())),
                }
            }
        } else if !update {
            let finding = about(&there, "NotFound", "nothing says what is expected".to_owned());
            findings.push(finding.help("write what comes now with --update, and look at it"));
        }
        Self {
            folder: folder.to_owned(),
            assembly,
            inputs,
            expected,
            findings,
        }
    }

    /// How many messages go in.
    pub(crate) fn messages(&self) -> usize {
        self.inputs.iter().map(|(_, records)| records.len()).sum()
    }

    /// The file of a recipient's deliveries.
    pub(crate) fn expected_file(&self, recipient: &str) -> PathBuf {
        self.folder.join(EXPECTED).join(format!("{recipient}.{JSONL}"))
    }
}

const JSONL: &str = "jsonl";

/// All recordings below a folder: their paths below it without the ending, and where they are.
fn files(folder: &Path, findings: &mut Vec<Finding>) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), folder.to_owned())];
    // A link to a folder above would go round for ever.
    let mut seen = HashSet::new();
    while let Some((prefix, folder)) = folders.pop() {
        if !seen.insert(fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone())) {
            continue;
        }
        let entries = match fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(e) => {
                findings.push(about(&folder, "Unreadable", e.to_string()));
                continue;
            }
        };
        for entry in entries {
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            if name.starts_with('.') {
                continue;
            }
            if path.is_dir() {
                folders.push((format!("{prefix}{name}/"), path));
            } else if let Some(stem) = name.strip_suffix(".jsonl").filter(|_| path.is_file()) {
                found.push((format!("{prefix}{stem}"), path));
            } else {
                let message = "left out: recordings are .jsonl files".to_owned();
                findings.push(Finding {
                    severity: Severity::Warning,
                    ..about(&path, "NotARecording", message)
                });
            }
        }
    }
    found.sort();
    found
}

fn about(path: &Path, reason: &str, message: String) -> Finding {
    let source = Source::new(path.display().to_string(), String::new());
    Finding::error(reason, message).at(Place {
        source,
        mark: Mark {
            line: 1,
            column: 1,
            length: 1,
        },
    })
}
