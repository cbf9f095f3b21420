//! Inputs resolved: which Stream an item of `stream.from` names, and what expressions call it.

use streaming_api::{InputRef, TableSpec};
use streaming_engine::expr::{Scope, ScopeError};

use crate::catalog::Catalog;
use crate::document::{Kind, Resource};
use crate::problem::{Problem, Report};
use crate::streams::{Resolved, Streams};
use crate::{reason, suggest, tables};

/// One input of a Joiner or Channel.
pub(crate) struct Input<'s, 'r> {
    pub(crate) variable: String,
    pub(crate) stream: &'s Resolved<'r>,
    /// The Table, if it was one that was named.
    pub(crate) table: Option<&'r TableSpec>,
}

/// The inputs of a component, as far as they can be told.
pub(crate) struct Inputs<'s, 'r> {
    /// The names in expressions, in the order of `from`; `None` if not all are usable.
    pub(crate) variables: Option<Vec<String>>,
    /// The inputs with their Streams; `None` if not all are there.
    pub(crate) resolved: Option<Vec<Input<'s, 'r>>>,
}

/// Resolves `stream.from`. Every item's problems are reported.
pub(crate) fn resolve<'s, 'r>(
    resource: &Resource,
    from: &[InputRef],
    catalog: &Catalog<'r>,
    streams: &'s Streams<'r>,
    report: &mut Report,
) -> Inputs<'s, 'r> {
    let mut variables: Vec<String> = Vec::new();
    let mut resolved = Vec::new();
    let (mut named, mut found) = (true, true);
    for (at, item) in from.iter().enumerate() {
        let field = format!("spec.stream.from[{at}]");
        let (name, alias) = split(item);
        let variable = alias.map_or_else(|| sanitised(name), str::to_owned);
        match usable(resource, &field, name, alias, &variable, &variables) {
            Ok(()) => {}
            Err(problem) => {
                named = false;
                report.problem(resource, problem);
            }
        }
        match source(resource, &field, name, catalog, streams, report) {
            Ok((stream, table)) => resolved.push(Input {
                variable: variable.clone(),
                stream,
                table,
            }),
            Err(problem) => {
                found = false;
                report.problem(resource, problem);
            }
        }
        variables.push(variable);
    }
    // A draft may have lost its inputs, and with them the names that expressions use.
    let named = named && !variables.is_empty();
    Inputs {
        variables: named.then_some(variables),
        resolved: (named && found).then_some(resolved),
    }
}

/// `name` or `name as alias`. The schema has seen to the form.
fn split(item: &str) -> (&str, Option<&str>) {
    let mut words = item.split(' ').filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default();
    (name, words.nth(1))
}

/// A name as expressions can spell it.
pub(crate) fn sanitised(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

fn usable(
    resource: &Resource,
    field: &str,
    name: &str,
    alias: Option<&str>,
    variable: &str,
    earlier: &[String],
) -> Result<(), Problem> {
    let aliased = |suffix: &str| format!("give it another name: `{name} as {suffix}`");
    if earlier.iter().any(|other| other == variable) {
        let message = match alias {
            Some(alias) => format!("two inputs would be called `{alias}` in expressions"),
            None if variable == name => format!("`{name}` is an input already"),
            None => {
                format!("`{name}` would be called `{variable}` in expressions, as another input is already")
            }
        };
        // One of these is free, because there are fewer earlier inputs.
        let free = (2..earlier.len() + 3)
            .map(|n| format!("{variable}{n}"))
            .find(|free| !earlier.contains(free));
        let free = free.unwrap_or_default();
        return Err(resource
            .at(field, reason::DUPLICATE_VARIABLE, message)
            .help(aliased(&free)));
    }
    let why = match Scope::new(&[variable]) {
        // `topic` and `key` are what expressions call those of a message.
        Ok(_) if variable == "topic" || variable == "key" => {
            format!("`{variable}` is what expressions call a message's {variable}")
        }
        Ok(_) => return Ok(()),
        Err(ScopeError::Reserved(word)) => format!("`{word}` means something else in expressions"),
        Err(_) if variable.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("`{variable}` can't be a name in expressions, because it begins with a digit")
        }
        Err(error) => error.to_string(),
    };
    let free = format!(
        "{}_in",
        variable.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_')
    );
    let free = if free == "_in" { "input".to_owned() } else { free };
    Err(resource
        .at(field, reason::INVALID_VARIABLE, why)
        .help(aliased(&free)))
}

