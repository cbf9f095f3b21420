//! What a machine must have before a node can run on it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Programs with the Debian package that has each.
const PROGRAMS: [(&str, &str); 5] = [
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
];

/// What is missing here, a sentence each, with what to do about it; nothing if a node can run.
#[must_use]
pub fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if output("id", &["-u"]).as_deref() != Some("0") {
        missing.push("root: containers need namespaces and control groups; run it with sudo".to_owned());
        // Without it the questions below have no meaning.
        return missing;
    }
    for (program, package) in PROGRAMS {
        if !is_on_path(program) {
            missing.push(format!("{program}: sudo apt-get install {package}"));
        }
    }
    if !controllers() {
        missing.push(
            "control groups at /sys/fs/cgroup with the controllers cpu, memory and pids: this machine, or the container \
             that this runs in, has none that can be written to"
                .to_owned(),
        );
    }
    if missing.is_empty() {
        let tried = "mount -t tmpfs tmpfs /run && ip link set lo up && iptables -t nat -S";
        let namespaces = [
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--mount-proc",
            "sh",
            "-c",
            tried,
        ];
        if let Err(why) = attempt("unshare", &namespaces) {
            missing.push(format!(
                "namespaces for processes, mounts and network, with a firewall's rules in them: {why}"
            ));
        }
    }
    missing
}

/// Whether groups with the controllers that containers need can be made here.
fn controllers() -> bool {
    let root = Path::new("/sys/fs/cgroup");
    // Version 2 lists them in a file, version 1 has a folder for each.
    let listed = fs::read_to_string(root.join("cgroup.controllers")).ok();
    let name = format!("streaming-trial-{}", std::process::id());
    let works = |folder: &Path| {
        let trial = folder.join(&name);
        fs::create_dir(&trial).is_ok() && fs::remove_dir(&trial).is_ok()
    };
    ["cpu", "memory", "pids"]
        .into_iter()
        .all(|controller| match &listed {
            Some(list) => list.split_whitespace().any(|one| one == controller) && works(root),
            None => works(&root.join(controller)),
        })
}

/// Whether a program can be started by its name alone.
fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn attempt(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
