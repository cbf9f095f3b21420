//! The sidecar as a process of its own.

#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use streaming_plan::Plan;
use tempfile::TempDir;
use test_brokers::{Process, RabbitMq, Redis, free_port};

/// A sidecar that runs.
pub struct Sidecar {
    pub admin: SocketAddr,
    process: Process,
}

/// A plan in a file, and ports that stay the same over restarts.
pub struct Setting {
    folder: TempDir,
    plan: PathBuf,
    ports: [u16; 4],
    recipient: SocketAddr,
}

impl Setting {
    /// For a plan that sends to `recipient`.
    pub fn new(plan: &Plan, recipient: SocketAddr) -> Setting {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.json");
        std::fs::write(&file, serde_json::to_vec(plan).unwrap()).unwrap();
        let port = || free_port().unwrap();
        Setting {
            plan: file,
            folder,
            ports: [port(), port(), port(), port()],
            recipient,
        }
    }

    /// Starts the sidecar.
    pub fn start(&self) -> Sidecar {
        self.start_with(&[])
    }

    /// Starts the sidecar with these variables.
    pub fn start_with(&self, variables: &[(&str, &str)]) -> Sidecar {
        let mut log = std::fs::OpenOptions::new();
        let log = log.create(true).append(true).open(self.folder.path().join("log"));
        let mut command = command(&self.plan);
        let address = |at: usize| format!("127.0.0.1:{}", self.ports[at]);
        for (at, flag) in ["--deliver", "--publish", "--publish-grpc", "--admin"]
            .into_iter()
            .enumerate()
        {
            command.arg(flag).arg(address(at));
        }
        command
            .arg("--resolve")
            .arg(format!("recipient={}", self.recipient));
        command.envs(variables.iter().copied());
        command.args(["--drain", "10s"]).stderr(log.unwrap());
        Sidecar {
            admin: address(3).parse().unwrap(),
            process: Process::start(&mut command, self.folder.path()).unwrap(),
        }
    }

    /// Where it takes results for the container.
    pub fn deliver(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

impl Sidecar {
    /// Waits until it answers at all.
    pub async fn listens(&self) {
        while tokio::net::TcpStream::connect(self.admin).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// As a power failure would.
    pub fn kill(self) {
        drop(self.process);
    }

    /// As a kubelet would.
    pub fn terminate(mut self) -> ExitStatus {
        self.process.signal("TERM");
        self.process.wait().unwrap()
    }
}

/// The program with a plan.
pub fn command(plan: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streaming-sidecar"));
    command.arg("--plan").arg(plan).stdout(Stdio::null());
    command
}

/// Connections to real brokers: `a` is Redis, `b` `RabbitMQ`, with these queues.
pub fn cluster_streams(redis: &Redis, rabbitmq: &RabbitMq, queues: &Value) -> Value {
    json!({
        "a": {"protocol": "redis", "properties": {"redisHost": format!("127.0.0.1:{}", redis.port())}},
        "b": {"protocol": "rabbitmq", "properties": {"host": rabbitmq.url()}, "consumers": queues},
    })
}
