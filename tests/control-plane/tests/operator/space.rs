//! A test's own namespace, and what it asks of it.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use control_plane::ControlPlane;
use serde_json::{Value, json};

use crate::{CONTROL_PLANE, OPERATOR, output};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Space {
    control_plane: &'static ControlPlane,
    name: &'static str,
}

/// Plural, and where the API has it.
const APIS: [(&str, &str); 10] = [
    ("clusterstreams", "/apis/streaming.vivien.io/v1alpha1"),
    ("streams", "/apis/streaming.vivien.io/v1alpha1"),
    ("channels", "/apis/streaming.vivien.io/v1alpha1"),
    ("joiners", "/apis/streaming.vivien.io/v1alpha1"),
    ("processors", "/apis/streaming.vivien.io/v1alpha1"),
    ("deployments", "/apis/apps/v1"),
    ("jobs", "/apis/batch/v1"),
    ("services", "/api/v1"),
    ("configmaps", "/api/v1"),
    ("events", "/apis/events.k8s.io/v1"),
];

impl Space {
    /// Where the operator of all tests works.
    pub(crate) fn new(name: &'static str) -> Space {
        Space::on(&CONTROL_PLANE, name)
    }

    /// Where a test has an operator of its own.
    pub(crate) fn on(control_plane: &'static ControlPlane, name: &'static str) -> Space {
        output(control_plane.kubectl().args(["create", "namespace", name]));
        Space { control_plane, name }
    }

    /// `kubectl` in this namespace, with a line of arguments.
    pub(crate) fn kubectl(&self, line: &str) -> String {
        let mut command = self.control_plane.kubectl();
        output(
            command
                .arg("--namespace")
                .arg(self.name)
                .args(line.split_whitespace()),
        )
    }

    /// Whether the operator may do something in this namespace, as `kubectl auth can-i` says it.
    pub(crate) fn operator_may(&self, verb: &str, what: &str) -> bool {
        let mut command = self.control_plane.kubectl();
        command.args(["auth", "can-i", verb, what, "--as", OPERATOR]);
        // What it may not is an exit code.
        let output = command.args(["--namespace", self.name]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with("yes") || said.starts_with("no"), "{said}");
        said.starts_with("yes")
    }

