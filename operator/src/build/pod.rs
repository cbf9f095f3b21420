//! The containers of a component's pod.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, Probe, ResourceRequirements,
    SeccompProfile, SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{DELIVER, Settings, credentials, state};
use crate::component::Component;

/// The name of our container.
pub(super) const SIDECAR: &str = "streaming-sidecar";
/// The key in the plan's `ConfigMap`, and so the file's name.
pub(super) const PLAN_KEY: &str = "plan.json";
/// Not a name that a user would give to a volume.
pub(super) const PLAN_VOLUME: &str = "streaming-plan";
const FOLDER: &str = "/etc/streaming";

/// Where the sidecar answers probes and gives its metrics.
pub(crate) const ADMIN: i32 = 3501;
/// Where the sidecar takes what the user's container publishes, by the variables that Dapr's SDKs read.
const PUBLISH: [(&str, &str); 2] = [("DAPR_HTTP_PORT", "3500"), ("DAPR_GRPC_PORT", "50001")];

/// The user of our images, who can do nothing.
pub(super) const NOBODY: i64 = 65532;

/// The container that runs a plan.
pub(super) fn sidecar(component: &Component, settings: &Settings) -> Container {
    let plan = VolumeMount {
        name: PLAN_VOLUME.to_owned(),
        mount_path: FOLDER.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let mounts = [plan].into_iter().chain(credentials::mount(component));
    let pull_policy = component.pull_policy.as_deref().unwrap_or("IfNotPresent");
    Container {
        name: SIDECAR.to_owned(),
        image: Some(settings.sidecar_image.clone()),
        image_pull_policy: Some(pull_policy.to_owned()),
        args: Some(vec!["--plan".to_owned(), format!("{FOLDER}/{PLAN_KEY}")]),
        ports: Some(vec![port("deliver", DELIVER), port("admin", ADMIN)]),
        volume_mounts: Some(mounts.chain(state::mount(component)).collect()),
        // A minute to start; from then on, three missed answers.
        startup_probe: Some(probe("/healthz", 1, 60)),
        liveness_probe: Some(probe("/healthz", 10, 3)),
        readiness_probe: Some(probe("/readyz", 5, 3)),
        resources: Some(component.resources.clone().unwrap_or_else(small)),
        security_context: Some(restricted()),
        ..Container::default()
    }
}

/// As a native sidecar: an init container that goes on
/// (<https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>).
pub(super) fn native(sidecar: Container) -> Container {
    Container {
        restart_policy: Some("Always".to_owned()),
        ..sidecar
    }
}

/// The user's container, as they wrote it, told where its sidecar is.
pub(super) fn users(container: &Container) -> Container {
    let mut container = container.clone();
    let env = container.env.get_or_insert_default();
    for (name, value) in PUBLISH {
        if !env.iter().any(|variable| variable.name == name) {
            env.push(EnvVar {
                name: name.to_owned(),
                value: Some(value.to_owned()),
                value_from: None,
            });
        }
    }
    container
}

fn port(name: &str, port: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(ADMIN),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(2),
        ..Probe::default()
    }
}

/// Enough for a quiet component, so that a small node holds many.
pub(super) fn small() -> ResourceRequirements {
    let quantity = |text: &str| Quantity(text.to_owned());
    ResourceRequirements {
        requests: Some(BTreeMap::from([
            ("cpu".to_owned(), quantity("10m")),
            ("memory".to_owned(), quantity("32Mi")),
        ])),
        ..ResourceRequirements::default()
    }
}

/// What the Pod Security Standard `restricted` asks for, and a file system that can't be written to.
pub(super) fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        run_as_user: Some(NOBODY),
        run_as_group: Some(NOBODY),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..SecurityContext::default()
    }
}
