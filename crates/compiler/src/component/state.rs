//! Where a component keeps the messages of its open windows.

use streaming_api::StateSpec;
use streaming_engine::join::JoinSpec;
use streaming_plan::{Plan, Role, State};

use crate::document::Resource;
use crate::problem::Report;
use crate::{quantity, reason};

/// Where the operator mounts it.
const PATH: &str = "/var/lib/streaming";

/// The plan with its state, as the resource asks for it.
pub(super) fn keep(
    resource: &Resource,
    spec: Option<&StateSpec>,
    plan: Plan,
    report: &mut Report,
) -> Option<Plan> {
    let Some(spec) = spec else { return Some(plan) };
    if !matches!(plan.role, Role::Window(_)) {
        let message = "state keeps the messages of open windows, and this component has none";
        let warning = resource.at("spec.state", reason::NO_EFFECT, message);
        report.warning(resource, warning.help("remove state, or add window"));
        return Some(plan);
    }
    if let Some(storage) = &spec.storage
        && quantity::bytes(storage).is_none_or(|bytes| bytes < 1 << 20)
    {
        let message = format!("`{storage}` is no room for a state");
        let problem = resource.at("spec.state.storage", reason::INVALID_QUANTITY, message);
        report.problem(
            resource,
            problem.help("write bytes with a unit, 1Mi at least, as 1Gi"),
        );
        return None;
    }
    if spec.storage.is_none() {
        let message =
            "the messages of open windows are kept on the pod's node: they are gone when the pod is";
        let warning = resource.at("spec.state", reason::VOLATILE_STATE, message);
        report.warning(
            resource,
            warning.help("say how much room they need, as in storage: 1Gi"),
        );
    }
    if let Role::Window(query) = &plan.role
        && let Some(what) = JoinSpec::compile(query)
            .ok()
            .and_then(|spec| spec.fits_or_waits())
    {
        let message =
            format!("{what} stay in memory: a window that is larger pauses its inputs until it closes");
        let warning = resource.at("spec.state", reason::WINDOW_IN_MEMORY, message);
        report.warning(
            resource,
            warning.help("give the sidecar enough memory for the largest window, or shorten it"),
        );
    }
    let path = PATH.to_owned();
    Some(Plan {
        state: Some(State { path }),
        ..plan
    })
}
