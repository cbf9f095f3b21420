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
    let world = Arc::new(World::new(args.sidecar, seed));
    let chosen = |fault: &Fault| args.only.is_empty() || args.only.contains(&fault.sort());
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| args.broker.is_empty() || args.broker.contains(kind))
        .collect();
    for kind in &kinds {
        tokio::task::block_in_place(|| world.broker(*kind))?;
    }
    let (mut rows, mut fine) = (Vec::new(), true);
    for mut faults in Fault::all(form) {
        faults.retain(chosen);
        let mut ended: Vec<Ended> = Vec::new();
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
                    next(&mut running, &mut ended, &mut fine, seed).await?;
                }
            }
        }
        while next(&mut running, &mut ended, &mut fine, seed).await? {}
        let row = |(fault, kind, outcome, _): &Ended| report::row(&report::key(fault, *kind), outcome, seed);
        rows.extend(ended.iter().map(row));
    }
    println!(
        "{} runs in {:.1} minutes: {}",
        rows.len(),
        start.elapsed().as_secs_f64() / 60.0,
        if fine {
            "all is well"
        } else {
            "something is WRONG, see above"
        }
    );
    if let Some(path) = &args.docs {
        report::write(path, &rows, &report::machine())?;
    }
    Ok(fine)
}

/// Waits for the next one to end, and says how. False if none runs.
async fn next(
    running: &mut JoinSet<Ended>,
    ended: &mut Vec<Ended>,
    fine: &mut bool,
    seed: u64,
) -> Result<bool> {
    let Some(one) = running.join_next().await else {
        return Ok(false);
    };
    let one = one.context("a run ended before its end")?;
    let (fault, kind, outcome, seconds) = &one;
    let label = fault.label(*kind);
    let wrong = match outcome {
        Ok(outcome) => outcome.faults(),
        Err(error) => vec![format!("{error:#}")],
    };
    println!(
        "{seconds:>5.0} s {}",
        report::row(&report::key(fault, *kind), outcome, seed)
    );
    for wrong in &wrong {
        *fine = false;
        println!("        WRONG: {label}, {}: {wrong}", kind.name());
    }
    ended.push(one);
    Ok(true)
}
