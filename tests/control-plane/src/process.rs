//! One process of the control plane.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::watchdog::Watchdog;

/// Killed when dropped: nothing that a test's control plane holds is worth an orderly end.
pub(crate) struct Process {
    name: &'static str,
    child: Option<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts it with its output in `folder/name.log`.
    pub(crate) fn start(
        name: &'static str,
        command: &mut Command,
        folder: &Path,
        watchdog: &mut Watchdog,
    ) -> Result<Process> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = command
            .current_dir(folder)
            // Its own group: Ctrl-C is for the program that started it, which, or whose watchdog, then ends it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let id = child.id();
        let process = Process {
            name,
            child: Some(child),
            log,
        };
        watchdog.watch(id)?;
        Ok(process)
    }

    /// Fails with the end of its log if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() else {
            return Ok(());
        };
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = &lines[lines.len().saturating_sub(10)..];
        bail!("{} ended, {status}:\n{}", self.name, end.join("\n"))
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Lets it go on when this value is gone, and gives its id.
    pub(crate) fn keep(mut self) -> Option<u32> {
        self.child.take().map(|child| child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Ends a process that was started for `folder` and kept, if it still runs, and waits until it is gone.
///
/// # Errors
/// Where `ps` or `kill` can't be run, or the process stays.
pub fn end(id: u32, folder: &Path) -> Result<()> {
    if !is_ours(id, folder)? {
        return Ok(());
    }
    Command::new("kill")
        .args(["-KILL", &id.to_string()])
        .status()
        .context("cannot start kill")?;
    for _ in 0..100 {
        if !is_ours(id, folder)? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("process {id} does not end")
}

/// Its id may by now belong to another process; ours has the folder in its command line.
fn is_ours(id: u32, folder: &Path) -> Result<bool> {
    let listing = Command::new("ps")
        .args(["-ww", "-o", "args=", "-p", &id.to_string()])
        .output()
        .context("cannot start ps")?;
    let folder = folder.to_str().context("the folder's name is no text")?;
    Ok(String::from_utf8_lossy(&listing.stdout).contains(folder))
}
