//! Certificates for brokers and their clients, by authorities that nobody trusts who isn't told to.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// The only name that the certificates of brokers carry.
pub const SERVER_NAME: &str = "broker.test";

const SETTINGS: &str = "[req]\ndistinguished_name = name\nprompt = no\n[name]\nCN = test\n\
    [authority]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign\n\
    [broker]\nbasicConstraints = CA:FALSE\nsubjectAltName = DNS:broker.test\nextendedKeyUsage = serverAuth\n\
    [client]\nbasicConstraints = CA:FALSE\nsubjectAltName = DNS:client.test\nextendedKeyUsage = clientAuth\n";

/// A certificate authority of a test's own, with a certificate for brokers and one for their clients.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// Makes all of it.
    ///
    /// # Errors
    /// openssl (3.0 or later) is not installed.
    pub fn new() -> Result<Authority> {
        let folder = tempfile::Builder::new().prefix("authority-").tempdir()?;
        let authority = Authority { folder };
        fs::write(authority.file("settings"), SETTINGS)?;
        for who in ["authority", "broker", "client"] {
            let mut command = Command::new("openssl");
            command
                .args(["req", "-x509", "-days", "2", "-nodes"])
                .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
                .arg("-config")
                .arg(authority.file("settings"))
                .args(["-extensions", who])
                .args(["-subj", &format!("/CN={who}")])
                .arg("-keyout")
                .arg(authority.file(&format!("{who}.key")))
                .arg("-out")
                .arg(authority.file(&format!("{who}.pem")));
            if who != "authority" {
                command.arg("-CA").arg(authority.file("authority.pem"));
                command.arg("-CAkey").arg(authority.file("authority.key"));
            }
            let made = command
                .stdin(Stdio::null())
                .output()
                .context("openssl: is it installed?")?;
            let said = String::from_utf8_lossy(&made.stderr);
            ensure!(made.status.success(), "openssl: {}: {said}", made.status);
        }
        Ok(authority)
    }

    /// A file of it: `authority.pem`, `broker.pem`, `broker.key`, `client.pem` or `client.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is in such a file.
    ///
    /// # Errors
    /// There is none.
    pub fn text(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.file(name))?)
    }
}
