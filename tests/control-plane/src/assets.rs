//! Where the control plane's programs come from.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The variable that names a folder with the three programs, as in Kubernetes' own test harness, envtest.
pub const VARIABLE: &str = "KUBEBUILDER_ASSETS";

const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// Programs that are built together, from one Go module.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is called in messages, and its stamp.
    pub name: &'static str,
    /// The folder with go.mod and go.sum.
    pub module: PathBuf,
    /// What is given to `go build` there.
    pub packages: &'static [&'static str],
    /// What must be there when it is built.
    pub programs: &'static [&'static str],
}

impl Part {
    /// Whether the programs are there and were built from the module as it is now.
    #[must_use]
    pub fn is_built(&self) -> bool {
        let stamp = std::fs::read_to_string(self.stamp());
        self.programs
            .iter()
            .all(|program| built().join(program).is_file())
            && self
                .pins()
                .is_ok_and(|pins| stamp.is_ok_and(|stamp| stamp == pins))
    }

    /// Notes that the programs were built from the module as it is now.
    ///
    /// # Errors
    /// Where files can't be read or written.
    pub fn mark_built(&self) -> Result<()> {
        Ok(std::fs::write(self.stamp(), self.pins()?)?)
    }

    /// Forgets that they were built, before they are built anew.
    pub fn unmark_built(&self) {
        std::fs::remove_file(self.stamp()).ok();
    }

    fn stamp(&self) -> PathBuf {
        built().join(format!("{}.built-from", self.name))
    }

    /// All that decides what comes out: the module's pins, and its own program if it has one.
    fn pins(&self) -> Result<String> {
        let mut pins = std::fs::read_to_string(self.module.join("go.mod"))?;
        for file in ["go.sum", "main.go"] {
            pins += &std::fs::read_to_string(self.module.join(file)).unwrap_or_default();
        }
        Ok(pins)
    }
}

/// The part that a control plane needs, without nodes and without controllers.
#[must_use]
pub fn control_plane() -> Part {
    Part {
        name: "control-plane",
        module: module(),
        packages: &[
            "go.etcd.io/etcd/server/v3",
            "k8s.io/kubernetes/cmd/kube-apiserver",
            "k8s.io/kubernetes/cmd/kubectl",
        ],
        programs: &PROGRAMS,
    }
}

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
        if !control_plane().is_built() {
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

    /// One of them.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
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
    target().join("kubernetes/bin")
}
