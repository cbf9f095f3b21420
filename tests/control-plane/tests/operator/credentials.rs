//! What is in Secrets reaches pods as files, which the kubelet mounts: the operator names them, and can't read them.

use serde_json::{Value, json};

use crate::Space;
use crate::space::{STREAMS, condition, joiner, plan_of};
use crate::steady::versions;

const BROKER: &str = "
apiVersion: streaming.vivien.io/v1alpha1
kind: ClusterStream
metadata: {name: broker}
spec:
  protocol: redis
  properties: {redisHost: 'redis:6379'}
  propertiesFrom:
  - {name: redisUsername, configMapKeyRef: {name: redis, key: user, optional: true}}
  - {name: redisPassword, secretKeyRef: {name: redis, key: password}}
  tls:
    ca: {name: redis-tls, key: ca.crt}
";

fn pod(deployment: &Value) -> Value {
    deployment["spec"]["template"]["spec"].clone()
}

#[test]
fn a_secret_is_a_file_in_the_pods_of_all_that_use_it_and_in_no_plan() {
    let space = Space::new("credentials");
    space.kubectl("create secret generic redis --from-literal=password=hunter2");
    let (_, streams) = STREAMS.split_once("---").unwrap();
    space.apply(&format!("{BROKER}---{streams}"));
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.apply(
        "{apiVersion: streaming.vivien.io/v1alpha1, kind: Processor, metadata: {name: apart}, \
         spec: {replicas: 1, servicePort: 80, publishes: [], container: {name: c, image: i}}}",
    );
    space.roll_out("joiners", "join");
    let message = space.ready("clusterstreams/broker", "Usable");
    assert!(message.contains("`join`"), "{message}");
    assert!(condition(&space.get("clusterstreams/broker"), "Warning").is_null());

    let deployment = space.get("deployments/join");
    let pod_of_join = pod(&deployment);
    let volume = &pod_of_join["volumes"][1];
    assert_eq!(volume["name"], "streaming-credentials");
    let file = |property: &str| format!("broker/{property}");
    let expected = json!([
        {"configMap": {"name": "redis", "optional": true, "items": [{"key": "user", "path": file("redisUsername")}]}},
        {"secret": {"name": "redis", "items": [{"key": "password", "path": file("redisPassword")}]}},
        {"secret": {"name": "redis-tls", "items": [{"key": "ca.crt", "path": file("caCert")}]}},
    ]);
    assert_eq!(volume["projected"]["sources"], expected, "{volume:#}");
    let mount = &pod_of_join["containers"][0]["volumeMounts"][1];
    assert_eq!(mount["mountPath"], "/etc/streaming-credentials");
    assert_eq!(mount["readOnly"], true);

    let plan = space.get(&format!("configmaps/{}", plan_of(&deployment)));
    let text = plan["data"]["plan.json"].as_str().unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let plan: Value = serde_json::from_str(text).unwrap();
    let broker = &plan["clusterStreams"]["broker"];
    assert_eq!(
        broker["files"],
        json!({
            "caCert": {"path": "/etc/streaming-credentials/broker/caCert"},
            "redisPassword": {"path": "/etc/streaming-credentials/broker/redisPassword"},
            "redisUsername": {"path": "/etc/streaming-credentials/broker/redisUsername", "optional": true},
        })
    );
    assert_eq!(broker["properties"]["enableTLS"], "true");

    // Who doesn't use it doesn't get it.
    let other = pod(&space.deployment("apart", ""));
    assert!(!other.to_string().contains("streaming-credentials"), "{other:#}");

    // Another password is the kubelet's business; the operator, which may not even list Secrets, writes nothing.
    space.looked_at("0");
    let before = versions(&space);
    space.patch("secret/redis", &json!({"stringData": {"password": "hunter3"}}));
    space.looked_at("1");
    assert_eq!(versions(&space), before);
    assert!(!space.operator_may("get", "secrets") && space.operator_may("get", "configmaps"));
}

#[test]
fn another_secret_is_another_volume_and_the_same_plan() {
    let space = Space::new("another-secret");
    let (_, streams) = STREAMS.split_once("---").unwrap();
    space.apply(&format!("{BROKER}---{streams}"));
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.roll_out("joiners", "join");
    let plan = plan_of(&space.get("deployments/join"));
    space.apply(&format!(
        "{}---{streams}",
        BROKER.replace("secretKeyRef: {name: redis,", "secretKeyRef: {name: redis-2026,")
    ));
    let deployment = space.until("deployments/join", |object| {
        pod(object)["volumes"][1].to_string().contains("redis-2026")
    });
    assert_eq!(plan_of(&deployment), plan);
    space.ready("joiners/join", "RollingOut");
}
