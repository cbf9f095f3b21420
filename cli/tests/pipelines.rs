//! Pipelines with recorded input and what must come of it, written by hand; whole, and cut at random points.
#![allow(clippy::expect_used, clippy::panic)]

mod common;

use std::fs;

use common::{PREAMBLE, channel, folder, path, run};

#[test]
fn every_pipeline_gives_what_is_expected_whole_and_cut() {
    let said = run(&["test", "pipelines", "--cut", "40"]);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert!(said.out.contains("same rows after"), "{}", said.out);
}

#[test]
fn a_seed_repeats_its_crashes() {
    let said = || {
        let out = run(&["test", "pipelines/chain", "--cut", "9", "--seed", "7"]).out;
        out.lines().last().expect("a line").to_owned()
    };
    assert_eq!(said(), said());
    assert!(said().contains("(--cut 9 --seed 7)"));
}

fn doubling(expected: &str) -> tempfile::TempDir {
    folder(&[
        ("manifests/pipeline.yaml", &channel("raw.n > 0", "raw.n * 2.0")),
        (
            "input/raw.jsonl",
            "{\"at\": 1, \"data\": {\"n\": 1}}\n{\"at\": 2.5, \"data\": {\"n\": 2.25}}\n",
        ),
        ("expected/sink/out.jsonl", expected),
    ])
}

#[test]
fn numbers_are_compared_by_value_and_times_count() {
    let dir = doubling("{\"at\": 1.0, \"data\": 2.0}\n{\"at\": 25e-1, \"data\": 45e-1}\n");
    assert_eq!(run(&["test", &path(&dir, "")]).code, 0);
    let dir = doubling("{\"at\": 1, \"data\": 2}\n{\"at\": 3, \"data\": 5}\n");
    let said = run(&["test", &path(&dir, "")]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("sink/out: 2 expected, 2 came"), "{}", said.out);
    assert!(
        said.out
            .contains("out.jsonl:2: differs\n      at: - 3 + 2.5\n      data: - 5 + 4.5"),
        "{}",
        said.out
    );
}

#[test]
fn what_did_not_come_and_what_came_unexpected_differ() {
    let dir = doubling("{\"at\": 1, \"data\": 2}\n{\"at\": 2, \"data\": 3}\n{\"at\": 2.5, \"data\": 4.5}\n");
    let said = run(&["test", &path(&dir, "")]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("out.jsonl:2: did not come"), "{}", said.out);
    fs::remove_file(dir.path().join("expected/sink/out.jsonl")).expect("removed");
    let said = run(&["test", &path(&dir, "")]);
    assert_eq!(said.code, 1);
    assert!(
        said.out.contains("0 expected, 2 came (there is no "),
        "{}",
        said.out
    );
}

#[test]
fn update_writes_what_the_next_test_expects() {
    let dir = doubling("{\"at\": 9, \"data\": 9}\n");
    fs::create_dir_all(dir.path().join("expected/gone")).expect("a folder");
    fs::write(
        dir.path().join("expected/gone/x.jsonl"),
        "{\"at\": 1, \"data\": 1}\n",
    )
    .expect("a file");
    assert_eq!(run(&["test", &path(&dir, ""), "--update"]).code, 0);
    let written = fs::read_to_string(dir.path().join("expected/sink/out.jsonl")).expect("written");
    assert_eq!(written, "{\"at\":1,\"data\":2}\n{\"at\":2.5,\"data\":4.5}\n");
    assert!(!dir.path().join("expected/gone/x.jsonl").exists());
    assert_eq!(run(&["test", &path(&dir, "")]).code, 0);
}

#[test]
fn a_test_without_expected_says_how_to_get_it() {
    let dir = folder(&[("p.yaml", PREAMBLE), ("input/raw.jsonl", "")]);
    let said = run(&["test", &path(&dir, "")]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("--update"), "{}", said.err);
}

#[test]
fn what_is_wrong_with_a_recording_is_said_with_file_and_line() {
    let dir = doubling("{\"at\": 1, \"data\": 2}\nnonsense\n");
    fs::write(dir.path().join("input/rw.jsonl"), "").expect("a file");
    let said = run(&["test", &path(&dir, "")]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("error[InvalidRecord]: this is not JSON\n") && said.err.contains("out.jsonl:2:"),
        "{}",
        said.err
    );
    assert!(said.err.contains("UnknownStream") && said.err.contains("there is no Stream `rw`; there is raw"));
}

#[test]
fn what_is_left_out_is_said_and_what_is_counted_is_shown() {
    let dir = doubling("{\"at\": 1, \"data\": 2}\n{\"at\": 2.5, \"data\": 4.5}\n");
    fs::write(dir.path().join("input/notes.txt"), "").expect("a file");
    let brokers =
        channel("raw.n > 0", "raw.n * 2.0").replace("properties: {", "properties: {redisPassword: x, ");
    fs::write(dir.path().join("manifests/pipeline.yaml"), brokers).expect("a file");
    let said = run(&["test", &path(&dir, "")]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.err.matches("warning[").count(), 1, "{}", said.err);
    assert!(said.err.contains("notes.txt"), "{}", said.err);
    fs::write(
        dir.path().join("input/raw.jsonl"),
        "{\"at\": 1.0000001, \"data\": 1}\n",
    )
    .expect("a file");
    let said = run(&["test", &path(&dir, "")]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains(": 1 error and 1 warning\n"), "{}", said.out);
    assert!(
        said.err.contains("raw.jsonl:1:8") && said.err.contains("at most 6 decimals"),
        "{}",
        said.err
    );
}

#[cfg(unix)]
#[test]
fn a_link_to_the_folder_above_is_not_followed_for_ever() {
    let dir = doubling("{\"at\": 1, \"data\": 2}\n{\"at\": 2.5, \"data\": 4.5}\n");
    for name in ["again", "twice"] {
        std::os::unix::fs::symlink(".", dir.path().join("expected/sink").join(name)).expect("a link");
    }
    let said = run(&["test", &path(&dir, "")]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn problems_in_manifests_fail_the_test() {
    let dir = doubling("");
    fs::write(
        dir.path().join("manifests/pipeline.yaml"),
        channel("rw.n > 0", "1"),
    )
    .expect("a file");
    let said = run(&["test", &path(&dir, "")]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("pipeline.yaml:"), "{}", said.err);
}

#[test]
fn a_folder_without_tests_is_wrong_usage() {
    let dir = folder(&[("p.yaml", PREAMBLE)]);
    assert_eq!(run(&["test", &path(&dir, "")]).code, 2);
    assert_eq!(run(&["test", &path(&dir, "p.yaml")]).code, 2);
}

#[test]
fn a_circle_that_never_rests_is_given_up() {
    let manifest = format!(
        "{PREAMBLE}---
apiVersion: streaming.vivien.io/v1alpha1
kind: Stream
metadata: {{name: other}}
spec: {{clusterStream: redis, topic: other}}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Joiner
metadata: {{name: round}}
spec:
  servicePort: 8080
  window: 1s
  emit: Each
  stream:
    from: [raw as a, raw as b]
    to: [{{stream: redis/raw}}]
    where: a.n == b.n
    select: a
"
    );
    let dir = folder(&[
        ("p.yaml", &manifest),
        ("input/raw.jsonl", "{\"at\": 0, \"data\": {\"n\": 1}}\n"),
        ("expected/sink/out.jsonl", ""),
    ]);
    let said = run(&["test", &path(&dir, "")]);
    assert_eq!(said.code, 1, "{said:?}");
}
