//! Step 5, status: what was found and done becomes conditions, and what changed in them becomes events. Pure, except for
//! [`mod@write`].

pub(crate) mod event;
pub(crate) mod rollout;
mod text;
pub(crate) mod write;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use streaming_api::{Edge, Status};
use streaming_compiler::{Problem, reason as compiler};

use crate::dereference::Resource;
use crate::reason::{self, condition};
use crate::validate::Verdict;
use rollout::Rollout;

/// What became of a component.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It has no workload of its own: a `ClusterStream` or Stream.
    NoWorkload,
    /// Its objects are applied, and its pods are on their way or there.
    Applied(Rollout),
    /// Its objects could not be applied.
    Failed { reason: &'static str, message: String },
    /// It has problems, so that nothing was applied; the pods of an earlier version, if there are any.
    Kept(Option<Rollout>),
}

/// One condition, without its time.
struct Finding {
    type_: &'static str,
    status: bool,
    reason: &'static str,
    message: String,
}

/// The status of a resource. Conditions that stay as they are keep the time of their last change.
pub(crate) fn status(resource: &Resource, verdict: &Verdict, outcome: &Outcome, now: &Time) -> Status {
    let conditions = findings(resource, verdict, outcome)
        .into_iter()
        .map(|finding| {
            let status = if finding.status { "True" } else { "False" };
            let before = resource.status.conditions.iter();
            let since = before
                .filter(|before| before.type_ == finding.type_ && before.status == status)
                .map(|before| before.last_transition_time.clone())
                .next();
            Condition {
                type_: finding.type_.to_owned(),
                status: status.to_owned(),
                reason: finding.reason.to_owned(),
                message: finding.message,
                observed_generation: resource.generation,
                last_transition_time: since.unwrap_or_else(|| now.clone()),
            }
        })
        .collect();
    Status {
        conditions,
        observed_generation: resource.generation,
        edges: verdict.edges.iter().take(MOST_EDGES).map(edge).collect(),
        guarantees: guarantees(&verdict.edges),
        last_window: None,
    }
}

/// What the schema takes.
const MOST_EDGES: usize = 256;

/// Whether a resource's status says all of this already. Conditions of others, which may be there too, are theirs; the
/// order is the server's.
pub(crate) fn is_told(there: &Status, now: &Status) -> bool {
    let ours = |condition: &&Condition| reason::CONDITIONS.contains(&condition.type_.as_str());
    there.observed_generation == now.observed_generation
        && there.edges == now.edges
        && there.guarantees == now.guarantees
        && there.last_window == now.last_window
        && there.conditions.iter().filter(ours).count() == now.conditions.len()
        && now
            .conditions
            .iter()
            .all(|condition| there.conditions.contains(condition))
}

fn edge(edge: &streaming_plan::Edge) -> Edge {
    Edge {
        from: edge.from.clone(),
        to: edge.to.clone(),
        guarantee: edge.guarantee.to_string(),
        improve: edge.guarantee.improve.clone(),
    }
}

/// All edges in one line, which is what a table has room for.
fn guarantees(edges: &[streaming_plan::Edge]) -> Option<String> {
    let one = |edge: &streaming_plan::Edge| format!("{} -> {}: {}", edge.from, edge.to, edge.guarantee);
    let all: Vec<String> = edges.iter().map(one).collect();
    (!all.is_empty()).then(|| text::cut(&all.join(" | "), text::MOST))
}

fn findings(resource: &Resource, verdict: &Verdict, outcome: &Outcome) -> Vec<Finding> {
    let (elsewhere, own): (Vec<_>, Vec<_>) =
        verdict.problems.iter().partition(|problem| is_elsewhere(problem));
    let accepted = from_problems(
        condition::ACCEPTED,
        &own,
        reason::VALID,
        "nothing is wrong with it",
    );
    let resolved = from_problems(
        condition::RESOLVED,
        &elsewhere,
        reason::FOUND,
        "all that it refers to is there",
    );
    let available = available(outcome, verdict.suspended);
    let ready = ready(verdict, &[&accepted, &resolved], available.as_ref());

    let mut findings = vec![ready, accepted];
    // A ClusterStream refers to nothing.
    if resource.kind() != "ClusterStream" {
        findings.push(resolved);
    }
    findings.extend(available);
    if let Some(first) = verdict.warnings.first() {
        findings.push(Finding {
            type_: condition::WARNING,
            status: true,
            reason: first.reason,
            message: text::all(&verdict.warnings),
        });
    }
    findings
}

