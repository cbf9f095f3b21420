//! What a join is to do, checked and compiled.

use thiserror::Error;

use super::clauses::Compiled;
use super::explain::Explanation;
use super::plan::Plan;
use super::session::SessionKey;
use super::table::{self, TableSpec};
use super::timing::{InputTime, Unbound};
use crate::aggregate::GroupSpec;
use crate::expr::{Context, Diagnostic, EvalError, Expr, Program, Scope, ScopeError};
use crate::layout::Layout;
use crate::query::{Emit, JoinKind, Query, QueryInput, Windows};
use crate::window::Windowing;

/// Which expression of a component is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clause {
    /// The condition.
    Where,
    /// The output.
    Select,
    /// What joins.
    On,
    /// What groups, by its place in the list.
    GroupBy(usize),
    /// The condition on a group.
    Having,
    /// What sends a group early.
    Trigger,
    /// When events of an input happened.
    Timestamp(usize),
    /// The key of an input that is a table.
    Key(usize),
}

/// Windows that one message may go into: each keeps it.
const MAX_AT_ONCE: i64 = 1_000;

/// Why a component's expressions can't be used.
#[derive(Clone, Debug, Error)]
pub enum SpecError {
    /// The names of the inputs make no scope.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// An expression does not compile.
    #[error("{}", diagnostic.message)]
    Expression {
        /// Which one.
        clause: Clause,
        /// What is wrong with it.
        diagnostic: Diagnostic,
    },
    /// A join of less than two inputs.
    #[error("a join needs at least two inputs")]
    TooFewInputs,
    /// Some inputs say when their events happened, and others don't.
    #[error(
        "some inputs have a timestamp and others don't: either all do, or windows go by when messages are received"
    )]
    MixedTime,
    /// An anti join's rows are of its first input alone.
    #[error("`{variable}` has no message where an anti join's row is made: read it in `on`")]
    NotInAntiRow {
        /// Which expression reads it.
        clause: Clause,
        /// The input.
        variable: String,
    },
    /// Windows that overlap too often.
    #[error(
        "an event would be in {0} windows at once; at most {MAX_AT_ONCE} are possible: make `slide` longer or `window` shorter"
    )]
    TooManyWindows(i64),
    /// A table that nothing is looked up in.
    #[error(
        "`{variable}` is a Table, which is looked up by its key: say in `on` or `where` what `{key}` is equal to"
    )]
    TableWithoutKey {
        /// The table.
        variable: String,
        /// Its key.
        key: String,
    },
    /// A table's rows would be kept without a match.
    #[error(
        "a Table's rows are there to be looked up, and are in no result by themselves: join it inner, or left and after \
         the Stream"
    )]
    TableKept,
    /// What nothing runs yet.
    #[error("{0} can't run yet")]
    NotSupported(&'static str),
}

/// A query over windows of one or more inputs, ready to run.
#[derive(Clone, Debug)]
pub struct JoinSpec {
    pub(super) variables: Vec<Box<str>>,
    pub(super) layouts: Vec<Layout>,
    pub(super) plan: Plan,
    pub(super) select: Option<Program>,
    /// What is made of rows instead, if they are grouped.
    pub(super) groups: Option<GroupSpec>,
    /// What groups them, as text.
    group_by: Vec<String>,
    /// Each after those that it is looked up by.
    pub(super) tables: Vec<TableSpec>,
    pub(super) emit: Emit,
    /// Inputs by their variables' names: the order of message ids in a row's id.
    pub(super) by_name: Vec<usize>,
    /// By input: the slots of its row and the paths that they stand for.
    pub(super) fields: Vec<Vec<(Vec<Box<str>>, usize)>>,
    windows: Windowing,
    session_key: SessionKey,
    /// In event time: by input, when its messages happened; a table's have no time.
    times: Option<Vec<Option<InputTime>>>,
}