/// The Table of that name, or else the Stream.
fn source<'s, 'r>(
    resource: &Resource,
    field: &str,
    name: &str,
    catalog: &Catalog<'r>,
    streams: &'s Streams<'r>,
    report: &Report,
) -> Result<(&'s Resolved<'r>, Option<&'r TableSpec>), Problem> {
    let namespace = &resource.namespace;
    let Some(table) = catalog.get(namespace, Kind::Table, name) else {
        return Ok((stream(resource, field, name, catalog, streams)?, None));
    };
    if catalog.get(namespace, Kind::Stream, name).is_some() {
        let message = format!("both a Stream and a Table are named `{name}`");
        let found = resource.at(field, reason::AMBIGUOUS_STREAM, message);
        return Err(found.help("give one of them another name"));
    }
    let spec = tables::spec(table).filter(|_| !report.has_problem_of(table));
    spec.and_then(|spec| Some((streams.get(namespace, &spec.stream)?, Some(spec))))
        .ok_or_else(|| {
            let message = format!("Table `{name}` has problems of its own");
            resource.at(field, reason::NOT_READY, message)
        })
}

/// The Stream of that name, or the one Stream of that topic.
fn stream<'s, 'r>(
    resource: &Resource,
    field: &str,
    name: &str,
    catalog: &Catalog<'r>,
    streams: &'s Streams<'r>,
) -> Result<&'s Resolved<'r>, Problem> {
    let namespace = &resource.namespace;
    let found = match catalog.get(namespace, Kind::Stream, name) {
        Some(stream) => stream,
        None => of_topic(resource, field, name, catalog)?,
    };
    streams.get(namespace, &found.name).ok_or_else(|| {
        let message = format!("Stream `{}` has problems of its own", found.name);
        resource.at(field, reason::NOT_READY, message)
    })
}

/// The one Stream with that topic.
fn of_topic<'r>(
    resource: &Resource,
    field: &str,
    topic: &str,
    catalog: &Catalog<'r>,
) -> Result<&'r Resource, Problem> {
    let candidates: Vec<&Resource> = catalog.streams_of_topic(&resource.namespace, topic).collect();
    match candidates.as_slice() {
        [one] => Ok(one),
        [] => Err(not_found(resource, field, topic, catalog)),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|stream| format!("`{}`", stream.name))
                .collect();
            let message = format!(
                "no Stream is named `{topic}`, and {} Streams have that topic",
                several.len()
            );
            let help = format!("name one of them: {}", names.join(", "));
            Err(resource.at(field, reason::AMBIGUOUS_STREAM, message).help(help))
        }
    }
}

fn not_found(resource: &Resource, field: &str, name: &str, catalog: &Catalog<'_>) -> Problem {
    let namespace = &resource.namespace;
    let message = format!("no Stream in namespace `{namespace}` is named `{name}` or has that topic");
    let topics = catalog
        .all(namespace, Kind::Stream)
        .filter_map(|stream| stream.value.pointer("/spec/topic")?.as_str());
    let names: Vec<&str> = catalog.names(namespace, &[Kind::Stream, Kind::Table]).collect();
    let help = match suggest::nearest(name, names.iter().copied().chain(topics)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if catalog.get(namespace, Kind::ClusterStream, name).is_some() => {
            format!("`{name}` is a ClusterStream; define a Stream for a topic on it")
        }
        None if catalog.component(namespace, name).is_some() => {
            format!("`{name}` is a component; name the Stream that it publishes to")
        }
        None => catalog
            .elsewhere(namespace, Kind::Stream, name)
            .unwrap_or_else(|| suggest::or_list(name, names, "there is", "define a Stream of that name")),
    };
    resource.at(field, reason::STREAM_NOT_FOUND, message).help(help)
}
