//! The program that is measured: started, watched through /proc, ended.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// A sidecar that runs.
pub(crate) struct Sidecar {
    child: Child,
    admin: u16,
    log: PathBuf,
}

/// What it has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_mb: f64,
    pub(crate) peak_mb: f64,
}

impl Sidecar {
    /// Starts one with a plan; its consumer is at `component`'s name, on this port. `folder` gets its log.
    pub(crate) fn start(
        program: &Path,
        plan: &Path,
        consumer: (&str, u16),
        folder: &Path,
    ) -> Result<Sidecar> {
        let flags = ["--deliver", "--publish", "--publish-grpc", "--admin"];
        let ports = free_ports(flags.len())?;
        let path = folder.join("sidecar.log");
        let log = File::create(&path)?;
        // It must not outlive us, whatever ends us.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command.arg("--plan").arg(plan);
        for (flag, port) in flags.iter().zip(&ports) {
            command.arg(flag).arg(format!("127.0.0.1:{port}"));
        }
        let (component, port) = consumer;
        command
            .arg("--resolve")
            .arg(format!("{component}=127.0.0.1:{port}"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Sidecar {
            child,
            admin: ports.last().copied().unwrap_or_default(),
            log: path,
        })
    }

    /// Waits until it reads its topics.
    pub(crate) fn wait_until_ready(&mut self, most: Duration) -> Result<()> {
        let start = Instant::now();
        while !self.is_ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the sidecar ended: {status}\n{}", self.log());
            }
            if start.elapsed() > most {
                bail!("the sidecar is not ready after {most:?}\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.admin))?;
            stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        usage(self.child.id())
    }

    /// Ends it as Kubernetes does, and says how long it took.
    pub(crate) fn stop(mut self, most: Duration) -> Result<Duration> {
        let start = Instant::now();
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no process")?, Signal::TERM)?;
        while self.child.try_wait()?.is_none() {
            ensure!(
                start.elapsed() < most,
                "the sidecar still runs {most:?} after SIGTERM"
            );
            thread::sleep(Duration::from_millis(2));
        }
        Ok(start.elapsed())
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a process has used so far.
pub(crate) fn usage(pid: u32) -> Result<Usage> {
    let proc = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(proc.join("stat"))?;
    // After the name, which may hold anything: user and system time are the 12th and 13th field, in ticks.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|n| n.parse::<f64>().ok())
        .sum();
    let status = fs::read_to_string(proc.join("status"))?;
    let mb = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        // What /proc calls kB are 1024 bytes.
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) * 1024.0 / 1e6
    };
    Ok(Usage {
        cpu_seconds: ticks / 100.0,
        resident_mb: mb("VmRSS:"),
        peak_mb: mb("VmHWM:"),
    })
}

/// Ports that nobody listens on now, all different.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners: Result<Vec<TcpListener>, _> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect();
    let ports: Result<Vec<u16>, _> = listeners
        .context("no port is free")?
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect();
    Ok(ports?)
}
