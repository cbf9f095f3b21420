//! The laptop and the cluster say the same: what the compiler refuses for its form, the API server refuses too, and
//! names the same fields; what only other resources or the expression language can tell, it accepts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use streaming_compiler::{Document, Problem, compile, reason};

use crate::manifest::Manifest;
use crate::{CONTROL_PLANE, manifest, root};

/// Reasons that are about a resource's form.
const FORM: &[&str] = &[
    reason::NOT_A_RESOURCE,
    reason::UNKNOWN_VERSION,
    reason::UNKNOWN_KIND,
    reason::REQUIRED,
    reason::UNKNOWN_FIELD,
    reason::WRONG_TYPE,
    reason::NOT_ONE_OF,
    reason::INVALID_FORMAT,
    reason::TOO_LONG,
    reason::TOO_SHORT,
    reason::TOO_MANY,
    reason::TOO_FEW,
    reason::OUT_OF_RANGE,
    reason::DUPLICATE,
    reason::INVALID,
    reason::INVALID_DURATION,
    reason::INVALID_QUANTITY,
];

/// Where the compiler knows more about a form than the schema says, so that on a cluster a condition tells it.
const BEYOND_THE_SCHEMA: &[&str] = &[];

#[test]
fn the_api_server_refuses_what_the_compiler_refuses_for_its_form() {
    let mut wrong = Vec::new();
    let mut beyond = BTreeSet::new();
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    let mut cache = HashMap::new();
    for file in manifest::files(&root().join("tests/bad-resources")) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let manifests = manifest::read(&file);
        let documents: Vec<Document> = manifests
            .iter()
            .enumerate()
            .map(|(origin, manifest)| Document {
                value: manifest.value.clone(),
                origin,
            })
            .collect();
        let compilation = compile(&documents);
        for (origin, manifest) in manifests.iter().enumerate() {
            let of_it = compilation
                .problems
                .iter()
                .filter(|problem| problem.origin == origin);
            let problems: Vec<&Problem> = of_it.collect();
            // Most files have the same ClusterStream beside what they are about.
            let refusal = cache
                .entry(manifest.text.clone())
                .or_insert_with(|| refusal(manifest));
            for problem in &problems {
                counts.entry(problem.reason).or_default()[usize::from(refusal.is_none())] += 1;
            }
            match compare(&problems, refusal.as_ref()) {
                Err(_) if refusal.is_none() && BEYOND_THE_SCHEMA.contains(&name.as_str()) => {
                    beyond.insert(name.clone());
                }
                Err(why) => wrong.push(format!("{name}: {}: {why}", manifest.title())),
                Ok(()) => {}
            }
        }
    }
    println!("{:<24} {:>11} {:>10}", "", "API server", "");
    println!("{:<24} {:>11} {:>10}", "compiler", "refuses", "accepts");
    for (reason, [refused, accepted]) in &counts {
        println!("{reason:<24} {refused:>11} {accepted:>10}");
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        beyond.iter().eq(BEYOND_THE_SCHEMA),
        "the schema tells the others now: {beyond:?}"
    );
}

/// Why the API server refuses a document.
enum Refusal {
    /// It has no such kind, so there is no address to send it to.
    NoSuchKind,
    Invalid {
        /// Field and text of each cause.
        causes: Vec<(String, String)>,
        /// It stops after the first step that finds something: reading, then the schema, then the rules in CEL.
        stopped_early: bool,
        message: String,
    },
}

fn refusal(manifest: &Manifest) -> Option<Refusal> {
    let Some(answer) = manifest.dry_run(CONTROL_PLANE.client()) else {
        return Some(Refusal::NoSuchKind);
    };
    if answer.is_ok() {
        return None;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let message = text(&answer.body["message"]);
    let listed = answer.body["details"]["causes"].as_array();
    let mut causes: Vec<(String, String)> = listed
        .into_iter()
        .flatten()
        .map(|cause| (text(&cause["field"]), text(&cause["message"])))
        .collect();
    let before = causes.len();
    causes.retain(|(_, text)| !text.contains("some validation rules were not checked"));
    let incomplete = causes.len() < before;
    let unread = causes.is_empty();
    causes.extend(unreadable(&message));
    Some(Refusal::Invalid {
        causes,
        stopped_early: unread || incomplete,
        message,
    })
}

/// The fields that could not be read, which the server tells in its message only.
fn unreadable(message: &str) -> Vec<(String, String)> {
    let between = |from: &str, to: char| -> Vec<(String, String)> {
        message
            .split(from)
            .skip(1)
            .filter_map(|rest| rest.split(to).next())
            .map(|field| (field.to_owned(), message.to_owned()))
            .collect()
    };
    let mut fields = between("unknown field \"", '"');
    for (field, text) in between("Go struct field ObjectMeta.", ' ') {
        fields.push((format!("metadata.{field}"), text));
    }
    fields
}

fn compare(problems: &[&Problem], refusal: Option<&Refusal>) -> Result<(), String> {
    let form: Vec<&Problem> = problems
        .iter()
        .copied()
        .filter(|problem| FORM.contains(&problem.reason))
        .collect();
    let said: Vec<&str> = form.iter().map(|problem| problem.field.as_str()).collect();
    match refusal {
        None if form.is_empty() => Ok(()),
        None => Err(format!("the compiler refuses {said:?}, the API server nothing")),
        // A kind of a later release is NotSupported.
        Some(Refusal::NoSuchKind)
            if problems
                .iter()
                .any(|problem| ["", "apiVersion", "kind"].contains(&problem.field.as_str())) =>
        {
            Ok(())
        }
        Some(Refusal::NoSuchKind) => Err(format!("the API server has no such kind; compiler: {said:?}")),
        Some(Refusal::Invalid {
            causes,
            stopped_early,
            message,
        }) => {
            let told = |cause: &(String, String)| form.iter().any(|problem| same(problem, cause));
            let refused = |problem: &&Problem| causes.iter().any(|cause| same(problem, cause));
            if !causes.is_empty() && causes.iter().all(told) && (*stopped_early || form.iter().all(refused)) {
                return Ok(());
            }
            Err(format!(
                "the compiler refuses {said:?}, the API server says: {message}"
            ))
        }
    }
}

/// Whether both are about one field, or one about a part of the other's.
fn same(problem: &Problem, (field, text): &(String, String)) -> bool {
    // What a rule says, the compiler says in the same words, and a rule of the whole resource has no field.
    if problem.reason == reason::INVALID {
        return text.contains(&problem.message) && (field == "<nil>" || *field == problem.field);
    }
    let part = |whole: &str, part: &str| {
        part.strip_prefix(whole)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    part(&problem.field, field) || part(field, &problem.field)
}
