//! A pipeline on MQTT with a password from a Secret: from the plants' topics to the retained intensity, and back to a broker
//! that keeps no session.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{Cluster, path, setup, until};

const MANIFESTS: &str = "tests/cluster/manifests/power-grid";
const MINUTE: Duration = Duration::from_mins(1);
/// Grams of CO2 by kilowatt hour, of the mix that the example's plants give.
const INTENSITY: f64 = 187.68;

pub(super) fn run(cluster: &Cluster) -> Result<()> {
    setup::brokers(cluster, &format!("{MANIFESTS}/broker"))?;
    apply(cluster)?;
    the_intensity_is_logged(cluster)?;
    the_intensity_is_retained(cluster)?;
    what_is_promised(cluster)?;
    deleted(cluster)?;
    setup::nothing_is_left(cluster)
}

fn apply(cluster: &Cluster) -> Result<()> {
    cluster.say("kubectl apply -k examples/power-grid, with a password from a Secret");
    let kubectl = &cluster.kubectl;
    kubectl.run(&["apply", "-k", &path(MANIFESTS)])?;
    let pods = until("all pods are ready", 3 * MINUTE, || {
        let pods = kubectl.pods("app!=mosquitto")?;
        let is_ready = |ready: &str| ready.split_once('/').is_some_and(|(there, all)| there == all);
        let ready = pods.iter().filter(|pod| is_ready(&pod.ready)).count();
        Ok(if pods.len() == 11 && ready == pods.len() {
            Ok(pods)
        } else {
            Err(format!("{pods:?}"))
        })
    })?;
    // Each reaches the broker, which nobody does without the password that the kubelet has put there.
    cluster.say(&format!("{} pods are ready", pods.len()));
    let volumes = kubectl.run(&[
        "get",
        "pods",
        "--selector=app=co2",
        "--output=jsonpath={.items[*].spec.volumes[*].projected.sources[*].secret.name}",
    ])?;
    ensure!(volumes.contains("mosquitto"), "no Secret is mounted: {volumes:?}");
    Ok(())
}

fn is_the_intensity(event: &Value) -> bool {
    event["value"].as_f64() == Some(INTENSITY) && event["units"] == "g / kWh"
}

/// In the first window some plants may have begun too late.
fn the_intensity_is_logged(cluster: &Cluster) -> Result<()> {
    let row = until("the page gets the intensity", 3 * MINUTE, || {
        let log =
            cluster
                .kubectl
                .run(&["logs", "--selector", "app=page", "--container=page", "--tail=-1"])?;
        let rows = log.lines().filter_map(|line| line.split_once(" Data received: "));
        let mut found =
            rows.filter(|(_, row)| serde_json::from_str(row).is_ok_and(|row: Value| is_the_intensity(&row)));
        Ok(found.next().map_or_else(
            || Err(log.lines().last().unwrap_or_default().to_owned()),
            |(_, row)| Ok(row.to_owned()),
        ))
    })?;
    cluster.say(&format!("kubectl logs -l app=page: {row}"));
    Ok(())
}

/// What a subscriber to a topic gets first.
fn ask(cluster: &Cluster, topic: &str) -> Result<String> {
    // The password is in the Secret, and so in the pod.
    let password = cluster.kubectl.run(&[
        "get",
        "secret",
        "mosquitto",
        "--output=go-template={{.data.password | base64decode}}",
    ])?;
    let said = cluster.kubectl.run(&[
        "exec",
        "deployment/mosquitto",
        "--container=mosquitto",
        "--",
        "mosquitto_sub",
        "-V",
        "mqttv5",
        "-u",
        "grid",
        "-P",
        &password,
        "-C",
        "1",
        "-W",
        "20",
        "-t",
        topic,
    ])?;
    Ok(said.trim().to_owned())
}

fn the_intensity_is_retained(cluster: &Cluster) -> Result<()> {
    let said = ask(cluster, "ny-power/computed/co2")?;
    let event: Value = serde_json::from_str(&said).unwrap_or_default();
    ensure!(is_the_intensity(&event["data"]), "retained is {said}");
    cluster.say("it is retained on ny-power/computed/co2");
    Ok(())
}

fn what_is_promised(cluster: &Cluster) -> Result<()> {
    let table = cluster
        .kubectl
        .run(&["get", "channel", "co2", "--output", "wide"])?;
    for part in ["ny-power/ny-power/fuel-mix -> co2: ", "(better with "] {
        ensure!(table.contains(part), "no {part:?} in {table}");
    }
    cluster.say("kubectl get -o wide says what each hop promises");
    Ok(())
}

/// Sessions are what MQTT keeps for a component; topics keep what is retained.
fn deleted(cluster: &Cluster) -> Result<()> {
    cluster.say("kubectl delete -k, all of it");
    let kubectl = &cluster.kubectl;
    kubectl.run(&["delete", "-k", &path(MANIFESTS), "--timeout=240s"])?;
    until("the broker has no session", MINUTE, || {
        let (away, there) = (
            ask(cluster, "$SYS/broker/clients/inactive")?,
            ask(cluster, "$SYS/broker/clients/active")?,
        );
        // One may be who asks.
        Ok(if away == "0" && ["0", "1"].contains(&there.as_str()) {
            Ok(())
        } else {
            Err(format!("{away} sessions without a client, {there} with one"))
        })
    })?;
    let columns = "--output=custom-columns=:.reason,:.involvedObject.kind";
    let events = kubectl.run(&["get", "events", columns, "--no-headers"])?;
    // Other tests of the namespace have Joiners.
    let is_ours = |line: &&str| line.split_whitespace().eq(["TornDown", "Channel"]);
    let torn = events.lines().filter(is_ours).count();
    ensure!(
        torn == 3 && !events.contains("TearDownFailed"),
        "events: {events}"
    );
    cluster.say("the broker keeps no session of it");
    kubectl.run(&["delete", "-k", &path(&format!("{MANIFESTS}/broker"))])?;
    Ok(())
}
