//! The tiers of the tests, in the order that finds a fault soonest, each with its time budget.

use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{cluster, crds, fuzz, lines, setup, shell};

struct Tier {
    name: &'static str,
    about: &'static str,
    /// Minutes that it may take on 2 cores from an empty cache; written down in docs/ci.md too.
    budget: u32,
    run: fn() -> Result<()>,
}

const TIERS: &[Tier] = &[
    Tier {
        name: "fmt",
        about: "rustfmt",
        budget: 1,
        run: || shell::sh("cargo fmt --all --check"),
    },
    Tier {
        name: "lines",
        about: "no source file over 400 lines",
        budget: 1,
        run: lines::run,
    },
    Tier {
        name: "generated",
        about: "crds/, manifests/install.yaml and docs/resources.md in sync",
        budget: 3,
        run: || crds::run(true),
    },
    Tier {
        name: "clippy",
        about: "clippy, pedantic",
        budget: 5,
        run: || shell::sh("cargo clippy --workspace --all-targets --locked -- -D warnings"),
    },
    Tier {
        name: "test",
        about: "unit, property, golden and command-line tests; expressions against cel-go",
        budget: 12,
        run: || shell::sh("cargo test --workspace --exclude control-plane --locked"),
    },
    Tier {
        name: "docs",
        about: "rustdoc without warnings",
        budget: 3,
        run: docs,
    },
    Tier {
        name: "examples",
        about: "examples on a virtual clock, cut and resumed; one in real time",
        budget: 6,
        run: examples,
    },
    Tier {
        name: "bench",
        about: "each benchmark once, for its checks",
        budget: 4,
        run: benches,
    },
    Tier {
        name: "fuzz",
        about: "30 s of fuzzing expressions",
        budget: 4,
        run: || fuzz::run(30),
    },
    Tier {
        name: "control-plane",
        about: "definitions and manifests on a real kube-apiserver",
        budget: 4,
        run: || shell::sh("cargo test --package control-plane --locked -- --nocapture"),
    },
    Tier {
        name: "deny",
        about: "licences, bans, sources of dependencies",
        budget: 6,
        run: deny,
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
    setup::programs()?;
    let start = Instant::now();
    // Built beside the Rust tiers and awaited by the last one.
    let building = if chosen.iter().any(|tier| tier.name == "deny") {
        setup::start_deny()?
    } else {
        None
    };
    let mut building = building;
    let mut programs = if chosen.iter().any(|tier| tier.name == "control-plane") {
        cluster::start_build(false)?
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
        if tier.name == "control-plane"
            && let Some(build) = &mut programs
        {
            cluster::wait_for_build(build, false)?;
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

fn docs() -> Result<()> {
    let mut doc = shell::command("cargo doc --workspace --no-deps --document-private-items --locked --quiet");
    // With private items documented too, a link to one leads somewhere.
    shell::run(doc.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"))
}

/// The README's main job and the golden tests, by the binary that people will use.
fn examples() -> Result<()> {
    shell::sh("cargo build --release --locked -p streamctl")?;
    let streamctl = shell::target().join("release/streamctl");
    let streamctl = streamctl.display();
    shell::sh(&format!(
        "{streamctl} check examples/datacenter examples/hello-streaming"
    ))?;
    shell::sh(&format!("{streamctl} test examples --cut 20"))?;
    shell::sh(&format!("{streamctl} run examples/datacenter --for 25s"))
}

fn benches() -> Result<()> {
    shell::sh("cargo bench -p streaming-engine --locked --bench join -- --test")
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
