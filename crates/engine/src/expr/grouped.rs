//! The expressions of a component that groups its messages, compiled together: what is read of each message, and
//! what is made of each group.

use std::sync::Arc;

use crate::join::Clause;
use crate::layout::Layout;
use crate::value::{Value, write_string};

use super::aggregates::{Aggregate, Gather, Reading};
use super::ast::{Kind, Tree};
use super::code::{Op, OpId, Unit};
use super::compile::{self, GroupScope, Key};
use super::diagnostic::{Diagnostic, Span};
use super::types::Types;
use super::{Expr, Program, Scope, parse, require_bool};

/// What a component does with groups of messages, compiled.
///
/// Keys and arguments of aggregates are evaluated for each message; all else once the group is complete, on what was
/// gathered.
#[derive(Clone, Debug)]
pub struct Grouped {
    keys: Vec<(Expr, Numbers)>,
    gathers: Vec<(Gather, Option<Expr>)>,
    readings: Vec<(usize, Reading)>,
    previous: Vec<Expr>,
    select: Expr,
    having: Option<Expr>,
    trigger: Option<Expr>,
}

/// Which type the numbers of a group's key have. A key knows its numbers by value alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    Int,
    Uint,
    Double,
}

/// The same, bound to the layouts of the inputs.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) keys: Vec<(Program, Numbers)>,
    pub(crate) gathers: Vec<(Gather, Option<Program>)>,
    pub(crate) readings: Vec<(usize, Reading)>,
    pub(crate) previous: Vec<Program>,
    /// Tells what `previous` looks back at from what it looked at before an edit.
    pub(crate) previous_mark: [u8; 8],
    pub(crate) select: Program,
    pub(crate) having: Option<Program>,
    pub(crate) trigger: Option<Program>,
}

/// Whether an expression calls a function that is about a group of messages. One that can't be read calls none.
pub fn has_aggregate(source: &str) -> bool {
    let named = |name: &str, arguments: usize| {
        name == "previous" || Aggregate::named(name).is_some_and(|one| one.takes(arguments))
    };
    parse(source).is_ok_and(|tree| tree.calls(tree.root, named))
}

/// Compiles the expressions of a component that groups. Without `select` a group gives an object with its keys, each
/// under the last name of its path (or `key1`, `key2`, ...), and `count`. All that is wrong is reported, in the order
/// `group_by`, `select`, `having`, `trigger`.
pub fn compile_grouped(
    group_by: &[&str],
    select: Option<&str>,
    having: Option<&str>,
    trigger: Option<&str>,
    scope: &Scope,
) -> Result<Grouped, Vec<(Clause, Diagnostic)>> {
    let mut problems = Vec::new();
    let mut trees = Vec::new();
    for (at, source) in group_by.iter().enumerate() {
        match parse(source) {
            Ok(tree) => trees.push((at, *source, tree)),
            Err(fault) => problems.push((Clause::GroupBy(at), fault.locate(source))),
        }
    }
    let mut keys = Vec::new();
    let mut exprs = Vec::new();
    for (at, source, tree) in &trees {
        match compile::compile(source, tree, scope) {
            Ok(made) => {
                let (types, numbers) = key_types(made.types);
                keys.push(Key {
                    tree,
                    types,
                    nesting: made.nesting,
                });
                exprs.push((Expr::new(Arc::new(made.unit), made.root, made.types), numbers));
            }
            Err(fault) => problems.push((Clause::GroupBy(*at), fault.locate(source))),
        }
    }
    let clauses = [
        (Clause::Select, select),
        (Clause::Having, having),
        (Clause::Trigger, trigger),
    ];
    let mut parsed = Vec::new();
    for (clause, source) in clauses {
        let Some(source) = source else { continue };
        match parse(source) {
            Ok(tree) => parsed.push((clause, source, tree)),
            Err(fault) => problems.push((clause, fault.locate(source))),
        }
    }
    if keys.len() < group_by.len() {
        // What is in a group is not known: everything in the other expressions would seem wrong.
        return Err(in_order(problems));
    }
    let mut group = GroupScope::new(&keys);
    let (mut made_select, mut made_having, mut made_trigger) = (None, None, None);
    for (clause, source, tree) in &parsed {
        let (compiled, mut found) = compile::compile_group(source, tree, scope, group);
        let made = compiled.map_err(|fault| fault.locate(source)).and_then(|made| {
            let unit = Arc::new(made.unit);
            found.take(&unit);
            let expr = Expr::new(unit, made.root, made.types);
            match clause {
                Clause::Select => Ok(expr),
                _ => require_bool(expr, source),
            }
        });
        group = found;
        match (made, clause) {
            (Err(diagnostic), _) => problems.push((*clause, diagnostic)),
            (Ok(expr), Clause::Having) => made_having = Some(expr),
            (Ok(expr), Clause::Trigger) => made_trigger = Some(expr),
            (Ok(expr), _) => made_select = Some(expr),
        }
    }
    if !problems.is_empty() {
        return Err(in_order(problems));
    }
    let select = made_select.unwrap_or_else(|| default_select(&trees, &mut group));
    Ok(Grouped {
        keys: exprs,
        gathers: group
            .gathered
            .into_iter()
            .map(|one| (one.gather, one.argument))
            .collect(),
        readings: group.readings,
        previous: group.previous.into_iter().filter_map(|one| one.value).collect(),
        select,
        having: made_having,
        trigger: made_trigger,
    })
}

