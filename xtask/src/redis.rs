//! Redis 6.2, the oldest that is supported, beside the one that is installed. No package of Debian's has it any more; a Java
//! library that starts a Redis for tests has it in itself, on Maven Central.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, Result, bail};

use crate::shell;

const LIBRARY: &str = "com.github.codemonstur:embedded-redis:1.4.3:jar";
const UNPACK: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack";

/// The program's name in the library, and its SHA-256: what is run was looked at once.
const PROGRAM: (&str, &str) = if cfg!(target_arch = "aarch64") {
    (
        "redis-server-6.2.7-linux-arm64",
        "036a23aa65bfb31d2a048aa96c170b38c2fbd4f1de68ef0f9c3133dd4b1474cd",
    )
} else {
    (
        // Its name says 6.2.6, it says 6.2.11.
        "redis-server-6.2.6-v5-linux-amd64",
        "1f716094e08a25faee2bc7626feb9e13464ed89018ac5c376c5e9cff06bdcf52",
    )
};

fn folder() -> PathBuf {
    shell::target().join("tools/redis-6.2")
}

/// Starts fetching it in the background, unless it is there.
pub(crate) fn start() -> Result<Option<Child>> {
    if folder().join("redis-server").exists() {
        return Ok(None);
    }
    let folder = folder();
    println!("fetching Redis 6.2, 12 MB, into {}", folder.display());
    let own = folder.join("maven");
    fs::create_dir_all(&own)?;
    let mut maven: Command = shell::command("mvn --batch-mode --quiet");
    maven
        // It makes a folder for its notes wherever it is started.
        .current_dir(&own)
        .arg(format!("-Dmaven.repo.local={}", own.display()))
        .args([UNPACK, &format!("-Dartifact={LIBRARY}")])
        .arg(format!("-Dmdep.unpack.includes={}", PROGRAM.0))
        .arg(format!("-DoutputDirectory={}", folder.display()));
    Ok(Some(maven.spawn().context(
        "cannot start mvn; on Debian: apt-get install openjdk-17-jdk-headless maven",
    )?))
}

/// Waits for what [`start`] began, and lets tests find the program if it is the one that was meant.
pub(crate) fn finish(mut child: Child) -> Result<()> {
    let status = child.wait()?;
    if !status.success() {
        bail!("Redis 6.2 could not be fetched from Maven Central: mvn ended with {status}");
    }
    let (name, expected) = PROGRAM;
    let program = folder().join(name);
    let sum = shell::first_line(&format!("sha256sum {}", program.display())).unwrap_or_default();
    if !sum.starts_with(expected) {
        bail!(
            "{} of {LIBRARY} is not the program that it was: its SHA-256 is {sum:?}, not {expected}",
            program.display()
        );
    }
    // What Maven needed for itself is of no further use.
    fs::remove_dir_all(folder().join("maven")).ok();
    shell::run(shell::command("chmod 755").arg(&program))?;
    fs::rename(&program, folder().join("redis-server"))?;
    Ok(())
}
