//! What happens to a sidecar, one sort a module.

mod backlog;
mod duplicates;
mod kill;
mod line;
mod poison;
mod recipient;
mod restart;
mod roll;
mod stop;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::broker::Kind;
use crate::container::Mood;
use crate::pipeline::Shape;
use crate::proxy::Line;
use crate::report::Outcome;
use crate::scene::World;

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Seconds each, for every change of the code.
    Short,
    /// Enough to believe it.
    Long,
}

impl Form {
    fn pick<T>(self, short: T, long: T) -> T {
        match self {
            Form::Short => short,
            Form::Long => long,
        }
    }
}

/// The sorts of faults, as they are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// SIGKILL of the sidecar at points that are drawn.
    Kill,
    /// The broker goes and comes again.
    Restart,
    /// SIGSTOP of one of two pods.
    Stop,
    /// The connection is reset and refused, or goes silent.
    Line,
    /// Events are published twice.
    Duplicates,
    /// The recipient misbehaves.
    Recipient,
    /// The recipient is away for longer than memory lasts.
    Backlog,
    /// SIGTERM of one pod after the other.
    Roll,
    /// Messages that are none.
    Poison,
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The sidecar is killed, again and again.
    Kill,
    /// The broker is.
    Restart,
    /// One of two pods stands still.
    Stop,
    /// The connection is in trouble for a while.
    Line(Line, Duration),
    /// So many of a hundred events are published twice.
    Duplicates(u64),
    /// Requests meet a container in this mood now and then.
    Recipient(Mood),
    /// The container takes nothing until more has come than fits into memory.
    Backlog,
    /// Pods follow each other.
    Roll(Shape),
    /// What can't be used comes beside what can.
    Poison,
}

impl Fault {
    /// All, those that may happen at the same time together.
    pub fn all(form: Form) -> Vec<Vec<Fault>> {
        let lines = |line| {
            let seconds = form.pick(&[2][..], &[10, 30][..]);
            seconds
                .iter()
                .map(move |s| Fault::Line(line, Duration::from_secs(*s)))
        };
        let percents = form.pick(&[10][..], &[1, 10, 50][..]);
        let moods = [
            Mood::Stall,
            Mood::Refuse,
            Mood::Reset,
            Mood::Slow(Duration::from_millis(500)),
            Mood::Garbage,
        ];
        let duplicates = percents.iter().map(|percent| Fault::Duplicates(*percent));
        let mut waiting = vec![Fault::Kill, Fault::Restart, Fault::Stop];
        waiting.extend(lines(Line::Cut).chain(lines(Line::Silent)));
        let rolls = [Shape::Join, Shape::Filter].map(Fault::Roll);
        vec![
            waiting,
            moods.map(Fault::Recipient).to_vec(),
            duplicates.chain(rolls).collect(),
            vec![Fault::Backlog],
            vec![Fault::Poison],
        ]
    }

    /// Its sort.
    pub fn sort(&self) -> Sort {
        match self {
            Fault::Kill => Sort::Kill,
            Fault::Restart => Sort::Restart,
            Fault::Stop => Sort::Stop,
            Fault::Line(..) => Sort::Line,
            Fault::Duplicates(_) => Sort::Duplicates,
            Fault::Recipient(_) => Sort::Recipient,
            Fault::Backlog => Sort::Backlog,
            Fault::Roll(_) => Sort::Roll,
            Fault::Poison => Sort::Poison,
        }
    }

    /// Whether it measures a rate, so that nothing else may happen meanwhile.
    pub fn is_timed(&self) -> bool {
        matches!(self, Fault::Poison)
    }

    /// What the table calls it.
    pub fn label(&self, kind: Kind) -> String {
        match self {
            Fault::Kill => "SIGKILL of the Joiner's sidecar".to_owned(),
            Fault::Restart if kind == Kind::Mqtt => "broker stopped and started".to_owned(),
            Fault::Restart => "broker killed and started".to_owned(),
            Fault::Stop => "SIGSTOP of one of two pods".to_owned(),
            Fault::Line(Line::Silent, time) => format!("connection half-open for {} s", time.as_secs()),
            Fault::Line(_, time) => format!("connection cut for {} s", time.as_secs()),
            Fault::Duplicates(percent) => format!("{percent} % published twice"),
            Fault::Recipient(mood) => match mood {
                Mood::Stall => "recipient never answers",
                Mood::Refuse => "recipient answers 500",
                Mood::Reset => "recipient resets",
                Mood::Slow(_) => "recipient answers slowly",
                Mood::Garbage => "recipient answers garbage",
                Mood::Well => "recipient is well",
            }
            .to_owned(),
            Fault::Backlog => "recipient away, more waits than fits".to_owned(),
            Fault::Roll(Shape::Join) => "SIGTERM of the Joiner, its successor at once".to_owned(),
            Fault::Roll(_) => "SIGTERM of a Channel's pod after its successor's start".to_owned(),
            Fault::Poison => "messages that are none".to_owned(),
        }
    }

    /// Makes it happen.
    ///
    /// # Errors
    /// The run could not come to its end, which is a fault too.
    pub async fn run(&self, world: &World, kind: Kind, form: Form) -> Result<Outcome> {
        match self {
            Fault::Kill => kill::run(world, kind, form.pick(4, 100)).await,
            Fault::Restart => restart::run(world, kind, form.pick(1, 20)).await,
            Fault::Stop => stop::run(world, kind, Duration::from_secs(form.pick(8, 30))).await,
            Fault::Line(line, time) => line::run(world, kind, *line, *time).await,
            Fault::Duplicates(percent) => {
                duplicates::run(world, kind, *percent, form.pick(1_000, 10_000)).await
            }
            Fault::Recipient(mood) => recipient::run(world, kind, *mood, form.pick(2, 20)).await,
            Fault::Backlog => backlog::run(world, kind, form.pick(2_000, 20_000)).await,
            Fault::Roll(shape) => roll::run(world, kind, *shape, form.pick(2, 20)).await,
            // In few seconds a rate says nothing.
            Fault::Poison => poison::run(world, kind, form.pick(2_000, 100_000), form.pick(0.0, 95.0)).await,
        }
    }
}
