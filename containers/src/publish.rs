//! Handing a message to the sidecar, again and again until it has taken it.

use std::thread;
use std::time::Duration;

use ureq::Agent;

const PATIENCE: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// Publishes through Dapr's HTTP API, which the sidecar speaks.
pub struct Publisher {
    agent: Agent,
}

impl Default for Publisher {
    /// One connection for all that is published.
    fn default() -> Publisher {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        Publisher { agent }
    }
}

impl Publisher {
    /// Returns when the message has been taken; `address` as in Dapr's API:
    /// `http://127.0.0.1:3500/v1.0/publish/PUBSUB/TOPIC`. What is in the way (a sidecar that isn't up yet, a broker that can't be
    /// reached) is told to `log` once for each change.
    pub fn publish(&self, address: &str, message: &[u8], log: impl Fn(&str)) {
        let mut delay = SHORTEST;
        let mut told = String::new();
        while let Err(why) = self.attempt(address, message) {
            if why != told {
                log(&format!("cannot publish to {address}, trying on: {why}"));
                told = why;
            }
            thread::sleep(delay);
            delay = (delay * 2).min(LONGEST);
        }
        if !told.is_empty() {
            log("published");
        }
    }

    fn attempt(&self, address: &str, message: &[u8]) -> Result<(), String> {
        let request = self.agent.post(address).content_type("application/json");
        let mut answer = request.send(message).map_err(|e| e.to_string())?;
        let status = answer.status();
        // Read to its end, so that the connection serves the next message too.
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        if status.is_success() {
            return Ok(());
        }
        let text: String = text.chars().take(300).collect();
        Err(format!("{status} {}", crate::printable(&text))
            .trim_end()
            .to_owned())
    }
}