/// Whether it is another resource that must change, or come.
fn is_elsewhere(problem: &Problem) -> bool {
    [
        compiler::CLUSTER_STREAM_NOT_FOUND,
        compiler::STREAM_NOT_FOUND,
        compiler::COMPONENT_NOT_FOUND,
        compiler::AMBIGUOUS_STREAM,
        compiler::NOT_READY,
    ]
    .contains(&problem.reason)
}

fn from_problems(type_: &'static str, problems: &[&Problem], fine: &'static str, message: &str) -> Finding {
    match problems.first() {
        None => Finding {
            type_,
            status: true,
            reason: fine,
            message: message.to_owned(),
        },
        Some(first) => Finding {
            type_,
            status: false,
            reason: first.reason,
            message: text::all(problems.iter().copied()),
        },
    }
}

/// The state of the pods, for what has pods.
fn available(outcome: &Outcome, suspended: bool) -> Option<Finding> {
    let finding = |status, reason, message: String| Finding {
        type_: condition::AVAILABLE,
        status,
        reason,
        message,
    };
    let suspension = || finding(false, reason::SUSPENDED, SUSPENDED.to_owned());
    Some(match outcome {
        Outcome::NoWorkload => return None,
        Outcome::Applied(_) | Outcome::Kept(_) if suspended => suspension(),
        Outcome::Applied(rollout) => finding(rollout.available, rollout.reason, rollout.message.clone()),
        Outcome::Failed { reason, message } => finding(false, reason, message.clone()),
        Outcome::Kept(Some(rollout)) if rollout.stopped => finding(
            false,
            reason::NOT_DEPLOYED,
            "nothing runs, because the last version that could run was stopped".to_owned(),
        ),
        Outcome::Kept(Some(rollout)) if rollout.available => {
            finding(true, reason::LAST_GOOD, LAST_GOOD.to_owned())
        }
        Outcome::Kept(Some(rollout)) => finding(false, rollout.reason, rollout.message.clone()),
        Outcome::Kept(None) => finding(
            false,
            reason::NOT_DEPLOYED,
            "nothing runs, because no version of it could run yet".to_owned(),
        ),
    })
}

const SUSPENDED: &str =
    "it is suspended: no pods run, and what is on the brokers stays there; remove spec.suspend to run it";
const LAST_GOOD: &str = "pods of the last version without problems still run";
/// What `Ready` adds to what is wrong.
const STILL_RUNS: &str = "\n(pods of the last version without problems still run)";

/// The sum: what must be mended first.
fn ready(verdict: &Verdict, before: &[&Finding], available: Option<&Finding>) -> Finding {
    let finding = |status, reason, message: String| Finding {
        type_: condition::READY,
        status,
        reason,
        message,
    };
    if let Some(failed) = before.iter().find(|finding| !finding.status) {
        let others: Vec<&str> = before
            .iter()
            .filter(|finding| !finding.status)
            .map(|finding| finding.message.as_str())
            .collect();
        let mut message = others.join("\n");
        if available.is_some_and(|available| available.reason == reason::LAST_GOOD) {
            message.push_str(STILL_RUNS);
        }
        return finding(false, failed.reason, message);
    }
    match available {
        Some(available) => finding(available.status, available.reason, available.message.clone()),
        None if verdict.users.is_empty() => finding(
            true,
            reason::USABLE,
            "it can be used; nothing that runs does so".to_owned(),
        ),
        None => finding(
            true,
            reason::USABLE,
            text::cut(&verdict.users.join("; "), MOST_OF_USERS),
        ),
    }
}

/// Enough for a few dozen users; the message changes with each of them.
const MOST_OF_USERS: usize = 2048;

#[cfg(test)]
mod tests;
