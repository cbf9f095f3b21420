//! What a Joiner or Channel says about windows: gathered into the query that the engine runs, and compiled by it, so that
//! what is wrong is told at the field that says it.

use streaming_api::{Duration, Expression, JoinType, Windowing};
use streaming_engine::expr::{self, Scope};
use streaming_engine::join::{Clause, JoinSpec, SpecError};
use streaming_plan::{Emit, EventTime, JoinKind, Query, QueryInput, Topic, Windows};

use super::World;
use super::relation;
use crate::document::Resource;
use crate::inputs::{self, Input, Inputs};
use crate::problem::{Problem, Report};
use crate::targets::{self, Bare};
use crate::{expression, reason};

/// The fields that make a query, wherever the kind has them.
pub(super) struct Fields<'s> {
    pub(super) window: Option<&'s Duration>,
    pub(super) windowing: &'s Windowing,
    pub(super) join: Option<JoinType>,
    pub(super) on: Option<&'s Expression>,
    pub(super) filter: Option<&'s Expression>,
    pub(super) select: Option<&'s Expression>,
    pub(super) trigger: Option<&'s Expression>,
}

impl Fields<'_> {
    /// The text of an expression, and the field that it stands in.
    fn of(&self, clause: Clause) -> (String, Option<&Expression>) {
        match clause {
            Clause::Where => ("spec.stream.where".to_owned(), self.filter),
            Clause::Select => ("spec.stream.select".to_owned(), self.select),
            Clause::On => ("spec.stream.on".to_owned(), self.on),
            Clause::GroupBy(at) => (format!("spec.groupBy[{at}]"), self.windowing.group_by.get(at)),
            Clause::Having => ("spec.having".to_owned(), self.windowing.having.as_ref()),
            Clause::Trigger => ("spec.trigger".to_owned(), self.trigger),
            Clause::Timestamp(at) | Clause::Key(at) => (format!("spec.stream.from[{at}]"), None),
        }
    }
}

/// Makes the query. What can be told without a Stream that is missing is told all the same; `None` if anything is wrong.
pub(super) fn query(
    resource: &Resource,
    fields: &Fields<'_>,
    inputs: &Inputs<'_, '_>,
    report: &mut Report,
) -> Option<Query> {
    let variables = inputs.variables.as_ref()?;
    let (query_inputs, mut good) = if let Some(resolved) = &inputs.resolved {
        read(resource, resolved, report)
    } else {
        let named = variables.iter().map(|variable| QueryInput {
            variable: variable.clone(),
            ..QueryInput::default()
        });
        (named.collect(), true)
    };
    let text = |source: Option<&Expression>| {
        let source = source.filter(|source| !source.trim().is_empty());
        source.map(|source| source.0.clone())
    };
    let windowing = fields.windowing;
    let query = Query {
        inputs: query_inputs,
        windows: windows(fields)?,
        join: match fields.join {
            None | Some(JoinType::Inner) => JoinKind::Inner,
            Some(JoinType::Left) => JoinKind::Left,
            Some(JoinType::Right) => JoinKind::Right,
            Some(JoinType::Full) => JoinKind::Full,
            Some(JoinType::Anti) => JoinKind::Anti,
        },
        on: text(fields.on),
        filter: text(fields.filter),
        group_by: windowing.group_by.iter().map(|source| source.0.clone()).collect(),
        having: text(windowing.having.as_ref()),
        select: text(fields.select),
        emit: match windowing.emit {
            Some(streaming_api::Emit::Each) => Emit::Each,
            Some(streaming_api::Emit::Updates) => Emit::Updates,
            None | Some(streaming_api::Emit::Batch) => Emit::Batch,
        },
        trigger: text(fields.trigger),
    };
    good &= groups(resource, &query, report);
    good &= compiles(resource, fields, &query, report);
    relates(resource, &query, report);
    good.then_some(query)
}

/// The windows, if their lengths can be read; the schema has refused others.
pub(super) fn windows(fields: &Fields<'_>) -> Option<Windows> {
    let micros = |length: &Duration| streaming_api::parse_micros(length).ok();
    let Some(window) = fields.window else {
        return Some(Windows::Unbounded);
    };
    let length = micros(window)?;
    let windows = match (&fields.windowing.slide, &fields.windowing.gap) {
        (Some(slide), _) => match micros(slide)? {
            slide if slide == length => Windows::Tumbling { length },
            slide => Windows::Hopping { length, slide },
        },
        (None, Some(gap)) => Windows::Session {
            gap: micros(gap)?,
            max: length,
        },
        (None, None) => Windows::Tumbling { length },
    };
    Some(windows)
}

