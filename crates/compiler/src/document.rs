//! The first step: which documents are resources of ours, and what they are called.

use std::fmt;

use serde_json::Value;
use streaming_api::{
    ChannelSpec, ClusterStreamSpec, GROUP, JoinerSpec, KINDS, ProcessorSpec, StreamSpec, TableSpec, VERSION,
};

use crate::problem::{Problem, Report};
use crate::{reason, suggest};

/// One document of a manifest.
#[derive(Clone, Debug)]
pub struct Document {
    /// The document as JSON.
    pub value: Value,
    /// The caller's handle, handed back in every [`Problem`].
    pub origin: usize,
}

/// Our kinds, in the order of [`KINDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    ClusterStream,
    Stream,
    Table,
    Channel,
    Joiner,
    Processor,
}

impl Kind {
    pub(crate) const ALL: [Kind; 6] = [
        Kind::ClusterStream,
        Kind::Stream,
        Kind::Table,
        Kind::Channel,
        Kind::Joiner,
        Kind::Processor,
    ];

    pub(crate) fn name(self) -> &'static str {
        KINDS[self as usize]
    }

    /// Whether it runs as a workload, and so shares a name space with the others that do.
    pub(crate) fn is_component(self) -> bool {
        matches!(self, Kind::Channel | Kind::Joiner | Kind::Processor)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A resource of ours.
pub(crate) struct Resource {
    /// Its place among all documents: what problems are ordered by.
    pub(crate) index: usize,
    pub(crate) origin: usize,
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// `None` where the API server gave none.
    pub(crate) uid: Option<String>,
    /// The whole document, without nulls.
    pub(crate) value: Value,
    /// The spec, if the schema accepts it.
    pub(crate) spec: Option<Spec>,
    /// If it does not: what is left of the spec without the fields that are wrong, so that the rest is checked too.
    /// Never built, and never found by others.
    pub(crate) draft: Option<Spec>,
}

/// A spec that the schema has accepted.
pub(crate) enum Spec {
    ClusterStream(ClusterStreamSpec),
    Stream(StreamSpec),
    Table(TableSpec),
    Channel(Box<ChannelSpec>),
    Joiner(Box<JoinerSpec>),
    Processor(Box<ProcessorSpec>),
}

impl Resource {
    /// Something about one of its fields.
    pub(crate) fn at(
        &self,
        field: impl Into<String>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Problem {
        Problem {
            origin: self.origin,
            kind: self.kind.name().to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            field: field.into(),
            reason,
            message: message.into(),
            help: None,
            diagnostic: None,
        }
    }
}

/// Sorts documents into resources of ours, foreign ones (their indexes) and problems.
pub(crate) fn read(documents: &[Document], report: &mut Report) -> (Vec<Resource>, Vec<usize>) {
    let (mut resources, mut foreign) = (Vec::new(), Vec::new());
    for (index, document) in documents.iter().enumerate() {
        match &document.value {
            // An empty document between two `---`.
            Value::Null => {}
            Value::Object(list) if list.get("kind").is_some_and(|kind| kind == "List") => {
                for item in list.get("items").and_then(Value::as_array).into_iter().flatten() {
                    one(index, document.origin, item, report, &mut resources, &mut foreign);
                }
            }
            value => one(
                index,
                document.origin,
                value,
                report,
                &mut resources,
                &mut foreign,
            ),
        }
    }
    foreign.dedup();
    (resources, foreign)
}

fn one(
    index: usize,
    origin: usize,
    value: &Value,
    report: &mut Report,
    resources: &mut Vec<Resource>,
    foreign: &mut Vec<usize>,
) {
    let text = |pointer: &str| {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let (api_version, kind) = (text("/apiVersion"), text("/kind"));
    let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
    let namespace = if namespace.is_empty() {
        "default".to_owned()
    } else {
        namespace
    };
    let problem = |field: &str, reason, message: String| Problem {
        origin,
        kind: kind.clone(),
        namespace: namespace.clone(),
        name: name.clone(),
        field: field.to_owned(),
        reason,
        message,
        help: None,
        diagnostic: None,
    };
    if too_deep(value) {
        let message = format!("the document is nested more than {MOST_LEVELS} levels deep");
        return report.document(index, problem("", reason::NOT_A_RESOURCE, message));
    }
    if !value.is_object() {
        let mut found = problem(
            "",
            reason::NOT_A_RESOURCE,
            "a document must be an object with fields".into(),
        );
        found.namespace.clear();
        return report.document(
            index,
            found.help("a resource starts with apiVersion, kind, metadata and spec"),
        );
    }
    for (field, text) in [("apiVersion", &api_version), ("kind", &kind)] {
        if text.is_empty() {
            let message = format!("a resource needs `{field}`, as a string");
            let help = format!(
                "ours have `apiVersion: {GROUP}/{VERSION}` and a kind of {}",
                KINDS.join(", ")
            );
            return report.document(index, problem(field, reason::NOT_A_RESOURCE, message).help(help));
        }
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    if group != GROUP {
        if suggest::nearest(group, [GROUP]).is_none() {
            return foreign.push(index);
        }
        let message = format!("there is no API group `{group}`");
        let found = problem("apiVersion", reason::UNKNOWN_VERSION, message);
        return report.document(index, found.help(format!("did you mean `{GROUP}/{VERSION}`?")));
    }
    if version != VERSION {
        let found = problem(
            "apiVersion",
            reason::UNKNOWN_VERSION,
            format!("{GROUP} has no version `{version}`"),
        );
        return report.document(index, found.help(format!("write `{GROUP}/{VERSION}`")));
    }
    let Some(known) = Kind::ALL.into_iter().find(|known| known.name() == kind) else {
        let help = suggest::or_list(&kind, KINDS, "the kinds are", "");
        let found = problem(
            "kind",
            reason::UNKNOWN_KIND,
            format!("{GROUP} has no kind `{kind}`"),
        );
        return report.document(index, found.help(help));
    };
    let uid = Some(text("/metadata/uid")).filter(|uid| !uid.is_empty());
    let mut value = value.clone();
    prune(&mut value);
    resources.push(Resource {
        index,
        origin,
        kind: known,
        namespace,
        name,
        uid,
        value,
        spec: None,
        draft: None,
    });
}

/// More levels than any resource has, and few enough to recurse over.
const MOST_LEVELS: usize = 100;

/// Whether a value has too many levels to recurse over. Does not recurse itself.
fn too_deep(value: &Value) -> bool {
    let mut left = vec![(value, 1)];
    while let Some((value, level)) = left.pop() {
        if level > MOST_LEVELS {
            return true;
        }
        match value {
            Value::Object(fields) => left.extend(fields.values().map(|field| (field, level + 1))),
            Value::Array(items) => left.extend(items.iter().map(|item| (item, level + 1))),
            _ => {}
        }
    }
    false
}

/// Removes the nulls of objects, as an API server does for fields that aren't nullable (none of ours is), and writes
/// whole numbers as integers, as it reads them.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(prune);
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        Value::Number(number) if number.is_f64() => {
            #[allow(clippy::cast_possible_truncation)] // checked by the comparison
            if let Some(whole) = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15) {
                *value = Value::from(whole as i64);
            }
        }
        _ => {}
    }
}
