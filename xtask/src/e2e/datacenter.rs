//! The main job, from `kubectl apply` to rows in `kubectl logs`, and back to an empty namespace.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::kubectl::Pod;
use super::log::{Batch, batches};
use super::{Cluster, crash, path, setup, until};

const JOINER: &str = "join-tenants-poweruse";
const MINUTE: Duration = Duration::from_mins(1);

/// All of it, in the order of a user's day.
pub(super) fn run(cluster: &Cluster) -> Result<()> {
    setup::servers(cluster, "examples/datacenter/brokers")?;
    apply(cluster)?;
    rows_of_two_windows(cluster)?;
    the_last_window_in_the_status(cluster)?;
    a_shorter_window(cluster)?;
    a_deleted_joiner(cluster)?;
    a_missing_stream(cluster)?;
    cluster
        .kubectl
        .run(&["delete", "-k", &path("examples/datacenter")])?;
    crash::run(cluster)?;
    no_groups_and_queues_are_left(cluster)?;
    cluster
        .kubectl
        .run(&["delete", "-k", &path("examples/datacenter/brokers")])?;
    setup::nothing_is_left(cluster)
}

fn apply(cluster: &Cluster) -> Result<()> {
    cluster.say("kubectl apply -k examples/datacenter");
    let kubectl = &cluster.kubectl;
    kubectl.run(&["apply", "-k", &path("examples/datacenter")])?;
    let expected = [
        ("billable-proc", "2/2"),
        ("tenants-gen", "2/2"),
        ("poweruse-gen", "2/2"),
        (JOINER, "1/1"),
    ];
    let pods = until("all pods are ready", 2 * MINUTE, || {
        let pods = kubectl.pods("app notin (redis, rabbitmq)")?;
        let ready = |(name, ready): &(&str, &str)| is_ready(&pods, name, ready);
        let all = pods.len() == expected.len() && expected.iter().all(ready);
        Ok(if all { Ok(pods) } else { Err(format!("{pods:?}")) })
    })?;
    for pod in &pods {
        ensure!(pod.restarts == 0, "{} was started again: {pod:?}", pod.name);
    }
    cluster.say("4 pods are ready, and none was started twice");
    Ok(())
}

fn is_ready(pods: &[Pod], component: &str, ready: &str) -> bool {
    pods.iter()
        .any(|pod| pod.name.starts_with(component) && pod.ready == ready && pod.status == "Running")
}

fn delivered(cluster: &Cluster) -> Result<Vec<Batch>> {
    batches(
        &cluster
            .kubectl
            .run(&["logs", "--selector", "app=billable-proc", "--tail=-1"])?,
    )
}

/// Any two consecutive windows in which both generators run have 80 rows, unless a message came to the joiner just
/// before or after the bound that it was due at; so there may be a second pair.
fn rows_of_two_windows(cluster: &Cluster) -> Result<()> {
    cluster.say("kubectl logs -l app=billable-proc: waiting for full windows");
    let pair = until("two full windows have 80 rows", 3 * MINUTE, || {
        let found = delivered(cluster)?;
        let counts: Vec<usize> = found.iter().map(|batch| batch.rows.len()).collect();
        // In the first window the generators may have begun in the middle.
        let pair = counts.windows(2).skip(1).find(|pair| pair[0] + pair[1] == 80);
        Ok(pair.map_or_else(
            || Err(format!("rows by window: {counts:?}")),
            |pair| Ok(pair.to_vec()),
        ))
    })?;
    for row in delivered(cluster)?.iter().flat_map(|batch| &batch.rows) {
        let customer = &row["customer_id"];
        ensure!(
            *customer == 924 || *customer == 243,
            "a row of nobody who is to pay: {row}"
        );
    }
    cluster.say(&format!(
        "two windows with {} and {} rows, all of customers 924 and 243",
        pair[0], pair[1]
    ));
    Ok(())
}

/// What came on each side is in the status, within a minute.
fn the_last_window_in_the_status(cluster: &Cluster) -> Result<()> {
    let said = until("the status has a window with rows", 2 * MINUTE, || {
        let jsonpath = "jsonpath={.status.lastWindow}";
        let said = cluster
            .kubectl
            .run(&["get", "joiner", JOINER, "--output", jsonpath])?;
        let window: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        let is_whole = |input: &str| {
            let inputs = window["inputs"].as_array();
            inputs.is_some_and(|inputs| {
                inputs
                    .iter()
                    .any(|of| of["name"] == input && of["received"].as_u64() > Some(0))
            })
        };
        let whole = window["rows"].as_u64() > Some(0) && is_whole("tenants") && is_whole("poweruse");
        Ok(if whole { Ok(said) } else { Err(said) })
    })?;
    cluster.say(&format!("status.lastWindow is {said}"));
    Ok(())
}

