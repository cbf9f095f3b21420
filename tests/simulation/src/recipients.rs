//! The recipients' side: what is sent to them, and what they answer.

use rand::Rng;
use streaming_engine::component::{Effect, Target};
use streaming_engine::delivery::Answer;

use crate::judge::{bounds, canonical, cut_window, group, text};
use crate::oracle;
use crate::world::{End, World};

impl World<'_> {
    pub(crate) fn answer(&mut self) -> Result<(), End> {
        let pick = self.random.random_range(0..self.in_flight.len());
        let (id, to, event) = self.in_flight.swap_remove(pick);
        let cut = cut_window(&event);
        let content = if to == Target::Late || cut.is_some() {
            vec![]
        } else {
            canonical(&event)?
        };
        let answer = match (self.random.random_range(0..12), to) {
            (0..2, _) => Answer::Retry("busy".to_owned()),
            (_, Target::Late) => {
                let name = serde_json::from_slice::<serde_json::Value>(&event.data());
                let name = name.map_err(|error| error.to_string())?;
                // Of those that came twice, this one.
                let place = event
                    .dead_letter
                    .as_ref()
                    .and_then(|letter| letter.position.parse().ok());
                let is = |message: &usize| {
                    let message = self.case.messages.get(*message);
                    message.is_some_and(|message| oracle::name(message) == name["n"])
                };
                let Some(message) = place.filter(is) else {
                    return Err(End::Wrong(format!("nobody sent {name}, which is late")));
                };
                if self.stats.crashes == 0 && !self.lateness.is_late(self.case, message) {
                    return Err(End::Wrong(format!("{message} is not late")));
                }
                self.late.insert(message);
                Answer::Accepted
            }
            (2, Target::Output(output)) => {
                self.refused.extend(content.into_iter().map(|row| (output, row)));
                Answer::Drop("no".to_owned())
            }
            (_, Target::Output(output)) => {
                for row in content {
                    if let Some(number) = event.sequence {
                        let last = (number, row.clone());
                        let of = (output, group(&row)?);
                        if self.updates.get(&of).is_none_or(|before| before.0 <= number) {
                            self.updates.insert(of, last);
                        }
                    }
                    let ids = self.accepted.entry((output, row)).or_default();
                    ids.insert(event.id.clone());
                }
                Answer::Accepted
            }
            (_, Target::DeadLetter(_)) => {
                self.dead.extend(content);
                if let Some(window) = cut {
                    self.cut.entry(window).or_default().insert(event.id.clone());
                }
                Answer::Accepted
            }
        };
        self.stats.deliveries += 1;
        self.say(|| format!("{to:?} answers {answer:?} to {}", text(&event.data())));
        // The recipient has it; whether the component ever learns that is another matter.
        self.step()?;
        self.component.answered(id, answer.clone(), self.now);
        if self.random.random_bool(0.1) {
            self.component.answered(id, answer, self.now);
        }
        Ok(())
    }

    pub(crate) fn carry_out(&mut self) -> Result<(), End> {
        let mut acking = false;
        let bounds_hold = self.bounds_hold();
        while let Some(effect) = self.component.poll_effect() {
            if let Effect::Ack { input, token } = effect {
                self.ack(input, usize::try_from(token).unwrap_or(usize::MAX))?;
                acking = true;
                continue;
            }
            if std::mem::take(&mut acking) {
                self.step()?;
            }
            match effect {
                Effect::Send { id, to, event, .. } => {
                    let data = self.named(&event)?;
                    let known = self
                        .ids
                        .entry(format!("{} {to:?}", event.id))
                        .or_insert_with(|| data.clone());
                    if *known != data && bounds_hold {
                        return Err(End::Wrong(format!("id {} names {known} and {data}", event.id)));
                    }
                    if let Target::Output(_) = to {
                        let rows = canonical(&event)?;
                        let window = rows.first().map(|row| bounds(row)).unwrap_or_default();
                        let made = self.made.entry(window).or_default();
                        made.0.extend(rows);
                        made.1 = made.1.max(event.data().len());
                    }
                    self.say(|| format!("send {} to {to:?}: {}", event.id, text(&event.data())));
                    self.in_flight.push((id, to, event));
                }
                Effect::Pause { input } => self.paused[input] = true,
                Effect::Resume { input } => self.paused[input] = false,
                Effect::OverBudget(_) if self.case.budget.is_some() => {}
                Effect::OverBudget(over) => return Err(End::Wrong(format!("over budget: {over:?}"))),
                Effect::Window(report) => self.say(|| format!("{report:?}")),
                Effect::Ack { .. } => {}
            }
        }
        Ok(())
    }
}
