//! What the tests need beyond Rust, installed where that is allowed and named where it is not.

use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, Result, bail};

use crate::{cluster, redis, sdk, shell};

const DENY: &str = "0.20.2";
const GO_MINOR: u32 = 23;

/// Installs everything and waits for it.
pub(crate) fn run() -> Result<()> {
    programs(&[COMPILERS, BROKERS, CONTAINERS, JAVA].concat())?;
    sdk::install()?;
    if let Some(child) = redis::start()? {
        redis::finish(child)?;
    }
    if let Some(child) = start_deny()? {
        finish_deny(child)?;
    }
    cluster::run(&cluster::Action::Build { node: true })?;
    println!("everything that the tests need is here");
    Ok(())
}

/// A program that some tests need, and the Debian package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    name: &'static str,
    package: &'static str,
    what_for: &'static str,
}

/// What everything needs: a C compiler for the allocator, and Go for the reference CEL and for Kubernetes.
pub(crate) const COMPILERS: &[Program] = &[
    Program::new("cc", "gcc", "a C compiler"),
    Program::new("go", "golang-go", "Go"),
];

/// What the contract suite of the brokers needs.
pub(crate) const BROKERS: &[Program] = &[
    Program::new("redis-server", "redis-server", "Redis"),
    Program::new(
        "/usr/lib/rabbitmq/bin/rabbitmq-server",
        "rabbitmq-server",
        "RabbitMQ",
    ),
    Program::new("/usr/sbin/mosquitto", "mosquitto", "mosquitto, for MQTT"),
    Program::new("openssl", "openssl", "openssl, to make certificates"),
];

/// What Flink needs, and the oldest Redis to be fetched.
pub(crate) const JAVA: &[Program] = &[
    Program::new("javac", "openjdk-17-jdk-headless", "a Java compiler"),
    Program::new("mvn", "maven", "Maven, to fetch Flink and Redis 6.2"),
];

/// What images and a node need.
pub(crate) const CONTAINERS: &[Program] = &[
    Program::new("buildah", "buildah", "buildah, to build images"),
    Program::new("runc", "runc", "runc, to run containers"),
    Program::new("iptables", "iptables", "iptables"),
    Program::new("ip", "iproute2", "ip"),
    Program::new("unshare", "util-linux", "unshare"),
    Program::new("redis-cli", "redis-tools", "redis-cli"),
    Program::new("mosquitto_sub", "mosquitto-clients", "mosquitto_sub"),
];

impl Program {
    const fn new(name: &'static str, package: &'static str, what_for: &'static str) -> Program {
        Program {
            name,
            package,
            what_for,
        }
    }

    fn is_here(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let root = PathBuf::from("/usr/sbin");
        std::env::split_paths(&path)
            .chain([root])
            .any(|folder| folder.join(self.name).is_file())
    }
}

/// Installs those that are missing, by Debian package where that is allowed.
pub(crate) fn programs(needed: &[Program]) -> Result<()> {
    let missing: Vec<&Program> = needed.iter().filter(|program| !program.is_here()).collect();
    if !missing.is_empty() {
        let packages: Vec<&str> = missing.iter().map(|program| program.package).collect();
        if let Err(why) = apt(&packages) {
            let what: Vec<&str> = missing.iter().map(|program| program.what_for).collect();
            bail!(
                "the tests need {}.\nOn Debian or Ubuntu: sudo apt-get install {}\n({why:#})",
                what.join(", "),
                packages.join(" ")
            );
        }
    }
    match go_minor() {
        Some(minor) if minor >= GO_MINOR => Ok(()),
        found => bail!(
            "the tests need Go 1.{GO_MINOR} or later, to compare expressions with the reference CEL; found {}.\n\
             Install a current one from https://go.dev/dl/ and put it on PATH.",
            found.map_or("none".to_owned(), |minor| format!("1.{minor}"))
        ),
    }
}

fn go_minor() -> Option<u32> {
    let version = shell::first_line("go env GOVERSION")?;
    version.strip_prefix("go1.")?.split('.').next()?.parse().ok()
}

/// Installs Debian packages, where that is allowed.
pub(crate) fn apt(packages: &[&str]) -> Result<()> {
    let root = shell::first_line("id -u").as_deref() == Some("0");
    if !root {
        bail!("not run as root, so nothing was installed");
    }
    println!("installing {}", packages.join(" "));
    shell::sh("apt-get update -qq")?;
    let mut install = Command::new("sh");
    install.args(["-c", INSTALL, "install"]).args(packages);
    shell::run(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Debian starts the broker that a package has; the tests want programs, and start their own. Whatever becomes of the
/// installation, services are allowed to start after it.
const INSTALL: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
apt-get install -y -qq --no-install-recommends "$@"
"#;

/// Where cargo-deny is, once built.
pub(crate) fn deny() -> PathBuf {
    shell::target().join(format!("tools/cargo-deny-{DENY}/bin/cargo-deny"))
}

/// Starts building cargo-deny in the background, unless it is there; its messages go to a log.
pub(crate) fn start_deny() -> Result<Option<Child>> {
    if deny().exists() {
        return Ok(None);
    }
    let tools = shell::target().join("tools");
    std::fs::create_dir_all(&tools)?;
    let log = std::fs::File::create(tools.join("cargo-deny.log"))?;
    let mut install: Command = shell::command("cargo install --locked --quiet cargo-deny --version");
    install
        .arg(DENY)
        .arg("--root")
        .arg(tools.join(format!("cargo-deny-{DENY}")));
    install.arg("--target-dir").arg(tools.join("build"));
    // One job, and the lower priority: the workspace's own build is what people wait for.
    install
        .env("CARGO_BUILD_JOBS", "1")
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(Some(install.spawn().context("cannot start cargo install")?))
}

/// Waits for the build that [`start_deny`] began.
pub(crate) fn finish_deny(mut child: Child) -> Result<()> {
    let status = child.wait()?;
    if !status.success() || !deny().exists() {
        let log = shell::target().join("tools/cargo-deny.log");
        bail!(
            "cargo-deny could not be built:\n{}",
            std::fs::read_to_string(log).unwrap_or_default()
        );
    }
    // The objects are of no further use, and large.
    std::fs::remove_dir_all(shell::target().join("tools/build")).ok();
    Ok(())
}
