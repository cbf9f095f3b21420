//! `faults`: makes all faults happen, or some, prints what came of each, and keeps the table in the documentation.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;
use faults::broker::Kind;
use faults::faults::{Fault, Form, Sort};
use faults::report::{self, Outcome};
use faults::scene::World;
use tokio::task::JoinSet;

/// Makes faults happen to sidecars between real brokers, and counts what is lost and what comes twice.
#[derive(Parser)]
struct Args {
    /// The sidecar.
    #[arg(long, value_name = "FILE", default_value = "streaming-sidecar")]
    sidecar: PathBuf,
    /// What is drawn is drawn by it. Another one each time, unless it is given.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these sorts of faults.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Sort>,
    /// Only these brokers.
    #[arg(long, value_enum, value_delimiter = ',')]
    broker: Vec<Kind>,
    /// Seconds of each.
    #[arg(long, conflicts_with = "docs")]
    short: bool,
    /// A file to put the table into.
    #[arg(long, value_name = "FILE")]
    docs: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let fine = runtime.block_on(all(args))?;
    Ok(if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// One fault at one broker, how it ended, and in how many seconds.
type Ended = (Fault, Kind, Result<Outcome>, f64);

async fn all(args: Args) -> Result<bool> {
    let start = Instant::now();
    let form = if args.short { Form::Short } else { Form::Long };
    let seed = args.seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    println!("seed {seed}; again: cargo xtask faults --seed {seed}");
    // Cargo names the folder after the profile.
    let folder = args.sidecar.parent().and_then(|folder| folder.file_name());
    let build = folder.map_or_else(|| "?".to_owned(), |name| name.to_string_lossy().into_owned());
    let mut tally = Tally {
        rows: Vec::new(),
        fine: true,
        drawn: format!("{seed}, {build}"),
    };
    let world = Arc::new(World::new(args.sidecar, seed));
    let chosen = |fault: &Fault| args.only.is_empty() || args.only.contains(&fault.sort());
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| args.broker.is_empty() || args.broker.contains(kind))
        .collect();
    for kind in &kinds {
        tokio::task::block_in_place(|| world.broker(*kind))?;
    }
    for mut faults in Fault::all(form) {
        faults.retain(chosen);
        let mut running = JoinSet::new();
        for fault in faults {
            for kind in kinds.iter().copied() {
                let world = Arc::clone(&world);
                running.spawn(async move {
                    let begun = Instant::now();
                    let outcome = fault.run(&world, kind, form).await;
                    (fault, kind, outcome, begun.elapsed().as_secs_f64())
                });
                if fault.is_timed() {
                    tally.next(&mut running).await?;
                }
            }
        }
        while tally.next(&mut running).await? {}
        // Now, so that a run that is cut short leaves what it had.
        if let Some(path) = &args.docs {
            report::write(path, &tally.rows, &report::machine())?;
        }
    }
    let (runs, minutes) = (tally.rows.len(), start.elapsed().as_secs_f64() / 60.0);
    let verdict = if tally.fine {
        "all is well"
    } else {
        "something is WRONG, see above"
    };
    println!("{runs} runs in {minutes:.1} minutes: {verdict}");
    Ok(tally.fine)
}

/// What has come of the runs so far.
struct Tally {
    rows: Vec<String>,
    fine: bool,
    /// The seed, and the build.
    drawn: String,
}

impl Tally {
    /// Waits for the next run to end, and says how. False if none runs.
    async fn next(&mut self, running: &mut JoinSet<Ended>) -> Result<bool> {
        let Some(one) = running.join_next().await else {
            return Ok(false);
        };
        let (fault, kind, outcome, seconds) = one.context("a run ended before its end")?;
        let row = report::row(&report::key(&fault, kind), &outcome, &self.drawn);
        println!("{seconds:>5.0} s {row}");
        let wrong = match outcome {
            Ok(outcome) => outcome.faults(),
            Err(error) => vec![format!("{error:#}")],
        };
        for wrong in wrong {
            self.fine = false;
            println!("        WRONG: {}, {}: {wrong}", fault.label(kind), kind.name());
        }
        self.rows.push(row);
        Ok(true)
    }
}
