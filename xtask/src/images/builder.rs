//! The tool that makes an image out of a Containerfile: buildah, or Docker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::folder;
use crate::shell;

/// buildah with the storage that works here, or Docker.
pub(super) enum Builder {
    Buildah { storage: &'static str },
    Docker,
}

/// Where an image's archive ends up.
pub(super) fn archive(name: &str) -> PathBuf {
    folder().join(format!("{name}.tar"))
}

impl Builder {
    pub(super) fn find() -> Result<Builder> {
        if shell::first_line("buildah --version").is_some() {
            // Overlay needs a kernel, and a file system below, that allow it; vfs copies everything and works everywhere.
            for storage in ["overlay", "vfs"] {
                if shell::first_line(&format!("buildah --storage-driver {storage} info")).is_some() {
                    return Ok(Builder::Buildah { storage });
                }
            }
        }
        if shell::first_line("docker info").is_some() {
            return Ok(Builder::Docker);
        }
        bail!(
            "images are built by buildah or by Docker, and neither runs here.\n\
             On Debian or Ubuntu: sudo apt-get install buildah, and run this as root"
        )
    }

    /// Builds `docker.io/library/NAME:TAG` and gives its archive.
    pub(super) fn build(&self, name: &str, tag: &str, context: &Path) -> Result<PathBuf> {
        let image = format!("docker.io/library/{name}:{tag}");
        let archive = archive(name);
        if archive.exists() {
            fs::remove_file(&archive)?;
        }
        match self {
            Builder::Buildah { storage } => {
                let buildah = |words: &str| {
                    let mut command = Command::new("buildah");
                    command.args(["--storage-driver", storage]).args(words.split(' '));
                    command
                };
                let mut build = buildah("build --quiet --layers --tag");
                quietly(build.arg(&image).arg(context))?;
                // Debian keeps the file that says whose images to trust in a package that need not be there.
                let policy = folder().join("policy.json");
                fs::write(&policy, r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)?;
                let mut push = buildah("push --quiet --signature-policy");
                quietly(
                    push.arg(&policy)
                        .arg(&image)
                        .arg(format!("oci-archive:{}:{image}", archive.display())),
                )?;
            }
            Builder::Docker => {
                let mut build = Command::new("docker");
                build.args(["build", "--quiet", "--tag", &image, "--file"]);
                quietly(build.arg(context.join("Containerfile")).arg(context))?;
                let mut save = Command::new("docker");
                quietly(save.args(["save", "--output"]).arg(&archive).arg(&image))?;
            }
        }
        Ok(archive)
    }
}

/// Runs a command; its output is of interest only if it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