    /// `kubectl apply` of a manifest.
    pub(crate) fn apply(&self, manifest: &str) {
        let mut command = self.control_plane.kubectl();
        command.args(["apply", "--namespace", self.name, "-f", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(manifest.as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success(), "{manifest}");
    }

    /// `kubectl patch --type=merge`.
    pub(crate) fn patch(&self, what: &str, patch: &Value) {
        let mut command = self.control_plane.kubectl();
        command.args(["patch", "--namespace", self.name, "--type=merge", what]);
        output(command.arg("-p").arg(patch.to_string()));
    }

    /// The same of an object's status.
    pub(crate) fn patch_status(&self, what: &str, patch: &Value) {
        let mut command = self.control_plane.kubectl();
        command.args(["patch", "--namespace", self.name, "--type=merge"]);
        command.args(["--subresource=status", what]);
        output(command.arg("-p").arg(patch.to_string()));
    }

    fn read(&self, plural: &str, name: &str) -> Value {
        let (_, api) = APIS.iter().find(|(known, _)| *known == plural).unwrap();
        let path = format!("{api}/namespaces/{}/{plural}{name}", self.name);
        self.control_plane.client().get(&path).unwrap().body
    }

    /// An object as it is now, `plural/name`.
    pub(crate) fn get(&self, what: &str) -> Value {
        let (plural, name) = what.split_once('/').unwrap();
        self.read(plural, &format!("/{name}"))
    }

    /// All objects of a kind.
    pub(crate) fn list(&self, plural: &str) -> Vec<Value> {
        self.read(plural, "")["items"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// An object, once it is as it should be.
    pub(crate) fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        wait(|| {
            last = self.get(what);
            is(&last).then(|| last.clone())
        })
        .unwrap_or_else(|| panic!("{what} in {} did not become what it should: {last:#}", self.name))
    }

    /// The message of a resource's `Ready`, once it has this reason and is about the latest generation.
    pub(crate) fn ready(&self, what: &str, reason: &str) -> String {
        let found = self.until(what, |object| {
            let ready = condition(object, "Ready");
            ready["reason"] == reason
                && ready["observedGeneration"] == object["metadata"]["generation"]
                && object["status"]["observedGeneration"] == object["metadata"]["generation"]
        });
        let ready = condition(&found, "Ready");
        let good = ["Running", "Usable"].contains(&reason);
        assert_eq!(ready["status"], if good { "True" } else { "False" }, "{ready:#}");
        ready["message"].as_str().unwrap().to_owned()
    }

    /// A component's Deployment, once its pods mount another plan than `not`.
    pub(crate) fn deployment(&self, name: &str, not: &str) -> Value {
        self.until(&format!("deployments/{name}"), |object| {
            object["metadata"]["uid"].is_string() && plan_of(object) != not
        })
    }

    /// Says what the Deployment controller would say when all pods are there, and waits until the operator says so too.
    pub(crate) fn roll_out(&self, kind: &str, name: &str) {
        self.pods_come(name);
        self.ready(&format!("{kind}/{name}"), "Running");
    }

    /// Says what the Deployment controller would say when all pods are there, of which there may be none.
    pub(crate) fn pods_come(&self, name: &str) {
        let deployment = self.deployment(name, "");
        let replicas = &deployment["spec"]["replicas"];
        let status = json!({"status": {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
            "availableReplicas": replicas,
        }});
        self.patch_status(&format!("deployment/{name}"), &status);
    }

    /// Waits until the operator has looked at all of the namespace after now: the last thing that it does in a look is to
    /// tell the state of what was not there before.
    pub(crate) fn looked_at(&self, marker: &str) {
        // The youngest of the last kind, of a name behind all others, and without pods.
        let name = format!("{MARKER}-{marker}");
        self.apply(&format!(
            "{{apiVersion: streaming.vivien.io/v1alpha1, kind: Processor, metadata: {{name: {name}}}, \
             spec: {{replicas: 1, servicePort: 80, publishes: [], suspend: true, container: {{name: c, image: i}}}}}}"
        ));
        self.ready(&format!("processors/{name}"), "Suspended");
    }
}

/// What the names of all that [`Space::looked_at`] makes begin with.
pub(crate) const MARKER: &str = "zz-marker";

/// What there is, once there is something.
pub(crate) fn wait<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A condition of an object; null if it has none of that type.
pub(crate) fn condition(object: &Value, type_: &str) -> Value {
    let all = object["status"]["conditions"].as_array();
    let found = all
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == type_);
    found.cloned().unwrap_or_default()
}

/// The name of the `ConfigMap` that a Deployment's pods mount.
pub(crate) fn plan_of(deployment: &Value) -> String {
    let volumes = deployment["spec"]["template"]["spec"]["volumes"].as_array();
    let mut plans = volumes
        .into_iter()
        .flatten()
        .filter(|volume| volume["name"] == "streaming-plan");
    let plan = plans.next().map(|volume| &volume["configMap"]["name"]);
    plan.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Two Streams on one broker.
pub(crate) const STREAMS: &str = "
apiVersion: streaming.vivien.io/v1alpha1
kind: ClusterStream
metadata: {name: broker}
spec: {protocol: redis, properties: {redisHost: 'redis:6379'}}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Stream
metadata: {name: left}
spec: {clusterStream: broker, topic: left}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Stream
metadata: {name: right}
spec: {clusterStream: broker, topic: right}
";

/// A Joiner of both.
pub(crate) fn joiner(name: &str, window: &str, filter: &str) -> String {
    format!(
        "
apiVersion: streaming.vivien.io/v1alpha1
kind: Joiner
metadata: {{name: {name}}}
spec:
  servicePort: 8080
  window: {window}
  stream:
    from: [left, right]
    where: {filter}
    to: [{{stream: broker/{name}-rows}}]
"
    )
}
