//! `--input`: lines of a file or of standard input as messages, as fast as the pipeline takes them.
//!
//! A thread for each input reads a batch ahead and then waits until it is asked for more.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::thread;

use super::engine::Wake;
use crate::assemble::Assembly;
use crate::local::{TopicId, TopicName};

/// A batch ends with the line that makes it this large, in bytes.
const BATCH: usize = 64 << 10;
/// Longer lines are left out, and said: nobody's message is that long, and memory is not endless.
const LONGEST: usize = 64 << 20;

/// One `--input`.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) topic: TopicName,
    pub(super) file: String,
}

/// Finds the topics that `NAME=FILE` arguments mean.
pub(super) fn resolve(args: &[String], assembly: &Assembly) -> Result<Vec<Input>, String> {
    let mut inputs: Vec<Input> = Vec::new();
    for arg in args {
        let (name, file) = arg
            .split_once('=')
            .ok_or_else(|| format!("--input {arg}: must be TOPIC=FILE"))?;
        let topic = assembly.topic(name).map_err(|e| format!("--input {arg}: {e}"))?;
        if assembly.is_wildcard(&topic) {
            return Err(format!(
                "--input {arg}: `{}` has wildcards; name a topic as CLUSTERSTREAM/TOPIC",
                topic.topic
            ));
        }
        if !assembly.is_read(&topic) {
            return Err(format!(
                "--input {arg}: no component reads the topic `{}` of `{}`",
                topic.topic, topic.cluster_stream
            ));
        }
        if file == "-" && inputs.iter().any(|i| i.file == "-") {
            return Err("only one --input can be standard input".to_owned());
        }
        if file != "-" {
            File::open(file).map_err(|e| format!("--input {arg}: {e}"))?;
        }
        inputs.push(Input {
            topic,
            file: file.to_owned(),
        });
    }
    Ok(inputs)
}

/// An input as the event loop sees it.
pub(super) struct Feed {
    pub(super) topic: TopicId,
    pub(super) name: String,
    more: SyncSender<()>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The reader waits to be asked.
    Resting,
    /// It reads a batch.
    Reading,
    Over,
}

impl Feed {
    /// Starts the reader.
    pub(super) fn start(number: usize, topic: TopicId, input: Input, wake: Sender<Wake>) -> io::Result<Self> {
        let (more, asked) = sync_channel(1);
        let name = if input.file == "-" {
            "<stdin>".to_owned()
        } else {
            input.file.clone()
        };
        thread::Builder::new().name("input".to_owned()).spawn(move || {
            let read = if input.file == "-" {
                read(number, &mut io::stdin().lock(), &wake, &asked)
            } else {
                File::open(&input.file)
                    .and_then(|f| read(number, &mut BufReader::with_capacity(BATCH, f), &wake, &asked))
            };
            // If nobody listens any more, nobody minds.
            let _ = wake.send(Wake::End {
                input: number,
                error: read.err(),
            });
        })?;
        Ok(Self {
            topic,
            name,
            more,
            state: State::Resting,
        })
    }

    /// Asks for a batch, if none is on its way.
    pub(super) fn more(&mut self) {
        if self.state == State::Resting && self.more.try_send(()).is_ok() {
            self.state = State::Reading;
        }
    }

    /// A batch has come.
    pub(super) fn took(&mut self) {
        self.state = State::Resting;
    }

    /// There are no more.
    pub(super) fn end(&mut self) {
        self.state = State::Over;
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }
}

fn read(number: usize, from: &mut dyn BufRead, wake: &Sender<Wake>, asked: &Receiver<()>) -> io::Result<()> {
    let mut line = 0;
    while asked.recv().is_ok() {
        let (mut lines, mut bytes, mut ended) = (Vec::new(), 0, false);
        while bytes < BATCH && !ended {
            line += 1;
            match next_line(from)? {
                Line::Message(text) => {
                    bytes += text.len() + 1;
                    lines.push(text);
                }
                Line::Blank => {}
                Line::TooLong => {
                    let _ = wake.send(Wake::TooLong { input: number, line });
                }
                Line::End => ended = true,
            }
        }
        if wake.send(Wake::Lines { input: number, lines }).is_err() || ended {
            return Ok(());
        }
    }
    Ok(())
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Message(Vec<u8>),
    Blank,
    TooLong,
    End,
}

/// A line without its line break. Blank lines are no messages.
pub(super) fn next_line(from: &mut dyn BufRead) -> io::Result<Line> {
    let mut text = Vec::new();
    if from.take(LONGEST as u64 + 1).read_until(b'\n', &mut text)? == 0 {
        return Ok(Line::End);
    }
    if text.len() > LONGEST && text.last() != Some(&b'\n') {
        from.skip_until(b'\n')?;
        return Ok(Line::TooLong);
    }
    if text.last() == Some(&b'\n') {
        text.pop();
        if text.last() == Some(&b'\r') {
            text.pop();
        }
    }
    Ok(if text.trim_ascii().is_empty() {
        Line::Blank
    } else {
        Line::Message(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bytes_and_blank_ones_are_left_out() {
        let mut from: &[u8] = b"a\r\n\n \n\xff\x00\nlast";
        let mut lines = Vec::new();
        loop {
            match next_line(&mut from).unwrap() {
                Line::End => break,
                Line::Message(text) => lines.push(text),
                Line::Blank => {}
                Line::TooLong => panic!(),
            }
        }
        assert_eq!(lines, [b"a".to_vec(), b"\xff\x00".to_vec(), b"last".to_vec()]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_whole() {
        let mut text = vec![b'x'; LONGEST + 10];
        text.extend_from_slice(b"\nnext\n");
        let mut from: &[u8] = &text;
        assert_eq!(next_line(&mut from).unwrap(), Line::TooLong);
        assert_eq!(next_line(&mut from).unwrap(), Line::Message(b"next".to_vec()));
        assert_eq!(next_line(&mut from).unwrap(), Line::End);
    }
}
