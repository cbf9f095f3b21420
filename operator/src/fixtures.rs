//! Resources for tests, as the caches would give them.

use serde_json::Value;
use streaming_api::Status;

use crate::dereference::Resource;

/// The resources of a manifest.
pub(crate) fn resources(manifest: &str) -> Vec<Resource> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    documents.into_iter().map(resource).collect()
}

fn resource(mut document: Value) -> Resource {
    let kind = document["kind"].as_str().unwrap();
    let kind = streaming_api::KINDS
        .iter()
        .position(|known| *known == kind)
        .unwrap();
    let name = document["metadata"]["name"].as_str().unwrap().to_owned();
    let uid = format!("uid-of-{name}");
    document["metadata"] = serde_json::json!({"name": name, "namespace": "default", "uid": uid});
    Resource {
        kind,
        namespace: "default".into(),
        name,
        uid,
        generation: Some(7),
        version: None,
        finalizers: Vec::new(),
        status: Status::default(),
        document,
    }
}

/// A broker and two Streams on it.
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
spec: {clusterStream: broker, topic: right, recipients: [proc]}
---
";

/// A Joiner of both, with all that a Joiner may say about its pod.
pub(crate) const JOINER: &str = "
apiVersion: streaming.vivien.io/v1alpha1
kind: Joiner
metadata: {name: join}
spec:
  servicePort: 8080
  window: 20s
  replicas: 0
  stream:
    from: [left, right]
    where: left.id == right.id
    to: [{component: proc/rows}]
  resources: {limits: {memory: 256Mi}}
  container: {name: old, imagePullPolicy: Always}
  template:
    labels: {team: a, app: not-mine-to-set}
    annotations: {note: kept}
    nodeSelector: {disk: fast}
    priorityClassName: high
    serviceAccountName: joiner
---
";

/// A Processor.
pub(crate) const PROCESSOR: &str = "
apiVersion: streaming.vivien.io/v1alpha1
kind: Processor
metadata: {name: proc}
spec:
  replicas: 3
  servicePort: 8080
  serviceRoute: rows
  publishes: [broker]
  container:
    name: proc
    image: example/proc:1
    env: [{name: DAPR_HTTP_PORT, value: '9999'}]
    volumeMounts: [{name: data, mountPath: /data}]
  template:
    volumes: [{name: data, emptyDir: {}}]
---
";
