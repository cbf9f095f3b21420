//! The expressions of a query, compiled, before any layout is known.

use super::spec::{Clause, SpecError};
use crate::expr::{self, Expr, Grouped, Scope};
use crate::query::{JoinKind, Query};

/// Compiles what is true or not.
pub(crate) fn compile_condition(
    clause: Clause,
    source: Option<&str>,
    scope: &Scope,
) -> Result<Option<Expr>, SpecError> {
    let fail = |diagnostic| SpecError::Expression { clause, diagnostic };
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

type Conjuncts = Vec<(Clause, Expr)>;

/// A query's expressions, but for those that say when something happened.
pub(super) struct Compiled {
    pub(super) on: Conjuncts,
    pub(super) filter: Conjuncts,
    pub(super) select: Option<Expr>,
    /// Instead of `select`, if rows are grouped.
    pub(super) grouped: Option<Grouped>,
}

impl Compiled {
    pub(super) fn new(query: &Query, scope: &Scope) -> Result<Compiled, Vec<SpecError>> {
        let mut errors = Vec::new();
        let on = compile_condition(Clause::On, query.on.as_deref(), scope);
        let on = on.map_err(|error| errors.push(error)).ok().flatten();
        let filter = compile_condition(Clause::Where, query.filter.as_deref(), scope);
        let filter = filter.map_err(|error| errors.push(error)).ok().flatten();
        let (on, filter) = conjuncts(on, filter);
        let mut compiled = Compiled {
            on,
            filter,
            select: None,
            grouped: None,
        };
        let select = query.select.as_deref();
        let is_grouped = query.trigger.is_some()
            || !query.group_by.is_empty()
            || query.having.is_some()
            || select.is_some_and(expr::has_aggregate);
        if is_grouped {
            let keys: Vec<&str> = query.group_by.iter().map(String::as_str).collect();
            match expr::compile_grouped(
                &keys,
                select,
                query.having.as_deref(),
                query.trigger.as_deref(),
                scope,
            ) {
                Ok(grouped) => compiled.grouped = Some(grouped),
                Err(problems) => {
                    let problem = |(clause, diagnostic)| SpecError::Expression { clause, diagnostic };
                    errors.extend(problems.into_iter().map(problem));
                }
            }
        } else {
            match compile_select(select, scope) {
                Ok(select) => compiled.select = select,
                Err(error) => errors.push(error),
            }
        }
        if query.join == JoinKind::Anti {
            errors.extend(compiled.not_in_anti_row(query));
        }
        if errors.is_empty() {
            Ok(compiled)
        } else {
            Err(errors)
        }
    }

    /// The conjuncts that are true of all rows with a message of each input.
    pub(super) fn joining(&self, kind: JoinKind) -> Vec<&Expr> {
        let filter = self.filter.iter().filter(|_| kind == JoinKind::Inner);
        self.on.iter().chain(filter).map(|(_, expr)| expr).collect()
    }

    /// All that is evaluated on messages.
    pub(super) fn of_rows(&self) -> Vec<&Expr> {
        let conjuncts = self.on.iter().chain(&self.filter).map(|(_, expr)| expr);
        let groups = self.grouped.iter().flat_map(Grouped::row_level);
        conjuncts.chain(&self.select).chain(groups).collect()
    }

    /// What reads another input than the first, where only the first has a message.
    fn not_in_anti_row(&self, query: &Query) -> impl Iterator<Item = SpecError> {
        let filters = self.filter.iter().map(|(clause, expr)| (*clause, expr));
        let keys = self.grouped.iter().flat_map(Grouped::keys).enumerate();
        let keys = keys.map(|(at, key)| (Clause::GroupBy(at), key));
        let count = self.grouped.iter().flat_map(Grouped::keys).count();
        let arguments = self.grouped.iter().flat_map(Grouped::row_level).skip(count);
        let outputs = self.select.iter().chain(arguments);
        let outputs = keys.chain(outputs.map(|expr| (Clause::Select, expr)));
        filters.chain(outputs).filter_map(|(clause, expr)| {
            let other = expr.inputs().iter().find(|input| *input > 0)?;
            let variable = query.inputs.get(other)?.variable.clone();
            Some(SpecError::NotInAntiRow { clause, variable })
        })
    }
}

/// What joins and what filters: without `on` the conjuncts of `where` over two or more inputs join.
fn conjuncts(on: Option<Expr>, filter: Option<Expr>) -> (Conjuncts, Conjuncts) {
    let of = |clause, expr: Option<Expr>| {
        let conjuncts = expr.map(Expr::conjuncts).unwrap_or_default();
        conjuncts.into_iter().map(move |expr| (clause, expr))
    };
    let filter = of(Clause::Where, filter);
    match on {
        Some(on) => (of(Clause::On, Some(on)).collect(), filter.collect()),
        None => filter.partition(|(_, expr)| expr.inputs().len() > 1),
    }
}
