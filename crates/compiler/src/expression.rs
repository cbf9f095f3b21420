//! Expressions compiled with the engine that will run them, so that what compiles here runs there.

use streaming_api::Expression;
use streaming_engine::expr::{self, Diagnostic, Expr, Scope};

use crate::document::Resource;
use crate::problem::{Problem, Report};

/// The expressions of a component that have been found good.
pub(crate) struct Compiled {
    pub(crate) filter: Option<String>,
    pub(crate) select: Option<String>,
}

/// Compiles `where` and `select` in a scope. Both are tried, and the problems of both reported.
pub(crate) fn compile(
    resource: &Resource,
    filter: Option<&Expression>,
    select: Option<&Expression>,
    scope: &Scope,
    report: &mut Report,
) -> Option<Compiled> {
    let mut good = true;
    let mut one = |field, source: Option<&Expression>, compile: &dyn Fn(&str) -> Result<Expr, Diagnostic>| {
        let source = source.filter(|source| !source.trim().is_empty())?;
        if let Err(diagnostic) = compile(source) {
            good = false;
            report.problem(resource, problem(resource, field, source, diagnostic));
        }
        Some(source.0.clone())
    };
    let filter = one("spec.stream.where", filter, &|source| {
        expr::compile_bool(source, scope)
    });
    let select = one("spec.stream.select", select, &|source| {
        expr::compile(source, scope)
    });
    good.then_some(Compiled { filter, select })
}

fn problem(resource: &Resource, field: &str, source: &str, diagnostic: Diagnostic) -> Problem {
    Problem {
        diagnostic: Some((diagnostic.clone(), source.to_owned())),
        help: diagnostic.help,
        ..resource.at(field, diagnostic.reason, diagnostic.message)
    }
}
