//! Expressions compiled with the engine that will run them, so that what compiles here runs there.

use streaming_api::Expression;
use streaming_engine::expr::{self, Diagnostic, Expr, Scope, ScopeError};

use crate::document::Resource;
use crate::inputs;
use crate::problem::{Problem, Report};
use crate::reason;

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
        match compile(source) {
            Ok(compiled) => Some((source.0.clone(), compiled)),
            Err(diagnostic) => {
                good = false;
                report.problem(resource, problem(resource, field, source, diagnostic));
                None
            }
        }
    };
    let filter = one("spec.stream.where", filter, &|source| {
        expr::compile_bool(source, scope)
    });
    let select = one("spec.stream.select", select, &|source| {
        expr::compile(source, scope)
    });
    let (filter, condition) = filter.unzip();
    if let Some(condition) = condition {
        conditions(resource, "spec.stream.where", condition, report);
    }
    good.then_some(Compiled {
        filter,
        select: select.map(|(source, _)| source),
    })
}

/// Checks what a Stream or Table says about its messages, which it knows by a Stream's name. Returns whether it is good.
pub(crate) fn of_message(
    resource: &Resource,
    field: &str,
    source: &Expression,
    stream: &str,
    report: &mut Report,
) -> bool {
    let variable = inputs::sanitised(stream);
    let found = match Scope::new(&[&variable]) {
        Ok(scope) => match expr::compile(source, &scope) {
            Ok(_) => return true,
            Err(diagnostic) => problem(resource, field, source, diagnostic),
        },
        Err(error) => {
            let why = match error {
                ScopeError::Reserved(word) => format!("`{word}` means something else in expressions"),
                other => other.to_string(),
            };
            let message = format!("the messages of Stream `{stream}` have no name here: {why}");
            let found = resource.at(field, reason::INVALID_VARIABLE, message);
            found.help("give the Stream a name that begins with a letter and is no word of the language")
        }
    };
    report.problem(resource, found);
    false
}

/// Takes a condition apart, and warns about parts that hardly are what was meant.
pub(crate) fn conditions(resource: &Resource, field: &str, whole: Expr, report: &mut Report) -> Vec<Expr> {
    let mut warn = |reason, message: String, help: String| {
        report.warning(resource, resource.at(field, reason, message).help(help));
    };
    if whole.is_field() {
        let text = whole.source();
        warn(
            reason::NO_COMPARISON,
            format!(
                "is true only where `{text}` is the boolean true; any other value there is an error and matches nothing"
            ),
            format!(
                "compare it, as in `{text} > 0`, `{text} == \"...\"` or, if it is a boolean, `{text} == true`"
            ),
        );
    }
    let constant = whole.as_constant();
    let conditions = whole.conjuncts();
    for condition in &conditions {
        let text = shortened(condition.source());
        let same = condition
            .as_equality()
            .is_some_and(|(left, right)| left.source() == right.source() && !left.inputs().is_empty());
        match condition.as_constant() {
            Some(true) if constant != Some(false) => warn(
                reason::ALWAYS_TRUE,
                format!("`{text}` is always true, so it keeps nothing out"),
                "remove it, or compare a field with something".to_owned(),
            ),
            Some(false) => warn(
                reason::NEVER_TRUE,
                format!("`{text}` is never true, so nothing ever matches"),
                "compare a field with something; `suspend: true` is what stops a component".to_owned(),
            ),
            None if same => warn(
                reason::ALWAYS_TRUE,
                format!("`{text}` compares a value with itself"),
                "compare it with something else; two inputs are told apart by their names".to_owned(),
            ),
            _ => {}
        }
    }
    conditions
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

pub(crate) fn problem(resource: &Resource, field: &str, source: &str, diagnostic: Diagnostic) -> Problem {
    Problem {
        diagnostic: Some((diagnostic.clone(), source.to_owned())),
        help: diagnostic.help,
        ..resource.at(field, diagnostic.reason, diagnostic.message)
    }
}
