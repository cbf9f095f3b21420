//! cel-go as a child process: the program in tests/cel-go, built once and asked line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value as Json, json};

/// What cel-go makes of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Its value; and the rules of docs/expressions.md without which it would have been another.
    Value(Json, Vec<String>),
    /// It is no expression.
    Syntax(String),
    /// The type checker refuses it; evaluated all the same, it comes to this, or fails.
    Check {
        message: String,
        unchecked: Option<Json>,
    },
    /// It fails when it is evaluated; and the rules of docs/expressions.md without which it would not have.
    Failed(String, Vec<String>),
}

/// Where the built program is.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cel-go");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cel-go");
        let build = Command::new("go").arg("build").arg("-o").arg(&program).arg(".").current_dir(source).output();
        let output = build.unwrap_or_else(|error| {
            panic!(
                "expressions are compared with cel-go, so this test needs Go 1.23 or later (https://go.dev/dl/): \
                 go does not run: {error}"
            )
        });
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "tests/cel-go does not build (it needs Go 1.23 or later, and proxy.golang.org or a module cache):\n{stderr}"
        );
        program
    })
}

fn start() -> Child {
    let mut command = Command::new(program());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Asks many questions at once: what each expression comes to, with its data's members as the variables.
pub(crate) fn ask_all(questions: &[(&str, &Json)]) -> Vec<Answer> {
    let mut child = start();
    let mut input = child.stdin.take().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut text = Vec::new();
            for (expr, data) in questions {
                text.extend_from_slice(json!({"expr": expr, "data": data}).to_string().as_bytes());
                text.push(b'\n');
                if text.len() > 1 << 16 {
                    input.write_all(&text).unwrap();
                    text.clear();
                }
            }
            input.write_all(&text).unwrap();
        });
        lines
            .map(|line| answer(&serde_json::from_str(&line.unwrap()).unwrap()))
            .collect()
    });
    assert!(child.wait().unwrap().success());
    assert_eq!(answers.len(), questions.len());
    answers
}

fn answer(line: &Json) -> Answer {
    let message = line["message"].as_str().unwrap_or_default().to_owned();
    let rules = line["rules"].as_array().into_iter().flatten();
    let rules = rules.map(|rule| rule.as_str().unwrap().to_owned()).collect();
    match line["error"].as_str() {
        None => Answer::Value(line["value"].clone(), rules),
        Some("syntax") => Answer::Syntax(message),
        Some("check") => Answer::Check {
            message,
            unchecked: line["unchecked"].get("value").cloned(),
        },
        Some("eval") => Answer::Failed(message, rules),
        Some(other) => panic!("cel-go: {other}: {message}"),
    }
}
