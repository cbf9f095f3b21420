//! Runs the built streamctl.
#![allow(dead_code, clippy::expect_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// streamctl with these arguments, in the folder of the fixtures.
pub(crate) fn streamctl(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamctl"));
    command
        .args(args)
        .current_dir(fixtures())
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    command
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// What a finished streamctl said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("streamctl was killed"),
            out: String::from_utf8(output.stdout).expect("stdout is text"),
            err: String::from_utf8(output.stderr).expect("stderr is text"),
        }
    }
}

impl Said {
    /// Standard output as one JSON value a line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    /// Data of all deliveries to a recipient.
    pub(crate) fn data_to(&self, recipient: &str) -> Vec<Value> {
        self.lines()
            .into_iter()
            .filter(|d| d["to"] == recipient)
            .map(|mut d| d["data"].take())
            .collect()
    }
}

/// Runs it to its end.
pub(crate) fn run(args: &[&str]) -> Said {
    streamctl(args).output().expect("streamctl runs").into()
}

/// Runs it with something on standard input.
pub(crate) fn run_with(args: &[&str], input: &[u8]) -> Said {
    let mut child = spawn(args, Stdio::piped());
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // A command that refuses its arguments doesn't read.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("streamctl ends");
    writer.join().expect("written");
    output.into()
}

pub(crate) fn spawn(args: &[&str], stdin: Stdio) -> Child {
    streamctl(args)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("streamctl starts")
}

/// A folder with these files.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    dir
}

pub(crate) fn path(dir: &tempfile::TempDir, name: &str) -> String {
    dir.path().join(name).display().to_string()
}

/// The first lines that it prints; then it is interrupted, and what it said on standard error is given.
pub(crate) fn first_lines(mut child: Child, mut wanted: impl FnMut(&Value) -> bool) -> String {
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut err = child.stderr.take().expect("a pipe");
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).expect("text");
        text
    });
    let mut line = String::new();
    while out.read_line(&mut line).expect("a line") > 0 {
        let enough = wanted(&serde_json::from_str(&line).expect("JSON"));
        line.clear();
        if enough {
            break;
        }
    }
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.expect("kill").success());
    std::io::copy(&mut out, &mut std::io::sink()).expect("the rest");
    let code = child.wait().expect("it ends").code();
    let said = said.join().expect("text");
    assert_eq!(code, Some(0), "{said}");
    said
}

/// A pipeline of one Channel from `redis/raw` to `sink/out`, with this `where` and `select`.
pub(crate) fn channel(filter: &str, select: &str) -> String {
    format!(
        "{PREAMBLE}---
apiVersion: streaming.vivien.io/v1alpha1
kind: Channel
metadata: {{name: ch}}
spec:
  servicePort: 8080
  stream:
    from: [raw]
    to: [{{component: sink/out}}]
    where: |
      {filter}
    select: |
      {select}
"
    )
}

/// A broker `redis` with the Stream `raw`, and the logger `sink`.
pub(crate) const PREAMBLE: &str = "\
apiVersion: streaming.vivien.io/v1alpha1
kind: ClusterStream
metadata: {name: redis}
spec: {protocol: redis, properties: {redisHost: 'redis:6379'}}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Stream
metadata: {name: raw}
spec: {clusterStream: redis, topic: raw}
---
apiVersion: streaming.vivien.io/v1alpha1
kind: Processor
metadata: {name: sink}
spec:
  replicas: 1
  servicePort: 8080
  serviceRoute: out
  container: {name: sink, image: message-proc}
";

/// A generator for `redis/raw`.
pub(crate) fn generator(expression: &str, count: &str, delay: &str) -> String {
    format!(
        "---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: gen}}
spec:
  selector: {{matchLabels: {{app: gen}}}}
  template:
    metadata: {{labels: {{app: gen}}}}
    spec:
      containers:
      - name: gen
        image: registry.example:5000/x/message-gen@sha256:00
        env:
        - name: MESSAGE_EXPR
          value: |
            {expression}
        - {{name: CLUSTER_STREAM, value: redis}}
        - {{name: STREAM_TOPIC, value: raw}}
        - {{name: MESSAGE_COUNT, value: \"{count}\"}}
        - {{name: MESSAGE_DELAY, value: \"{delay}\"}}
"
    )
}
