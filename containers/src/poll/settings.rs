//! message-poll's settings: the environment of its container.

use std::time::Duration;

use anyhow::{Result, anyhow};

use super::fetch::Files;
use super::follow::Follow;
use super::rows::Source;
use super::times::Times;
use super::topic::Topic;
use crate::environment::{Environment, diagnosed, escaped};

/// What to read, how often, and where to publish it.
pub struct Settings {
    /// `POLL_URL`.
    pub files: Files,
    /// `POLL_DELAY`: from one reading to the next.
    pub delay: Duration,
    /// What to do with what is read.
    pub follow: Follow,
    /// `CLUSTER_STREAM`.
    pub address: Address,
}

/// Where the sidecar takes messages.
pub struct Address(String);

impl Address {
    /// Those for a topic.
    pub fn of(&self, topic: &str) -> String {
        format!("{}{}", self.0, escaped(topic))
    }
}

impl Settings {
    /// Reads them; `variable` gives a variable's value.
    ///
    /// # Errors
    /// Where one is missing or wrong; it names the variable.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Settings> {
        let environment = Environment {
            program: "message-poll",
            variable,
        };
        let url = environment.required("POLL_URL")?;
        let files = Files::new(url.trim()).map_err(|why| anyhow!("POLL_URL: {why}"))?;
        let zone = environment
            .optional("POLL_TIME_ZONE")
            .unwrap_or_else(|| "UTC".to_owned());
        let zone = Times::zone(zone.trim()).map_err(|e| anyhow!("POLL_TIME_ZONE: {e}"))?;
        let times = Times::new(environment.required("POLL_TIME_FORMAT")?.trim(), zone)
            .map_err(|e| anyhow!("POLL_TIME_FORMAT: {e}"))?;
        let topic =
            Topic::parse(&environment.name("STREAM_TOPIC")?).map_err(|e| anyhow!("STREAM_TOPIC: {e}"))?;
        let column = environment.required("POLL_TIME_COLUMN")?;
        let message = environment.required("MESSAGE_EXPR")?;
        let source =
            Source::new(&column, times, topic, &message).map_err(|d| diagnosed("MESSAGE_EXPR", &d))?;
        Ok(Settings {
            delay: environment.duration("POLL_DELAY", "60s")?,
            follow: Follow::new(source, files.daily()),
            files,
            address: Address(environment.publish_address()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: [(&str, &str); 6] = [
        ("POLL_URL", "http://localhost/{date}.csv"),
        ("POLL_TIME_COLUMN", "Time Stamp"),
        ("POLL_TIME_FORMAT", "%m/%d/%Y %H:%M:%S"),
        ("CLUSTER_STREAM", "ny power"),
        ("STREAM_TOPIC", "mix/{Fuel Category}"),
        ("MESSAGE_EXPR", "row"),
    ];

    fn read(variables: &[(&str, &str)]) -> Result<Settings> {
        Settings::read(crate::environment::of(variables))
    }

    #[test]
    fn six_variables_are_enough() {
        let settings = read(&SOUND).unwrap();
        assert_eq!(settings.delay, Duration::from_mins(1));
        assert_eq!(
            settings.address.of("mix/Natural Gas"),
            "http://127.0.0.1:3500/v1.0/publish/ny%20power/mix/Natural%20Gas"
        );
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let wrong = [
            ("POLL_URL", "ftp://localhost/"),
            ("POLL_DELAY", "often"),
            ("POLL_TIME_FORMAT", "%H:%M"),
            ("POLL_TIME_ZONE", "America/Nowhere"),
            ("STREAM_TOPIC", "mix/{Fuel"),
            ("STREAM_TOPIC", "a\nb"),
            ("MESSAGE_EXPR", "rows"),
            ("DAPR_HTTP_PORT", "http"),
        ];
        for (name, wrong) in wrong.into_iter().chain(SOUND.map(|(name, _)| (name, ""))) {
            let mut variables = vec![(name, wrong)];
            variables.extend(SOUND);
            let why = format!("{:#}", read(&variables).err().unwrap());
            assert!(why.contains(name), "{why}");
        }
    }
}
