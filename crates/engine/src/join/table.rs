//! Tables: the latest message of each key of an input, which others are looked up in.
//!
//! A table's messages are acked when others have taken their place: whoever keeps messages that are not acked, a broker
//! or the component's own store, keeps the table by that, and gives it again after a crash.
//!
//! Nothing is joined here. A window that closes, or a message that is looked up at once, takes from the tables what
//! could match ([`OpenWindow::fill`]), and is joined with that like with anything else.

use rustc_hash::FxHashSet;

use super::bound::{Bound, Single};
use super::open::OpenWindow;
use super::spec::{Clause, JoinSpec, SpecError};
use crate::aggregate;
use crate::expr::{self, Context, EvalError, Expr, InputSet, Program, Scope};
use crate::id::Id;
use crate::layout::Layout;
use crate::query::{JoinKind, Query};
use crate::row::{Row, RowBuilder};
use crate::spill::{Home, Keyed, Stored};
use crate::state::StateError;
use crate::tokens;

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
    /// The inputs that the probe reads.
    of: Vec<usize>,
}

/// The latest messages of an input, by key. Keys are bytes that sort as the values do.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Keyed<TableRow>,
}

#[derive(Debug)]
struct TableRow {
    id: Id,
    token: u64,
    slots: Box<[u8]>,
    text: Box<str>,
}

impl Stored for TableRow {
    fn bytes(&self) -> u64 {
        (self.slots.len() + self.text.len()) as u64
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        tokens::write(self.token, out);
        tokens::write(self.slots.len() as u64, out);
        out.extend_from_slice(&self.slots);
        out.extend_from_slice(self.text.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<TableRow> {
        let (id, mut rest) = bytes.split_first_chunk()?;
        let token = tokens::read(&mut rest)?;
        let len = usize::try_from(tokens::read(&mut rest)?).ok()?;
        let (slots, text) = rest.split_at_checked(len)?;
        Some(TableRow {
            id: Id(*id),
            token,
            slots: slots.into(),
            text: std::str::from_utf8(text).ok()?.into(),
        })
    }
}

impl Table {
    /// Rows that have no room in memory go there from now on.
    pub(crate) fn settle(&mut self, home: Home) {
        self.rows.settle(home);
    }

    /// Sets the row of a key. Gives the token of the one before it.
    pub(crate) fn put(
        &mut self,
        key: &[u8],
        (id, token): (Id, u64),
        row: &RowBuilder,
    ) -> Result<Option<u64>, StateError> {
        let (slots, text) = row.parts();
        let row = TableRow {
            id,
            token,
            slots: slots.into(),
            text: text.into(),
        };
        Ok(self.rows.put(key, row)?.map(|before| before.token))
    }

    /// Takes the row of a key away, and gives its token.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Result<Option<u64>, StateError> {
        Ok(self.rows.remove(key)?.map(|before| before.token))
    }

    /// Bytes that it takes in memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.rows.bytes()
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
        TableSpec {
            input: self.input,
            key: self.key.bind(layouts),
            probe: self.probe.bind(layouts),
            of: self.probe.inputs().iter().collect(),
        }
    }
}

impl TableSpec {
    /// Whether a window knows the keys of all rows that it needs.
    pub(super) fn is_keyed(&self) -> bool {
        self.of.len() < 2
    }

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

impl JoinSpec {
    /// Whether an input is a table.
    pub(crate) fn is_table(&self, input: usize) -> bool {
        self.tables.iter().any(|table| table.input == input)
    }

    /// The tables whose rows are read by their keys alone, and so may be in the store: by input.
    pub(crate) fn keyed_tables(&self) -> impl Iterator<Item = usize> {
        let at_once = self.is_looked_up_at_once();
        let keyed = self
            .tables
            .iter()
            .filter(move |table| at_once || table.is_keyed());
        keyed.map(|table| table.input)
    }

    /// Which inputs are tables.
    pub(crate) fn table_inputs(&self) -> impl Iterator<Item = usize> {
        self.tables.iter().map(|table| table.input)
    }

    /// The key of a table's message, whose row `cx` has for every input.
    pub(crate) fn table_key(&self, input: usize, cx: &Context<'_>) -> Result<Vec<u8>, EvalError> {
        let table = self.tables.iter().find(|table| table.input == input);
        table.map_or(Ok(Vec::new()), |table| table.key(cx))
    }
}

impl OpenWindow {
    /// Takes from the tables, which are by input, what may match the messages that are here.
    pub(crate) fn fill(&mut self, spec: &JoinSpec, tables: &mut [Table]) -> Result<(), StateError> {
        let mut scratch = RowBuilder::default();
        for table in &spec.tables {
            let Some(all) = tables.get_mut(table.input) else {
                continue;
            };
            let Some(keys) = self.keys(table, spec) else {
                for (_, row) in all.rows.in_memory() {
                    self.fetch(spec, table.input, row, &mut scratch);
                }
                continue;
            };
            for key in keys {
                if let Some(row) = all.rows.get(&key)? {
                    self.fetch(spec, table.input, row, &mut scratch);
                }
            }
        }
        Ok(())
    }

    fn fetch(&mut self, spec: &JoinSpec, input: usize, row: &TableRow, scratch: &mut RowBuilder) {
        scratch.restore(&row.slots, &row.text);
        // A condition that fails on a table's row fails for each window again: it is counted there.
        self.arrive(spec, input, (|| row.id, row.token), scratch, |_| {});
    }

    /// What the messages that are here are looked up by, each once, in their order; `None` if that may be any key. Those that
    /// have no key are looked at by the join itself, which says why.
    fn keys(&self, table: &TableSpec, spec: &JoinSpec) -> Option<Vec<Vec<u8>>> {
        let single = Single {
            inputs: spec.inputs(),
            window: self.window,
        };
        match table.of.as_slice() {
            [] => {
                let key = single.with(&Row::default(), |cx| table.probe(cx));
                Some(key.into_iter().collect())
            }
            [of] => Some(self.keys_of(table, *of, single)),
            // One message, and a row of each table: what they are looked up by together.
            of if spec.is_looked_up_at_once() => {
                let bound: Vec<Bound<'_>> = self.sides.iter().map(|_| Bound::default()).collect();
                for input in of {
                    let store = &self.sides.get(*input)?.store;
                    bound.get(*input)?.set((store.len() > 0).then(|| store.row(0)));
                }
                let rows: Vec<&dyn expr::Row> = bound.iter().map(|row| row as &dyn expr::Row).collect();
                let key = table.probe(&Context::new(&rows));
                Some(key.into_iter().collect())
            }
            _ => None,
        }
    }

    /// The same of the messages of one input.
    fn keys_of(&self, table: &TableSpec, of: usize, single: Single) -> Vec<Vec<u8>> {
        let mut seen = FxHashSet::default();
        let mut keys = Vec::new();
        let Some(side) = self.sides.get(of) else {
            return keys;
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
