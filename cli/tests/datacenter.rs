//! The datacenter pipeline as earlier runtimes' manifests have it, names made to fit: checked and run as it is.
#![allow(clippy::expect_used, clippy::panic)]

mod common;

use common::run;

#[test]
fn check_accepts_it_and_says_what_it_promises() {
    let said = run(&["check", "datacenter"]);
    assert_eq!(said.code, 0, "{said:?}");
    for line in [
        "rabbit-stream/poweruse -> join-tenants-poweruse",
        "join-tenants-poweruse -> billable-proc/billables",
        "on arrival poweruse: poweruse.power_use >= 1.0",
        "look up poweruse by tenants.tenant_id == poweruse.tenant_id",
    ] {
        assert!(said.out.contains(line), "{line}\n{}", said.out);
    }
    assert!(
        said.err
            .contains("note: Deployment default/redis (redis:6.2.6-alpine) doesn't run here")
    );
    assert!(!said.err.contains("dm1n"), "a password is not for a terminal");
}

#[test]
fn every_two_full_windows_have_80_rows() {
    let said = run(&["run", "datacenter", "--for", "4s", "--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let windows = said.data_to("billable-proc/billables");
    // Four seconds hold at least three full windows between the first and the last, which are cut.
    let full: Vec<usize> = windows[1..windows.len() - 1]
        .iter()
        .map(|rows| rows.as_array().expect("a batch").len())
        .collect();
    assert!(full.len() >= 3, "{full:?}");
    for pair in full.windows(2) {
        assert_eq!(pair[0] + pair[1], 80, "{full:?}");
    }
    for row in windows.iter().flat_map(|rows| rows.as_array().expect("a batch")) {
        assert!(row["customer_id"] == 924 || row["customer_id"] == 243, "{row}");
        assert!(
            [1034, 1134, 1119, 1201]
                .iter()
                .any(|kwh| row["tenant_kwh_usage"] == *kwh),
            "{row}"
        );
    }
    assert!(said.lines().iter().all(|d| d["from"] == "join-tenants-poweruse"));
}

#[test]
fn the_processor_logs_what_it_gets() {
    let said = run(&["run", "datacenter", "--for", "1500ms"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let first = said.out.lines().next().expect("a line");
    let (time, rest) = first.split_once(' ').expect("a time");
    assert!(
        time.ends_with('Z') && time.len() == "2026-11-23T10:00:20.000Z".len(),
        "{time}"
    );
    assert!(
        rest.starts_with("billable-proc Data received: [{\"customer_id\":"),
        "{rest}"
    );
}
