//! redis-server.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::tls::Authority;

/// A redis-server that can be started.
#[derive(Clone, Debug)]
pub struct RedisServer {
    program: PathBuf,
}

impl RedisServer {
    /// The one that is installed.
    #[must_use]
    pub fn installed() -> RedisServer {
        RedisServer::at("redis-server")
    }

    /// The one at a path.
    pub fn at(program: impl Into<PathBuf>) -> RedisServer {
        RedisServer {
            program: program.into(),
        }
    }

    /// Starts one without a password.
    ///
    /// # Errors
    /// It is not installed, or doesn't come up.
    pub fn start(&self) -> Result<Redis> {
        Redis::new(self, |_| Vec::new())
    }

    /// Starts one that asks for a password.
    ///
    /// # Errors
    /// As for [`RedisServer::start`].
    pub fn with_password(&self, password: &str) -> Result<Redis> {
        Redis::new(self, |_| vec!["--requirepass".into(), password.into()])
    }
}

/// A Redis that writes every command to disk before it answers, unless it is started to keep nothing.
#[derive(Debug)]
pub struct Redis {
    server: RedisServer,
    port: u16,
    /// What it is told beside what all are.
    more: Vec<OsString>,
    folder: TempDir,
    process: Option<Process>,
}

impl Redis {
    /// Starts the installed one without a password.
    ///
    /// # Errors
    /// As for [`RedisServer::start`].
    pub fn start() -> Result<Redis> {
        RedisServer::installed().start()
    }

    /// Starts one without a password that writes nothing to disk.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn in_memory() -> Result<Redis> {
        Redis::new(&RedisServer::installed(), |_| {
            vec!["--appendonly".into(), "no".into()]
        })
    }

    /// Starts one that speaks TLS only, and asks its clients for a certificate.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn with_tls(authority: &Authority) -> Result<Redis> {
        let file = |option: &str, name: &str| [option.into(), authority.file(name).into_os_string()];
        Redis::new(&RedisServer::installed(), |port| {
            let port = port.to_string();
            // In place of the one that is not encrypted.
            let listen = ["--port", "0", "--tls-port", &port, "--tls-auth-clients", "yes"];
            let mut more: Vec<OsString> = listen.map(Into::into).into();
            more.extend(file("--tls-ca-cert-file", "authority.pem"));
            more.extend(file("--tls-cert-file", "broker.pem"));
            more.extend(file("--tls-key-file", "broker.key"));
            more
        })
    }

    fn new(server: &RedisServer, more: impl FnOnce(u16) -> Vec<OsString>) -> Result<Redis> {
        let port = free_port()?;
        let mut redis = Redis {
            server: server.clone(),
            port,
            more: more(port),
            folder: tempfile::Builder::new().prefix("redis-").tempdir()?,
            process: None,
        };
        redis.resume()?;
        Ok(redis)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`, without the password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it, as a power failure would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again after [`Redis::kill`], with the port and the data that it had.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn resume(&mut self) -> Result<()> {
        let mut command = Command::new(&self.server.program);
        command
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
            ])
            .arg("--port")
            .arg(self.port.to_string())
            .arg("--dir")
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.args(&self.more);
        let process = self
            .process
            .insert(Process::start(&mut command, self.folder.path())?);
        process
            .wait_for(self.port, Duration::from_secs(20))
            .context("redis-server")
    }
}
