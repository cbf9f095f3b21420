//! The command line. Its comments are what `--help` prints, where backticks would be noise.
#![allow(clippy::doc_markdown)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

const ABOUT: &str = "Runs, checks and tests streaming pipelines from the same manifests that a cluster gets";

const EXIT_CODES: &str = "\
Exit codes: 0 all is well; 1 problems in manifests, differences, or a failure while running; 2 wrong usage.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "streamctl", version, about = ABOUT, after_help = EXIT_CODES)]
#[command(propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What streamctl can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Run),
    Check(Check),
    Test(Test),
    Eval(Eval),
    Generate(Generate),
    Up(Up),
    /// Look at what components could not use, and send it again
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Print each line of standard input as message-proc logs a message
    Log,
    /// Print a shell's completion script
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Run a pipeline here: ClusterStreams on an embedded broker or on real ones, generators and processors in this process
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  streamctl run examples/datacenter
  streamctl run examples/datacenter --for 60s --json
  streamctl run pipeline.yaml --input redis-stream/tenants=tenants.jsonl --json
  kubectl kustomize . | streamctl run -
  streamctl run examples/datacenter --broker redis-stream=redis://localhost:6379

Ctrl-C stops the generators, closes the open windows, prints their rows and ends; a second one ends at once.")]
pub(crate) struct Run {
    /// Manifests: files, folders (read recursively), kustomizations, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Run this long, then drain and end (as in 60s or 1m30s)
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) limit: Option<Duration>,
    /// Print every delivery as one JSON object a line instead of what processors log
    #[arg(long)]
    pub(crate) json: bool,
    /// Say on standard error of each window that closes how many messages each input gave it, how many were filtered
    /// and matched, and which condition turned them away
    #[arg(long)]
    pub(crate) explain_windows: bool,
    /// Feed the lines of FILE (or - for standard input), one message each, to a topic (CLUSTERSTREAM/TOPIC) or to
    /// a Stream's; ends when all inputs have ended, unless generators go on
    #[arg(long, value_name = "TOPIC=FILE")]
    pub(crate) input: Vec<String>,
    /// Reach a ClusterStream at a real broker (redis://, rediss://, amqp://, amqps://) instead of the embedded one;
    /// runs until Ctrl-C or --for, and leaves the messages of open windows unacked there
    #[arg(long, value_name = "CLUSTERSTREAM=URL")]
    pub(crate) broker: Vec<String>,
    /// Keep the state of components that have `state` below DIR, so that another run goes on where this one ended
    /// (default: messages of open windows stay with their brokers)
    #[arg(long, value_name = "DIR", requires = "broker")]
    pub(crate) state: Option<PathBuf>,
}

/// Run a pipeline on real brokers that are started for it: redis-server and rabbitmq-server, on this machine only
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  streamctl up examples/datacenter

Brokers listen on free ports of the loopback interface, keep their data in a temporary folder, and end with the run.")]
pub(crate) struct Up {
    /// Manifests: files, folders (read recursively), kustomizations, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Run this long, then drain and end (as in 60s or 1m30s)
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) limit: Option<Duration>,
    /// Print every delivery as one JSON object a line instead of what processors log
    #[arg(long)]
    pub(crate) json: bool,
    /// Say on standard error of each window that closes how many messages each input gave it, how many were filtered
    /// and matched, and which condition turned them away
    #[arg(long)]
    pub(crate) explain_windows: bool,
    /// Feed the lines of FILE (or - for standard input), one message each, to a topic (CLUSTERSTREAM/TOPIC) or to
    /// a Stream's
    #[arg(long, value_name = "TOPIC=FILE")]
    pub(crate) input: Vec<String>,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// Print one line for each
    List {
        #[command(flatten)]
        letters: Letters,
        /// How to print it
        #[arg(long, short, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Print all that is known of one, and the message as it came
    Show {
        #[command(flatten)]
        letters: Letters,
        /// The one with this id
        #[arg(long, value_name = "ID")]
        id: String,
    },
    /// Publish messages again where they came from; each leaves the dead letters once its broker has taken it
    Replay {
        #[command(flatten)]
        letters: Letters,
        /// Those with these ids; may be given more than once
        #[arg(long, value_name = "ID", required_unless_present = "all")]
        id: Vec<String>,
        /// All of them
        #[arg(long, conflicts_with = "id")]
        all: bool,
        /// Publish them here, and not where they came from: the only way for results, which came from no topic
        #[arg(long, value_name = "CLUSTERSTREAM/TOPIC")]
        to: Option<String>,
    },
}

