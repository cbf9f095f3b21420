//! The Kubernetes API, as much of it as tests of manifests need.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

/// A client of one API server; any thread may use it.
pub struct Client {
    agent: Agent,
    base: String,
    /// The resources of each group and version that was asked for: kind to plural.
    resources: Mutex<HashMap<String, HashMap<String, String>>>,
}

/// What the API server answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP's status code.
    pub status: u16,
    /// The `Warning` headers that kubectl prints.
    pub warnings: Vec<String>,
    /// The resource, or a `Status` that says why not; plain text where there is nothing at that path.
    pub body: Value,
}

impl Answer {
    /// Whether it was accepted.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Client {
    /// A client of what listens at `host:port`.
    pub(crate) fn new(address: &str) -> Client {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        Client {
            agent,
            base: format!("http://{address}"),
            resources: Mutex::default(),
        }
    }

    pub(crate) fn is_up(&self, path: &str) -> bool {
        self.agent
            .get(format!("{}{path}", self.base))
            .call()
            .is_ok_and(|response| response.status().is_success())
    }

    /// Reads `path`, as `/api/v1/namespaces`.
    ///
    /// # Errors
    /// Where the server can't be reached; a refusal is an answer.
    pub fn get(&self, path: &str) -> Result<Answer> {
        answer(self.agent.get(format!("{}{path}", self.base)).call()?)
    }

    /// Creates what a manifest of one document describes, below `path`.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn create(&self, path: &str, yaml: &str) -> Result<Answer> {
        let request = self.agent.post(format!("{}{path}", self.base));
        answer(request.content_type("application/yaml").send(yaml)?)
    }

    /// The path of a namespaced kind's resources, or `None` if the server has no such kind.
    ///
    /// # Errors
    /// Where the server can't be reached, or the kind has no namespace.
    pub fn path(&self, api_version: &str, kind: &str, namespace: &str) -> Result<Option<String>> {
        let root = if api_version.contains('/') { "apis" } else { "api" };
        let mut known = self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains_key(api_version) {
            let found = self.get(&format!("/{root}/{api_version}"))?;
            let list = found.body["resources"].as_array().map_or(&[][..], Vec::as_slice);
            let plurals = list
                .iter()
                .filter_map(|resource| {
                    let name = resource["name"].as_str().filter(|name| !name.contains('/'))?;
                    let namespaced = resource["namespaced"] == true;
                    namespaced.then_some((resource["kind"].as_str()?.to_owned(), name.to_owned()))
                })
                .collect();
            known.insert(api_version.to_owned(), plurals);
        }
        Ok(known
            .get(api_version)
            .and_then(|plurals| plurals.get(kind))
            .map(|plural| format!("/{root}/{api_version}/namespaces/{namespace}/{plural}")))
    }
}

fn answer(mut response: Response<ureq::Body>) -> Result<Answer> {
    let status = response.status().as_u16();
    let warnings = response
        .headers()
        .get_all("warning")
        .iter()
        .map(|value| warning(&String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let text = response.body_mut().read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer {
        status,
        warnings,
        body,
    })
}

/// The text of `299 - "text"`.
fn warning(header: &str) -> String {
    header
        .split_once('"')
        .map_or(header, |(_, text)| text.strip_suffix('"').unwrap_or(text))
        .to_owned()
}
