//! `check`, `eval` and the small commands, as a user meets them.
#![allow(clippy::expect_used, clippy::panic)]

mod common;

use common::{PREAMBLE, channel, folder, generator, path, run, run_with};
use serde_json::{Value, json};

#[test]
fn every_problem_is_printed_with_its_place() {
    let dir = folder(&[
        ("a.yaml", &channel("rw.n > 0", "raw.")),
        (
            "b.yaml",
            "apiVersion: v1\nkind: X\nmetadata: {name: x, name: y}\n",
        ),
        ("c.yaml", &generator("[idd]", "x", "5 s")),
    ]);
    let said = run(&["check", &path(&dir, "")]);
    assert_eq!(said.code, 1, "{said:?}");
    let (a, b, c) = (path(&dir, "a.yaml"), path(&dir, "b.yaml"), path(&dir, "c.yaml"));
    for part in [
        format!("--> {a}:29:7\n    |\n 29 |       rw.n > 0\n    |       ^^\n  = help: did you mean `raw`?"),
        format!("--> {a}:31:"),
        format!("error[DuplicateKey]: the key `name` is already there, on line 3\n  --> {b}:3:21\n"),
        format!("--> {c}:16:14\n    |\n 16 |             [idd]\n    |              ^^^\n"),
        "MESSAGE_COUNT: `x` is not a number of messages".to_owned(),
        "MESSAGE_DELAY: `5 s` has the unknown unit".to_owned(),
    ] {
        assert!(said.err.contains(&part), "{part}\n{}", said.err);
    }
    assert!(!said.err.contains('\x1b'), "colours are for terminals");
}

#[test]
fn an_expression_that_the_file_does_not_show_as_it_is_shows_itself() {
    let folded = channel("raw.n > 0", "raw")
        .replace("where: |", "where: >-")
        .replace("raw.n > 0", "raw.n >\n      rw.n");
    let said = run_with(&["check", "-"], folded.as_bytes());
    assert_eq!(said.code, 1);
    assert!(
        said.err
            .contains("--> <stdin>:29:7\n   |\n 1 | raw.n > rw.n\n   |         ^^\n"),
        "{}",
        said.err
    );
}

#[test]
fn json_is_for_machines() {
    let said = run_with(
        &["check", "-", "--output", "json"],
        channel("raw.n > 0", "raw").as_bytes(),
    );
    assert_eq!(said.code, 0, "{said:?}");
    let value: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(value["problems"], json!([]));
    assert_eq!(value["edges"][0]["from"], "redis/raw");
    assert!(
        value["edges"][0]["text"]
            .as_str()
            .expect("a text")
            .starts_with("at least once")
    );
    let said = run_with(
        &["check", "-", "--output", "json"],
        channel("rw", "raw").as_bytes(),
    );
    assert_eq!(said.code, 1);
    let value: Value = serde_json::from_str(&said.out).expect("JSON");
    let problem = &value["problems"][0];
    assert_eq!(problem["file"], "<stdin>");
    assert_eq!((&problem["line"], &problem["column"]), (&json!(29), &json!(7)));
    assert_eq!(problem["resource"], "Channel default/ch");
    assert_eq!(problem["field"], "spec.stream.where");
}

#[test]
fn what_can_not_run_here_is_no_problem() {
    let others = "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n---\napiVersion: streaming.vivien.io/v1alpha1
kind: Processor\nmetadata: {name: own}\nspec: {replicas: 1, servicePort: 80, container: {name: c, image: me/own:1}}\n";
    let said = run_with(&["check", "-"], format!("{PREAMBLE}{others}").as_bytes());
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("note: Service default/s has no meaning here"));
    assert!(
        said.err
            .contains("note: Processor default/own (me/own:1) doesn't run here: a stand-in accepts")
    );
}

#[test]
fn where_nothing_is_there_is_nothing_to_check() {
    let dir = folder(&[
        ("sub/notes.txt", "x"),
        ("values.yaml", "replicas: 3\n"),
        ("empty.yaml", "# nothing\n---\n"),
    ]);
    for path in [path(&dir, ""), path(&dir, "empty.yaml"), path(&dir, "sub")] {
        for command in ["check", "run"] {
            let said = run(&[command, &path]);
            assert_eq!(said.code, 1, "{said:?}");
            assert!(
                said.err
                    .contains(&format!("error[NothingFound]: there is no resource in {path}\n")),
                "{}",
                said.err
            );
        }
    }
    let said = run_with(&["check", "-", "-o", "json"], b"");
    let value: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(
        (said.code, &value["problems"][0]["reason"]),
        (1, &json!("NothingFound"))
    );
}

#[test]
fn a_byte_that_is_no_text_has_a_place() {
    let said = run_with(&["check", "-"], b"kind: X\nname: \"\xc3\xa9 \xff\"\n");
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("error[InvalidUtf8]") && said.err.contains("--> <stdin>:2:10\n"),
        "{}",
        said.err
    );
}

