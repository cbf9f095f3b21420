//! Processes that don't outlive the test: a shell waits at the other end of a pipe and kills them when it closes.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Kills a group of processes and removes their folder when its input ends, which happens when our process is gone.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
read -r line
[ "$line" = done ] && exit
kill -KILL "-$1"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$2" && exit
    sleep 0.2
done
"#;

/// A process that leads a group of its own.
#[derive(Debug)]
pub struct Process {
    child: Child,
    watchdog: Child,
    line: Option<ChildStdin>,
}

impl Process {
    /// Starts it; `folder` is removed with it if our process ends first.
    ///
    /// # Errors
    /// There is no such program.
    pub fn start(command: &mut Command, folder: &Path) -> Result<Process> {
        let program = command.get_program().to_owned();
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}: is it installed?", program.display()))?;
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(child.id().to_string())
            .arg(folder)
            .current_dir("/")
            // Its own group, so that Ctrl-C does not reach it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        let line = watchdog.stdin.take();
        Ok(Process {
            child,
            watchdog,
            line,
        })
    }

    /// Sends a signal, by its name, to the whole group.
    pub fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        Command::new("kill")
            .args(["-s", name, "--", &group])
            .stderr(Stdio::null())
            .status()
            .ok();
    }

    /// What the system knows it by.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// None, as long as nobody else waits for it.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it has ended, however long that takes.
    ///
    /// # Errors
    /// None, as long as nobody else waits for it.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.child.wait()?)
    }

    /// Waits until a port of it can be connected to.
    pub(crate) fn wait_for(&mut self, port: u16, most: Duration) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended before it could be connected to: {status}");
            }
            if start.elapsed() > most {
                bail!("it can't be connected to after {most:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("KILL");
        self.child.wait().ok();
        if let Some(mut line) = self.line.take() {
            writeln!(line, "done").ok();
        }
        self.watchdog.wait().ok();
    }
}

/// A port that nobody listens on now.
///
/// # Errors
/// All are taken.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}