impl JoinSpec {
    /// Compiles a query. All that is wrong with its expressions is reported.
    pub fn compile(query: &Query) -> Result<JoinSpec, Vec<SpecError>> {
        if let Some(what) = not_early(query) {
            return Err(vec![SpecError::NotSupported(what)]);
        }
        let at_once = is_looked_up_at_once(query);
        let windows = Windowing::new(query.windows);
        if let Windowing::Hopping(hops) = windows
            && hops.at_once() > MAX_AT_ONCE
        {
            return Err(vec![SpecError::TooManyWindows(hops.at_once())]);
        }
        let times = Unbound::compile(query)?;
        let variables: Vec<&str> = query.inputs.iter().map(|input| input.variable.as_str()).collect();
        let scope = Scope::new(&variables).map_err(|error| vec![error.into()])?;
        let scope = if at_once { scope } else { scope.with_window() };
        let inputs = variables.len();
        if inputs == 0 || inputs == 1 && query.join != JoinKind::Inner {
            return Err(vec![SpecError::TooFewInputs]);
        }
        let compiled = Compiled::new(query, &scope)?;
        let joining = compiled.joining(query.join);
        let tables = table::compile(query, &scope, &joining)?;
        let mut exprs = compiled.of_rows();
        exprs.extend(tables.iter().map(table::Unbound::key));
        let layouts: Vec<Layout> = (0..inputs)
            .map(|input| Layout::new(paths(input, &exprs).chain(times.paths(input))))
            .collect();
        let fields = (0..inputs)
            .map(|input| fields(input, &layouts[input], &exprs))
            .collect();
        let views: Vec<&Layout> = layouts.iter().collect();
        let mut by_name: Vec<usize> = (0..inputs).collect();
        by_name.sort_by_key(|input| variables[*input]);
        let groups = compiled
            .grouped
            .as_ref()
            .map(|grouped| GroupSpec::new(grouped, &views));
        if groups.is_none() && query.emit == Emit::Updates {
            return Err(vec![SpecError::NotSupported("`emit: Updates` without groups")]);
        }
        let early = query.emit == Emit::Updates || query.trigger.is_some();
        if early && groups.as_ref().is_some_and(GroupSpec::has_previous) {
            return Err(vec![SpecError::NotSupported("`previous` in what leaves early")]);
        }
        if groups.is_some() && at_once {
            return Err(vec![SpecError::NotSupported("groups without windows")]);
        }
        let session_key = SessionKey::of_join(joining.into_iter(), &views);
        let tables = tables.iter().map(|table| table.bind(&views)).collect();
        let Compiled {
            on, filter, select, ..
        } = compiled;
        Ok(JoinSpec {
            session_key,
            plan: Plan::new(query.join, on, filter, &views),
            select: select.as_ref().map(|select| select.bind(&views)),
            groups,
            tables,
            group_by: query.group_by.clone(),
            variables: variables.iter().map(|name| Box::from(*name)).collect(),
            // What is looked up at once is one row at most.
            emit: if at_once { Emit::Each } else { query.emit },
            by_name,
            fields,
            windows,
            times: times.bind(&layouts),
            layouts,
        })
    }

    /// Compiles an inner join over tumbling windows. `variables` are the names of the inputs in expressions, in the
    /// order of the inputs. Gives the first of what is wrong.
    pub fn new(
        variables: &[&str],
        window_micros: i64,
        filter: Option<&str>,
        select: Option<&str>,
        emit: Emit,
    ) -> Result<JoinSpec, SpecError> {
        let input = |variable: &&str| QueryInput {
            variable: (*variable).to_owned(),
            ..QueryInput::default()
        };
        JoinSpec::compile(&Query {
            inputs: variables.iter().map(input).collect(),
            windows: Windows::Tumbling {
                length: window_micros,
            },
            filter: filter.map(str::to_owned),
            select: select.map(str::to_owned),
            emit,
            ..Query::default()
        })
        .map_err(|errors| errors.into_iter().next().unwrap_or(SpecError::TooFewInputs))
    }

    /// What the values mean that are kept for `previous`; see [`GroupSpec::looks_back`].
    pub(crate) fn looks_back(&self) -> Option<&str> {
        self.groups.as_ref()?.looks_back()
    }

    /// How many inputs it joins.
    pub fn inputs(&self) -> usize {
        self.variables.len()
    }

    /// What was made of `on`, `where` and `groupBy`.
    pub fn explain(&self) -> Explanation {
        let tables = self
            .tables
            .iter()
            .filter_map(|table| self.variables.get(table.input));
        Explanation {
            tables: tables.map(ToString::to_string).collect(),
            group_by: self.groups.is_some().then(|| self.group_by.clone()),
            ..self.plan.explain(&self.variables)
        }
    }

    /// The conjuncts of `on` and `where`, each with the clause that it stands in:
    /// [`WindowReport::conditions`](crate::counters::WindowReport::conditions) counts by their places in this order.
    pub fn conditions(&self) -> impl Iterator<Item = (Clause, &str)> {
        let conditions = self.plan.conditions.iter();
        conditions.map(|condition| (condition.clause, &*condition.source))
    }

