//! A `select` that spells out a map of fields: its constant parts are written in advance, and rows that have some of
//! their messages in common have the first of them written once.

use std::ops::Range;

use crate::field::Field;
use crate::value::{write_number, write_string};

use super::code::{Op, OpId, Unit};
use super::program::{Context, Place};

/// More fields, or more bytes of them, cost so much that it has to be counted.
const MOST: usize = 1024;
const MOST_BYTES: usize = 1 << 20;

/// Names up to this are copied as if they were as long.
const SHORT: usize = 32;

/// A map's names, each with the field that is its value.
#[derive(Clone, Debug)]
pub(super) struct Template {
    members: Box<[Member]>,
}

#[derive(Clone, Debug)]
struct Member {
    /// The name as JSON, with the comma or brace before it and the colon after it.
    name: Box<[u8]>,
    /// The same, with zeros behind it, if it is short.
    short: Option<[u8; SHORT]>,
    place: Place,
}

impl Template {
    /// That of an operation, if it has one.
    pub(super) fn of(unit: &Unit, root: OpId, places: &[Option<Place>]) -> Option<Template> {
        let Op::Map {
            entries,
            names: Some(names),
        } = unit.op(root)
        else {
            return None;
        };
        let member = |name: &[u8], value: OpId| {
            let Op::Field(access) = unit.op(value) else {
                return None;
            };
            let mut short = [0; SHORT];
            let fits = short
                .get_mut(..name.len())
                .map(|start| start.copy_from_slice(name));
            Some(Member {
                name: name.into(),
                short: fits.map(|()| short),
                place: places
                    .get(*access)
                    .copied()
                    .flatten()
                    .filter(|place| place.exact)?,
            })
        };
        let members = names.iter().zip(entries);
        let members = members.map(|(name, (_, value))| member(name, *value));
        let members: Box<[Member]> = members.collect::<Option<_>>()?;
        (1..=MOST)
            .contains(&members.len())
            .then_some(Template { members })
    }

    /// Appends the map. If it is one that takes a closer look, `out` stays as it is, and false is given.
    ///
    /// Where only the rows of one input differ from those that the last map was of, `again` is that input, and where
    /// in `out` the members are that come before all of that input's; that is empty if there is no such map.
    pub(super) fn write(
        &self,
        cx: &Context<'_>,
        out: &mut Vec<u8>,
        again: Option<(usize, &mut Range<usize>)>,
    ) -> bool {
        let before = out.len();
        let written = match again {
            None => self.members.iter().all(|member| member.write(cx, out)),
            Some((input, lead)) => {
                let others = |member: &&Member| member.place.input != input;
                let count = self.members.iter().take_while(others).count();
                let (first, rest) = self.members.split_at_checked(count).unwrap_or_default();
                let is_known = lead.start < lead.end && lead.end <= before;
                if is_known {
                    out.extend_from_within(lead.clone());
                }
                let begun = is_known || first.iter().all(|member| member.write(cx, out));
                *lead = before..out.len();
                let written = begun && rest.iter().all(|member| member.write(cx, out));
                if !written || out.len() - before > MOST_BYTES {
                    *lead = 0..0;
                }
                written
            }
        };
        if !written || out.len() - before > MOST_BYTES {
            out.truncate(before);
            return false;
        }
        out.push(b'}');
        true
    }
}

impl Member {
    /// Appends the member, if its value is one that most fields are.
    #[inline]
    fn write(&self, cx: &Context<'_>, out: &mut Vec<u8>) -> bool {
        let end = out.len() + self.name.len();
        match &self.short {
            Some(short) => {
                out.extend_from_slice(short);
                out.truncate(end);
            }
            None => out.extend_from_slice(&self.name),
        }
        match cx.field(self.place.input, self.place.slot) {
            Field::Str(text) => write_string(text, out),
            Field::Number(number) => write_number(number, out),
            _ => return false,
        }
        true
    }
}
