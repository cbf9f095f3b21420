//! A component that is deleted is there until the brokers keep nothing for it. There is no controller here that would run a
//! Job or end a Deployment, so the tests say in its place what became of them.

use serde_json::{Value, json};

use crate::space::{STREAMS, condition, joiner, plan_of, wait};
use crate::{CONTROL_PLANE, Space, output};

const JOB: &str = "jobs/join-tear-down";

/// A Joiner that runs, and is then deleted.
fn deleted(name: &'static str) -> Space {
    let space = Space::new(name);
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.roll_out("joiners", "join");
    let held = space.get("joiners/join");
    assert_eq!(
        held["metadata"]["finalizers"],
        json!(["streaming.vivien.io/tear-down"])
    );
    space.kubectl("delete joiner join --wait=false");
    space
}

/// The Job, once it waits for the end of the pods.
fn waiting(space: &Space) -> Value {
    let job = space.until(JOB, |job| job["spec"]["suspend"] == true);
    space.until("deployments/join", |deployment| {
        deployment["metadata"]["deletionTimestamp"].is_string()
    });
    job
}

/// The end of the pods, and with it of the Deployment.
fn pods_end(space: &Space) {
    space.patch("deployment/join", &json!({"metadata": {"finalizers": null}}));
    space.until(JOB, |job| job["spec"]["suspend"] == false);
}

/// The end of the Job.
fn ends(space: &Space, types: [&str; 2], message: &str) {
    let now = "2026-01-01T00:00:00Z";
    let conditions = types.map(|type_| {
        json!({"type": type_, "status": "True", "reason": "Test", "message": message,
               "lastTransitionTime": now, "lastProbeTime": now})
    });
    let mut status = json!({"startTime": now, "conditions": conditions, "uncountedTerminatedPods": {}});
    if types[1] == "Complete" {
        status["completionTime"] = json!(now);
        status["succeeded"] = json!(1);
    }
    space.patch_status("job/join-tear-down", &json!({"status": status}));
    for gone in ["joiners/join", JOB] {
        space.until(gone, |object| object["code"] == 404);
    }
}

fn event(space: &Space, reason: &str) -> Value {
    let found = || {
        let mut events = space.list("events").into_iter();
        events.find(|event| event["reason"] == reason)
    };
    wait(found).unwrap_or_else(|| panic!("no event {reason}"))
}

#[test]
fn a_deleted_component_goes_when_its_tear_down_is_over() {
    let space = deleted("torn-down");
    let job = waiting(&space);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let args = [
        "--plan",
        "/etc/streaming/plan.json",
        "--tear-down",
        "--timeout",
        "30s",
    ];
    assert_eq!(container["args"], json!(args));
    // Its pods may still ack, and publishers still declare its queues.
    space.looked_at("1");
    assert_eq!(space.get(JOB)["spec"]["suspend"], true);
    assert_eq!(space.get("joiners/join")["kind"], "Joiner");
    space.pods_come("zz-marker-1");
    pods_end(&space);
    ends(&space, ["SuccessCriteriaMet", "Complete"], "well");
    let told = event(&space, "TornDown");
    assert_eq!(
        (&told["type"], &told["regarding"]["name"]),
        (&json!("Normal"), &json!("join"))
    );
}

#[test]
fn a_tear_down_that_fails_is_told_of_and_holds_up_nothing() {
    let space = deleted("not-torn-down");
    waiting(&space);
    pods_end(&space);
    ends(
        &space,
        ["FailureTarget", "Failed"],
        "Job was active longer than specified deadline",
    );
    let told = event(&space, "TearDownFailed");
    assert_eq!(told["type"], "Warning");
    let note = told["note"].as_str().unwrap();
    assert!(
        note.contains("may still be there") && note.contains("deadline"),
        "{note}"
    );
}

