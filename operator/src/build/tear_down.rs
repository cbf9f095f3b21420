//! The Job that follows a component: its sidecar once more, with `--tear-down`, which takes away what brokers keep for it.
//! It is made out of the Deployment, because the resources that this was made of may be gone by then.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{credentials, pod};
use crate::dereference::Resource;
use crate::labels;

/// Whose the Job is. No owner reference: a foreground deletion of the owner would delete it unfinished.
const OF: &str = "streaming.vivien.io/tear-down-of";
/// How long brokers are tried for.
const PATIENCE: &str = "30s";
/// How long it may take in all, with a pod that must first get somewhere.
const DEADLINE_SECONDS: i64 = 90;
/// When the cluster deletes it if the operator does not.
const FORGOTTEN_SECONDS: i32 = 600;

/// The Job, which does not run before it is told to; `None` where the Deployment has no sidecar.
pub(crate) fn job(resource: &Resource, deployment: &Deployment) -> Option<Job> {
    let template = &deployment.spec.template;
    let spec = template.spec.as_ref()?;
    let mut containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let sidecar = containers.find(|container| container.name == pod::SIDECAR)?;
    let mut args = sidecar.args.clone().unwrap_or_default();
    args.extend(["--tear-down", "--timeout", PATIENCE].map(str::to_owned));
    let needed = |name: &str| [pod::PLAN_VOLUME, credentials::VOLUME].contains(&name);
    let mut mounts = sidecar.volume_mounts.clone().unwrap_or_default();
    mounts.retain(|mount| needed(&mount.name));
    let mut volumes = spec.volumes.clone().unwrap_or_default();
    volumes.retain(|volume| needed(&volume.name));
    let container = Container {
        name: "tear-down".to_owned(),
        image: sidecar.image.clone(),
        image_pull_policy: sidecar.image_pull_policy.clone(),
        args: Some(args),
        volume_mounts: Some(mounts),
        resources: Some(pod::small()),
        security_context: Some(pod::restricted()),
        // Its last line says what is left.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    };
    Some(Job {
        metadata: ObjectMeta {
            name: Some(name(resource)),
            namespace: Some(resource.namespace.clone()),
            labels: Some(labels::all(resource.kind(), &resource.name)),
            annotations: Some(BTreeMap::from([(OF.to_owned(), resource.uid.clone())])),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            suspend: Some(true),
            backoff_limit: Some(0),
            active_deadline_seconds: Some(DEADLINE_SECONDS),
            ttl_seconds_after_finished: Some(FORGOTTEN_SECONDS),
            template: PodTemplateSpec {
                // Network policies may let in only who looks like the component.
                metadata: template.metadata.as_ref().map(|metadata| ObjectMeta {
                    labels: metadata.labels.clone(),
                    annotations: metadata.annotations.clone(),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
                    containers: vec![container],
                    volumes: Some(volumes),
                    restart_policy: Some("Never".to_owned()),
                    image_pull_secrets: spec.image_pull_secrets.clone(),
                    service_account_name: spec.service_account_name.clone(),
                    node_selector: spec.node_selector.clone(),
                    tolerations: spec.tolerations.clone(),
                    affinity: spec.affinity.clone(),
                    priority_class_name: spec.priority_class_name.clone(),
                    automount_service_account_token: Some(false),
                    enable_service_links: Some(false),
                    ..PodSpec::default()
                }),
            },
            ..JobSpec::default()
        }),
        status: None,
    })
}

/// Whether a Job is a resource's.
pub(crate) fn is_of(job: &Job, resource: &Resource) -> bool {
    of(job) == Some(&resource.uid)
}

/// Whether a Job is some resource's.
pub(crate) fn is_ours(job: &Job) -> bool {
    of(job).is_some()
}

fn of(job: &Job) -> Option<&String> {
    job.metadata.annotations.as_ref()?.get(OF)
}

/// Its name, which is also its pods' label: at most 63 bytes, as the component's own.
pub(crate) fn name(resource: &Resource) -> String {
    const END: &str = "tear-down";
    const MOST: usize = 63;
    let whole = format!("{}-{END}", resource.name);
    if whole.len() <= MOST {
        return whole;
    }
    let hash = &blake3::hash(resource.name.as_bytes()).to_hex()[..8];
    let start = &resource.name[..MOST - END.len() - hash.len() - 2];
    format!("{start}-{hash}-{END}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{Settings, build};
    use crate::fixtures::{JOINER, PROCESSOR, STREAMS, resources};
    use crate::validate::validate;

    /// The Job of a component, with credentials and state.
    fn of(name: &str) -> (Job, Resource) {
        let from = "propertiesFrom: [{name: redisPassword, secretKeyRef: {name: s, key: k}}]";
        let streams = STREAMS.replace("protocol: redis", &format!("protocol: redis, {from}"));
        let joiner = JOINER.replace("window: 20s", "window: 20s\n  state: {storage: 1Gi}");
        let resources = resources(&format!("{streams}{joiner}{PROCESSOR}"));
        let settings = Settings {
            sidecar_image: "example/streaming-sidecar:1".into(),
        };
        let mut components = validate(&resources)
            .into_iter()
            .filter_map(|verdict| verdict.component);
        let component = components.find(|component| component.name == name).unwrap();
        let resource = resources.into_iter().find(|resource| resource.name == name);
        let resource = resource.unwrap();
        let deployment = build(&component, &settings).deployment;
        (job(&resource, &deployment).unwrap(), resource)
    }

    #[test]
    fn it_is_the_sidecar_alone_with_its_plan_and_credentials() {
        for name in ["join", "proc"] {
            let (job, resource) = of(name);
            assert!(is_of(&job, &resource));
            let spec = job.spec.unwrap();
            assert_eq!(spec.suspend, Some(true));
            let pod = spec.template.spec.unwrap();
            assert!(pod.init_containers.is_none() && pod.containers.len() == 1);
            let container = &pod.containers[0];
            let args = container.args.clone().unwrap().join(" ");
            assert_eq!(args, "--plan /etc/streaming/plan.json --tear-down --timeout 30s");
            assert!(container.liveness_probe.is_none() && container.restart_policy.is_none());
            let names = |volumes: Vec<String>| volumes.join(" ");
            let volumes = pod.volumes.unwrap().into_iter().map(|volume| volume.name);
            assert_eq!(
                names(volumes.collect()),
                "streaming-plan streaming-credentials",
                "{name}"
            );
            let mounts = container.volume_mounts.clone().unwrap().into_iter();
            assert_eq!(mounts.count(), 2);
        }
        let pod = of("join").0.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.service_account_name.as_deref(), Some("joiner"));
        assert_eq!(pod.node_selector.unwrap()["disk"], "fast");
    }

    #[test]
    fn its_name_is_short_enough_and_says_whose_it_is() {
        let (_, mut resource) = of("join");
        assert_eq!(name(&resource), "join-tear-down");
        resource.name = "a".repeat(63);
        let long = name(&resource);
        assert_eq!(long.len(), 63);
        resource.name.replace_range(62.., "b");
        assert_ne!(name(&resource), long);
    }
}
