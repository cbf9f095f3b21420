//! `simulate`: many seeds on all cores, or one again.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use clap::Parser;
use simulation::run;

/// Runs random pipelines under faults on virtual time, and judges what comes out.
#[derive(Parser)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 400)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this one, with what it is about.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(seed) = args.seed {
        println!("{:#?}", simulation::windows::case::Case::draw(seed));
        println!("{:#?}", simulation::flow::case::Case::draw(seed));
        return match run(seed, true) {
            Ok(stats) => {
                println!("seed {seed}: {stats:?}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                println!("seed {seed} fails: {why}");
                ExitCode::FAILURE
            }
        };
    }
    let start = Instant::now();
    let next = AtomicU64::new(args.from);
    let end = args.from + args.seeds;
    let work = || {
        let mut failed = Vec::new();
        let mut total = simulation::Stats::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return (failed, total);
            }
            let done = seed - args.from;
            if done > 0 && done.is_multiple_of(args.seeds.div_ceil(20)) {
                println!(
                    "{done} of {} seeds, {:.0} s",
                    args.seeds,
                    start.elapsed().as_secs_f64()
                );
            }
            match run(seed, false) {
                Ok(stats) => total.add(&stats),
                Err(why) => {
                    println!("seed {seed} fails: {why}\n  again: cargo xtask simulate --seed {seed}");
                    failed.push(seed);
                }
            }
        }
    };
    let cores = thread::available_parallelism().map_or(2, usize::from);
    let (failed, total) = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let mut all = (Vec::new(), simulation::Stats::default());
        for thread in threads {
            // A panic anywhere is a failure of the whole.
            let Ok((failed, total)) = thread.join() else {
                return (vec![u64::MAX], all.1);
            };
            all.0.extend(failed);
            all.1.add(&total);
        }
        all
    });
    println!(
        "{} seeds from {} in {:.0} s: {total:?}",
        args.seeds,
        args.from,
        start.elapsed().as_secs_f64()
    );
    if failed.is_empty() {
        println!("all clean");
        return ExitCode::SUCCESS;
    }
    println!("{} failed: {failed:?}", failed.len());
    ExitCode::FAILURE
}
