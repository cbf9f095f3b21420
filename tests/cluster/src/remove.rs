//! Removing a cluster: the one process, empty control groups, and a folder. Nothing here needs a cluster that is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::files;
use crate::link::Link;

/// The file with the id of the process that all others end with.
pub(crate) const PROCESS: &str = "process";
/// The file with the cluster's number on this machine.
pub(crate) const NUMBER: &str = "number";

/// Ends and removes what was started in `folder`.
pub(crate) fn all(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let link = read(folder, NUMBER).and_then(|number| Link::of(&number));
    if let Some(process) = process(folder)? {
        if let Some(link) = link {
            link.remove();
        }
        // The first process of the namespaces is its child, whose end is over when all the others have ended.
        let listing = Command::new("ps")
            .args(["-o", "pid=", "--ppid", &process.to_string()])
            .output()
            .context("cannot start ps")?;
        for first in String::from_utf8_lossy(&listing.stdout).split_whitespace() {
            Command::new("kill").args(["-KILL", first]).status()?;
        }
        wait_for(
            || Ok(!is_running(process, folder)?),
            "the cluster's first process doesn't end",
        )?;
    }
    if let Some(link) = link {
        for root in control_group_roots() {
            let group = root.join(files::control_group(link).trim_start_matches('/'));
            remove_groups(&group)?;
        }
    }
    // Mounts are gone with the namespace, a moment after its last process.
    wait_for(
        || Ok(fs::remove_dir_all(folder).is_ok()),
        &format!("cannot remove {}", folder.display()),
    )
}

/// The process that was started in `folder`, if it still runs.
pub(crate) fn process(folder: &Path) -> Result<Option<u32>> {
    let noted = read(folder, PROCESS).and_then(|text| text.parse().ok());
    match noted {
        Some(id) if is_running(id, folder)? => Ok(Some(id)),
        _ => Ok(None),
    }
}

/// Its id may by now belong to another process; ours has the folder in its command line.
pub(crate) fn is_running(id: u32, folder: &Path) -> Result<bool> {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let folder = folder.to_str().context("the folder's name is no text")?;
    Ok(line
        .split(|byte| *byte == 0)
        .any(|word| word == folder.as_bytes()))
}

/// Whether a child of ours goes on. It has the command line of its own only a moment after it was started.
pub(crate) fn is_alive(child: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    // `123 (name) S ...`, where Z is what has ended and was not waited for.
    state
        .rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn read(folder: &Path, name: &str) -> Option<String> {
    fs::read_to_string(folder.join(name)).ok()
}

/// One tree of control groups, or one for each controller.
fn control_group_roots() -> Vec<PathBuf> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let mut roots: Vec<PathBuf> = fs::read_dir(&root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    roots.push(root);
    roots
}

/// A group is removed by removing its folder, when no process and no group is in it.
fn remove_groups(group: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(group) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path())?;
        }
    }
    wait_for(
        || Ok(fs::remove_dir(group).is_ok() || !group.exists()),
        &format!("cannot remove {}", group.display()),
    )
}

fn wait_for(condition: impl Fn() -> Result<bool>, otherwise: &str) -> Result<()> {
    for _ in 0..200 {
        if condition()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("{otherwise}")
}
