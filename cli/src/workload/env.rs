//! A generator's settings, out of its container's environment.

use serde_json::Value;

use super::{GeneratorSpec, Workloads};
use crate::generate::{Recipe, RecipeError};
use crate::load::Document;
use crate::locate;
use crate::report::Finding;

const DEFAULT_DELAY: i64 = 1_000_000;

/// Reads one generator and adds it, or what is wrong with it.
pub(crate) fn generator(
    document: &Document,
    container: &Value,
    field: &str,
    replicas: u32,
    known: &dyn Fn(&str, &str) -> bool,
    found: &mut Workloads,
) {
    let mut env = Env {
        document,
        container,
        field,
        findings: &mut found.findings,
    };
    let before = env.findings.len();
    let recipe = env.required("MESSAGE_EXPR").and_then(|v| env.recipe(&v));
    let cluster_stream = env.required("CLUSTER_STREAM");
    let topic = env.required("STREAM_TOPIC");
    let delay = env.optional("MESSAGE_DELAY").and_then(|v| {
        let parsed = streaming_api::parse_micros(v.text.trim());
        parsed
            .map_err(|e| env.wrong(&v, &format!("`{}` {e}", v.text)))
            .ok()
    });
    let count = env.optional("MESSAGE_COUNT").and_then(|v| {
        let parsed = v.text.trim().parse::<u64>();
        parsed
            .map_err(|_| env.wrong(&v, &format!("`{}` is not a number of messages", v.text)))
            .ok()
    });
    if let Some(v) = &cluster_stream
        && !known(document.namespace(), v.text)
    {
        let message = format!(
            "there is no ClusterStream `{}` in namespace {}",
            v.text,
            document.namespace()
        );
        env.wrong(v, &message);
    }
    let sound = env.findings.len() == before;
    if let (true, Some(recipe), Some(cluster_stream), Some(topic)) = (sound, recipe, cluster_stream, topic) {
        found.generators.push(GeneratorSpec {
            name: document.value["metadata"]["name"]
                .as_str()
                .unwrap_or("message-gen")
                .to_owned(),
            namespace: document.namespace().to_owned(),
            replicas,
            cluster_stream: cluster_stream.text.to_owned(),
            topic: topic.text.to_owned(),
            recipe,
            delay: delay.unwrap_or(DEFAULT_DELAY),
            count: count.filter(|n| *n > 0),
        });
    }
}

struct Env<'a> {
    document: &'a Document,
    container: &'a Value,
    field: &'a str,
    findings: &'a mut Vec<Finding>,
}

struct Variable<'a> {
    name: &'static str,
    text: &'a str,
    field: String,
}

impl<'a> Env<'a> {
    fn optional(&mut self, name: &'static str) -> Option<Variable<'a>> {
        let all = self.container["env"].as_array()?;
        // Of two with one name the last counts, as in a pod.
        let (index, entry) = all.iter().enumerate().rfind(|(_, e)| e["name"] == name)?;
        let field = format!("{}.env[{index}].value", self.field);
        match &entry["value"] {
            Value::String(text) => return Some(Variable { name, text, field }),
            Value::Null if entry.get("valueFrom").is_some() => {
                let message = format!("{name}: streamctl reads `value` only, not `valueFrom`");
                self.tell(&field, "InvalidGenerator", message);
            }
            Value::Null => {}
            other => {
                let message = format!("{name} must be a string, but this is {other}; put it in quotes");
                self.tell(&field, "InvalidGenerator", message);
            }
        }
        None
    }

    fn required(&mut self, name: &'static str) -> Option<Variable<'a>> {
        let before = self.findings.len();
        let found = self.optional(name).filter(|v| !v.text.trim().is_empty());
        if found.is_none() && self.findings.len() == before {
            self.tell(
                &format!("{}.env", self.field),
                "InvalidGenerator",
                format!("message-gen needs {name}"),
            );
        }
        found
    }

    fn recipe(&mut self, variable: &Variable<'_>) -> Option<Recipe> {
        match Recipe::compile(variable.text) {
            Ok(recipe) => Some(recipe),
            Err(RecipeError::Expression(d)) => {
                let finding = locate::expression(self.document, &variable.field, variable.text, &d);
                self.findings.push(finding);
                None
            }
            Err(e) => {
                self.wrong(variable, &e.to_string());
                None
            }
        }
    }

    fn wrong(&mut self, variable: &Variable<'_>, message: &str) {
        self.tell(
            &variable.field,
            "InvalidGenerator",
            format!("{}: {message}", variable.name),
        );
    }

    fn tell(&mut self, field: &str, reason: &str, message: String) {
        let place = self.document.place(field);
        self.findings.push(
            Finding::error(reason, message)
                .about(self.document.subject(), field)
                .at(place),
        );
    }
}
