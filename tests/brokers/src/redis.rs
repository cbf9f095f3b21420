//! redis-server.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::process::{Process, free_port};

/// A Redis that writes every command to disk before it answers.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    password: Option<String>,
    folder: TempDir,
    process: Option<Process>,
}

impl Redis {
    /// Starts one without a password.
    ///
    /// # Errors
    /// It is not installed, or doesn't come up.
    pub fn start() -> Result<Redis> {
        Redis::new(None)
    }

    /// Starts one that asks for a password.
    ///
    /// # Errors
    /// As for [`Redis::start`].
    pub fn with_password(password: &str) -> Result<Redis> {
        Redis::new(Some(password.to_owned()))
    }

    fn new(password: Option<String>) -> Result<Redis> {
        let mut redis = Redis {
            port: free_port()?,
            password,
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
        let mut command = Command::new("redis-server");
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
        if let Some(password) = &self.password {
            command.arg("--requirepass").arg(password);
        }
        let process = self
            .process
            .insert(Process::start(&mut command, self.folder.path())?);
        process
            .wait_for(self.port, Duration::from_secs(20))
            .context("redis-server")
    }
}
