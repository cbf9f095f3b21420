//! Tables: the latest message of each key of an input, which others are looked up in.
//!
//! A table's messages are acked when others have taken their place: whoever keeps messages that are not acked, a broker
//! or the component's own store, keeps the table by that, and gives it again after a crash.
//!
//! Nothing is joined here. A window that closes, or a message that is looked up at once, takes from the tables what
//! could match ([`OpenWindow::fill`]), and is joined with that like with anything else.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::bound::Single;
use super::open::OpenWindow;
use super::spec::{Clause, JoinSpec, SpecError};
use crate::aggregate;
use crate::expr::{self, Context, EvalError, Expr, InputSet, Program, Scope};
use crate::id::Id;
use crate::layout::Layout;
use crate::query::{JoinKind, Query};
use crate::row::RowBuilder;

/// How a table takes part in a join, before the layouts are known.
pub(super) struct Unbound {
    input: usize,
    key: Expr,
    /// What its key has to be equal to.
    probe: Expr,
}

/// How a table takes part in a join.
#[derive(Clone, Debug)]
pub(super) struct TableSpec {
    pub(super) input: usize,
    key: Program,
    probe: Program,
    /// The only input that the probe reads. Where there is none, all rows are taken.
    of: Option<usize>,
}

/// The latest messages of an input, by key. Keys are bytes that sort as the values do.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: BTreeMap<Box<[u8]>, TableRow>,
    bytes: u64,
}

#[derive(Debug)]
struct TableRow {
    id: Id,
    token: u64,
    slots: Box<[u8]>,
    text: Box<str>,
}

impl TableRow {
    fn bytes(&self, key: &[u8]) -> u64 {
        (key.len() + self.slots.len() + self.text.len() + 2 * size_of::<TableRow>()) as u64
    }
}

impl Table {
    /// Sets the row of a key. Gives the token of the one before it.
    pub(crate) fn put(&mut self, key: Vec<u8>, (id, token): (Id, u64), row: &RowBuilder) -> Option<u64> {
        let before = self.remove(&key);
        let (slots, text) = row.parts();
        let row = TableRow {
            id,
            token,
            slots: slots.into(),
            text: text.into(),
        };
        self.bytes += row.bytes(&key);
        self.rows.insert(key.into(), row);
        before
    }

    /// Takes the row of a key away, and gives its token.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<u64> {
        let row = self.rows.remove(key)?;
        self.bytes = self.bytes.saturating_sub(row.bytes(key));
        Some(row.token)
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn get(&self, key: &[u8]) -> Option<&TableRow> {
        self.rows.get(key)
    }
}

/// Compiles the keys of a query's tables, and finds what they have to be equal to.
pub(super) fn compile(
    query: &Query,
    scope: &Scope,
    conjuncts: &[&Expr],
) -> Result<Vec<Unbound>, Vec<SpecError>> {
    let mut open = Vec::new();
    let mut errors = Vec::new();
    for (input, source) in query.inputs.iter().enumerate() {
        let Some(source) = &source.table else { continue };
        match expr::compile(source, scope) {
            Ok(key) => open.push((input, key)),
            Err(diagnostic) => errors.push(SpecError::Expression {
                clause: Clause::Key(input),
                diagnostic,
            }),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let is_table = |input: usize| query.inputs.get(input).is_some_and(|input| input.table.is_some());
    let kind = query.join;
    if !open.is_empty()
        && (kind == JoinKind::Left && is_table(0) || !matches!(kind, JoinKind::Inner | JoinKind::Left))
    {
        return Err(vec![SpecError::TableKept]);
    }
    // A table may be looked up by what another one gave.
    let mut known: InputSet = (0..query.inputs.len())
        .filter(|input| !is_table(*input))
        .collect();
    let mut tables = Vec::new();
    while !open.is_empty() {
        let found = open.iter().enumerate().find_map(|(at, (input, key))| {
            let probe = conjuncts
                .iter()
                .find_map(|conjunct| probe(conjunct, key, known))?;
            Some((at, *input, probe))
        });
        let Some((at, input, probe)) = found else {
            let lacks = |(input, key): &(usize, Expr)| SpecError::TableWithoutKey {
                variable: query.inputs[*input].variable.clone(),
                key: key.source().to_owned(),
            };
            return Err(open.iter().map(lacks).collect());
        };
        let (_, key) = open.remove(at);
        known = known.union(InputSet::from_iter([input]));
        tables.push(Unbound { input, key, probe });
    }
    Ok(tables)
}

/// The other side of an equality with a key.
fn probe(conjunct: &Expr, key: &Expr, known: InputSet) -> Option<Expr> {
    let (left, right) = conjunct.as_equality()?;
    let is_key = |side: &Expr| {
        let same_field = side.is_field() && key.is_field() && side.accesses() == key.accesses();
        side.inputs() == key.inputs() && (same_field || side.source() == key.source())
    };
    let is_probe = |side: &Expr| side.inputs().is_subset(known);
    if is_key(&left) && is_probe(&right) {
        return Some(right);
    }
    (is_key(&right) && is_probe(&left)).then_some(left)
}

impl Unbound {
    /// What is evaluated on messages besides the join's own conditions.
    pub(super) fn key(&self) -> &Expr {
        &self.key
    }

    pub(super) fn bind(&self, layouts: &[&Layout]) -> TableSpec {
        let mut reads = self.probe.inputs().iter();
        TableSpec {
            input: self.input,
            key: self.key.bind(layouts),
            probe: self.probe.bind(layouts),
            of: reads.next().filter(|_| reads.next().is_none()),
        }
    }
}

impl TableSpec {
    /// The key of a table's message.
    pub(super) fn key(&self, cx: &Context<'_>) -> Result<Vec<u8>, EvalError> {
        let mut key = Vec::new();
        aggregate::write_key(&self.key.eval(cx)?, &mut key)?;
        Ok(key)
    }

    fn probe(&self, cx: &Context<'_>) -> Result<Vec<u8>, EvalError> {
        let mut key = Vec::new();
        aggregate::write_key(&self.probe.eval(cx)?, &mut key)?;
        Ok(key)
    }
}

impl OpenWindow {
    /// Takes from the tables, which are by input, what may match the messages that are here.
    pub(crate) fn fill(&mut self, spec: &JoinSpec, tables: &[Table]) {
        let mut scratch = RowBuilder::default();
        for table in &spec.tables {
            let Some(all) = tables.get(table.input) else {
                continue;
            };
            let rows: Vec<&TableRow> = match table.of {
                None => all.rows.values().collect(),
                Some(of) => {
                    let keys = self.keys(table, of, spec.inputs());
                    keys.iter().filter_map(|key| all.get(key)).collect()
                }
            };
            for row in rows {
                scratch.restore(&row.slots, &row.text);
                // A condition that fails on a table's row fails for each window again: it is counted there.
                self.arrive(spec, table.input, (|| row.id, row.token), &scratch, |_| {});
            }
        }
    }

    /// What the messages of an input are looked up by, each once, in their order. Those that have no key are looked at
    /// by the join itself, which says why.
    fn keys(&self, table: &TableSpec, of: usize, inputs: usize) -> Vec<Vec<u8>> {
        let mut seen = FxHashSet::default();
        let mut keys = Vec::new();
        let Some(side) = self.sides.get(of) else {
            return keys;
        };
        let single = Single {
            inputs,
            window: self.window,
        };
        for row in 0..side.store.len() {
            let row = side.store.row(row);
            if let Ok(key) = single.with(&row, |cx| table.probe(cx))
                && seen.insert(key.clone())
            {
                keys.push(key);
            }
        }
        keys
    }
}