#[test]
fn a_job_of_somebody_else_is_not_taken_over() {
    let space = Space::new("job-in-use");
    space.apply(
        "{apiVersion: batch/v1, kind: Job, metadata: {name: join-tear-down}, spec: {suspend: true, \
         template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}",
    );
    let before = space.get(JOB);
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.roll_out("joiners", "join");
    space.kubectl("delete joiner join --wait=false");
    space.until("joiners/join", |object| object["code"] == 404);
    let told = event(&space, "TearDownFailed");
    let note = told["note"].as_str().unwrap();
    assert!(
        note.contains("may still be there") && note.contains("the Job `join-tear-down`"),
        "{note}"
    );
    assert_eq!(space.get(JOB), before);
}

#[test]
fn what_could_not_have_its_name_goes_at_once_and_in_silence() {
    let space = Space::new("never-ran");
    space.apply(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: join}, spec: {selector: {matchLabels: {a: b}}, \
         template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}]}}}}\n---\n\
         {apiVersion: v1, kind: Service, metadata: {name: other}, spec: {ports: [{port: 80}]}}",
    );
    space.apply(STREAMS);
    for name in ["join", "other"] {
        space.apply(&joiner(name, "20s", "left.id == right.id"));
        space.ready(&format!("joiners/{name}"), "NameInUse");
        let held = &space.get(&format!("joiners/{name}"))["metadata"]["finalizers"];
        assert!(held.is_null(), "{held}");
        space.kubectl(&format!("delete joiner {name}"));
    }
    space.looked_at("1");
    let failed = |event: &Value| event["reason"] == "TearDownFailed";
    assert!(!space.list("events").iter().any(failed));
    assert_eq!(space.get("deployments/join")["kind"], "Deployment");
}

#[test]
fn who_takes_the_name_of_a_component_waits_for_its_tear_down() {
    let space = deleted("successor");
    waiting(&space);
    space.apply(
        "{apiVersion: streaming.vivien.io/v1alpha1, kind: Channel, metadata: {name: join}, \
         spec: {servicePort: 8080, stream: {from: [right], to: [{stream: broker/out}]}}}",
    );
    let message = space.ready("channels/join", "NameInUse");
    assert!(message.contains("still being deleted"), "{message}");
    pods_end(&space);
    space.looked_at("1");
    assert_eq!(
        condition(&space.get("channels/join"), "Ready")["reason"],
        "NameInUse"
    );
    ends(&space, ["SuccessCriteriaMet", "Complete"], "well");
    // As the garbage collector would.
    space.kubectl("delete service join");
    space.ready("channels/join", "RollingOut");
}

#[test]
fn in_a_namespace_that_is_deleted_nothing_is_held() {
    let space = deleted("space-deleted");
    waiting(&space);
    let mut delete = CONTROL_PLANE.kubectl();
    output(delete.args(["delete", "namespace", "space-deleted", "--wait=false"]));
    space.until("joiners/join", |object| object["code"] == 404);
}

#[test]
fn what_is_rolled_out_or_reads_nothing_is_not_torn_down() {
    let space = Space::new("not-deleted");
    space.apply(STREAMS);
    space.apply(&joiner("join", "20s", "left.id == right.id"));
    space.apply(
        "{apiVersion: streaming.vivien.io/v1alpha1, kind: Processor, metadata: {name: gen}, \
         spec: {replicas: 1, servicePort: 80, publishes: [broker], container: {name: c, image: i}}}",
    );
    space.roll_out("joiners", "join");
    let old = plan_of(&space.get("deployments/join"));
    space.patch("joiner/join", &json!({"spec": {"window": "5s"}}));
    space.deployment("join", &old);
    space.roll_out("joiners", "join");
    space.patch("joiner/join", &json!({"spec": {"suspend": true}}));
    space.ready("joiners/join", "Suspended");
    assert!(space.get("processors/gen")["metadata"]["finalizers"].is_null());
    space.kubectl("delete processor gen");
    assert!(space.list("jobs").is_empty());
}
