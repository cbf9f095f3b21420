//! Before any message: a plan becomes the engine's configuration, which compiles its expressions once more.

use std::hash::{BuildHasher as _, RandomState};

use streaming_engine::component::{Config, InputConfig, Role};
use streaming_engine::delivery::InFlight;
use streaming_engine::join::JoinSpec;
use streaming_engine::map::MapSpec;
use streaming_plan as plan;

/// What inputs are called in a component's state: the same whatever their order, and another if they are another.
pub fn kept_as(plan: &plan::Plan) -> Vec<String> {
    let name = |input: &plan::Input| {
        let plan::Topic {
            cluster_stream,
            topic,
        } = &input.source;
        format!("{cluster_stream}/{topic} as {}", input.variable)
    };
    plan.inputs.iter().map(name).collect()
}

/// A plan that the engine refuses, which the compiler should have found.
#[derive(Debug, thiserror::Error)]
#[error("{component}: {message}")]
pub struct ConfigError {
    component: String,
    message: String,
}

impl ConfigError {
    /// A component that can't start.
    pub fn new(component: &str, error: &dyn std::fmt::Display) -> ConfigError {
        ConfigError {
            component: component.to_owned(),
            message: error.to_string(),
        }
    }
}

/// The engine's configuration for a plan.
///
/// # Errors
/// An expression that does not compile, or a window that is none.
pub fn config(plan: &plan::Plan) -> Result<Config, ConfigError> {
    let component = &plan.component;
    let fail = |e: &dyn std::fmt::Display| ConfigError {
        component: component.name.clone(),
        message: e.to_string(),
    };
    let variables: Vec<&str> = plan.inputs.iter().map(|i| i.variable.as_str()).collect();
    let role = match &plan.role {
        plan::Role::Window(query) => match JoinSpec::compile(query) {
            Ok(spec) => Role::Join(Box::new(spec)),
            Err(errors) => {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                return Err(fail(&errors.join("; ")));
            }
        },
        plan::Role::Map { r#where, select } => {
            let variable = variables.first().copied().unwrap_or_default();
            let spec = MapSpec::new(variable, r#where.as_deref(), select.as_deref());
            Role::Map(Box::new(spec.map_err(|e| fail(&e))?))
        }
        plan::Role::Relay { concurrency } => Role::Relay {
            concurrency: *concurrency,
        },
    };
    let inputs = plan.inputs.iter().map(|i| InputConfig {
        cluster_stream: i.source.cluster_stream.clone(),
        max_deliveries: i.max_deliveries,
    });
    let source = format!(
        "/{}/{}/{}",
        component.namespace,
        component.kind.to_lowercase(),
        component.name
    );
    let config = Config::new(
        &component.uid,
        &source,
        role,
        inputs.collect(),
        plan.outputs.len(),
    );
    let in_flight = |output: &plan::Output| match output {
        plan::Output::Component { .. } => InFlight::ONE,
        plan::Output::Stream(_) => InFlight::TOPIC,
    };
    Ok(Config {
        outputs: plan.outputs.iter().map(in_flight).collect(),
        late: plan.late_to.is_some(),
        memory_budget: held(plan.memory_budget),
        seed: RandomState::new().hash_one(()),
        ..config
    })
}

/// Of a memory budget, what messages and windows may take. The rest is for the program itself, for connections, for what is
/// being read, and for the rows of a window that closes: they are made before its messages are let go, and may be as large.
fn held(budget: u64) -> u64 {
    budget / 2
}
