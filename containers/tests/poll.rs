//! message-poll as a pod would run it, between a web server and a sidecar.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{self, Sender};
use std::thread;

use common::{Container, request};

const RECORDED: &str = include_str!("fixtures/20180209rtfuelmix.csv");

/// What the container did, in its order.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Got(String),
    Published(String, String),
}

/// Answers with one after the other, and with the last for ever; gives its port.
fn web(answers: Vec<String>, events: Sender<Event>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let last = answers.last().unwrap().clone();
        let mut answers = answers.into_iter();
        while let Ok((stream, _)) = listener.accept() {
            let mut stream = BufReader::new(stream);
            let Some((first, _)) = request(&mut stream) else {
                continue;
            };
            if events.send(Event::Got(first)).is_err() {
                break;
            }
            let answer = answers.next().unwrap_or_else(|| last.clone());
            stream.get_mut().write_all(answer.as_bytes()).ok();
        }
    });
    port
}

/// Takes everything; gives its port.
fn sidecar(events: Sender<Event>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut stream = BufReader::new(stream);
            while let Some((first, body)) = request(&mut stream) {
                if events.send(Event::Published(first, body)).is_err() {
                    return;
                }
                let answer = stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                if answer.is_err() {
                    break;
                }
            }
        }
    });
    port
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn message_poll_publishes_each_row_of_a_file_that_grows_once() {
    let until = |lines: usize| RECORDED.split_inclusive('\n').take(lines).collect::<String>();
    let whole = answer("200 OK", RECORDED);
    let answers = vec![
        answer("200 OK", &until(8)),
        answer("500 Internal Server Error", "<html>"),
        // The connection ends before the body does.
        whole[..whole.len() - 9].to_owned(),
        // The server is in the middle of a time, and of a line.
        answer("200 OK", &until(14)[..until(14).len() - 3]),
        answer("200 OK", &(until(15) + "02/09/2018 06:15:00,EST\n")),
        whole,
    ];
    let (polls, (sender, events)) = (answers.len(), mpsc::channel());
    let url = format!("http://127.0.0.1:{}/mix.csv", web(answers, sender.clone()));
    let port = sidecar(sender).to_string();
    let (container, mut lines) = Container::start(
        env!("CARGO_BIN_EXE_message-poll"),
        &[
            ("POLL_URL", &url),
            ("POLL_DELAY", "1ms"),
            ("POLL_TIME_COLUMN", "Time Stamp"),
            ("POLL_TIME_FORMAT", "%m/%d/%Y %H:%M:%S"),
            ("POLL_TIME_ZONE", "America/New_York"),
            ("CLUSTER_STREAM", "ny-power"),
            ("STREAM_TOPIC", "upstream/{Fuel Category}"),
            (
                "MESSAGE_EXPR",
                r#"{"ts": timestamp, "value": double(row["Gen MW"]), "units": "MW"}"#,
            ),
            ("DAPR_HTTP_PORT", &port),
        ],
    );
    let (mut gets, mut published) = (0, Vec::new());
    // What a poll finds is published before the next one.
    while gets < polls + 3 {
        match events.recv().unwrap() {
            Event::Got(first) => {
                assert_eq!(first, "GET /mix.csv HTTP/1.1");
                gets += 1;
            }
            Event::Published(first, body) => published.push((gets, first, body)),
        }
    }
    let expected: Vec<(String, String)> = RECORDED
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let fuel = cells[2].replace(' ', "%20");
            let first = format!("POST /v1.0/publish/ny-power/upstream/{fuel} HTTP/1.1");
            let time = cells[0].split_once(' ').unwrap().1.replace("06:", "11:");
            let value = cells[3];
            let body = format!(r#"{{"ts":"2018-02-09T{time}Z","value":{value},"units":"MW"}}"#);
            (first, body)
        })
        .collect();
    let found: Vec<(String, String)> = published
        .iter()
        .map(|(_, first, body)| (first.clone(), body.clone()))
        .collect();
    assert_eq!(found, expected);
    // Rows are published when they are there: of the half line nothing, before the rest of it is.
    let after = |polls: usize| published.iter().filter(|(gets, ..)| *gets <= polls).count();
    assert_eq!([1, 3, 4, 5, 6].map(after), [7, 7, 12, 14, 28]);

    let log: Vec<String> = lines
        .by_ref()
        .take_while(|line| !line.contains("line 16 is skipped"))
        .collect();
    let said = |text: &str| log.iter().filter(|line| line.contains(text)).count();
    assert_eq!(said("mix.csv: 500 Internal Server Error"), 1, "{log:?}");
    assert_eq!(said("trying on"), 2, "{log:?}");
    assert_eq!(said("can be read again"), 1, "{log:?}");
    assert_eq!(container.terminate(), Some(0));
}

#[test]
fn message_poll_says_which_variable_it_lacks() {
    let program = env!("CARGO_BIN_EXE_message-poll");
    let output = std::process::Command::new(program)
        .env_clear()
        .env("POLL_URL", "http://localhost/{date}.csv")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("POLL_TIME_FORMAT"), "{said}");
}
