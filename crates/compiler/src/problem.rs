//! What is wrong with a resource, told to the person who wrote it: what, where, and what to do.

use std::collections::BTreeMap;
use std::fmt;

use streaming_engine::expr::Diagnostic;

use crate::document::Resource;

/// One thing that is wrong (a problem) or perhaps not meant (a warning).
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The caller's handle of the document, from [`crate::Document::origin`].
    pub origin: usize,
    /// Kind of the resource; empty where the document is none.
    pub kind: String,
    /// Its namespace; empty where the document is no resource.
    pub namespace: String,
    /// Its name; empty where it has none.
    pub name: String,
    /// The field, as `spec.stream.from[1]`; empty for the whole document. A field that is missing is named too.
    pub field: String,
    /// One of [`crate::reason`], or the reason of an expression's diagnostic.
    pub reason: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// For an expression: the engine's diagnostic, and the text that its positions are in.
    pub diagnostic: Option<(Diagnostic, String)>,
}

impl Problem {
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Problem {
        self.help = help;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.kind.is_empty() {
            write!(f, "{} {}/{}: ", self.kind, self.namespace, self.name)?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{} ({})", self.message, self.reason)?;
        self.help.iter().try_for_each(|help| write!(f, "; {help}"))
    }
}

/// Everything found so far, in the order in which it was found.
#[derive(Default)]
pub(crate) struct Report {
    problems: Vec<(usize, Problem)>,
    warnings: Vec<(usize, Problem)>,
    /// Which problems are about a document: all are asked for those of each resource.
    of: BTreeMap<usize, Vec<usize>>,
}

impl Report {
    /// About a document that is no resource of ours.
    pub(crate) fn document(&mut self, index: usize, problem: Problem) {
        self.of.entry(index).or_default().push(self.problems.len());
        self.problems.push((index, problem));
    }

    pub(crate) fn problem(&mut self, resource: &Resource, problem: Problem) {
        self.document(resource.index, problem);
    }

    pub(crate) fn warning(&mut self, resource: &Resource, problem: Problem) {
        self.warnings.push((resource.index, problem));
    }

    /// Whether a resource has a problem.
    pub(crate) fn has_problem_of(&self, resource: &Resource) -> bool {
        let of = self.of.get(&resource.index).into_iter().flatten();
        of.map(|at| &self.problems[*at].1).any(|problem| {
            problem.kind == resource.kind.name()
                && problem.name == resource.name
                && problem.namespace == resource.namespace
        })
    }

    /// Whether a Channel or Joiner of a namespace has a problem.
    pub(crate) fn has_problem_of_reader(&self, namespace: &str) -> bool {
        let reader = |problem: &Problem| problem.kind == "Channel" || problem.kind == "Joiner";
        self.problems
            .iter()
            .any(|(_, problem)| problem.namespace == namespace && reader(problem))
    }

    /// Problems and warnings in the order of their documents.
    pub(crate) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        let sorted = |mut found: Vec<(usize, Problem)>| {
            // Stable, so what was found in one document stays in order.
            found.sort_by_key(|(index, _)| *index);
            found.into_iter().map(|(_, problem)| problem).collect()
        };
        (sorted(self.problems), sorted(self.warnings))
    }
}