#[test]
fn nothing_at_all_is_a_problem_only_if_it_was_named() {
    assert_eq!(run(&["check", "no-such-file.yaml"]).code, 1);
    let said = run(&["check"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
}

#[test]
fn eval_prints_json_or_says_what_is_wrong() {
    let data = br#"{"tenants": {"id": 9007199254740993, "tags": ["a"]}, "my-stream": {"x": 2.50}}"#;
    let said = run_with(
        &[
            "eval",
            "[tenants.id, my_stream.x / 2, 'a' in tenants.tags]",
            "--data",
            "-",
        ],
        data,
    );
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "[9007199254740993,1.25,true]\n")
    );
    let said = run(&["eval", "-1 + 2"]);
    assert_eq!((said.code, said.out.as_str()), (0, "1\n"));
    let said = run_with(&["eval", "tenant.id +\n  1", "--data", "-"], data);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("1 | tenant.id +\n   | ^^^^^^"), "{}", said.err);
    for (expression, data) in [
        ("1 / 0", "{}"),
        ("t.x", "{\"t\": {}}"),
        ("t", "{\"t\": 1"),
        ("t", "[1]"),
        ("1.0 / 0.0", "{}"),
    ] {
        assert_eq!(
            run_with(&["eval", expression, "--data", "-"], data.as_bytes()).code,
            1,
            "{expression}"
        );
    }
    let said = run_with(&["eval", "x", "--data", "-"], br#"{"x": 1, "window": 2}"#);
    assert_eq!((said.code, said.out.as_str()), (0, "1\n"));
    assert!(said.err.contains("warning[InvalidName]"), "{}", said.err);
    assert_eq!(run(&["eval", "1", "--data", "no-such-file"]).code, 1);
    let deep = format!("{}1{}", "(".repeat(50_000), ")".repeat(50_000));
    assert_eq!(run(&["eval", &deep]).code, 1);
}

#[test]
fn generate_makes_messages_and_log_logs_them() {
    let said = run(&[
        "generate",
        "--expr",
        "[{'n': id}, {'n': -id},]",
        "--count",
        "3",
        "--delay",
        "1ms",
    ]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "{\"n\":1}\n{\"n\":-2}\n{\"n\":3}\n")
    );
    assert_eq!(run(&["generate", "--expr", "[idd]"]).code, 1);
    assert_eq!(run(&["generate"]).code, 2);
    let said = run_with(&["log"], b"{\"n\":1}\nnot json\n");
    let bodies: Vec<&str> = said
        .out
        .lines()
        .filter_map(|l| l.split_once(" Data received: "))
        .map(|(_, b)| b)
        .collect();
    assert_eq!(bodies, ["{\"n\":1}", "not json"]);
}

#[test]
fn help_version_and_completions() {
    assert!(run(&["--version"]).out.starts_with("streamctl "));
    for command in ["run", "check", "test", "eval", "generate", "log", "completions"] {
        let said = run(&[command, "--help"]);
        assert_eq!(said.code, 0);
        assert!(said.out.contains("Usage: streamctl"), "{}", said.out);
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).out.contains("streamctl"));
    }
    assert_eq!(run(&["no-such-command"]).code, 2);
}

/// However a manifest is written, and whatever else is wrong with it.
#[test]
fn passwords_stay_out_of_what_is_quoted() {
    let head = "apiVersion: streaming.vivien.io/v1alpha1, kind: ClusterStream, metadata: {name: c}";
    let block = "apiVersion: streaming.vivien.io/v1alpha1\nkind: ClusterStream\nmetadata: {name: c}\nspec:\n  protocol: rabbitmq\n";
    let manifests = [
        format!(
            "{{{head}, spec: {{protocol: mqtt, properties: {{url: 'mqtt://h', password: hunter2, qos: oops}}}}}}"
        ),
        format!(
            "{{{head}, spec: {{protocol: mqtt, properties: {{password: hunter2, url: [hunter2]}}, nope: 1}}}}"
        ),
        format!("{{{head}, properties: {{redisPassword: hunter2}}}}"),
        format!("{{{head}, spec: {{redisPassword: hunter2, hots: hunter2}}}}"),
        format!("{{{head}, spec: {{protocol: redis, properties: {{redisPassword: {{hunter2}}}}}}}}"),
        format!(
            "{{{head}, spec: {{protocol: redis, properties: [{{name: redisPassword, value: hunter2}}]}}}}"
        ),
        format!("{block}  properties: host:hunter2\n"),
        format!(
            "{block}  properties: {{host: 'amqp//u:hunter2@h', durable: hunter2, deliveryMode: 'hunter2'}}\n"
        ),
        format!("{block}  properties: {{host: \"amqp://u:hunter2@h:0\nhunter2\"}} \n  nope: 3\n"),
        format!("{block}  properties:\n    password: !hunter2\n"),
        format!("{block}  properties:\n    password: !!int hunter2\n"),
        format!("{block}  properties:\n    password: *hunter2\n"),
        format!("{block}  properties:\n    password: \"\\hunter2\"\n"),
        format!("{block}  properties:\n    password: hunter2: 1\n"),
        format!("{block}  properties:\n    password: hunter2\n   durable: x\n"),
        "kind: Secret\nstringData:\n  x: 'hunter2\n".to_owned(),
    ];
    for manifest in manifests {
        for output in ["text", "json"] {
            let said = run_with(&["check", "-", "--output", output], manifest.as_bytes());
            assert_eq!(said.code, 1, "{manifest}\n{}", said.err);
            let all = said.out + &said.err;
            assert!(!all.contains("hunter2"), "{manifest}\n{all}");
            assert!(all.contains("<stdin>"), "{manifest}\n{all}");
        }
    }
    let masked = run_with(
        &["check", "-"],
        format!("{block}  properties: {{host: 'amqp://h', durable: maybe, password: hunter2}}\n").as_bytes(),
    );
    assert!(
        masked.err.contains(
            " 6 |   properties: {host: ***, durable: ***, password: ***}\n   |                                    ^^^\n"
        ),
        "{}",
        masked.err
    );
}
