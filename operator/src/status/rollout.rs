//! Where a rollout stands, from what the Deployment says.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use kube::Resource as _;

use crate::memory::Memory;
use crate::reason;

/// The state of a component's pods, as a condition tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rollout {
    /// Whether all pods that there should be are there; of none, all are.
    pub(crate) available: bool,
    /// Whether there should be none.
    pub(crate) stopped: bool,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// Whether no pod of an earlier version is left, and all that there should be are ready.
pub(crate) fn is_complete(deployment: &Deployment, memory: &Memory) -> bool {
    let Some(status) = observed(deployment, memory.generation(deployment.meta())) else {
        return false;
    };
    let wanted = wanted(deployment);
    [
        status.replicas,
        status.updated_replicas,
        status.available_replicas,
    ]
    .iter()
    .all(|count| count.unwrap_or_default() == wanted)
}

/// The status, if it is about the latest version.
fn observed(deployment: &Deployment, generation: Option<i64>) -> Option<&DeploymentStatus> {
    let status = deployment.status.as_ref()?;
    (status.observed_generation >= generation).then_some(status)
}

fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.replicas.unwrap_or(1)
}

/// Looks at a component's Deployment.
pub(crate) fn look(deployment: &Deployment, memory: &Memory) -> Rollout {
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let wanted = wanted(deployment);
    let rollout = |available, reason, message: String| Rollout {
        available,
        stopped: wanted == 0,
        reason,
        message,
    };
    let status = observed(deployment, memory.generation(deployment.meta()));
    let ready = status
        .and_then(|status| status.available_replicas)
        .unwrap_or_default();
    if is_complete(deployment, memory) {
        let message = format!("{ready} of {wanted} {} ready", pods(wanted));
        return rollout(true, reason::RUNNING, message);
    }
    let condition = |type_: &str, value: &str| {
        let mut all = status?.conditions.iter().flatten();
        all.find(|condition| {
            condition.type_.as_deref() == Some(type_) && condition.status.as_deref() == Some(value)
        })
    };
    if let Some(refused) = condition("ReplicaFailure", "True") {
        let why = refused.message.as_deref().unwrap_or("no reason given");
        let message = format!("the cluster refuses its pods: {why}");
        return rollout(false, reason::PODS_REFUSED, message);
    }
    if condition("Progressing", "False").is_some() {
        // No counts: they come and go with every probe, and each other text is news.
        let message = format!(
            "no progress for longer than its Deployment waits; see why with: kubectl describe pods -l app={name}"
        );
        return rollout(false, reason::ROLLOUT_STUCK, message);
    }
    let was_complete = status.is_some_and(|status| {
        let mut all = status.conditions.iter().flatten();
        status.updated_replicas == Some(wanted)
            && all.any(|condition| condition.reason.as_deref() == Some("NewReplicaSetAvailable"))
    });
    if was_complete {
        let message = format!(
            "not all of {wanted} {} are ready, though they have been; see why with: kubectl describe pods -l app={name}",
            pods(wanted)
        );
        return rollout(false, reason::PODS_NOT_READY, message);
    }
    let message = format!(
        "the latest version is on its way to {wanted} {}; see: kubectl rollout status deployment/{name}",
        pods(wanted)
    );
    rollout(false, reason::ROLLING_OUT, message)
}

fn pods(count: i32) -> &'static str {
    if count == 1 { "pod" } else { "pods" }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::DeploymentCondition;

    use super::*;

    fn deployment(generation: i64, observed: i64, [all, updated, available]: [i32; 3]) -> Deployment {
        let mut deployment = Deployment::default();
        deployment.metadata.name = Some("x".into());
        deployment.metadata.generation = Some(generation);
        deployment.spec.replicas = Some(2);
        deployment.status = Some(DeploymentStatus {
            observed_generation: Some(observed),
            replicas: Some(all),
            updated_replicas: Some(updated),
            available_replicas: Some(available),
            ..DeploymentStatus::default()
        });
        deployment
    }

    fn reason(deployment: &Deployment) -> &'static str {
        look(deployment, &Memory::default()).reason
    }

    #[test]
    fn it_is_complete_when_all_pods_are_new_and_ready() {
        assert_eq!(reason(&deployment(3, 3, [2, 2, 2])), reason::RUNNING);
        // Told about an earlier version.
        assert_eq!(reason(&deployment(3, 2, [2, 2, 2])), reason::ROLLING_OUT);
        // An old pod is still there.
        assert_eq!(reason(&deployment(3, 3, [3, 2, 2])), reason::ROLLING_OUT);
        assert_eq!(reason(&deployment(3, 3, [2, 1, 2])), reason::ROLLING_OUT);
        assert_eq!(reason(&deployment(3, 3, [2, 2, 1])), reason::ROLLING_OUT);
        assert_eq!(reason(&Deployment::default()), reason::ROLLING_OUT);
    }

    #[test]
    fn the_deployments_own_complaints_are_passed_on() {
        let with = |type_: &str, status: &str, message: &str| {
            let mut deployment = deployment(3, 3, [2, 2, 1]);
            let condition = DeploymentCondition {
                type_: Some(type_.into()),
                status: Some(status.into()),
                message: Some(message.into()),
                ..DeploymentCondition::default()
            };
            deployment.status.as_mut().unwrap().conditions = Some(vec![condition]);
            look(&deployment, &Memory::default())
        };
        let refused = with("ReplicaFailure", "True", "exceeded quota: pods=1");
        assert_eq!(refused.reason, reason::PODS_REFUSED);
        assert!(refused.message.contains("exceeded quota: pods=1"));
        let stuck = with("Progressing", "False", "has timed out");
        assert_eq!(stuck.reason, reason::ROLLOUT_STUCK);
        assert!(stuck.message.contains("kubectl describe pods -l app=x"));
        assert_eq!(with("Progressing", "True", "").reason, reason::ROLLING_OUT);
    }

    #[test]
    fn pods_that_were_ready_and_are_not_are_no_rollout() {
        let mut deployment = deployment(3, 3, [2, 2, 1]);
        let condition = DeploymentCondition {
            type_: Some("Progressing".into()),
            status: Some("True".into()),
            reason: Some("NewReplicaSetAvailable".into()),
            ..DeploymentCondition::default()
        };
        deployment.status.as_mut().unwrap().conditions = Some(vec![condition]);
        assert_eq!(reason(&deployment), reason::PODS_NOT_READY);
        // An edit came: the Deployment's conditions are about the version before.
        deployment.status.as_mut().unwrap().updated_replicas = None;
        assert_eq!(reason(&deployment), reason::ROLLING_OUT);
    }

    #[test]
    fn a_cache_that_lags_is_not_believed() {
        let old = deployment(3, 3, [2, 2, 2]);
        let memory = Memory::default();
        let mut written = old.metadata.clone();
        written.uid = Some("u".into());
        written.generation = Some(4);
        memory.object_written(&written, "hash".into());
        let mut cached = old.clone();
        cached.metadata.uid = Some("u".into());
        assert!(is_complete(&old, &memory));
        assert!(!is_complete(&cached, &memory));
    }
}
