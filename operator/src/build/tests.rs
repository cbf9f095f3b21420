use insta::assert_snapshot;

use super::*;
use crate::dereference::Resource;
use crate::fixtures::{JOINER, PROCESSOR, STREAMS, resources};
use crate::validate::validate;

fn settings() -> Settings {
    Settings {
        sidecar_image: "example/streaming-sidecar:1".into(),
    }
}

fn all() -> Vec<Resource> {
    resources(&format!("{STREAMS}{JOINER}{PROCESSOR}"))
}

fn component(resources: &[Resource], name: &str) -> Component {
    let verdicts = validate(resources);
    let mut found = verdicts.into_iter().filter_map(|verdict| {
        assert_eq!(verdict.problems, []);
        verdict.component.filter(|component| component.name == name)
    });
    found.next().unwrap()
}

fn built(resources: &[Resource], name: &str) -> Objects {
    build(&component(resources, name), &settings())
}

/// As somebody would apply it by hand.
fn yaml(objects: &Objects) -> String {
    [
        serde_saphyr::to_string(&objects.config_map),
        serde_saphyr::to_string(&objects.service),
        serde_saphyr::to_string(&objects.deployment),
    ]
    .map(Result::unwrap)
    .join("---\n")
}

#[test]
fn a_joiner_is_one_pod_of_our_container() {
    assert_snapshot!("joiner", yaml(&built(&all(), "join")));
}

#[test]
fn a_processor_is_the_users_container_beside_ours() {
    assert_snapshot!("processor", yaml(&built(&all(), "proc")));
}

#[test]
fn equal_resources_give_equal_objects() {
    assert_eq!(built(&all(), "join"), built(&all(), "join"));
}

#[test]
fn only_what_changes_the_plan_changes_its_name() {
    let name = |resources: &[Resource]| component(resources, "join").plan_name();
    let before = name(&all());
    let mut edited = all();
    edited[3].document["spec"]["window"] = "5s".into();
    assert_ne!(name(&edited), before);
    let mut edited = all();
    edited[3].document["spec"]["template"]["labels"]["team"] = "b".into();
    assert_eq!(name(&edited), before);
    // Made anew, it is another component: its rows have other ids.
    let mut edited = all();
    edited[3].uid = "another".into();
    edited[3].document["metadata"]["uid"] = "another".into();
    assert_ne!(name(&edited), before);
}

#[test]
fn replicas_are_at_least_one_and_of_a_window_at_most_one() {
    let replicas = |replicas: i32| {
        let mut edited = all();
        edited[4].document["spec"]["replicas"] = replicas.into();
        built(&edited, "proc").deployment.spec.replicas
    };
    assert_eq!([0, 1, 4].map(replicas), [Some(1), Some(1), Some(4)]);
    let joiner = built(&all(), "join").deployment.spec;
    assert_eq!(joiner.replicas, Some(1));
    assert_eq!(joiner.strategy.unwrap().type_.unwrap(), "Recreate");
}

#[test]
fn who_has_one_session_on_a_broker_is_replaced_and_not_rolled() {
    let strategy = |protocol: &str, replicas: i32| {
        let streams = STREAMS.replace("protocol: redis, properties: {redisHost: 'redis:6379'}", protocol);
        let mut edited = resources(&format!("{streams}{PROCESSOR}"));
        edited[3].document["spec"]["replicas"] = replicas.into();
        let strategy = built(&edited, "proc").deployment.spec.strategy;
        strategy.unwrap().type_.unwrap()
    };
    let mqtt = "protocol: mqtt, properties: {url: 'mqtt://mosquitto'}";
    assert_eq!(strategy(mqtt, 1), "Recreate");
    assert_eq!(strategy(mqtt, 2), "RollingUpdate");
    let redis = "protocol: redis, properties: {redisHost: 'redis:6379'}";
    assert_eq!(strategy(redis, 1), "RollingUpdate");
}

#[test]
fn a_suspended_component_has_its_plan_and_no_pods() {
    let mut edited = all();
    edited[3].document["spec"]["suspend"] = true.into();
    let suspended = built(&edited, "join");
    assert_eq!(suspended.deployment.spec.replicas, Some(0));
    assert_eq!(suspended.config_map, built(&all(), "join").config_map);
}

/// With state, as the resource says.
fn stateful(state: &serde_json::Value) -> Objects {
    let mut edited = all();
    edited[3].document["spec"]["state"] = state.clone();
    built(&edited, "join")
}

#[test]
fn state_is_a_claim_of_the_component_that_its_sidecar_alone_mounts() {
    let objects = stateful(&serde_json::json!({"storage": "1Gi", "storageClassName": "fast"}));
    let claim = objects.claim.unwrap();
    assert_eq!(claim.metadata.name.as_deref(), Some("join-state"));
    assert_eq!(
        claim.metadata.owner_references,
        objects.deployment.metadata.owner_references
    );
    let asked = claim.spec.unwrap();
    assert_eq!(asked.storage_class_name.as_deref(), Some("fast"));
    assert_eq!(asked.resources.unwrap().requests.unwrap()["storage"].0, "1Gi");
    let pod = objects.deployment.spec.template.spec.unwrap();
    assert_eq!(pod.security_context.unwrap().fs_group, Some(65532));
    let volume = pod.volumes.unwrap().pop().unwrap();
    assert_eq!(volume.persistent_volume_claim.unwrap().claim_name, "join-state");
    let mount = pod.containers[0].volume_mounts.clone().unwrap().pop().unwrap();
    assert_eq!(mount.name, volume.name);
    let plan: serde_json::Value =
        serde_json::from_str(&objects.config_map.data.unwrap()["plan.json"]).unwrap();
    assert_eq!(plan["state"]["path"], mount.mount_path.as_str());
    let read_only = pod.containers[0]
        .security_context
        .clone()
        .unwrap()
        .read_only_root_filesystem;
    assert_eq!(read_only, Some(true));
}

#[test]
fn state_without_storage_is_on_the_node() {
    let objects = stateful(&serde_json::json!({}));
    assert_eq!(objects.claim, None);
    let pod = objects.deployment.spec.template.spec.unwrap();
    assert!(pod.volumes.unwrap().pop().unwrap().empty_dir.is_some());
}

#[test]
fn a_users_container_has_no_credentials() {
    let from = "propertiesFrom: [{name: redisPassword, secretKeyRef: {name: s, key: k}}]";
    let manifest =
        format!("{STREAMS}{PROCESSOR}").replace("protocol: redis", &format!("protocol: redis, {from}"));
    let pod = built(&resources(&manifest), "proc")
        .deployment
        .spec
        .template
        .spec
        .unwrap();
    let has = |container: &k8s_openapi::api::core::v1::Container| {
        let mounts = container.volume_mounts.iter().flatten();
        mounts
            .into_iter()
            .any(|mount| mount.mount_path == "/etc/streaming-credentials")
    };
    assert!(has(&pod.init_containers.unwrap()[0]) && !has(&pod.containers[0]));
}
