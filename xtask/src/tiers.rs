//! The tiers of the tests, in the order that finds a fault soonest, each with its time budget.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::setup::{BROKERS, CONTAINERS, JAVA, Program};
use crate::{bench, binaries, cluster, crds, e2e, faults, fuzz, lines, redis, sdk, setup, shell, simulate};

struct Tier {
    name: &'static str,
    about: &'static str,
    /// Minutes that it may take on 2 cores from an empty cache; written down in docs/ci.md too.
    budget: u32,
    /// Beyond compilers.
    needs: &'static [&'static [Program]],
    run: fn() -> Result<()>,
}

const TIERS: &[Tier] = &[
    Tier {
        name: "fmt",
        about: "rustfmt",
        budget: 1,
        needs: &[],
        run: || shell::sh("cargo fmt --all --check"),
    },
    Tier {
        name: "lines",
        about: "no source file over 400 lines",
        budget: 1,
        needs: &[],
        run: lines::run,
    },
    Tier {
        name: "generated",
        about: "crds/, manifests/install.yaml and docs/resources.md in sync",
        budget: 3,
        needs: &[],
        run: || crds::run(true),
    },
    Tier {
        name: "clippy",
        about: "clippy, pedantic",
        budget: 6,
        needs: &[],
        run: clippy,
    },
    Tier {
        name: "test",
        about: "unit, property, golden and command-line tests; expressions against cel-go; real brokers",
        budget: 16,
        needs: &[BROKERS, JAVA],
        run: tests,
    },
    Tier {
        name: "simulation",
        about: "400 random pipelines under faults on virtual time, against an oracle",
        budget: 2,
        needs: &[],
        run: simulate::short,
    },
    Tier {
        name: "flink",
        about: "windows, joins and aggregates against Flink SQL on the same events",
        budget: 4,
        needs: &[JAVA],
        run: || shell::sh("cargo test --package flink-parity --locked -- --nocapture"),
    },
    Tier {
        name: "docs",
        about: "rustdoc without warnings",
        budget: 3,
        needs: &[],
        run: docs,
    },
    Tier {
        name: "examples",
        about: "examples on a virtual clock, cut and resumed; one in real time",
        budget: 10,
        needs: &[],
        run: examples,
    },
    Tier {
        name: "bench",
        about: "each benchmark once, for its checks; a window larger than memory, every group checked",
        budget: 4,
        needs: &[],
        run: benches,
    },
    Tier {
        name: "load",
        about: "a sidecar under a light load between real brokers, every row checked",
        budget: 4,
        needs: &[BROKERS],
        run: bench::short,
    },
    Tier {
        name: "faults",
        about: "sidecars killed, stopped, cut off and stuffed between real brokers, nothing lost",
        budget: 4,
        needs: &[BROKERS],
        run: faults::short,
    },
    Tier {
        name: "fuzz",
        about: "30 s of fuzzing expressions",
        budget: 4,
        needs: &[],
        run: || fuzz::run(30),
    },
    Tier {
        name: "control-plane",
        about: "definitions, manifests and the operator on a real kube-apiserver",
        budget: 5,
        needs: &[],
        run: || shell::sh("cargo test --package control-plane --locked -- --nocapture"),
    },
    Tier {
        name: "deny",
        about: "licences, bans, sources of dependencies",
        budget: 6,
        needs: &[],
        run: deny,
    },
    Tier {
        name: "cluster",
        about: "the examples datacenter and power-grid on a Kubernetes node, short form",
        budget: 12,
        needs: &[BROKERS, CONTAINERS],
        run: || e2e::run(&e2e::Run::in_short()),
    },
];

/// Prints the tiers.
pub(crate) fn list() {
    for tier in TIERS {
        println!("{:<13} {:>3} min  {}", tier.name, tier.budget, tier.about);
    }
}

