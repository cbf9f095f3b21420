//! Handing a message to the sidecar, again and again until it has taken it.

use std::thread;
use std::time::Duration;

use ureq::Agent;

const PATIENCE: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// Publishes to one topic through Dapr's HTTP API, which the sidecar speaks.
pub struct Publisher {
    agent: Agent,
    address: String,
}

impl Publisher {
    /// `address` as in Dapr's API: `http://127.0.0.1:3500/v1.0/publish/PUBSUB/TOPIC`.
    #[must_use]
    pub fn new(address: String) -> Publisher {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        Publisher { agent, address }
    }

    /// Returns when the message has been taken. What is in the way (a sidecar that isn't up yet, a broker that can't be
    /// reached) is told to `log` once for each change.
    pub fn publish(&self, message: &[u8], log: impl Fn(&str)) {
        let mut delay = SHORTEST;
        let mut told = String::new();
        while let Err(why) = self.attempt(message) {
            if why != told {
                log(&format!("cannot publish to {}, trying on: {why}", self.address));
                told = why;
            }
            thread::sleep(delay);
            delay = (delay * 2).min(LONGEST);
        }
        if !told.is_empty() {
            log("published");
        }
    }

    fn attempt(&self, message: &[u8]) -> Result<(), String> {
        let request = self.agent.post(&self.address).content_type("application/json");
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