fn a_shorter_window(cluster: &Cluster) -> Result<()> {
    cluster.say("the window from 20s to 5s");
    cluster.kubectl.run(&[
        "patch",
        "joiner",
        JOINER,
        "--type=merge",
        "--patch",
        r#"{"spec":{"window":"5s"}}"#,
    ])?;
    let before = delivered(cluster)?.len();
    until(
        "three windows in a row, 5 s from one to the next",
        2 * MINUTE,
        || {
            let found = delivered(cluster)?;
            let times: Vec<f64> = found.iter().skip(before).map(|batch| batch.at).collect();
            let every_five = times
                .windows(3)
                .any(|three| three.windows(2).all(|two| (two[1] - two[0] - 5.0).abs() < 1.0));
            Ok(if every_five {
                Ok(())
            } else {
                Err(format!("rows came at {times:?}"))
            })
        },
    )?;
    cluster.say("rows come every 5 s");
    Ok(())
}

fn a_deleted_joiner(cluster: &Cluster) -> Result<()> {
    cluster.say("kubectl delete joiner");
    let kubectl = &cluster.kubectl;
    kubectl.run(&["delete", "joiner", JOINER])?;
    until("the Joiner's objects are gone", MINUTE, || {
        let left = kubectl.names("deployments,services,configmaps,pods")?;
        let left: Vec<String> = left.into_iter().filter(|name| name.contains(JOINER)).collect();
        Ok(if left.is_empty() {
            Ok(())
        } else {
            Err(format!("there are {left:?}"))
        })
    })?;
    cluster.say("its Deployment, Service and ConfigMap are gone");
    Ok(())
}

fn a_missing_stream(cluster: &Cluster) -> Result<()> {
    cluster.say("a Joiner without one of its Streams");
    let kubectl = &cluster.kubectl;
    kubectl.run(&["delete", "stream", "tenants"])?;
    kubectl.run(&["apply", "-f", &path("examples/datacenter/joiner.yaml")])?;
    let ready = |expected: &'static str| {
        let jsonpath =
            r#"jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.reason} {.message}{end}"#;
        move || {
            let said = kubectl.run(&["get", "joiner", JOINER, "--output", jsonpath])?;
            let holds = said.starts_with(expected) && (expected == "True" || said.contains("tenants"));
            Ok(if holds {
                Ok(said)
            } else {
                Err(format!("Ready is {said:?}"))
            })
        }
    };
    let said = until("Ready=False names the Stream", MINUTE, ready("False"))?;
    cluster.say(&format!("Ready={said}"));
    kubectl.run(&["apply", "-f", &path("examples/datacenter/streams.yaml")])?;
    until("Ready=True", MINUTE, ready("True"))?;
    cluster.say("with the Stream applied, Ready=True");
    Ok(())
}

/// Topics stay, and with them what was published; groups and queues are a component's, and go.
fn no_groups_and_queues_are_left(cluster: &Cluster) -> Result<()> {
    let kubectl = &cluster.kubectl;
    let on_redis =
        |line: &[&str]| kubectl.run(&[&["exec", "deployment/redis", "--", "redis-cli"][..], line].concat());
    for topic in on_redis(&["--scan"])?.lines() {
        let groups = on_redis(&["XINFO", "GROUPS", topic])?;
        ensure!(
            groups.trim().is_empty(),
            "Redis has groups of {topic} still: {groups}"
        );
    }
    let list = ["rabbitmqctl", "--quiet", "list_queues", "name"];
    let queues = kubectl.run(&[&["exec", "deployment/rabbitmq", "--"][..], &list].concat())?;
    // Dead letters wait for a person.
    let stays = |line: &&str| ["", "name"].contains(line) || line.starts_with("dead-letter-");
    let left: Vec<&str> = queues.lines().filter(|line| !stays(line)).collect();
    ensure!(left.is_empty(), "RabbitMQ has queues still: {left:?}");
    cluster.say("no groups and no queues are left on the brokers");
    Ok(())
}
