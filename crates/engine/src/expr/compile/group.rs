//! Expressions about a group of messages: what they read of single messages stands in aggregates, the rest is what
//! the messages of the group have in common.

use crate::expr::Expr;
use crate::expr::aggregates::{Aggregate, ELSEWHERE, Gather, Reading};
use crate::expr::ast::{Kind, NodeId, Tree};
use crate::expr::code::{Op, OpId};
use crate::expr::diagnostic::{Fault, Span};
use crate::expr::scope::closest;
use crate::expr::types::Types;

use super::macros::plural;
use super::{Compiler, Typed};

/// One expression of `groupBy`.
pub(in crate::expr) struct Key<'c> {
    pub(in crate::expr) tree: &'c Tree,
    pub(in crate::expr) types: Types,
    pub(in crate::expr) nesting: u32,
}

/// What a component gathers of each group, found while its expressions are compiled.
#[derive(Default)]
pub(in crate::expr) struct GroupScope<'c> {
    pub(in crate::expr) keys: &'c [Key<'c>],
    pub(in crate::expr) gathered: Vec<Gathered<'c>>,
    /// What is read, and of which of `gathered`.
    pub(in crate::expr) readings: Vec<(usize, Reading)>,
    pub(in crate::expr) previous: Vec<Looked<'c>>,
    /// The aggregate or `previous` whose argument is being compiled.
    inside: Option<Inside>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Aggregate(Aggregate),
    Previous,
}

/// What one aggregate gathers, of which argument.
pub(in crate::expr) struct Gathered<'c> {
    pub(in crate::expr) gather: Gather,
    source: Option<(&'c Tree, NodeId)>,
    /// In the unit of the expression that is being compiled, until that is done.
    pub(in crate::expr) root: Option<(OpId, Types)>,
    pub(in crate::expr) argument: Option<Expr>,
    types: Types,
    nesting: u32,
}

/// What `previous` looks back at.
pub(in crate::expr) struct Looked<'c> {
    source: (&'c Tree, NodeId),
    pub(in crate::expr) root: Option<(OpId, Types)>,
    pub(in crate::expr) value: Option<Expr>,
    types: Types,
    nesting: u32,
}

