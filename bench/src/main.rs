//! Loads a joining pipeline with messages, checks every row that comes out, and times it.
//!
//! Brokers and a sidecar are started for it ([`brokers`], [`process`]); messages are made ([`workload`]), sent in
//! time with the windows ([`run`]) over plain sockets ([`wire`]); what the sidecar posts is compared with what had to
//! come ([`check`]) and told ([`report`]). Bridges ([`bridge`]) are timed beside a bare loop ([`bare`]).

mod bare;
mod bridge;
mod brokers;
mod check;
mod clock;
mod plans;
mod process;
mod report;
mod run;
mod wire;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

use brokers::{Broker, Brokers, Mode, Ports};
use report::Figures;
use run::{Outcome, Scenario};

#[derive(Parser)]
#[command(about = "Loads a joining sidecar with messages, checks every row that comes out, and times it")]
struct Args {
    #[command(subcommand)]
    command: Option<Alone>,
    /// The sidecar to measure.
    #[arg(long, value_name = "FILE", default_value = "streaming-sidecar")]
    sidecar: PathBuf,
    /// A file to put the table of figures into.
    #[arg(long, value_name = "FILE")]
    docs: Option<PathBuf>,
    /// Few messages in long windows: any machine keeps pace with them, and the figures say nothing.
    #[arg(long, conflicts_with = "docs")]
    light: bool,
    /// Only the bridges whose names have this in them, as `redis to mqtt`, and no joins.
    #[arg(long, value_name = "TEXT", conflicts_with = "docs")]
    bridges: Option<String>,
}

#[derive(Subcommand)]
enum Alone {
    /// Moves messages and does nothing else, for comparison; started by the benchmark itself.
    #[command(hide = true)]
    Bare(bare::Bare),
}

/// Runs of one scenario, until the load is sent in time. If it never is, half of it is tried.
const ATTEMPTS: usize = 3;
/// No fewer events in a window than this.
const LEAST: u64 = 1_250;

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if let Some(Alone::Bare(bare)) = &args.command {
        bare::run(bare)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(some) = &args.bridges {
        bridges(&args, some)?;
        return Ok(ExitCode::SUCCESS);
    }
    let figures = measure(&args)?;
    print(&figures.table());
    if let Some(path) = &args.docs {
        figures.write(path)?;
    }
    let exact = figures.counted().all(|(_, outcome)| outcome.verdict.is_exact());
    Ok(if exact {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn measure(args: &Args) -> Result<Figures> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let binary = std::fs::metadata(&args.sidecar).with_context(|| args.sidecar.display().to_string())?;
    let brokers = Brokers::start()?;
    let ports = brokers.ports();
    let idle_mb = run::idle_mb(ports, &args.sidecar)?;
    let mut cold_starts = Vec::new();
    for _ in 0..5 {
        cold_starts.push(run::cold_start(ports, &args.sidecar)?);
    }
    cold_starts.sort_by(f64::total_cmp);
    let mut runs = Vec::new();
    for scenario in scenarios(args.light) {
        let outcomes = in_time(scenario, ports, args)?;
        for row in &outcomes {
            print(&report::join(row));
        }
        runs.push(outcomes);
    }
    let bridges = bridged(args, ports, "")?;
    let mut taken_alone = Vec::new();
    for mode in [Mode::Transient, Mode::Persistent] {
        taken_alone.push(run::taken_alone(ports, Broker::RabbitMq(mode))?);
    }
    Ok(Figures {
        runs,
        bridges,
        taken_alone,
        cold_start_ms: cold_starts
            .get(cold_starts.len() / 2)
            .copied()
            .unwrap_or(f64::NAN),
        idle_mb,
        // Megabytes are enough.
        #[allow(clippy::cast_precision_loss)]
        binary_mb: binary.len() as f64 / 1e6,
        load: load.split_whitespace().next().unwrap_or_default().to_owned(),
    })
}

/// Times the bridges whose names have `some` in them.
fn bridges(args: &Args, some: &str) -> Result<()> {
    let brokers = Brokers::start()?;
    let none = bridged(args, brokers.ports(), some)?.is_empty();
    ensure!(
        !none,
        "no bridge has a name with `{some}` in it; there is `redis to mqtt`"
    );
    Ok(())
}

fn bridged(args: &Args, ports: Ports, some: &str) -> Result<Vec<bridge::Outcome>> {
    let (messages, rounds) = if args.light { (2_000, 1) } else { (100_000, 3) };
    let mut bridges = Vec::new();
    for pair in bridge::pairs().filter(|pair| pair.to_string().contains(some)) {
        let outcome = pair.run(ports, &args.sidecar, messages, rounds)?;
        print(&report::bridge(&outcome));
        bridges.push(outcome);
    }
    Ok(bridges)
}

/// What is joined, one after the other.
fn scenarios(light: bool) -> Vec<Scenario> {
    let (transient, persistent) = (
        Broker::RabbitMq(Mode::Transient),
        Broker::RabbitMq(Mode::Persistent),
    );
    let scenario = |tenants, events, (count, windows, window_ms)| Scenario {
        brokers: (tenants, events),
        tenants: 1_000,
        events: count,
        windows,
        window_ms,
    };
    let mut all = Vec::new();
    if light {
        let few = (1_000, 2, 5_000);
        all.push(scenario(Broker::Redis, Broker::Redis, few));
        for rabbitmq in [transient, persistent] {
            all.push(scenario(Broker::Redis, rabbitmq, few));
        }
        all.push(scenario(Broker::Mqtt, transient, few));
    } else {
        for load in [(20_000, 6, 1_000), (100_000, 6, 1_000), (200_000, 3, 20_000)] {
            all.push(scenario(Broker::Redis, Broker::Redis, load));
        }
        for (tenants, rabbitmq) in [
            (Broker::Redis, transient),
            (Broker::Redis, persistent),
            (Broker::Mqtt, transient),
        ] {
            all.push(scenario(tenants, rabbitmq, (10_000, 6, 1_000)));
        }
    }
    all
}

/// Runs a scenario with ever fewer events, until they are sent in time.
fn in_time(mut scenario: Scenario, ports: Ports, args: &Args) -> Result<Vec<(Scenario, Outcome)>> {
    let mut runs = Vec::new();
    loop {
        let mut outcome = scenario.run(ports, &args.sidecar)?;
        for _ in 1..ATTEMPTS {
            if outcome.late == 0 {
                break;
            }
            outcome = scenario.run(ports, &args.sidecar)?;
        }
        let fed = outcome.late == 0 || scenario.events <= LEAST;
        runs.push((scenario, outcome));
        if fed {
            return Ok(runs);
        }
        scenario.events /= 2;
    }
}

// The table is what this program is for.
#[allow(clippy::print_stdout)]
fn print(text: &str) {
    println!("{text}");
}
