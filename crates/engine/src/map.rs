//! Maps: one message in, at most one result out, and nothing kept in between.

use crate::expr::{Context, EvalError, Program, Row, Scope};
use crate::join::{Clause, SpecError, compile_condition, compile_select, layout};
use crate::layout::Layout;

/// A filter and a map over a single input, ready to run.
#[derive(Clone, Debug)]
pub struct MapSpec {
    layout: Layout,
    filter: Option<Program>,
    select: Option<Program>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mapped {
    /// The filter is not true.
    Filtered,
    /// This is the result.
    Result(Vec<u8>),
    /// The result is the message's data.
    Unchanged,
}

/// Which expression failed, and why.
#[derive(Debug)]
pub(crate) enum MapError {
    Filter(EvalError),
    Select(EvalError),
}

impl MapSpec {
    /// Compiles a filter and a map. `variable` is the name of the input in expressions.
    pub fn new(variable: &str, filter: Option<&str>, select: Option<&str>) -> Result<MapSpec, SpecError> {
        let scope = Scope::new(&[variable])?.with_message();
        let filter = compile_condition(Clause::Where, filter, &scope)?;
        let select = compile_select(select, &scope)?;
        let exprs: Vec<_> = filter.iter().chain(&select).collect();
        let layout = layout(0, &exprs);
        Ok(MapSpec {
            filter: filter.map(|filter| filter.bind(&[&layout])),
            select: select.map(|select| select.bind(&[&layout])),
            layout,
        })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn apply(&self, row: &dyn Row, topic: &str, key: Option<&str>) -> Result<Mapped, MapError> {
        let rows = [row];
        let cx = Context::new(&rows).with_message(topic, key);
        if let Some(filter) = &self.filter
            && !filter.test(&cx).map_err(MapError::Filter)?
        {
            return Ok(Mapped::Filtered);
        }
        let Some(select) = &self.select else {
            return Ok(Mapped::Unchanged);
        };
        let mut out = Vec::new();
        select.write_json(&cx, &mut out).map_err(MapError::Select)?;
        Ok(Mapped::Result(out))
    }
}
