//! What ends the processes when the program that started them ended without doing so itself: killed, interrupted from
//! the keyboard, or by `exit` while the control plane was in a static.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};

/// Reads the ids of processes until its input ends; the operating system ends it when our process is gone.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
pids=
while read -r line; do
    [ "$line" = done ] && exit
    pids="$pids $line"
done
[ -z "$pids" ] || kill -KILL $pids
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$1" && exit
    sleep 0.2
done
"#;

/// A shell that outlives its program for as long as it takes to clean up.
pub struct Watchdog {
    shell: Child,
    input: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts a watchdog that will also remove `folder`.
    ///
    /// # Errors
    /// Where no shell can be started.
    pub fn start(folder: &Path) -> Result<Watchdog> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "watchdog"])
            .arg(folder)
            .current_dir("/")
            // Its own group, so that Ctrl-C does not reach it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        let input = shell.stdin.take();
        Ok(Watchdog { shell, input })
    }

    /// Makes it end this process too.
    ///
    /// # Errors
    /// Where the watchdog is gone.
    pub fn watch(&mut self, id: u32) -> Result<()> {
        self.tell(&id.to_string())
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("the watchdog has no input")?;
        writeln!(input, "{line}").context("the watchdog is gone")
    }
}

/// Sends it away: whoever drops it has ended the processes, or means them to stay.
impl Drop for Watchdog {
    fn drop(&mut self) {
        self.tell("done").ok();
        self.input = None;
        self.shell.wait().ok();
    }
}