/// The inputs as the query has them: what Streams and Tables say about their messages, by the names that these have here.
fn read(resource: &Resource, inputs: &[Input<'_, '_>], report: &mut Report) -> (Vec<QueryInput>, bool) {
    let mut good = true;
    let mut read = Vec::new();
    for (at, input) in inputs.iter().enumerate() {
        let mut renamed = |source: &str, what: &str| {
            let stream = input.stream.resource.name.as_str();
            let renamed = expr::rename(source, &inputs::sanitised(stream), &input.variable);
            if renamed.is_none() {
                good = false;
                let message = format!("`{}` is not free in {what}: `{source}`", input.variable);
                let problem = resource.at(
                    format!("spec.stream.from[{at}]"),
                    reason::INVALID_VARIABLE,
                    message,
                );
                report.problem(resource, problem.help("use another alias"));
            }
            renamed
        };
        let (mut time, mut table) = (None, None);
        if let Some(spec) = input.table {
            table = renamed(&spec.key, "the key of the Table");
        } else if let Some(source) = timestamp(input) {
            time = renamed(source, "the timestamp of the Stream").map(|timestamp| EventTime {
                timestamp,
                out_of_orderness: micros(input.stream.spec.out_of_orderness.as_ref()).unwrap_or_default(),
                idle_timeout: micros(input.stream.spec.idle_timeout.as_ref()),
            });
        }
        read.push(QueryInput {
            variable: input.variable.clone(),
            time,
            table,
        });
    }
    let good = agree_on_time(resource, inputs, report) && good;
    (read, good)
}

fn timestamp<'i>(input: &'i Input<'_, '_>) -> Option<&'i Expression> {
    let source = input.stream.spec.timestamp.as_ref();
    source.filter(|source| !source.trim().is_empty() && input.table.is_none())
}

fn micros(duration: Option<&Duration>) -> Option<i64> {
    streaming_api::parse_micros(duration?).ok()
}

/// All Streams have a `timestamp`, or none has. Warns of one that can hold the others back for good.
fn agree_on_time(resource: &Resource, inputs: &[Input<'_, '_>], report: &mut Report) -> bool {
    let streams = || {
        let all = inputs.iter().enumerate();
        all.filter(|(_, input)| input.table.is_none())
    };
    let Some((_, timed)) = streams().find(|(_, input)| timestamp(input).is_some()) else {
        return true;
    };
    let timed = &timed.stream.resource.name;
    let mut good = true;
    let several = streams().count() > 1;
    for (at, input) in streams() {
        let (field, name) = (format!("spec.stream.from[{at}]"), &input.stream.resource.name);
        if timestamp(input).is_none() {
            good = false;
            let message = format!(
                "Stream `{name}` has no `timestamp`, and Stream `{timed}` has one: a window can't be of both times"
            );
            let problem = resource.at(field, reason::MIXED_TIME, message);
            report.problem(
                resource,
                problem.help(format!(
                    "say in Stream `{name}` when its events happened, or in neither"
                )),
            );
        } else if several && input.stream.spec.idle_timeout.is_none() {
            let message = format!("while Stream `{name}` is silent, no window closes and nothing comes out");
            let warning = resource.at(field, reason::MAY_STALL, message);
            report.warning(
                resource,
                warning.help(format!(
                    "say in Stream `{name}` after which `idleTimeout` the others go on without it"
                )),
            );
        }
    }
    good
}

/// Updates are of groups. Returns whether there are any, if they are asked for.
fn groups(resource: &Resource, query: &Query, report: &mut Report) -> bool {
    let aggregates = !query.group_by.is_empty()
        || query.having.is_some()
        || query.select.as_deref().is_some_and(expr::has_aggregate);
    if aggregates || query.emit != Emit::Updates {
        return true;
    }
    let message = "a row is never another one later: only what is computed over a group is updated";
    let problem = resource.at("spec.emit", reason::NOTHING_AGGREGATED, message);
    report.problem(
        resource,
        problem.help("write `emit: Each`, or add `groupBy` or an aggregate as `count()`"),
    );
    false
}

