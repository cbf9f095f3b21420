//! What a join is to do, checked and compiled.

use thiserror::Error;

use super::explain::Explanation;
use super::plan::Plan;
use crate::expr::{self, Diagnostic, Expr, Program, Scope, ScopeError};
use crate::layout::Layout;
use crate::window::Tumbling;

/// How a window's rows leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emit {
    /// One event a window: a JSON array of all rows.
    #[default]
    Batch,
    /// One event a row.
    Each,
}

/// Which expression of a component is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clause {
    /// The condition.
    Where,
    /// The output.
    Select,
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
    windows: Tumbling,
}

impl JoinSpec {
    /// Compiles a join. `variables` are the names of the inputs in expressions, in the order of the inputs.
    pub fn new(
        variables: &[&str],
        window_micros: i64,
        filter: Option<&str>,
        select: Option<&str>,
        emit: Emit,
    ) -> Result<JoinSpec, SpecError> {
        let scope = Scope::new(variables)?.with_window();
        if variables.len() < 2 {
            return Err(SpecError::TooFewInputs);
        }
        let filter = compile_where(filter, &scope)?;
        let select = compile_select(select, &scope)?;
        let layouts: Vec<Layout> = (0..variables.len())
            .map(|input| layout(input, [&filter, &select]))
            .collect();
        let views: Vec<&Layout> = layouts.iter().collect();
        let mut by_name: Vec<usize> = (0..variables.len()).collect();
        by_name.sort_by_key(|input| variables[*input]);
        let fields = (0..variables.len())
            .map(|input| fields(input, &layouts[input], [&filter, &select]))
            .collect();
        Ok(JoinSpec {
            plan: Plan::new(filter, &views),
            select: select.as_ref().map(|select| select.bind(&views)),
            variables: variables.iter().map(|name| Box::from(*name)).collect(),
            layouts,
            emit,
            by_name,
            fields,
            windows: Tumbling::new(window_micros),
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
            Emit::Each => "io.vivien.streaming.row",
        }
    }

    pub(crate) fn windows(&self) -> Tumbling {
        self.windows
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
