//! A container's environment, and what message-gen's and message-poll's settings have in common.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use streaming_engine::expr::Diagnostic;

/// The variables of one program.
pub(crate) struct Environment<F> {
    /// Who needs them, for what is said when one is missing.
    pub(crate) program: &'static str,
    /// Gives a variable's value.
    pub(crate) variable: F,
}

impl<F: Fn(&str) -> Option<String>> Environment<F> {
    /// A variable that says something.
    pub(crate) fn optional(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|text| !text.trim().is_empty())
    }

    pub(crate) fn required(&self, name: &str) -> Result<String> {
        self.optional(name)
            .with_context(|| format!("{} needs the environment variable {name}", self.program))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>> {
        let parse = |text: String| {
            text.trim()
                .parse()
                .with_context(|| format!("{name}: `{text}` is no number"))
        };
        self.optional(name).map(parse).transpose()
    }

    /// A duration as in manifests.
    pub(crate) fn duration(&self, name: &str, default: &str) -> Result<Duration> {
        let text = self.optional(name).unwrap_or_else(|| default.to_owned());
        let micros =
            streaming_api::parse_micros(text.trim()).map_err(|e| anyhow::anyhow!("{name}: `{text}` {e}"))?;
        Ok(Duration::from_micros(micros.unsigned_abs()))
    }

    /// A name of something on a broker.
    pub(crate) fn name(&self, name: &str) -> Result<String> {
        let value = self.required(name)?;
        if value.chars().any(char::is_control) {
            bail!("{name}: `{}` has control characters", value.escape_debug());
        }
        Ok(value)
    }

    /// Where the sidecar takes messages for `CLUSTER_STREAM`: an address to which a topic is appended.
    pub(crate) fn publish_address(&self) -> Result<String> {
        let port = self.number("DAPR_HTTP_PORT")?.unwrap_or(3500);
        let broker = escaped(&self.name("CLUSTER_STREAM")?);
        Ok(format!("http://127.0.0.1:{port}/v1.0/publish/{broker}/"))
    }
}

/// What is wrong with an expression in a variable.
pub(crate) fn diagnosed(name: &str, d: &Diagnostic) -> anyhow::Error {
    anyhow::anyhow!("{name}, line {}, column {}: {}", d.line, d.column, d.message)
}

/// As a path has it (RFC 3986, section 3.3). A topic's slashes stay: the sidecar reads them as part of it.
pub(crate) fn escaped(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// An environment that has these variables.
#[cfg(test)]
pub(crate) fn of(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    |name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}