/// Which dead letters.
#[derive(Args, Debug)]
pub(crate) struct Letters {
    /// Manifests: files, folders (read recursively), kustomizations, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Reach a ClusterStream here (redis://, rediss://, amqp://, amqps://, mqtt://, mqtts://) and not where its properties say
    #[arg(long, value_name = "CLUSTERSTREAM=URL")]
    pub(crate) broker: Vec<String>,
    /// Only this dead-letter topic
    #[arg(long, value_name = "CLUSTERSTREAM/TOPIC")]
    pub(crate) topic: Option<String>,
    /// Look at no more than so many messages of a topic
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub(crate) limit: u32,
}

/// Compile everything and print every problem with its place, then the graph with each edge's guarantee
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  streamctl check examples/datacenter
  streamctl check . --output json | jq '.problems[]'")]
pub(crate) struct Check {
    /// Manifests: files, folders (read recursively), kustomizations, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// How `check` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For machines
    Json,
}

/// Put recorded input through a pipeline on a virtual clock and compare every delivery with what is expected
#[derive(Args, Debug)]
#[command(after_help = "\
A test is a folder with manifests (anywhere below it), input/ and expected/:
  input/<stream>.jsonl                      {\"at\": seconds, \"data\": ...}
  expected/<component>/<route>.jsonl        {\"at\": seconds, \"data\": ...}
  expected/<clusterStream>/<topic>.jsonl

Examples:
  streamctl test examples/datacenter
  streamctl test examples --cut 20 --seed 7
  streamctl test examples/datacenter --update")]
pub(crate) struct Test {
    /// Folders of tests, or folders of such folders
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Write what was delivered as what is expected from now on
    #[arg(long)]
    pub(crate) update: bool,
    /// Run again with N crashes at random points; the same rows must come out
    #[arg(long, value_name = "N", conflicts_with = "update")]
    pub(crate) cut: Option<u32>,
    /// The random points of an earlier run with --cut
    #[arg(long, value_name = "SEED", requires = "cut")]
    pub(crate) seed: Option<u64>,
}

/// Evaluate one expression against the keys of a JSON object
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  streamctl eval '1 + 2'
  echo '{\"tenants\": {\"id\": 7}}' | streamctl eval 'tenants.id > 5' --data -")]
pub(crate) struct Eval {
    /// The expression (CEL)
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    pub(crate) expression: String,
    /// A JSON object whose keys are the names in scope: a file, or - for standard input
    #[arg(long, short, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
}

/// Print messages as message-gen makes them, one JSON value a line
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  streamctl generate --expr '[{\"n\": id, \"at\": timestamp}]' --count 3 --delay 100ms")]
pub(crate) struct Generate {
    /// A CEL list of messages, sent round and round, or a single message; knows `id` and `timestamp`
    #[arg(
        long = "expr",
        env = "MESSAGE_EXPR",
        value_name = "EXPR",
        allow_hyphen_values = true
    )]
    pub(crate) expression: String,
    /// How many messages; 0 means no end
    #[arg(long, env = "MESSAGE_COUNT", default_value = "0", value_name = "N")]
    pub(crate) count: u64,
    /// Time from one message to the next
    #[arg(long, env = "MESSAGE_DELAY", default_value = "1s", value_name = "DURATION", value_parser = duration)]
    pub(crate) delay: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    let micros = streaming_api::parse_micros(text).map_err(|e| format!("`{text}` {e}"))?;
    Ok(Duration::from_micros(micros.unsigned_abs()))
}

/// Whether it was started as kubectl's plugin.
pub(crate) fn is_plugin(program: Option<&OsStr>) -> bool {
    program.is_some_and(|p| {
        Path::new(p)
            .file_stem()
            .is_some_and(|stem| stem == "kubectl-streaming")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn kubectl_finds_it_by_its_name() {
        assert!(is_plugin(Some(OsStr::new("/usr/bin/kubectl-streaming"))));
        assert!(!is_plugin(Some(OsStr::new("streamctl"))));
    }
}
