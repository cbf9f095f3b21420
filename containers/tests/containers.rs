//! message-gen and message-proc as a pod would run them: an environment, HTTP on localhost, SIGTERM.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufReader, Write as _};
use std::net::TcpListener;

use common::{Container, request};

#[test]
fn message_gen_publishes_in_order_whatever_the_sidecar_answers_at_first() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let (container, mut lines) = Container::start(
        env!("CARGO_BIN_EXE_message-gen"),
        &[
            ("MESSAGE_EXPR", r#"[{"n": id}, "x",]"#),
            ("MESSAGE_DELAY", "1ms"),
            ("MESSAGE_COUNT", "3"),
            ("CLUSTER_STREAM", "redis-stream"),
            ("STREAM_TOPIC", "numbers"),
            ("DAPR_HTTP_PORT", &port),
        ],
    );
    // A sidecar that goes away in the middle, one that isn't ready, and then one that is.
    drop(listener.accept().unwrap());
    let mut answers = [
        "503 Service Unavailable",
        "204 No Content",
        "204 No Content",
        "204 No Content",
    ]
    .into_iter();
    let mut seen = Vec::new();
    while answers.len() > 0 {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        while let Some((first, body)) = request(&mut stream) {
            assert_eq!(first, "POST /v1.0/publish/redis-stream/numbers HTTP/1.1");
            seen.push(body);
            let answer = answers.next().unwrap();
            let length = if answer.starts_with("503") {
                "content-length: 0\r\n"
            } else {
                ""
            };
            write!(stream.get_mut(), "HTTP/1.1 {answer}\r\n{length}\r\n").unwrap();
            if answers.len() == 0 {
                break;
            }
        }
    }
    assert_eq!(seen, [r#"{"n":1}"#, r#"{"n":1}"#, r#""x""#, r#"{"n":3}"#]);
    let log: Vec<String> = lines
        .by_ref()
        .take_while(|line| !line.contains("all messages are published"))
        .collect();
    assert_eq!(
        log.iter().filter(|line| line.contains("trying on")).count(),
        2,
        "{log:?}"
    );
    // It doesn't end by itself, and does when it is told to.
    assert_eq!(container.terminate(), Some(0));
}

#[test]
fn message_proc_logs_what_it_gets_on_any_route() {
    let (container, mut lines) = Container::start(env!("CARGO_BIN_EXE_message-proc"), &[("APP_PORT", "0")]);
    let listening = lines.next().unwrap();
    let port = listening.rsplit(':').next().unwrap();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let send = |route: &str, body: &str| {
        let address = format!("http://127.0.0.1:{port}{route}");
        agent.post(address).send(body).unwrap().status().as_u16()
    };
    assert_eq!(send("/billables", "[{\"customer_id\":\n924}]"), 200);
    let large = "x".repeat(5 << 20);
    assert_eq!(send("/", &large), 200);
    assert!(
        lines
            .next()
            .unwrap()
            .ends_with(" Data received: [{\"customer_id\": 924}]")
    );
    assert!(lines.next().unwrap().ends_with(&large));
    assert_eq!(
        agent
            .get(format!("http://127.0.0.1:{port}/"))
            .call()
            .unwrap()
            .status(),
        405
    );
    drop(agent);
    assert_eq!(container.terminate(), Some(0));
}
