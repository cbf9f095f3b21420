//! message-gen's settings: the environment of its container.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::recipe::{Recipe, RecipeError};

/// What to publish, where, and how often.
#[derive(Debug)]
pub struct Settings {
    /// `MESSAGE_EXPR`, compiled.
    pub recipe: Recipe,
    /// `MESSAGE_DELAY`: from one message to the next.
    pub delay: Duration,
    /// `MESSAGE_COUNT`; `None` for no end.
    pub count: Option<u64>,
    /// Where the sidecar takes messages for `CLUSTER_STREAM` and `STREAM_TOPIC`.
    pub address: String,
}

impl Settings {
    /// Reads them; `variable` gives a variable's value.
    ///
    /// # Errors
    /// Where one is missing or wrong; it names the variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Settings> {
        let optional = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        let required = |name: &str| {
            optional(name).with_context(|| format!("message-gen needs the environment variable {name}"))
        };
        let recipe = Recipe::compile(&required("MESSAGE_EXPR")?).map_err(|e| match e {
            RecipeError::Expression(d) => {
                anyhow::anyhow!(
                    "MESSAGE_EXPR, line {}, column {}: {}",
                    d.line,
                    d.column,
                    d.message
                )
            }
            e => anyhow::anyhow!("MESSAGE_EXPR: {e}"),
        })?;
        let delay = optional("MESSAGE_DELAY").unwrap_or_else(|| "1s".to_owned());
        let delay = streaming_api::parse_micros(delay.trim())
            .map_err(|e| anyhow::anyhow!("MESSAGE_DELAY: `{delay}` {e}"))?;
        let count = number(optional("MESSAGE_COUNT"), "MESSAGE_COUNT")?.unwrap_or(0);
        let port = number(optional("DAPR_HTTP_PORT"), "DAPR_HTTP_PORT")?.unwrap_or(3500);
        let (broker, topic) = (required("CLUSTER_STREAM")?, required("STREAM_TOPIC")?);
        for (name, value) in [("CLUSTER_STREAM", &broker), ("STREAM_TOPIC", &topic)] {
            if value.chars().any(char::is_control) {
                bail!("{name}: `{}` has control characters", value.escape_debug());
            }
        }
        let (broker, topic) = (escaped(&broker), escaped(&topic));
        Ok(Settings {
            recipe,
            delay: Duration::from_micros(delay.unsigned_abs()),
            count: Some(count).filter(|n| *n > 0),
            address: format!("http://127.0.0.1:{port}/v1.0/publish/{broker}/{topic}"),
        })
    }
}

/// As a path has it (RFC 3986, section 3.3). A topic's slashes stay: the sidecar reads them as part of it.
fn escaped(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn number(text: Option<String>, name: &str) -> Result<Option<u64>> {
    text.map(|text| {
        text.trim()
            .parse()
            .with_context(|| format!("{name}: `{text}` is no number"))
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn three_variables_are_enough() {
        let settings = read(&[
            ("MESSAGE_EXPR", "[1, 2,]"),
            ("CLUSTER_STREAM", "redis"),
            ("STREAM_TOPIC", "a/b c?"),
        ])
        .unwrap();
        assert_eq!(settings.delay, Duration::from_secs(1));
        assert_eq!(settings.count, None);
        assert_eq!(
            settings.address,
            "http://127.0.0.1:3500/v1.0/publish/redis/a/b%20c%3F"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let sound = [
            ("MESSAGE_EXPR", "id"),
            ("CLUSTER_STREAM", "redis"),
            ("STREAM_TOPIC", "numbers"),
        ];
        for (name, wrong) in [
            ("MESSAGE_EXPR", "idd"),
            ("MESSAGE_EXPR", " "),
            ("MESSAGE_DELAY", "soon"),
            ("MESSAGE_COUNT", "-1"),
            ("DAPR_HTTP_PORT", "http"),
            ("STREAM_TOPIC", "a\nb"),
            ("CLUSTER_STREAM", ""),
        ] {
            let mut variables = vec![(name, wrong)];
            variables.extend(sound);
            let why = format!("{:#}", read(&variables).unwrap_err());
            assert!(why.contains(name), "{why}");
        }
    }
}
