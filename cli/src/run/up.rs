//! `up`: the pipeline on real brokers that are started for it, and end with it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use streaming_plan::Protocol;
use test_brokers::{Mosquitto, RabbitMq, Redis};

use super::start;
use crate::args;
use crate::assemble::assemble;
use crate::exit;
use crate::load::load;
use crate::report;

/// A broker's program, and the package of Debian and Ubuntu that has it.
struct Server {
    protocol: Protocol,
    program: &'static str,
    package: &'static str,
    page: &'static str,
}

const SERVERS: [Server; 3] = [
    Server {
        protocol: Protocol::Redis,
        program: "redis-server",
        package: "redis-server",
        page: "https://redis.io/docs/latest/operate/oss_and_stack/install/",
    },
    Server {
        protocol: Protocol::RabbitMq,
        program: "/usr/lib/rabbitmq/bin/rabbitmq-server",
        package: "rabbitmq-server",
        page: "https://www.rabbitmq.com/docs/download",
    },
    Server {
        protocol: Protocol::Mqtt,
        program: "/usr/sbin/mosquitto",
        package: "mosquitto",
        page: "https://mosquitto.org/download/",
    },
];

impl Server {
    fn is_here(&self) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // An absolute name stays what it is.
        std::env::split_paths(&path).any(|folder| folder.join(self.program).is_file())
            || Path::new(self.program).is_absolute() && Path::new(self.program).is_file()
    }
}

/// Runs the command.
pub(crate) fn up(args: &args::Up) -> anyhow::Result<ExitCode> {
    let assembly = assemble(load(&args.paths));
    let mut run = args::Run {
        paths: args.paths.clone(),
        limit: args.limit,
        json: args.json,
        explain_windows: args.explain_windows,
        input: args.input.clone(),
        broker: Vec::new(),
        state: None,
    };
    if report::any_error(&assembly.findings) {
        // It is told there, and nothing runs.
        return start(&run, assembly);
    }
    let streams = || {
        let all = assembly.connections.iter();
        all.map(|((_, name), stream)| (name, stream.protocol))
    };
    let uses = |protocol| streams().any(|(_, used)| used == protocol);
    let missing: Vec<&Server> = SERVERS
        .iter()
        .filter(|server| uses(server.protocol) && !server.is_here())
        .collect();
    for server in &missing {
        let Server {
            program,
            package,
            page,
            ..
        } = server;
        say!(
            "not installed: {program}; on Debian and Ubuntu `apt-get install {package}`, elsewhere see {page}"
        );
    }
    if !missing.is_empty() {
        return Ok(exit::PROBLEMS);
    }
    let redis = uses(Protocol::Redis).then(Redis::start).transpose();
    let redis = redis.context("starting redis-server")?;
    let rabbit = uses(Protocol::RabbitMq).then(RabbitMq::start).transpose();
    let rabbit = rabbit.context("starting rabbitmq-server")?;
    let mosquitto = uses(Protocol::Mqtt).then(Mosquitto::start).transpose();
    let mosquitto = mosquitto.context("starting mosquitto")?;
    for (name, protocol) in streams() {
        let url = match protocol {
            Protocol::Redis => redis.as_ref().map(Redis::url),
            Protocol::RabbitMq => rabbit.as_ref().map(RabbitMq::url),
            Protocol::Mqtt => mosquitto.as_ref().map(Mosquitto::url),
        };
        if let Some(url) = url {
            say!("{name} is at {url}");
            run.broker.push(format!("{name}={url}"));
        }
    }
    start(&run, assembly)
}
