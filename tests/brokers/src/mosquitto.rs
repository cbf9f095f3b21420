//! mosquitto.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::tls::Authority;

/// Debian's is not on everybody's path.
const PROGRAM: &str = "/usr/sbin/mosquitto";

/// A mosquitto that keeps any number of messages for a session, and its sessions on disk when it is stopped.
#[derive(Debug)]
pub struct Mosquitto {
    port: u16,
    folder: TempDir,
    process: Option<Process>,
}

impl Mosquitto {
    /// Starts one that anybody may use.
    ///
    /// # Errors
    /// It is not installed, or doesn't come up.
    pub fn start() -> Result<Mosquitto> {
        Mosquitto::new(|_| Ok("allow_anonymous true\n".to_owned()))
    }

    /// Starts one that sends as many messages unacknowledged as packets can be told apart, to clients of MQTT 3.1.1 too,
    /// which can't say how many they take.
    ///
    /// # Errors
    /// As for [`Mosquitto::start`].
    pub fn with_many_in_flight() -> Result<Mosquitto> {
        Mosquitto::new(|_| Ok("allow_anonymous true\nmax_inflight_messages 65535\n".to_owned()))
    }

    /// Starts one that only a user with a password may use.
    ///
    /// # Errors
    /// As for [`Mosquitto::start`].
    pub fn with_password(user: &str, password: &str) -> Result<Mosquitto> {
        Mosquitto::new(|folder| {
            let file = folder.join("passwords");
            let made = Command::new("mosquitto_passwd")
                .args(["-b", "-c"])
                .arg(&file)
                .args([user, password])
                .stderr(Stdio::null())
                .status()
                .context("mosquitto_passwd")?;
            ensure!(made.success(), "mosquitto_passwd: {made}");
            let file = file.display();
            Ok(format!("allow_anonymous false\npassword_file {file}\n"))
        })
    }

    /// Starts one that speaks TLS only, and asks its clients for a certificate.
    ///
    /// # Errors
    /// As for [`Mosquitto::start`].
    pub fn with_tls(authority: &Authority) -> Result<Mosquitto> {
        let [ca, certificate, key] =
            ["authority.pem", "broker.pem", "broker.key"].map(|name| authority.file(name));
        Mosquitto::new(|_| {
            Ok(format!(
                "allow_anonymous true\nrequire_certificate true\ncafile {}\ncertfile {}\nkeyfile {}\n",
                ca.display(),
                certificate.display(),
                key.display()
            ))
        })
    }

    /// `more` gives the rest of the settings, and may write files to a folder.
    fn new(more: impl FnOnce(&Path) -> Result<String>) -> Result<Mosquitto> {
        let port = free_port()?;
        let folder = tempfile::Builder::new().prefix("mosquitto-").tempdir()?;
        let more = more(folder.path())?;
        let at = folder.path().display();
        // Started by root it would become another user, who may not write here.
        let settings = format!(
            "user root\nlistener {port} 127.0.0.1\nmax_queued_messages 0\npersistence true\n\
             persistence_location {at}/\nlog_dest file {at}/log\n{more}"
        );
        fs::write(folder.path().join("conf"), settings)?;
        let mut mosquitto = Mosquitto {
            port,
            folder,
            process: None,
        };
        mosquitto.resume()?;
        Ok(mosquitto)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `mqtt://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Stops it as a service is stopped, so that it writes its sessions to disk: killed, it forgets what came since it last
    /// did so.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("TERM");
            process.wait().ok();
        }
    }

    /// Starts it again after [`Mosquitto::stop`], with the port and the data that it had.
    ///
    /// # Errors
    /// As for [`Mosquitto::start`].
    pub fn resume(&mut self) -> Result<()> {
        let mut command = Command::new(PROGRAM);
        command
            .arg("-c")
            .arg(self.folder.path().join("conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = self
            .process
            .insert(Process::start(&mut command, self.folder.path())?);
        process
            .wait_for(self.port, Duration::from_secs(20))
            .with_context(|| {
                let said = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                format!("mosquitto; it said:\n{said}")
            })
    }
}
