//! Results before a window ends: groups that a trigger sends, and groups that have changed.

use std::collections::{BTreeMap, BTreeSet};

use super::bound::Single;
use super::emit::{FailedRow, Output};
use super::grouping;
use super::open::OpenWindow;
use super::spec::JoinSpec;
use crate::aggregate::GroupResult;
use crate::expr::EvalError;
use crate::id::Id;
use crate::query::Emit;
use crate::row::RowBuilder;
use crate::time::Time;
use crate::window::Window;

/// What a window knows of its groups so that they can leave before it ends.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// With a trigger, the messages of each group.
    tokens: BTreeMap<Vec<u8>, Vec<u64>>,
    /// With updates, the groups that have changed since the last.
    changed: BTreeSet<Vec<u8>>,
    bytes: usize,
}

/// A group that leaves, and starts again empty.
#[derive(Debug, Default)]
pub(crate) struct Fired {
    /// `None` if `having` keeps it back.
    pub(crate) output: Option<Output>,
    pub(crate) failed: Option<FailedRow>,
    /// The messages in it.
    pub(crate) tokens: Vec<u64>,
}

/// Bytes of an entry besides its key.
const ENTRY: usize = 64;

impl Early {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    /// All messages of groups that did not leave.
    pub(super) fn into_tokens(self) -> impl Iterator<Item = u64> {
        self.tokens.into_values().flatten()
    }
}

impl OpenWindow {
    /// Looks at the group of the message that was kept last. Some if it leaves now.
    pub(crate) fn fire(
        &mut self,
        spec: &JoinSpec,
        uid: &str,
        row: &RowBuilder,
        mut error: impl FnMut(&EvalError),
    ) -> Option<Fired> {
        let groups = spec.groups.as_ref()?;
        let single = Single {
            inputs: spec.inputs(),
            window: self.window,
        };
        let key = single.with(&row.row(), |cx| groups.key(cx)).ok()?;
        if spec.emit == Emit::Updates && !self.early.changed.contains(&key) {
            self.early.bytes += ENTRY + key.len();
            self.early.changed.insert(key.clone());
        }
        if !groups.has_trigger() {
            return None;
        }
        let token = self.sides.first_mut()?.store.pop_token()?;
        if let Some(tokens) = self.early.tokens.get_mut(&key) {
            tokens.push(token);
        } else {
            self.early.bytes += ENTRY + key.len();
            self.early.tokens.insert(key.clone(), vec![token]);
        }
        self.early.bytes += size_of::<u64>();
        let group = self.groups.get(&key)?;
        let result = GroupResult::new(groups, &key, group, bounds(self.window), None);
        match result.trigger() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(cause) => {
                self.errors += 1;
                error(&cause);
                return None;
            }
        }
        let mut fired = Fired::default();
        match result.having().and_then(|wanted| {
            let made = wanted.then(|| make(&result, spec.emit == Emit::Batch, uid));
            made.transpose()
        }) {
            // Each time it leaves is a result of its own: none takes another's place.
            Ok(None) => {}
            Ok(Some(output)) => {
                fired.output = Some(Output {
                    subject: None,
                    ..output
                });
            }
            Err(cause) => {
                self.errors += 1;
                error(&cause);
                fired.failed = Some(grouping::failed(&result, uid, &cause));
            }
        }
        self.groups.remove(&key);
        fired.tokens = self.early.tokens.remove(&key).unwrap_or_default();
        let bytes = ENTRY + key.len() + fired.tokens.len() * size_of::<u64>();
        self.early.bytes = self.early.bytes.saturating_sub(bytes);
        Some(fired)
    }

    /// The groups that have changed since this was asked last, as they are now. What fails is told of when the window
    /// closes.
    pub(crate) fn updates(&mut self, spec: &JoinSpec, uid: &str) -> Vec<Output> {
        let Some(groups) = &spec.groups else {
            return Vec::new();
        };
        let mut outputs = Vec::new();
        for key in std::mem::take(&mut self.early.changed) {
            self.early.bytes = self.early.bytes.saturating_sub(ENTRY + key.len());
            let Some(group) = self.groups.get(&key) else {
                continue;
            };
            let result = GroupResult::new(groups, &key, group, bounds(self.window), None);
            if result.having() == Ok(true) {
                outputs.extend(make(&result, false, uid));
            }
        }
        outputs
    }
}

fn make(result: &GroupResult<'_>, batch: bool, uid: &str) -> Result<Output, EvalError> {
    let mut data = Vec::new();
    if batch {
        data.push(b'[');
    }
    result.select(&mut data)?;
    if batch {
        data.push(b']');
    }
    Ok(Output {
        id: Id(result.row_id(uid)),
        data,
        subject: Some(result.upsert_key(uid)),
    })
}

/// A window that never ends has none.
fn bounds(window: Window) -> Option<(Time, Time)> {
    (window != Window::ALL).then_some((window.start, window.end))
}
