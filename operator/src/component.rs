//! A component that can run: all that building its objects needs, with nothing left to go wrong.

use k8s_openapi::api::core::v1::{Container, ResourceRequirements};
use serde::de::DeserializeOwned;
use serde_json::Value;
use streaming_api::{ChannelSpec, JoinerSpec, PodTemplate, ProcessorSpec, StateSpec, Workload};
use streaming_compiler::Kept;
use streaming_plan::{Input, Plan, Protocol, Role};

use crate::dereference::Resource;

/// A Joiner, Channel or Processor that compiles.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    pub(crate) kind: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Where other components reach it.
    pub(crate) port: i32,
    /// Pods; 0 only for one that is suspended.
    pub(crate) replicas: i32,
    /// Whether a second pod would break it, even for a moment.
    pub(crate) alone: bool,
    /// The user's own container.
    pub(crate) container: Option<Container>,
    /// What the sidecar asks for.
    pub(crate) resources: Option<ResourceRequirements>,
    pub(crate) pull_policy: Option<String>,
    pub(crate) template: PodTemplate,
    /// Where its plan says that state is, and what that should be made of.
    pub(crate) state: Option<(String, StateSpec)>,
    /// Where the files come from that its plan names.
    pub(crate) credentials: Vec<Kept>,
    /// Whether brokers keep something for it, that is to go with it.
    pub(crate) reads: bool,
    /// The plan as it is mounted.
    pub(crate) plan: String,
    /// Its name among plans: another one, other pods.
    pub(crate) hash: String,
}

/// Digits of a plan's hash in names. 40 bits: two plans of one component never meet.
const DIGITS: usize = 10;

impl Component {
    /// The component of a resource whose plan was compiled.
    ///
    /// # Errors
    /// What the compiler accepted and these types do not; there is no such thing while both come from one crate.
    pub(crate) fn new(
        resource: &Resource,
        plan: &Plan,
        credentials: Vec<Kept>,
        suspended: bool,
    ) -> Result<Component, serde_json::Error> {
        let alone = matches!(plan.role, Role::Window(_)) || has_one_session(plan);
        let state = plan.state.as_ref().map(|state| state.path.clone());
        let reads = !plan.inputs.is_empty();
        let plan = serde_json::to_string(plan)?;
        let mut component = Component {
            kind: resource.kind(),
            namespace: resource.namespace.clone(),
            name: resource.name.clone(),
            uid: resource.uid.clone(),
            port: 0,
            replicas: 1,
            alone,
            container: None,
            resources: None,
            pull_policy: None,
            template: PodTemplate::default(),
            state: None,
            credentials,
            reads,
            hash: blake3::hash(plan.as_bytes()).to_hex()[..DIGITS].to_owned(),
            plan,
        };
        match component.kind {
            "Processor" => {
                let spec: ProcessorSpec = spec(&resource.document)?;
                component.port = spec.service_port;
                component.replicas = spec.replicas;
                component.container = Some(spec.container);
                component.template = spec.template.unwrap_or_default();
            }
            "Joiner" => {
                let spec: JoinerSpec = spec(&resource.document)?;
                component.state = state.zip(spec.windowing.state);
                component.port = spec.service_port;
                component.run_as(spec.workload);
            }
            _ => {
                let spec: ChannelSpec = spec(&resource.document)?;
                component.state = state.zip(spec.windowing.state);
                component.port = spec.service_port;
                component.run_as(spec.workload);
            }
        }
        // 0 means 1, as it always did for these kinds.
        component.replicas = component.replicas.max(1);
        if component.alone {
            component.replicas = 1;
        }
        if suspended {
            component.replicas = 0;
        }
        Ok(component)
    }

    /// A container of an earlier runtime is not run, but it may say what the engine may use.
    fn run_as(&mut self, workload: Workload) {
        let container = workload.container.unwrap_or_default();
        self.replicas = workload.replicas.unwrap_or(1);
        self.resources = workload.resources.or(container.resources);
        self.pull_policy = container.image_pull_policy;
        self.template = workload.template.unwrap_or_default();
    }

    /// Name of the `PersistentVolumeClaim` with its state: the same through all edits.
    pub(crate) fn claim_name(&self) -> String {
        format!("{}-state", self.name)
    }

    /// Name of the `ConfigMap` with the plan.
    pub(crate) fn plan_name(&self) -> String {
        format!("{}-plan-{}", self.name, self.hash)
    }
}

/// Whether it reads MQTT alone: the broker keeps one session for it, and a second pod would push the first off again and
/// again while both are there.
fn has_one_session(plan: &Plan) -> bool {
    let mut inputs = plan.inputs.iter();
    let is_mqtt = |input: &Input| {
        let cluster = plan.cluster_streams.get(&input.source.cluster_stream);
        cluster.is_some_and(|cluster| cluster.protocol == Protocol::Mqtt)
    };
    plan.shared.is_none() && inputs.any(is_mqtt)
}

fn spec<T: DeserializeOwned>(document: &Value) -> Result<T, serde_json::Error> {
    T::deserialize(document.get("spec").unwrap_or(&Value::Null))
}