impl Compiler<'_> {
    /// Whether single messages are out of sight here.
    pub(super) fn is_about_group(&self) -> bool {
        let inside = self.group.as_ref().map(|group| group.inside);
        inside.is_some_and(|inside| !matches!(inside, Some(Inside::Aggregate(_))))
    }

    /// Which of the group's keys a node is.
    pub(super) fn key_at(&self, id: NodeId) -> Option<usize> {
        let group = self.group.as_ref().filter(|_| self.is_about_group())?;
        let literal = matches!(
            self.tree.get(id).kind,
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Uint(_) | Kind::Double(_) | Kind::Str(_)
        );
        if literal {
            return None;
        }
        let same = |key: &Key<'_>| self.tree.same(id, key.tree, key.tree.root);
        let found = group.keys.iter().position(same)?;
        // A macro's variable may have the name of an input, and means something else.
        (!self.tree.mentions(id, |name| self.is_local(name))).then_some(found)
    }

    /// The node as a key of the group, if it is one.
    pub(super) fn group_key(&mut self, id: NodeId) -> Option<Typed> {
        let found = self.key_at(id)?;
        let key = self.group.as_ref()?.keys.get(found)?;
        let (types, nesting) = (key.types, key.nesting);
        let op = self.push(Op::GroupKey(found), self.tree.get(id).span);
        self.set_nesting(nesting);
        Some((op, types))
    }

    /// Refuses a field that differs from message to message, unless it is inside of a key.
    pub(super) fn check_grouped(&self, id: NodeId) -> Result<(), Fault> {
        let mut at = id;
        while let Some((operand, _)) = self.tree.member(at) {
            at = operand;
            if self.key_at(at).is_some() {
                return Ok(());
            }
        }
        let span = self.tree.get(id).span;
        let text = span.of(&self.unit.source);
        let message = format!("`{text}` differs from message to message of a group");
        let fault = Fault::new("NotGrouped", span, message);
        Err(fault.help(format!(
            "put it in groupBy, or say which: first({text}), last({text}), max({text}), collect({text})"
        )))
    }

    pub(super) fn aggregate(
        &mut self,
        aggregate: Aggregate,
        args: &[NodeId],
        at: Span,
        span: Span,
    ) -> Result<Typed, Fault> {
        let name = aggregate.name();
        let Some(group) = &self.group else {
            let message = format!("`{name}` is of a group of messages, and this is about one");
            let fault = Fault::new("AggregateHere", at, message);
            return Err(fault.help(
                "aggregates stand in select, having and trigger of what has a window or groupBy; \
                 having filters by them, where filters messages",
            ));
        };
        if let Some(Inside::Aggregate(outer)) = group.inside {
            let message = format!("`{name}` stands inside of `{}`", outer.name());
            let fault = Fault::new("NestedAggregate", span, message);
            return Err(fault.help("aggregate in two steps: one component for each"));
        }
        if !aggregate.takes(args.len()) {
            let message = format!(
                "`{name}` does not take {} argument{}",
                args.len(),
                plural(args.len())
            );
            let fault = Fault::new("WrongArgumentCount", at, message);
            return Err(fault.help(format!("it is written {}", aggregate.usage())));
        }
        let reading = match aggregate {
            Aggregate::Avg => Reading::Mean,
            Aggregate::StdDev => Reading::StdDev,
            Aggregate::Variance => Reading::Variance,
            Aggregate::Percentile => Reading::Percentile(self.part(args)?),
            _ => Reading::Value,
        };
        let gather = aggregate.gather(!args.is_empty());
        let gathered = self.gathered(aggregate, gather, args.first().copied())?;
        let group = self.group.get_or_insert_default();
        let place = group.reading((gathered, reading));
        let known = group.gathered.get(gathered);
        let (types, nesting) = known.map_or((Types::NULL, 0), |one| (one.types, one.nesting));
        let op = self.push(Op::Aggregate(place), span);
        self.set_nesting(nesting + u32::from(aggregate == Aggregate::Collect));
        self.check_nesting((op, aggregate.result(types)))
    }

    /// `size(collect(x))`: known without making the list, which a trigger would for each message.
    pub(super) fn size_of_collected(&mut self, operand: OpId, span: Span) -> Option<Typed> {
        let Op::Aggregate(at) = self.unit.op(operand) else {
            return None;
        };
        let group = self.group.as_mut()?;
        let (gathered, _) = *group.readings.get(*at)?;
        if group.gathered.get(gathered)?.gather != Gather::Collect {
            return None;
        }
        let place = group.reading((gathered, Reading::Size));
        Some((self.push(Op::Aggregate(place), span), Types::INT))
    }

    /// What gathers for an aggregate, shared between all that need the same.
    fn gathered(
        &mut self,
        aggregate: Aggregate,
        gather: Gather,
        arg: Option<NodeId>,
    ) -> Result<usize, Fault> {
        let source = arg.map(|arg| (self.tree, arg));
        let same = |known: &Gathered<'_>| {
            known.gather == gather
                && match (known.source, source) {
                    (Some((tree, id)), Some((other, other_id))) => tree.same(id, other, other_id),
                    (None, None) => true,
                    _ => false,
                }
                // The same words with a macro's variable in them mean something else, and are refused.
                && !arg.is_some_and(|arg| self.tree.mentions(arg, |name| self.is_local(name)))
        };
        let known = self.group.as_ref().map(|group| &group.gathered);
        if let Some(known) = known.and_then(|all| all.iter().position(same)) {
            return Ok(known);
        }
        let (mut root, mut types, mut nesting) = (None, Types::ANY, 0);
        if let Some(arg) = arg {
            let (op, found) = self.within(Inside::Aggregate(aggregate), arg)?;
            if !found.meets(aggregate.argument()) {
                let (name, wanted) = (aggregate.name(), aggregate.argument());
                let message = format!("`{name}` takes {wanted}, but this is {found}");
                let fault = Fault::new("NoSuchOverload", self.tree.get(arg).span, message);
                return Err(
                    if found == Types::STRING && aggregate.argument() == Types::NUMBER {
                        fault.help(format!("convert it: {name}(double({}))", self.unit.text(op)))
                    } else {
                        fault
                    },
                );
            }
            (types, nesting) = (found, self.nesting_of(op));
            root = Some((op, found));
        }
        let group = self.group.get_or_insert_default();
        group.gathered.push(Gathered {
            gather,
            source,
            root,
            argument: None,
            types,
            nesting,
        });
        Ok(group.gathered.len() - 1)
    }

    /// Compiles an argument that is evaluated on its own: macros around it have not run by then.
    fn within(&mut self, inside: Inside, arg: NodeId) -> Result<Typed, Fault> {
        let locals = std::mem::take(&mut self.locals);
        let nestings = std::mem::take(&mut self.local_nestings);
        let hidden = self.hidden.len();
        self.hidden.extend(locals.iter().cloned());
        let outside = self.group.as_mut().and_then(|group| group.inside.replace(inside));
        let made = self.node(arg);
        if let Some(group) = &mut self.group {
            group.inside = outside;
        }
        self.hidden.truncate(hidden);
        self.locals = locals;
        self.local_nestings = nestings;
        made
    }

    /// Which part of the values a percentile is about: a constant.
    fn part(&mut self, args: &[NodeId]) -> Result<f64, Fault> {
        let Some(arg) = args.get(1).copied() else {
            return Ok(0.5);
        };
        let span = self.tree.get(arg).span;
        let (op, _) = self.within(Inside::Aggregate(Aggregate::Percentile), arg)?;
        let number = match self.unit.op(op) {
            Op::Const(value) => value.as_double(),
            _ => None,
        };
        if let Some(part) = number.filter(|part| (0.0..=1.0).contains(part)) {
            return Ok(part);
        }
        let message = "which percentile is a number from 0 to 1 that no message changes";
        let fault = Fault::new("InvalidPercentile", span, message);
        Err(match number.filter(|part| (1.0..=100.0).contains(part)) {
            Some(part) => fault.help(format!("{part} % is written {}", part / 100.0)),
            None => fault.help("percentile(x, 0.95) is the value that 95 % of the values do not exceed"),
        })
    }

    /// `previous(x)` and `previous(x, default)`.
    pub(super) fn previous(&mut self, args: &[NodeId], at: Span, span: Span) -> Result<Typed, Fault> {
        let usage = "previous(x) or previous(x, default), as in previous(avg(a.b), 0.0)";
        let Some(group) = &self.group else {
            let fault = Fault::new(
                "AggregateHere",
                at,
                "`previous` looks back at a group of messages, and this is about one message",
            );
            return Err(fault.help("it stands in select and having of what has a window or groupBy"));
        };
        if let Some(inside) = group.inside {
            let outer = match inside {
                Inside::Aggregate(aggregate) => aggregate.name(),
                Inside::Previous => "previous",
            };
            let message = format!("`previous` stands inside of `{outer}`");
            let fault = Fault::new("NestedAggregate", span, message);
            return Err(fault.help("it looks back at a whole group: previous(sum(a.b))"));
        }
        let (value, default) = match args {
            [value] => (*value, None),
            [value, default] => (*value, Some(*default)),
            _ => {
                let count = args.len();
                let message = format!("`previous` does not take {count} argument{}", plural(count));
                return Err(
                    Fault::new("WrongArgumentCount", at, message).help(format!("it is written {usage}"))
                );
            }
        };
        let place = self.looked(value)?;
        let default = default.map(|default| self.node(default)).transpose()?;
        let known = self.group.as_ref().and_then(|group| group.previous.get(place));
        let (types, nesting) = known.map_or((Types::NULL, 0), |one| (one.types, one.nesting));
        let other = default.map_or(Types::NULL, |(_, types)| types);
        let below = default.map_or(0, |(op, _)| self.nesting_of(op));
        let op = Op::Previous {
            at: place,
            default: default.map(|(op, _)| op),
        };
        let op = self.push(op, span);
        self.set_nesting(nesting.max(below));
        // What failed the last time is null now.
        Ok((op, types.or(other).or(Types::NULL)))
    }

    fn looked(&mut self, value: NodeId) -> Result<usize, Fault> {
        let mentions = self.tree.mentions(value, |name| self.is_local(name));
        let same = |known: &Looked<'_>| known.source.0.same(known.source.1, self.tree, value) && !mentions;
        let known = self.group.as_ref().map(|group| &group.previous);
        if let Some(known) = known.and_then(|all| all.iter().position(same)) {
            return Ok(known);
        }
        let (op, types) = self.within(Inside::Previous, value)?;
        let looked = Looked {
            source: (self.tree, value),
            root: Some((op, types)),
            value: None,
            types,
            nesting: self.nesting_of(op),
        };
        let group = self.group.get_or_insert_default();
        group.previous.push(looked);
        Ok(group.previous.len() - 1)
    }

    /// What an unknown function over a group probably meant.
    pub(super) fn meant_aggregate(name: &str, at: Span) -> Option<Fault> {
        let usage = if let Some(aggregate) = Aggregate::named(name) {
            format!("it is written {}", aggregate.usage())
        } else if let Some((_, usage)) = ELSEWHERE.iter().find(|(other, _)| *other == name) {
            format!("use {usage}")
        } else {
            let names = Aggregate::ALL.iter().map(|one| one.name()).chain(["previous"]);
            format!("did you mean `{}`?", closest(name, names)?)
        };
        let fault = Fault::new("UnknownFunction", at, format!("there is no function `{name}`"));
        Some(fault.help(usage))
    }
}

impl<'c> GroupScope<'c> {
    pub(in crate::expr) fn new(keys: &'c [Key<'c>]) -> GroupScope<'c> {
        GroupScope {
            keys,
            ..GroupScope::default()
        }
    }

    /// The place of a reading, which is added if it is new.
    fn reading(&mut self, wanted: (usize, Reading)) -> usize {
        let known = self.readings.iter().position(|known| *known == wanted);
        known.unwrap_or_else(|| {
            self.readings.push(wanted);
            self.readings.len() - 1
        })
    }

    /// The reading that counts the group's messages.
    pub(in crate::expr) fn count_rows(&mut self) -> usize {
        let counts = |(of, reading): &(usize, Reading)| {
            let gather = self.gathered.get(*of).map(|one| one.gather);
            gather == Some(Gather::Rows) && *reading == Reading::Value
        };
        if let Some(known) = self.readings.iter().position(counts) {
            return known;
        }
        self.gathered.push(Gathered {
            gather: Gather::Rows,
            source: None,
            root: None,
            argument: None,
            types: Types::ANY,
            nesting: 0,
        });
        self.readings.push((self.gathered.len() - 1, Reading::Value));
        self.readings.len() - 1
    }
}
