//! The plan file: the first thing that is read.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use streaming_plan::{Plan, VERSION};

/// A plan that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file can't be read.
    #[error("can't read the plan {}: {source}; name the file that the operator made with --plan", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is for another release.
    #[error(
        "the plan {} is of version {found}, and this sidecar runs version {VERSION}: run the sidecar of the release whose operator made the plan",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it has.
        found: u64,
    },
    /// It is not a plan.
    #[error("{} is not a plan: {what}; plans are made by the operator, or by `streamctl`", path.display())]
    NotAPlan {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// Reads a plan.
///
/// # Errors
/// A [`PlanError`], which says what is wrong with the file and repeats no value of it.
pub fn read(path: &Path) -> Result<Plan, PlanError> {
    let text = std::fs::read(path).map_err(|source| PlanError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let not_a_plan = |error: &serde_json::Error| PlanError::NotAPlan {
        path: path.to_owned(),
        what: without_values(&error.to_string()),
    };
    // The version first: in a plan of another one, other fields are no surprise.
    let Versioned { version } = serde_json::from_slice(&text).map_err(|e| not_a_plan(&e))?;
    if version != u64::from(VERSION) {
        return Err(PlanError::Version {
            path: path.to_owned(),
            found: version,
        });
    }
    serde_json::from_slice(&text).map_err(|e| not_a_plan(&e))
}

/// A message without the strings that it quotes from the plan: one may be a password. Names of fields stay.
fn without_values(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}…{}", &message[..=first], &message[last..])
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path()).unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_repeats_no_value() {
        assert!(refusal("").contains("is not a plan: EOF"));
        assert!(refusal("{}").contains("missing field `version`"));
        assert!(refusal(r#"{"version":7}"#).contains("version 7, and this sidecar runs version 2"));
        assert!(refusal(r#"{"version":2,"colour":1}"#).contains("unknown field `colour`"));
        let secret = refusal(r#"{"version":2,"clusterStreams":{"r":"correct\"horse"}}"#);
        assert!(
            secret.contains("string \"…\"") && !secret.contains("correct") && !secret.contains("horse"),
            "{secret}"
        );
        let missing = read(Path::new("/no/such/plan.json")).unwrap_err().to_string();
        assert!(
            missing.contains("/no/such/plan.json") && missing.contains("--plan"),
            "{missing}"
        );
    }
}