    /// The CloudEvents `type` of its results.
    pub(crate) fn event_type(&self) -> &'static str {
        match self.emit {
            Emit::Batch => "io.vivien.streaming.rows",
            Emit::Each | Emit::Updates => "io.vivien.streaming.row",
        }
    }

    /// The variables of the inputs that rows have messages of.
    pub(super) fn row_variables(&self) -> &[Box<str>] {
        match self.plan.kind {
            JoinKind::Anti => self.variables.get(..1).unwrap_or_default(),
            _ => &self.variables,
        }
    }

    /// Whether groups may leave before their window ends.
    pub(crate) fn leaves_early(&self) -> bool {
        self.sends_updates() || self.groups.as_ref().is_some_and(GroupSpec::has_trigger)
    }

    /// Whether messages may be done with before others of their window.
    pub(crate) fn lets_go_early(&self) -> bool {
        matches!(self.windows, Windowing::Unbounded)
            || self.groups.as_ref().is_some_and(GroupSpec::has_trigger)
    }

    /// Whether what its windows gather can leave memory and come back when they close: nothing of it is asked for before.
    pub(crate) fn spills(&self) -> bool {
        self.tables.is_empty() && !self.leaves_early()
    }

    /// Why its windows have to fit into memory even where there is a store, if they have to.
    pub fn fits_or_waits(&self) -> Option<&'static str> {
        match self.windows {
            _ if self.is_looked_up_at_once() || self.spills() => None,
            Windowing::Unbounded => Some("groups that leave by a trigger"),
            _ if self.leaves_early() => Some("groups that are sent before their window ends"),
            _ => Some("messages that are looked up in a Table"),
        }
    }

    /// Whether its windows gather groups, and of messages no more than their acks need.
    pub(crate) fn gathers_groups(&self) -> bool {
        self.groups.is_some() && self.inputs() == 1
    }

    /// Whether a window's results leave as they are made: each is an event of its own.
    pub(crate) fn streams(&self) -> bool {
        self.emit == Emit::Each && !self.is_looked_up_at_once()
    }

    /// Whether groups that change are sent again and again.
    pub(crate) fn sends_updates(&self) -> bool {
        self.emit == Emit::Updates
    }

    pub(crate) fn windows(&self) -> Windowing {
        self.windows
    }

    /// Whose session a message is in. `cx` has its row for every input.
    pub(crate) fn session_key(&self, input: usize, cx: &Context<'_>) -> Result<Vec<u8>, EvalError> {
        match &self.groups {
            Some(groups) if self.inputs() == 1 => groups.key(cx),
            _ => self.session_key.eval(input, cx),
        }
    }

    /// Whether its Stream's messages are looked up in tables as they come.
    pub(crate) fn is_looked_up_at_once(&self) -> bool {
        matches!(self.windows, Windowing::Unbounded) && !self.tables.is_empty()
    }

    /// In event time, when the messages of each input happened; `None` in receipt time.
    pub(crate) fn times(&self) -> Option<&[Option<InputTime>]> {
        self.times.as_deref()
    }

    pub(crate) fn layout(&self, input: usize) -> &Layout {
        &self.layouts[input]
    }

    /// Whether whole messages are kept, because nothing selects from them. They are in the slot after the
    /// layout's.
    pub(crate) fn keeps_messages(&self) -> bool {
        self.select.is_none() && self.groups.is_none()
    }
}

/// Whether the messages of its only Stream are looked up in tables as they come.
fn is_looked_up_at_once(query: &Query) -> bool {
    let tables = query.inputs.iter().filter(|input| input.table.is_some()).count();
    query.windows == Windows::Unbounded
        && query.trigger.is_none()
        && tables > 0
        && tables + 1 == query.inputs.len()
}

/// What of a query would have to leave before its window ends, and can't.
fn not_early(query: &Query) -> Option<&'static str> {
    let alone = query.inputs.len() == 1;
    match (query.windows, query.trigger.is_some()) {
        (Windows::Unbounded, false) if !is_looked_up_at_once(query) => {
            return Some("a query without windows and without a trigger");
        }
        (Windows::Hopping { .. }, true) => return Some("a trigger over windows that overlap"),
        (_, true) if !alone => return Some("a trigger over more than one input"),
        _ => {}
    }
    match (query.emit, query.windows) {
        (Emit::Updates, _) if !alone => Some("`emit: Updates` over more than one input"),
        (Emit::Updates, Windows::Session { .. }) => Some("`emit: Updates` of sessions"),
        _ => None,
    }
}

/// The paths of an input that expressions read.
fn paths<'e>(input: usize, exprs: &[&'e Expr]) -> impl Iterator<Item = &'e [Box<str>]> {
    let accesses = exprs.iter().copied().flat_map(Expr::accesses);
    accesses
        .filter(move |access| access.input == input)
        .map(|access| access.path.as_slice())
}

pub(crate) fn layout(input: usize, exprs: &[&Expr]) -> Layout {
    Layout::new(paths(input, exprs))
}

fn fields(input: usize, layout: &Layout, exprs: &[&Expr]) -> Vec<(Vec<Box<str>>, usize)> {
    let slot = |path: &[Box<str>]| layout.resolve(path).map(|(slot, n)| (path[..n].to_vec(), slot));
    let mut fields: Vec<_> = paths(input, exprs).filter_map(slot).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}
