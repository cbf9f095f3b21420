//! Which names an expression may use: the streams of its component, and what the engine knows of a message.

use super::mistakes::is_keyword;
use super::token::RESERVED;

/// The names in scope.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    variables: Vec<Box<str>>,
    window: bool,
    message: bool,
}

/// Why a set of names makes no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Expressions could not spell it.
    #[error("`{0}` is not a name that expressions can use (a-z, A-Z, 0-9 and _; no digit first)")]
    NotAName(String),
    /// It means something else.
    #[error("`{0}` is a word of the expression language")]
    Reserved(String),
    /// Two inputs have it.
    #[error("`{0}` names two inputs")]
    Duplicate(String),
    /// An expression tells its inputs apart by the bits of a word.
    #[error("{0} inputs are too many; at most 64 are possible")]
    TooMany(usize),
}

impl Scope {
    /// A scope with one variable for each input, in order.
    pub fn new(variables: &[&str]) -> Result<Scope, ScopeError> {
        if variables.len() > 64 {
            return Err(ScopeError::TooMany(variables.len()));
        }
        for (at, name) in variables.iter().enumerate() {
            let name_like = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if name.is_empty() || name.as_bytes()[0].is_ascii_digit() || !name.bytes().all(name_like) {
                return Err(ScopeError::NotAName((*name).to_owned()));
            }
            if is_keyword(name) || RESERVED.contains(name) || *name == "window" {
                return Err(ScopeError::Reserved((*name).to_owned()));
            }
            if variables.iter().take(at).any(|earlier| earlier == name) {
                return Err(ScopeError::Duplicate((*name).to_owned()));
            }
        }
        let variables = variables.iter().map(|name| Box::from(*name)).collect();
        Ok(Scope {
            variables,
            window: false,
            message: false,
        })
    }

    /// With `window.start` and `window.end`.
    #[must_use]
    pub fn with_window(self) -> Scope {
        Scope { window: true, ..self }
    }

    /// With `topic` and `key`, of the one message that an expression is about. A variable of that name wins.
    #[must_use]
    pub fn with_message(self) -> Scope {
        Scope {
            message: true,
            ..self
        }
    }

    pub(super) fn input(&self, name: &str) -> Option<usize> {
        self.variables.iter().position(|variable| **variable == *name)
    }

    pub(super) fn has_window(&self) -> bool {
        self.window
    }

    pub(super) fn has_message(&self) -> bool {
        self.message
    }

    /// Every name that an expression could start with, for messages.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.variables.iter().map(AsRef::as_ref).collect();
        if self.window {
            names.extend(["window.start", "window.end"]);
        }
        if self.message {
            names.extend(["topic", "key"]);
        }
        names
    }
}

/// The candidate that a misspelt word most likely meant.
pub(super) fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = match word.chars().count() {
        0..=3 => 1,
        4..=5 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many insertions, deletions, substitutions and swaps of neighbours lie between two words; case costs nothing.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let a: Vec<char> = a.to_lowercase().chars().filter(|c| *c != '_').collect();
    let b: Vec<char> = b.to_lowercase().chars().filter(|c| *c != '_').collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let substitute = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = substitute.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}
