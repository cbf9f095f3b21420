//! What a join is to do, checked and compiled.

use thiserror::Error;

use super::explain::Explanation;
use super::plan::Plan;
use super::session::SessionKey;
use super::timing::{InputTime, Unbound};
use crate::expr::{self, Context, Diagnostic, EvalError, Expr, Program, Scope, ScopeError};
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
    /// What nothing runs yet.
    #[error("{0} can't run yet")]
    NotSupported(&'static str),
}

/// A join of two or more inputs over tumbling windows, ready to run.
#[derive(Clone, Debug)]
pub struct JoinSpec {
    pub(super) variables: Vec<Box<str>>,
    pub(super) layouts: Vec<Layout>,
    pub(super) plan: Plan,
    pub(super) select: Option<Program>,
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
        if query.windows == Windows::Unbounded {
            return Err(vec![SpecError::NotSupported("a query without windows")]);
        }
        let plain = query.on.is_none()
            && query.group_by.is_empty()
            && query.having.is_none()
            && query.trigger.is_none()
            && query.join == JoinKind::Inner
            && query.inputs.iter().all(|input| input.table.is_none());
        if !plain {
            return Err(vec![SpecError::NotSupported("more than an inner join")]);
        }
        let times = Unbound::compile(query)?;
        JoinSpec::build(query, times).map_err(|error| vec![error])
    }

    /// Compiles a join in receipt time over windows that tumble. `variables` are the names of the inputs in
    /// expressions, in the order of the inputs.
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
        let query = Query {
            inputs: variables.iter().map(input).collect(),
            windows: Windows::Tumbling {
                length: window_micros,
            },
            filter: filter.map(str::to_owned),
            select: select.map(str::to_owned),
            emit,
            ..Query::default()
        };
        JoinSpec::build(&query, Unbound::none())
    }

    fn build(query: &Query, times: Unbound<'_>) -> Result<JoinSpec, SpecError> {
        let variables: Vec<&str> = query.inputs.iter().map(|input| input.variable.as_str()).collect();
        let scope = Scope::new(&variables)?.with_window();
        if variables.len() < 2 {
            return Err(SpecError::TooFewInputs);
        }
        let filter = compile_where(query.filter.as_deref(), &scope)?;
        let select = compile_select(query.select.as_deref(), &scope)?;
        let layouts: Vec<Layout> = (0..variables.len())
            .map(|input| Layout::new(paths(input, [&filter, &select]).chain(times.paths(input))))
            .collect();
        let views: Vec<&Layout> = layouts.iter().collect();
        let mut by_name: Vec<usize> = (0..variables.len()).collect();
        by_name.sort_by_key(|input| variables[*input]);
        let fields = (0..variables.len())
            .map(|input| fields(input, &layouts[input], [&filter, &select]))
            .collect();
        let conjuncts = filter.clone().map(Expr::conjuncts).unwrap_or_default();
        Ok(JoinSpec {
            session_key: SessionKey::of_join(conjuncts.iter(), &views),
            plan: Plan::new(filter, &views),
            select: select.as_ref().map(|select| select.bind(&views)),
            variables: variables.iter().map(|name| Box::from(*name)).collect(),
            times: times.bind(&layouts),
            layouts,
            emit: query.emit,
            by_name,
            fields,
            windows: Windowing::new(query.windows),
        })
    }

    /// How many inputs it joins.
    pub fn inputs(&self) -> usize {
        self.variables.len()
    }

    /// What was made of `where`.
    pub fn explain(&self) -> Explanation {
        self.plan.explain(&self.variables)
    }

    /// The CloudEvents `type` of its results.
    pub(crate) fn event_type(&self) -> &'static str {
        match self.emit {
            Emit::Batch => "io.vivien.streaming.rows",
            Emit::Each | Emit::Updates => "io.vivien.streaming.row",
        }
    }

    pub(crate) fn windows(&self) -> Windowing {
        self.windows
    }

    /// Whose session a message is in. `cx` has its row for every input.
    pub(crate) fn session_key(&self, input: usize, cx: &Context<'_>) -> Result<Vec<u8>, EvalError> {
        self.session_key.eval(input, cx)
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
        self.select.is_none()
    }
}

pub(crate) fn compile_where(source: Option<&str>, scope: &Scope) -> Result<Option<Expr>, SpecError> {
    let fail = |diagnostic| SpecError::Expression {
        clause: Clause::Where,
        diagnostic,
    };
    source
        .map(|source| expr::compile_bool(source, scope).map_err(fail))
        .transpose()
}

pub(crate) fn compile_select(source: Option<&str>, scope: &Scope) -> Result<Option<Expr>, SpecError> {
    let fail = |diagnostic| SpecError::Expression {
        clause: Clause::Select,
        diagnostic,
    };
    source
        .map(|source| expr::compile(source, scope).map_err(fail))
        .transpose()
}

/// The paths of an input that expressions read.
fn paths(input: usize, exprs: [&Option<Expr>; 2]) -> impl Iterator<Item = &[Box<str>]> {
    let accesses = exprs.into_iter().flatten().flat_map(Expr::accesses);
    accesses
        .filter(move |access| access.input == input)
        .map(|access| access.path.as_slice())
}

pub(crate) fn layout(input: usize, exprs: [&Option<Expr>; 2]) -> Layout {
    Layout::new(paths(input, exprs))
}

fn fields(input: usize, layout: &Layout, exprs: [&Option<Expr>; 2]) -> Vec<(Vec<Box<str>>, usize)> {
    let slot = |path: &[Box<str>]| layout.resolve(path).map(|(slot, n)| (path[..n].to_vec(), slot));
    let mut fields: Vec<_> = paths(input, exprs).filter_map(slot).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}
