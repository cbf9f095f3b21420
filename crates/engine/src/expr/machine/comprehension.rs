//! Macros over lists and maps.

use crate::expr::code::{Loop, LoopKind, OpId};
use crate::expr::error::EvalError;
use crate::value::Value;

use super::{Machine, Result};

/// What a loop has gathered.
#[derive(Default)]
struct Gathered<'a> {
    items: Vec<Value<'a>>,
    entries: Vec<(Value<'a>, Value<'a>)>,
    matches: u64,
    /// The first error that a later element may still make harmless.
    error: Option<EvalError>,
}

impl<'a> Machine<'a> {
    pub(super) fn comprehension(&mut self, inner: &'a Loop) -> Result<'a> {
        let range = self.eval(inner.range)?;
        let range = self.open(range)?;
        let mut gathered = Gathered::default();
        let result = match &range {
            Value::List(items) => {
                let pairs = items.iter().enumerate();
                let index = |at: usize| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
                self.walk(
                    inner,
                    pairs.map(|(at, item)| (index(at), item.clone())),
                    false,
                    &mut gathered,
                )
            }
            Value::Map(map) => self.walk(inner, map.entries().iter().cloned(), true, &mut gathered),
            other => Err(EvalError::no_such_overload(
                "a macro over a list or map",
                [other.kind()],
            )),
        };
        self.locals.truncate(inner.local);
        if let Some(decided) = result? {
            return Ok(Value::Bool(decided));
        }
        if let Some(error) = gathered.error {
            return Err(error);
        }
        match inner.kind {
            LoopKind::All => Ok(Value::Bool(true)),
            LoopKind::Exists => Ok(Value::Bool(false)),
            LoopKind::ExistsOne => Ok(Value::Bool(gathered.matches == 1)),
            LoopKind::List => Ok(Value::list(gathered.items)),
            LoopKind::Map | LoopKind::Entries => Self::new_map(gathered.entries),
        }
    }

    /// Goes through the elements; returns what decided an `all` or `exists` early. One variable stands for an
    /// element of a list or a key of a map, two for index and element, or key and value.
    fn walk(
        &mut self,
        inner: &'a Loop,
        pairs: impl Iterator<Item = (Value<'a>, Value<'a>)>,
        keyed: bool,
        gathered: &mut Gathered<'a>,
    ) -> std::result::Result<Option<bool>, EvalError> {
        for (key, value) in pairs {
            self.spend(2)?;
            self.locals.truncate(inner.local);
            match (inner.pair, keyed) {
                (true, _) => self.locals.extend([key.clone(), value]),
                (false, true) => self.locals.push(key.clone()),
                (false, false) => self.locals.push(value),
            }
            let decided = self.step(inner, key, gathered)?;
            if decided.is_some() {
                return Ok(decided);
            }
        }
        Ok(None)
    }

    fn step(
        &mut self,
        inner: &'a Loop,
        key: Value<'a>,
        gathered: &mut Gathered<'a>,
    ) -> std::result::Result<Option<bool>, EvalError> {
        if let Some(filter) = inner.filter
            && !self.truth(filter, "a macro's condition")?
        {
            return Ok(None);
        }
        match inner.kind {
            LoopKind::All => return self.quantify(inner.body, false, gathered),
            LoopKind::Exists => return self.quantify(inner.body, true, gathered),
            LoopKind::ExistsOne => {
                if let Some(body) = inner.body
                    && self.truth(body, "a macro's condition")?
                {
                    gathered.matches += 1;
                }
            }
            LoopKind::List => {
                let item = match inner.body {
                    Some(body) => self.eval(body)?,
                    None => self.locals.get(inner.local).cloned().unwrap_or(Value::Null),
                };
                gathered.items.push(item);
            }
            LoopKind::Map => {
                if let Some(body) = inner.body {
                    let value = self.eval(body)?;
                    gathered.entries.push((key, value));
                }
            }
            LoopKind::Entries => {
                if let Some(body) = inner.body {
                    let entries = self.eval(body)?;
                    let Value::Map(map) = self.open(entries)? else {
                        return Err(EvalError::invalid("transformMapEntry needs a map as each entry"));
                    };
                    self.spend(2 * map.len() as u64)?;
                    gathered.entries.extend(map.entries().iter().cloned());
                }
            }
        }
        Ok(None)
    }

    /// One element of `all` or `exists`: the answer if this element decides it. An error waits for an element that
    /// does.
    fn quantify(
        &mut self,
        body: Option<OpId>,
        decisive: bool,
        gathered: &mut Gathered<'a>,
    ) -> std::result::Result<Option<bool>, EvalError> {
        let Some(body) = body else { return Ok(None) };
        match self.truth(body, "a macro's condition") {
            Ok(b) => Ok((b == decisive).then_some(decisive)),
            Err(error) if error.is_final() => Err(error),
            Err(error) => {
                gathered.error.get_or_insert(error);
                Ok(None)
            }
        }
    }
}
