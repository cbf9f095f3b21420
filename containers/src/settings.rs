//! message-gen's settings: the environment of its container.

use std::time::Duration;

use anyhow::Result;

use crate::environment::{Environment, diagnosed, escaped};
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
        let environment = Environment {
            program: "message-gen",
            variable,
        };
        let recipe = Recipe::compile(&environment.required("MESSAGE_EXPR")?).map_err(|e| match e {
            RecipeError::Expression(d) => diagnosed("MESSAGE_EXPR", &d),
            e => anyhow::anyhow!("MESSAGE_EXPR: {e}"),
        })?;
        Ok(Settings {
            recipe,
            delay: environment.duration("MESSAGE_DELAY", "1s")?,
            count: environment.number("MESSAGE_COUNT")?.filter(|n| *n > 0),
            address: environment.publish_address()? + &escaped(&environment.name("STREAM_TOPIC")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::read(crate::environment::of(variables))
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