/// Compiles the query with the engine that will run it. Returns whether it does.
fn compiles(resource: &Resource, fields: &Fields<'_>, query: &Query, report: &mut Report) -> bool {
    let Err(errors) = JoinSpec::compile(query) else {
        return true;
    };
    for error in errors {
        let is_refused = report.has_problem_of(resource);
        if let Some(problem) = problem(resource, fields, query, error, is_refused) {
            report.problem(resource, problem);
        }
    }
    false
}

fn problem(
    resource: &Resource,
    fields: &Fields<'_>,
    query: &Query,
    error: SpecError,
    is_refused: bool,
) -> Option<Problem> {
    let message = error.to_string();
    Some(match error {
        SpecError::Expression { clause, diagnostic } => match fields.of(clause) {
            (field, Some(source)) => expression::problem(resource, &field, source, diagnostic),
            // What a Stream or Table says was compiled when that was looked at.
            (field, None) => resource
                .at(field, diagnostic.reason, diagnostic.message)
                .maybe_help(diagnostic.help),
        },
        SpecError::NotInAntiRow { clause, variable } => {
            let message = format!(
                "a row of an anti join has no message of `{variable}`: it is one that none of them matches"
            );
            let found = resource.at(fields.of(clause).0, reason::NOT_IN_ROW, message);
            found.help(format!("read `{variable}` in `on`"))
        }
        SpecError::TooManyWindows(_) => resource.at("spec.slide", reason::TOO_MANY_WINDOWS, message),
        // What is wrong is to be mended first.
        SpecError::NotSupported(_) if is_refused => return None,
        SpecError::NotSupported(what) => {
            let message = format!("{what} can't be done by this release yet");
            resource.at("spec", reason::NOT_SUPPORTED, message)
        }
        // Whatever else the inputs lack has been said of them.
        _ if is_refused || query.inputs.is_empty() => return None,
        SpecError::TableWithoutKey { variable, key } => {
            let field = if query.on.is_some() {
                "spec.stream.on"
            } else {
                "spec.stream.where"
            };
            let message = format!("nothing says which row of the Table `{variable}` is looked up");
            let found = resource.at(field, reason::NOT_A_LOOKUP, message);
            found.help(format!("say what its key is equal to, as in `... == {key}`"))
        }
        SpecError::TableKept => resource.at("spec.type", reason::NOT_A_LOOKUP, message),
        _ => resource.at("spec.stream.from", reason::NOT_SUPPORTED, message),
    })
}

/// Looks at conditions that compile for what is hardly meant.
fn relates(resource: &Resource, query: &Query, report: &mut Report) {
    let names: Vec<&str> = query.inputs.iter().map(|input| input.variable.as_str()).collect();
    let Some(scope) = Scope::new(&names).ok().map(Scope::with_window) else {
        return;
    };
    let mut conditions = Vec::new();
    for (field, source) in [
        ("spec.stream.on", &query.on),
        ("spec.stream.where", &query.filter),
    ] {
        let condition = source
            .as_ref()
            .and_then(|source| expr::compile_bool(source, &scope).ok());
        if let Some(condition) = condition {
            conditions.extend(expression::conditions(resource, field, condition, report));
        }
    }
    let field = if query.on.is_some() {
        "spec.stream.on"
    } else {
        "spec.stream.where"
    };
    relation::all(resource, field, &names, &conditions, report);
}

/// Resolves `lateTo`. `Err` if it leads nowhere.
pub(super) fn late_to(
    resource: &Resource,
    windowing: &Windowing,
    query: Option<&Query>,
    world: &World<'_, '_>,
    report: &mut Report,
) -> Result<Option<Topic>, ()> {
    const FIELD: &str = "spec.lateTo";
    let Some(given) = &windowing.late_to else {
        return Ok(None);
    };
    let timed = query.is_some_and(|query| query.inputs.iter().any(|input| input.time.is_some()));
    if query.is_some() && !timed {
        let message = "no event is late in receipt time, which goes by when messages come";
        let warning = resource.at(FIELD, reason::NO_EFFECT, message);
        report.warning(
            resource,
            warning.help("remove lateTo, or give the Streams a `timestamp`"),
        );
    }
    match targets::stream(
        resource,
        FIELD,
        given,
        Bare::ClusterStreamOfThatName,
        world.catalog,
    ) {
        Ok(topic) => Ok(timed.then_some(topic)),
        Err(problem) => {
            report.problem(resource, problem);
            Err(())
        }
    }
}
