//! Container images: ours out of static binaries, and those that the test cluster needs besides. Each ends as an archive in
//! the target folder and, by whatever tool made it, in that tool's storage.

mod builder;
mod debian;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use control_plane::assets;

use crate::{binaries, shell};
use builder::Builder;

/// The project's own images; each has one program, of the same name.
pub(crate) const OURS: [&str; 5] = [
    "streaming-operator",
    "streaming-sidecar",
    "message-gen",
    "message-poll",
    "message-proc",
];

/// Builds the project's images with a tag, and says where they are.
pub(crate) fn run(tag: &str, with_brokers: bool) -> Result<()> {
    let mut archives = ours(tag)?;
    if with_brokers {
        archives.extend(brokers()?);
    }
    for archive in archives {
        println!("{}", archive.display());
    }
    Ok(())
}

/// Builds the project's images; gives their archives.
pub(crate) fn ours(tag: &str) -> Result<Vec<PathBuf>> {
    let programs = binaries::build()?;
    let builder = Builder::find()?;
    OURS.iter()
        .map(|name| {
            let context = context(name)?;
            copy(&programs.join(name), &context.join(name))?;
            builder.build(name, tag, &context)
        })
        .collect()
}

/// Brokers as images, out of Debian's packages; built anew where another version is installed.
pub(crate) fn brokers() -> Result<Vec<PathBuf>> {
    let builder = Builder::find()?;
    debian::BROKERS
        .iter()
        .map(|broker| {
            let archive = builder::archive(broker.name);
            let stamp = folder().join(format!("{}.built-from", broker.name));
            let version = broker.version()?;
            let built_from = fs::read_to_string(&stamp).unwrap_or_default();
            if archive.is_file() && built_from == version {
                return Ok(archive);
            }
            let context = context(broker.name)?;
            broker.stage(&context.join("root"))?;
            let archive = builder.build(broker.name, broker.tag, &context)?;
            fs::write(stamp, version)?;
            Ok(archive)
        })
        .collect()
}

/// What holds a pod's network on the test cluster's node.
pub(crate) fn pause() -> Result<PathBuf> {
    let name = "streaming-pause";
    let archive = builder::archive(name);
    let program = assets::built().join("pause");
    let made = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    if made(&archive) < made(&program) {
        let context = context(name)?;
        copy(&program, &context.join("pause"))?;
        Builder::find()?.build(name, "1", &context)?;
    }
    Ok(archive)
}

fn folder() -> PathBuf {
    shell::target().join("images")
}

/// An empty folder with an image's Containerfile.
fn context(name: &str) -> Result<PathBuf> {
    let context = folder().join(name);
    if context.exists() {
        fs::remove_dir_all(&context)?;
    }
    fs::create_dir_all(&context)?;
    let file = format!("images/{name}/Containerfile");
    copy(&shell::root().join(file), &context.join("Containerfile"))?;
    Ok(context)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
