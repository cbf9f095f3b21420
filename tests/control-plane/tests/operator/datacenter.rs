//! The pipeline that the README begins with.

use serde_json::Value;
use streaming_plan::{Plan, Query, Role, Windows};

use crate::space::{condition, plan_of};
use crate::{CONTROL_PLANE, SIDECAR, Space, output, root};

#[test]
fn applied_it_becomes_deployments_services_and_plans_and_says_when_it_runs() {
    let space = Space::new("datacenter");
    let mut apply = CONTROL_PLANE.kubectl();
    let example = root().join("examples/datacenter");
    output(apply.args(["apply", "--namespace=datacenter", "-k"]).arg(example));

    space.ready("joiners/join-tenants-poweruse", "RollingOut");
    space.ready("processors/billable-proc", "RollingOut");
    let joiner = space.get("joiners/join-tenants-poweruse");
    let deployment = space.get("deployments/join-tenants-poweruse");
    let plan = space.get(&format!("configmaps/{}", plan_of(&deployment)));
    let service = space.get("services/join-tenants-poweruse");
    for object in [&deployment, &plan, &service] {
        let owners = object["metadata"]["ownerReferences"].as_array().unwrap();
        assert_eq!(owners.len(), 1, "{object:#}");
        assert_eq!(owners[0]["uid"], joiner["metadata"]["uid"]);
        assert_eq!(owners[0]["kind"], "Joiner");
        assert_eq!(owners[0]["controller"], true);
    }
    is_the_joiners_workload(&deployment);
    assert_eq!(plan["immutable"], true);
    let plan: Plan = serde_json::from_str(plan["data"]["plan.json"].as_str().unwrap()).unwrap();
    assert_eq!(plan.component.uid, joiner["metadata"]["uid"].as_str().unwrap());
    assert!(matches!(
        plan.role,
        Role::Window(Query {
            windows: Windows::Tumbling { length: 20_000_000 },
            ..
        })
    ));
    assert_eq!(service["spec"]["ports"][0]["port"], 8080);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], 3600);

    let processor = space.get("deployments/billable-proc");
    is_the_processors_workload(&processor);

    space.roll_out("joiners", "join-tenants-poweruse");
    space.roll_out("processors", "billable-proc");
    let joiner = space.get("joiners/join-tenants-poweruse");
    for type_ in ["Ready", "Accepted", "Resolved", "Available"] {
        assert_eq!(condition(&joiner, type_)["status"], "True", "{joiner:#}");
    }
    let edges = joiner["status"]["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 3);
    assert!(
        edges
            .iter()
            .all(|edge| edge["guarantee"].as_str().unwrap().starts_with("at least once"))
    );
    // Rows by receipt time may regroup after a crash, and it is said what would keep them from it.
    let better = &edges[2]["improve"];
    assert!(better.as_str().unwrap().contains("`timestamp`"), "{edges:#?}");
    let used = space.ready("streams/tenants", "Usable");
    assert_eq!(used, "Joiner `join-tenants-poweruse` reads it");

    let table = space.kubectl("get joiners -o wide");
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..2], ["join-tenants-poweruse", "20s"], "{table}");
    assert!(row[2..].join(" ").contains("True Running"), "{table}");
    // Each hop, its promise and what would better it.
    for edge in edges {
        let (from, to) = (edge["from"].as_str().unwrap(), edge["to"].as_str().unwrap());
        let promise = edge["guarantee"].as_str().unwrap();
        assert!(table.contains(&format!("{from} -> {to}: {promise}")), "{table}");
    }
    assert!(table.contains("(better with event time"), "{table}");
    // And only where it is asked for.
    assert!(!space.kubectl("get joiners").contains("at least once"));
}

fn is_the_joiners_workload(deployment: &Value) {
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["labels"]["app"],
        "join-tenants-poweruse"
    );
    let pod = &deployment["spec"]["template"]["spec"];
    assert!(pod["initContainers"].is_null());
    assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
    assert_eq!(pod["containers"][0]["image"], SIDECAR);
    assert_eq!(pod["automountServiceAccountToken"], false);
}

fn is_the_processors_workload(deployment: &Value) {
    assert_eq!(deployment["spec"]["strategy"]["type"], "RollingUpdate");
    let pod = &deployment["spec"]["template"]["spec"];
    let sidecar = &pod["initContainers"][0];
    assert_eq!(sidecar["restartPolicy"], "Always");
    assert_eq!(sidecar["startupProbe"]["httpGet"]["path"], "/healthz");
    let container = &pod["containers"][0];
    assert_eq!(container["name"], "billable-proc");
    let env = container["env"].as_array().unwrap();
    for (name, value) in [("DAPR_HTTP_PORT", "3500"), ("DAPR_GRPC_PORT", "50001")] {
        assert!(
            env.iter()
                .any(|variable| variable["name"] == name && variable["value"] == value)
        );
    }
}
