//! Where the control plane's programs come from.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The variable that names a folder with the three programs, as in Kubernetes' own test harness, envtest.
pub const VARIABLE: &str = "KUBEBUILDER_ASSETS";

const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// The programs of a control plane.
#[derive(Clone, Debug)]
pub struct Assets {
    folder: PathBuf,
}

impl Assets {
    /// The programs in the folder that `KUBEBUILDER_ASSETS` names, otherwise those that were built.
    ///
    /// # Errors
    /// Where programs are missing, or were built for another release than `go.sum` pins; it says what to do.
    pub fn find() -> Result<Assets> {
        if let Some(assets) = Assets::given()? {
            return Ok(assets);
        }
        if !is_built() {
            bail!("there is no control plane to test with; run cargo xtask cluster build");
        }
        Ok(Assets { folder: built() })
    }

    /// The programs in the folder that `KUBEBUILDER_ASSETS` names, if it is set.
    ///
    /// # Errors
    /// Where a program is missing there.
    pub fn given() -> Result<Option<Assets>> {
        let Some(folder) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let folder = PathBuf::from(folder);
        if let Some(missing) = PROGRAMS.iter().find(|program| !folder.join(program).is_file()) {
            bail!(
                "{VARIABLE} names {}, but there is no {missing} in it; it must hold {}",
                folder.display(),
                PROGRAMS.join(", ")
            );
        }
        Ok(Some(Assets { folder }))
    }

    /// The folder that they are in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The Go module that pins what is built.
#[must_use]
pub fn module() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("go")
}

/// Cargo's target folder, for results of builds.
#[must_use]
pub fn target() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().unwrap_or(root);
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// The folder that the programs are built into.
#[must_use]
pub fn built() -> PathBuf {
    target().join("control-plane/bin")
}

/// Whether the programs are there and were built from the module as it is now.
#[must_use]
pub fn is_built() -> bool {
    let stamp = std::fs::read_to_string(stamp());
    PROGRAMS.iter().all(|program| built().join(program).is_file())
        && pins().is_ok_and(|pins| stamp.is_ok_and(|stamp| stamp == pins))
}

/// Notes that the programs were built from the module as it is now.
///
/// # Errors
/// Where files can't be read or written.
pub fn mark_built() -> Result<()> {
    Ok(std::fs::write(stamp(), pins()?)?)
}

/// Forgets that they were built, before they are built anew.
pub fn unmark_built() {
    std::fs::remove_file(stamp()).ok();
}

fn stamp() -> PathBuf {
    built().join("built-from")
}

fn pins() -> Result<String> {
    let module = module();
    let read = |file: &str| std::fs::read_to_string(module.join(file));
    Ok(read("go.mod")? + &read("go.sum")?)
}
