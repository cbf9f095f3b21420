//! A pipeline on MQTT with a password from a Secret: from a recorded file on the web to the retained intensity, and back to a
//! broker that keeps no session.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Cluster, path, setup, until};

const MANIFESTS: &str = "tests/cluster/manifests/power-grid";
const MINUTE: Duration = Duration::from_mins(1);
/// Grams of CO2 by kilowatt hour, by the minute of the recorded hour.
const INTENSITIES: [(&str, f64); 4] = [("05", 187.68), ("10", 189.77), ("15", 189.74), ("20", 187.82)];

pub(super) fn run(cluster: &Cluster) -> Result<()> {
    setup::servers(cluster, &format!("{MANIFESTS}/broker"))?;
    apply(cluster)?;
    // A poller may be started before all Streams are there, and anew when they are. So the file comes when they are known.
    setup::servers(cluster, &format!("{MANIFESTS}/web"))?;
    the_intensities_are_logged(cluster)?;
    the_newest_is_retained(cluster)?;
    what_is_promised(cluster)?;
    deleted(cluster)?;
    setup::nothing_is_left(cluster)
}

fn apply(cluster: &Cluster) -> Result<()> {
    cluster
        .say("kubectl apply -k examples/power-grid/live, with a recorded file and a password from a Secret");
    let kubectl = &cluster.kubectl;
    kubectl.run(&["apply", "-k", &path(MANIFESTS)])?;
    let pods = until("all pods are ready", 3 * MINUTE, || {
        let pods = kubectl.pods("app!=mosquitto")?;
        let is_ready = |ready: &str| ready.split_once('/').is_some_and(|(there, all)| there == all);
        let ready = pods.iter().filter(|pod| is_ready(&pod.ready)).count();
        Ok(if pods.len() == 5 && ready == pods.len() {
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

fn instant(minute: &str) -> String {
    format!("2018-02-09T11:{minute}:00Z")
}

fn intensity((minute, value): (&str, f64)) -> Value {
    json!({"ts": instant(minute), "value": value, "units": "g / kWh"})
}

/// The last comes when nothing has come after it for the Stream's `idleTimeout`.
fn the_intensities_are_logged(cluster: &Cluster) -> Result<()> {
    let expected = INTENSITIES.map(intensity);
    until("the page gets the intensity of each instant", 3 * MINUTE, || {
        let log =
            cluster
                .kubectl
                .run(&["logs", "--selector", "app=page", "--container=page", "--tail=-1"])?;
        let rows = log.lines().filter_map(|line| line.split_once(" Data received: "));
        let rows: Vec<Value> = rows
            .map(|(_, row)| serde_json::from_str(row))
            .collect::<Result<_, _>>()?;
        ensure!(expected.starts_with(&rows), "the page got {rows:?}");
        Ok(if rows.len() == expected.len() {
            Ok(())
        } else {
            Err(format!("it has got {rows:?}"))
        })
    })?;
    for row in expected {
        cluster.say(&format!("kubectl logs -l app=page: {row}"));
    }
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

fn the_newest_is_retained(cluster: &Cluster) -> Result<()> {
    let newest = INTENSITIES[INTENSITIES.len() - 1];
    let expected = [
        (
            "ny-power/upstream/fuel-mix/Natural Gas",
            json!({"ts": instant(newest.0), "value": 3235, "units": "MW"}),
        ),
        ("ny-power/computed/co2", intensity(newest)),
        (
            "ny-power/status/fuel-mix/updated",
            json!({"ts": instant(newest.0)}),
        ),
    ];
    for (topic, data) in expected {
        // The page may have been quicker than the broker.
        until("the newest is retained", MINUTE, || {
            let said = ask(cluster, topic)?;
            let event: Value = serde_json::from_str(&said).unwrap_or_default();
            Ok(if event["data"] == data {
                Ok(())
            } else {
                Err(format!("on {topic} is {said}"))
            })
        })?;
        cluster.say(&format!("retained on {topic}: {data}"));
    }
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
    for folder in ["web", "broker"] {
        kubectl.run(&["delete", "-k", &path(&format!("{MANIFESTS}/{folder}"))])?;
    }
    Ok(())
}
