//! The engine's expressions against cel-go, Google's own evaluator: a written corpus, and random expressions over
//! random data. Where docs/expressions.md departs from CEL on purpose, either cel-go is taught the rule
//!
//! `CEL_SEED` and `CEL_CASES` explore: `CEL_SEED=7 CEL_CASES=200000 cargo test -p streaming-engine --test expr_cel_go`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)] // a test's helpers

#[path = "expr_cel_go/compare.rs"]
mod compare;
#[path = "expr_cel_go/corpus.rs"]
mod corpus;
#[path = "expr_cel_go/differences.rs"]
mod differences;
#[path = "expr_cel_go/generate.rs"]
mod generate;
#[path = "expr_cel_go/oracle.rs"]
mod oracle;
#[path = "expr_cel_go/random.rs"]
mod random;
#[path = "expr/support.rs"]
mod support;