/// By where they are: `group_by`, `select`, `having`, `trigger`.
fn in_order(mut problems: Vec<(Clause, Diagnostic)>) -> Vec<(Clause, Diagnostic)> {
    problems.sort_by_key(|(clause, _)| match clause {
        Clause::GroupBy(at) => (0, *at),
        Clause::Select => (1, 0),
        Clause::Having => (2, 0),
        _ => (3, 0),
    });
    problems
}

impl GroupScope<'_> {
    /// Makes expressions of what was found in a unit, which is complete now.
    fn take(&mut self, unit: &Arc<Unit>) {
        for one in &mut self.gathered {
            if let Some((root, types)) = one.root.take() {
                one.argument = Some(Expr::new(Arc::clone(unit), root, types));
            }
        }
        for one in &mut self.previous {
            if let Some((root, types)) = one.root.take() {
                one.value = Some(Expr::new(Arc::clone(unit), root, types));
            }
        }
    }
}

/// The types that a key has where it is read, and which type its numbers are given.
fn key_types(types: Types) -> (Types, Numbers) {
    let numbers = types.and(Types::NUMBER);
    if numbers.is_empty() || numbers == Types::DOUBLE {
        (types.or(Types::NULL), Numbers::Double)
    } else if numbers == Types::INT {
        (types.or(Types::NULL), Numbers::Int)
    } else if numbers == Types::UINT {
        (types.or(Types::NULL), Numbers::Uint)
    } else {
        (Types::ANY, Numbers::Double)
    }
}

/// What a group gives if nothing selects from it: its keys and how many messages it has.
fn default_select(keys: &[(usize, &str, Tree)], group: &mut GroupScope<'_>) -> Expr {
    let mut names: Vec<String> = Vec::new();
    for (at, (_, _, tree)) in keys.iter().enumerate() {
        let last = match &tree.get(tree.root).kind {
            Kind::Ident { name, .. } => Some(name.to_string()),
            _ => tree.member(tree.root).map(|(_, name)| name.to_owned()),
        };
        let taken = |name: &String| name == "count" || names.contains(name);
        let mut name = last
            .filter(|name| !taken(name))
            .unwrap_or_else(|| format!("key{}", at + 1));
        while taken(&name) {
            name.push('_');
        }
        names.push(name);
    }
    let mut unit = Unit {
        source: Box::default(),
        ops: Vec::new(),
        spans: Vec::new(),
        accesses: Vec::new(),
        paths: Vec::new(),
    };
    let mut push = |op: Op| {
        unit.ops.push(op);
        unit.spans.push(Span::default());
        OpId(u32::try_from(unit.ops.len() - 1).unwrap_or(u32::MAX))
    };
    let mut entries = Vec::new();
    let mut texts: Vec<Box<[u8]>> = Vec::new();
    let count = group.count_rows();
    let values = (0..names.len()).map(Op::GroupKey).chain([Op::Aggregate(count)]);
    names.push("count".to_owned());
    for (at, (name, value)) in names.into_iter().zip(values).enumerate() {
        let mut text = vec![if at == 0 { b'{' } else { b',' }];
        write_string(&name, &mut text);
        text.push(b':');
        texts.push(text.into());
        let key = push(Op::Const(Value::string(name)));
        entries.push((key, push(value)));
    }
    let root = push(Op::Map {
        entries: entries.into(),
        names: Some(texts.into()),
    });
    Expr::new(Arc::new(unit), root, Types::MAP)
}

impl Grouped {
    /// The expressions that are evaluated for each message: what layouts are made for.
    pub fn row_level(&self) -> impl Iterator<Item = &Expr> {
        let arguments = self.gathers.iter().filter_map(|(_, argument)| argument.as_ref());
        self.keys.iter().map(|(key, _)| key).chain(arguments)
    }

    /// What groups, in the order of `groupBy`.
    pub fn keys(&self) -> impl Iterator<Item = &Expr> {
        self.keys.iter().map(|(key, _)| key)
    }

    fn previous_mark(&self) -> [u8; 8] {
        let mut texts = Vec::new();
        for expr in self.keys().chain(&self.previous) {
            texts.extend_from_slice(expr.source().as_bytes());
            texts.push(0);
        }
        let mut mark = [0; 8];
        mark.copy_from_slice(&blake3::hash(&texts).as_bytes()[..8]);
        mark
    }

    /// What groups and what `previous` looks back at, as text; `None` if nothing does.
    pub(crate) fn looks_back(&self) -> Option<String> {
        let list = |exprs: &mut dyn Iterator<Item = &Expr>| {
            let sources: Vec<&str> = exprs.map(Expr::source).collect();
            sources.join(", ")
        };
        let past = list(&mut self.previous.iter());
        (!self.previous.is_empty()).then(|| format!("previous({past}) by [{}]", list(&mut self.keys())))
    }

    pub(crate) fn programs(&self, layouts: &[&Layout]) -> Programs {
        Programs {
            keys: self
                .keys
                .iter()
                .map(|(key, numbers)| (key.bind(layouts), *numbers))
                .collect(),
            gathers: self
                .gathers
                .iter()
                .map(|(gather, argument)| (*gather, argument.as_ref().map(|one| one.bind(layouts))))
                .collect(),
            readings: self.readings.clone(),
            previous: self.previous.iter().map(|one| one.bind(&[])).collect(),
            previous_mark: self.previous_mark(),
            select: self.select.bind(&[]),
            having: self.having.as_ref().map(|one| one.bind(&[])),
            trigger: self.trigger.as_ref().map(|one| one.bind(&[])),
        }
    }
}