/// Runs the named tiers, or all of them.
pub(crate) fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names
        .iter()
        .find(|name| TIERS.iter().all(|tier| tier.name != **name))
    {
        let known: Vec<&str> = TIERS.iter().map(|tier| tier.name).collect();
        bail!("there is no tier `{unknown}`; there are {}", known.join(", "));
    }
    let chosen: Vec<&Tier> = TIERS
        .iter()
        .filter(|tier| names.is_empty() || names.iter().any(|name| name == tier.name))
        .collect();
    let has = |name: &str| chosen.iter().any(|tier| tier.name == name);
    let needs: Vec<Program> = chosen.iter().flat_map(|tier| tier.needs.concat()).collect();
    setup::programs(&[setup::COMPILERS, &needs].concat())?;
    if has("test") {
        sdk::install()?;
    }
    if has("cluster") {
        // Better said now than after half an hour.
        for missing in ::cluster::missing() {
            println!("the tier `cluster` will fail; missing is {missing}");
        }
    }
    let start = Instant::now();
    // Built beside the Rust tiers and awaited by the last one.
    let mut building = if has("deny") { setup::start_deny()? } else { None };
    let mut fetching = if has("test") { redis::start()? } else { None };
    let mut programs = if has("control-plane") || has("cluster") {
        cluster::start_build(has("cluster"))?
    } else {
        None
    };
    for (index, tier) in chosen.iter().enumerate() {
        println!(
            "\n==> [{}/{}] {}: {}",
            index + 1,
            chosen.len(),
            tier.name,
            tier.about
        );
        if tier.name == "deny"
            && let Some(child) = building.take()
        {
            setup::finish_deny(child)?;
        }
        if tier.name == "test"
            && let Some(child) = fetching.take()
        {
            redis::finish(child)?;
        }
        if let ("control-plane" | "cluster", Some(build)) = (tier.name, &mut programs) {
            cluster::wait_for_build(build, tier.name == "cluster")?;
        }
        let began = Instant::now();
        (tier.run)().with_context(|| format!("tier `{}` failed; alone: cargo xtask test {0}", tier.name))?;
        let took = began.elapsed();
        let over = if took.as_secs() > u64::from(tier.budget) * 60 {
            ", OVER its budget"
        } else {
            ""
        };
        println!(
            "<== {} passed in {:.1} s (budget {} min{over})",
            tier.name,
            took.as_secs_f64(),
            tier.budget
        );
    }
    println!(
        "\nall {} tiers passed in {:.1} min",
        chosen.len(),
        start.elapsed().as_secs_f64() / 60.0
    );
    Ok(())
}

/// What is not in the default build: `--workspace` keeps dependencies as they were built for all the rest.
const OTLP: &str = "--features streaming-sidecar/otlp --test otlp --locked";

fn clippy() -> Result<()> {
    shell::sh("cargo clippy --workspace --all-targets --locked -- -D warnings")?;
    shell::sh(&format!("cargo clippy --workspace {OTLP} -- -D warnings"))
}

fn tests() -> Result<()> {
    let workspace = "--workspace --exclude control-plane --exclude flink-parity";
    shell::sh(&format!("cargo test {workspace} --locked"))?;
    shell::sh(&format!("cargo test {workspace} {OTLP}"))
}

fn docs() -> Result<()> {
    let mut doc = shell::command("cargo doc --workspace --no-deps --document-private-items --locked --quiet");
    // With private items documented too, a link to one leads somewhere.
    shell::run(doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"))
}

/// The README's main job and the golden tests, by the binary that people will use.
fn examples() -> Result<()> {
    let streamctl = binaries::build()?.join("streamctl");
    let streamctl = streamctl.display();
    shell::sh(&format!(
        "{streamctl} check examples/datacenter examples/hello-streaming"
    ))?;
    shell::sh(&format!("{streamctl} test examples --cut 20"))?;
    shell::sh(&format!("{streamctl} run examples/datacenter --for 25s"))
}

fn benches() -> Result<()> {
    shell::sh("cargo bench -p streaming-engine --locked --bench join -- --test")?;
    bench::state_short()
}

fn deny() -> Result<()> {
    let deny = setup::deny();
    shell::sh(&format!("{} check licenses bans sources", deny.display()))?;
    // The advisory database is a git repository, which not every machine can reach.
    if shell::sh(&format!("{} fetch db", deny.display())).is_err() {
        println!("advisories not checked: the advisory database cannot be reached from here");
        return Ok(());
    }
    shell::sh(&format!("{} check advisories", deny.display()))
}
