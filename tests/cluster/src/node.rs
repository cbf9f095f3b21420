//! The cluster from nothing to a node that is ready, and back to nothing.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use control_plane::{Assets, Watchdog, assets};

use crate::link::Link;
use crate::{files, missing, parts, remove};

const PATIENCE: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_millis(50);

/// A cluster of one node, which ends with this value unless it is kept.
pub struct Node {
    folder: PathBuf,
    process: u32,
    watchdog: Option<Watchdog>,
}

impl Node {
    /// Starts one that keeps all that it writes in `folder`, and waits until pods can run. What an earlier one left there
    /// is removed. `pause` is the archive of the image that `cargo xtask cluster build` makes for it.
    ///
    /// # Errors
    /// Where this machine can't run containers (it says what is missing), programs aren't built, or the node isn't ready
    /// within three minutes; then with the end of the logs.
    pub fn start(folder: &Path, pause: &Path) -> Result<Node> {
        let missing = missing();
        if !missing.is_empty() {
            bail!(
                "no containers can run here; what is missing:\n- {}",
                missing.join("\n- ")
            );
        }
        let assets = Assets::find()?;
        if let Some(part) = parts::all().iter().find(|part| !part.is_built()) {
            bail!("{} isn't built; run cargo xtask cluster build", part.name);
        }
        remove::all(folder)?;
        files::prepare(folder, pause)?;
        let mut node = Node {
            folder: folder.to_owned(),
            process: 0,
            watchdog: Some(Watchdog::start(folder)?),
        };
        node.spawn(assets.folder())?;
        let deadline = Instant::now() + PATIENCE;
        let namespace = format!("/proc/{}/ns/net", node.process);
        let outside = fs::read_link("/proc/self/ns/net")?;
        node.wait(deadline, || Ok(fs::read_link(&namespace)? != outside))?;
        let link = Link::lay(node.process)?;
        fs::write(folder.join(remove::NUMBER), link.number().to_string())?;
        files::complete(folder, link)?;
        node.wait(deadline, || node.is_ready())?;
        Ok(node)
    }

    /// The one that was started in this folder and kept, if it still runs.
    ///
    /// # Errors
    /// Where processes can't be listed.
    pub fn kept(folder: &Path) -> Result<Option<Node>> {
        let Some(process) = remove::process(folder)? else {
            return Ok(None);
        };
        Ok(Some(Node {
            folder: folder.to_owned(),
            process,
            watchdog: None,
        }))
    }

    /// Ends the one that was started in this folder, however much of it is left, and removes all that it wrote.
    ///
    /// # Errors
    /// Where something stays.
    pub fn end(folder: &Path) -> Result<()> {
        remove::all(folder)
    }

    /// Lets it go on without this program, until [`Node::end`].
    pub fn keep(mut self) {
        self.watchdog = None;
        std::mem::forget(self);
    }

    /// The kubeconfig of an administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Where the programs' logs are.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// Gives the node an image out of an archive.
    ///
    /// # Errors
    /// Where containerd doesn't take it.
    pub fn import(&self, archive: &Path) -> Result<()> {
        let file = File::open(archive).with_context(|| format!("no image in {}", archive.display()))?;
        let mut import = self.containerd(&["images", "import", "-"]);
        run(import.stdin(file)).with_context(|| format!("cannot import {}", archive.display()))
    }

    /// Kills the first process of a container with SIGKILL, as a crash would.
    ///
    /// # Errors
    /// Where there is no such container.
    pub fn kill(&self, container: &str) -> Result<()> {
        run(&mut self.containerd(&["tasks", "kill", "--signal", "SIGKILL", container]))
    }

    /// containerd's own client, which must see the node's files.
    fn containerd(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--mount", "--target", &self.process.to_string()])
            .args(["/mnt/built/ctr", "--namespace", "k8s.io"])
            .args(arguments);
        command
    }

    fn spawn(&mut self, assets: &Path) -> Result<()> {
        let log = File::create(self.logs().join("node.log"))?;
        let child = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child=KILL"])
            .args(["sh", "-c", include_str!("node.sh"), "node"])
            .arg(&self.folder)
            .arg(assets)
            .arg(assets::built())
            // Its own group: Ctrl-C is for the program that started it, which, or whose watchdog, then ends it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start unshare")?;
        self.process = child.id();
        fs::write(self.folder.join(remove::PROCESS), self.process.to_string())?;
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.watch(self.process)?;
        }
        Ok(())
    }

    fn is_ready(&self) -> Result<bool> {
        let mut get = Command::new(Assets::find()?.program("kubectl"));
        get.args(["get", "node/node", "serviceaccount/default", "--output"])
            .arg(r#"jsonpath={.items[0].status.conditions[?(@.type=="Ready")].status}"#)
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.folder.join("kubectl"));
        let output = get.output().context("cannot start kubectl")?;
        Ok(output.status.success() && output.stdout == b"True")
    }

    /// Asks for something again and again while all programs of the node run.
    fn wait(&self, deadline: Instant, condition: impl Fn() -> Result<bool>) -> Result<()> {
        while !condition()? {
            if let Some(ended) = self.ended() {
                bail!("{ended} ended:\n{}", self.last_lines(&ended));
            }
            if Instant::now() > deadline {
                bail!(
                    "the node isn't ready after {} s:\n{}\n{}",
                    PATIENCE.as_secs(),
                    self.last_lines("node"),
                    self.last_lines("kubelet")
                );
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// The first program that came to an end, if any did.
    fn ended(&self) -> Option<String> {
        if !remove::is_alive(self.process) {
            return Some("node".to_owned());
        }
        let noted = fs::read_to_string(self.folder.join("ended")).unwrap_or_default();
        noted.split_whitespace().next().map(ToOwned::to_owned)
    }

    fn last_lines(&self, program: &str) -> String {
        let log = fs::read_to_string(self.logs().join(format!("{program}.log"))).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.watchdog.take().is_none() {
            // It was kept by somebody else.
            return;
        }
        if let Err(why) = remove::all(&self.folder) {
            eprintln!("{why:#}");
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
