//! A broker's root file system, copied from the Debian packages that are installed here: its files, the few programs that
//! its scripts call, and every library that any of them is linked with.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// An image of a broker.
pub(super) struct Broker {
    pub(super) name: &'static str,
    /// Of the official image whose place it takes.
    pub(super) tag: &'static str,
    packages: &'static [&'static str],
    /// By their names, as found on PATH.
    programs: &'static [&'static str],
    folders: &'static [&'static str],
    /// Where it writes.
    writes: &'static [&'static str],
}

pub(super) const BROKERS: [Broker; 3] = [
    Broker {
        name: "redis",
        tag: "7",
        packages: &["redis-server", "redis-tools", "libc6"],
        programs: &["redis-server", "redis-cli"],
        folders: &[],
        writes: &["data"],
    },
    Broker {
        name: "rabbitmq",
        tag: "3",
        packages: &["rabbitmq-server", "erlang-base", "libc6"],
        programs: &[
            "sh", "basename", "cat", "df", "dirname", "env", "expr", "grep", "hostname", "id", "mkdir",
            "readlink", "rm", "sed", "sleep", "tr", "uname", "erl", "epmd",
        ],
        folders: &["/usr/lib/erlang", "/usr/lib/rabbitmq", "/usr/share/rabbitmq"],
        writes: &["etc/rabbitmq", "var/lib/rabbitmq", "var/log/rabbitmq"],
    },
    Broker {
        name: "eclipse-mosquitto",
        tag: "2",
        packages: &["mosquitto", "mosquitto-clients", "libc6"],
        programs: &["mosquitto", "mosquitto_passwd", "mosquitto_sub"],
        folders: &[],
        writes: &["run/mosquitto"],
    },
];

impl Broker {
    /// The versions of its packages: what decides whether the image is still right.
    pub(super) fn version(&self) -> Result<String> {
        let query = format!("dpkg-query --show {}", self.packages.join(" "));
        let output = shell::command(&query).output().context("this is no Debian")?;
        if !output.status.success() {
            bail!(
                "the image of {} is made out of Debian's packages {}, which aren't installed here",
                self.name,
                self.packages.join(", ")
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Makes the root file system.
    pub(super) fn stage(&self, root: &Path) -> Result<()> {
        for folder in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "tmp"] {
            fs::create_dir_all(root.join(folder))?;
        }
        for link in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{link}"), root.join(link))?;
        }
        fs::write(
            root.join("etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nbroker:x:999:999::/:/bin/sh\n",
        )?;
        fs::write(root.join("etc/group"), "root:x:0:\nbroker:x:999:\n")?;
        for folder in self.writes.iter().chain(&["tmp"]) {
            let folder = root.join(folder);
            fs::create_dir_all(&folder)?;
            fs::set_permissions(folder, fs::Permissions::from_mode(0o1777))?;
        }
        for program in self.programs {
            copy(&find(program)?, root)?;
        }
        for folder in self.folders {
            let to = within(root, Path::new(folder));
            fs::create_dir_all(to.parent().context("a folder without a parent")?)?;
            let mut copy = Command::new("cp");
            shell::run(
                copy.arg("--recursive")
                    .arg("--no-dereference")
                    .arg(folder)
                    .arg(&to),
            )?;
        }
        for library in libraries(root)? {
            copy(&library, root)?;
        }
        Ok(())
    }
}

fn find(program: &str) -> Result<PathBuf> {
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
        .with_context(|| format!("there is no program {program} here"))
}

/// A file with the name that it has here, whatever it links to.
fn copy(file: &Path, root: &Path) -> Result<()> {
    let to = within(root, file);
    fs::create_dir_all(to.parent().context("a file without a folder")?)?;
    if !to.exists() {
        // Where a program finds the rest of itself by where it is, it stays a link.
        match fs::read_link(file) {
            Ok(target) if file.canonicalize()?.starts_with("/usr/lib/erlang") => symlink(target, &to)?,
            _ => {
                fs::copy(file, &to).with_context(|| format!("cannot copy {}", file.display()))?;
            }
        }
    }
    Ok(())
}

/// Below `root`; what Debian keeps below / as links to folders below /usr is put there.
fn within(root: &Path, path: &Path) -> PathBuf {
    let path = path.strip_prefix("/").unwrap_or(path);
    if path.starts_with("usr") || path.starts_with("etc") {
        return root.join(path);
    }
    root.join("usr").join(path)
}

/// What the programs and libraries below `root` are linked with, by the names in this machine.
fn libraries(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = Vec::new();
    walk(root, &mut files)?;
    let mut found = BTreeSet::new();
    for chunk in files.chunks(100) {
        // It fails for what is no program, and tells of the others all the same.
        let output = Command::new("ldd")
            .args(chunk)
            .output()
            .context("cannot start ldd")?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            // `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x...)`, or `/lib64/ld-linux-x86-64.so.2 (0x...)`
            let path = line
                .split_whitespace()
                .find(|word| word.starts_with('/') && !word.ends_with(':'));
            if let Some(path) = path.map(Path::new).filter(|path| !path.starts_with(root)) {
                found.insert(path.to_owned());
            }
        }
    }
    Ok(found)
}

/// All files that the system could run or load.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
            if executable || entry.path().extension().is_some_and(|end| end == "so") {
                files.push(entry.path());
            }
        }
    }
    Ok(())
}
