//! Sidecars as processes: started, watched, killed.

use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use streaming_plan::Plan;
use tempfile::TempDir;
use test_brokers::Process;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long a sidecar may take to get ready, or to end: longer than a broker takes to start.
const PATIENCE: Duration = Duration::from_secs(90);

/// A place where sidecars of one plan run, one after the other: a plan in a file, ports of its own, a log.
#[derive(Debug)]
pub struct Station {
    program: PathBuf,
    /// What a pod's name would be.
    pod: String,
    folder: TempDir,
    /// Of all pods of a scene, so that what they say stands in the order in which they said it.
    log: PathBuf,
    /// For deliveries, publishing by HTTP and by gRPC, and health.
    ports: [u16; 4],
    arguments: Vec<String>,
}

/// A sidecar that runs.
#[derive(Debug)]
pub struct Sidecar {
    process: Process,
    admin: u16,
}

impl Station {
    /// For a plan. Results for a component called `recipient.0` go to the port `recipient.1`. `timeout` is how long that may take
    /// to answer, `log` where it says what it has to say.
    ///
    /// # Errors
    /// No folder can be made, or no port is free.
    pub fn new(
        program: &Path,
        pod: &str,
        plan: &Plan,
        recipient: Option<(&str, u16)>,
        timeout: &str,
        log: &Path,
    ) -> Result<Station> {
        let folder = tempfile::Builder::new().prefix("faults-").tempdir()?;
        let file = folder.path().join("plan.json");
        fs::write(&file, serde_json::to_vec(plan)?)?;
        let ports = [port()?, port()?, port()?, port()?];
        let mut arguments = vec!["--plan".to_owned(), file.display().to_string()];
        let flags = ["--deliver", "--publish", "--publish-grpc", "--admin"];
        for (flag, port) in flags.iter().zip(ports) {
            arguments.extend([(*flag).to_owned(), format!("127.0.0.1:{port}")]);
        }
        arguments.extend(["--timeout", timeout, "--drain", "20s"].map(str::to_owned));
        if let Some((name, port)) = recipient {
            arguments.extend(["--resolve".to_owned(), format!("{name}=127.0.0.1:{port}")]);
        }
        Ok(Station {
            program: program.to_owned(),
            pod: pod.to_owned(),
            folder,
            log: log.to_owned(),
            ports,
            arguments,
        })
    }

    /// Where results for its container are posted.
    pub fn deliver(&self) -> u16 {
        self.ports[0]
    }

    /// Starts a sidecar.
    ///
    /// # Errors
    /// The program can't be started.
    pub fn start(&self) -> Result<Sidecar> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("HOSTNAME", &self.pod)
            .stdout(Stdio::null())
            .stderr(log);
        Ok(Sidecar {
            process: Process::start(&mut command, self.folder.path())?,
            admin: self.ports[3],
        })
    }

    /// Starts a sidecar, and waits until it reads its topics.
    ///
    /// # Errors
    /// It doesn't get that far; the error has the end of its log.
    pub async fn start_ready(&self) -> Result<Sidecar> {
        let mut sidecar = self.start()?;
        let ready = sidecar.until_ready().await;
        ready.with_context(|| self.last_words())?;
        Ok(sidecar)
    }

    /// The last lines of what it and its likes have logged.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let mut lines: Vec<&str> = log.lines().rev().take(60).collect();
        lines.reverse();
        format!("the sidecars said:\n{}", lines.join("\n"))
    }
}

impl Sidecar {
    /// Waits until it reads its topics.
    ///
    /// # Errors
    /// It ends before, or takes too long.
    pub async fn until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        while !self
            .get("/readyz")
            .await
            .is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
        {
            if let Some(status) = self.process.ended()? {
                bail!("the sidecar ended: {status}");
            }
            ensure!(
                start.elapsed() < PATIENCE,
                "the sidecar is not ready after {PATIENCE:?}"
            );
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// The sum of a metric over its labels.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics").await?;
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let own = rest.starts_with('{') || rest.starts_with(' ');
            own.then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())
                .flatten()
        };
        Some(text.lines().filter_map(value).sum())
    }

    /// What it has counted of its messages, for people.
    pub async fn counts(&self) -> String {
        let text = self.get("/metrics").await.unwrap_or_default();
        let counter =
            |line: &&str| line.starts_with("streaming_") && line.contains("_total") && !line.ends_with(" 0");
        text.lines().filter(counter).collect::<Vec<_>>().join("\n")
    }

    async fn get(&self, path: &str) -> Option<String> {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).await.ok()?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            Some(answer)
        };
        timeout(Duration::from_secs(5), ask).await.ok().flatten()
    }

    /// The most memory that it has ever had resident, in bytes; 0 once it has ended.
    pub fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or_default() * 1024
    }

    /// As a power failure would.
    pub fn kill(self) {
        drop(self.process);
    }

    /// SIGSTOP: it stands still, and its connections stay.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// As a kubelet would. It has to end by itself, and well.
    ///
    /// # Errors
    /// It doesn't.
    pub async fn terminate(mut self) -> Result<()> {
        self.process.signal("TERM");
        let ended = tokio::task::spawn_blocking(move || -> Result<ExitStatus> {
            let start = Instant::now();
            loop {
                if let Some(status) = self.process.ended()? {
                    return Ok(status);
                }
                ensure!(
                    start.elapsed() < PATIENCE,
                    "the sidecar still runs {PATIENCE:?} after SIGTERM"
                );
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let status = ended.await??;
        ensure!(status.success(), "after SIGTERM the sidecar ended with {status}");
        Ok(())
    }
}

/// A port that nobody listens on, and that nobody is given who asks for any: a sidecar finds it free when it starts again.
fn port() -> Result<u16> {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs beside this one begin elsewhere.
    let shift = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or_default();
    for _ in 0..COUNT {
        let at = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(shift) % COUNT;
        if TcpListener::bind(("127.0.0.1", FIRST + at)).is_ok() {
            return Ok(FIRST + at);
        }
    }
    bail!("no port is free between {FIRST} and {}", FIRST + COUNT)
}
