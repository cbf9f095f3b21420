//! rabbitmq-server, with an epmd of its own, so that it meets no other node on the machine.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::process::{Process, free_port};
use crate::tls::Authority;

/// Debian's scripts under /usr/sbin change to another user first; these don't.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// A `RabbitMQ` node. Starting one takes seconds: share it.
#[derive(Debug)]
pub struct RabbitMq {
    port: u16,
    other_port: u16,
    has_other: bool,
    epmd_port: u16,
    folder: TempDir,
    // In this order: the node ends before the epmd that knows it.
    node: Option<Process>,
    _epmd: Process,
}

impl RabbitMq {
    /// Starts one, with the user `guest`.
    ///
    /// # Errors
    /// It is not installed, or doesn't come up.
    pub fn start() -> Result<RabbitMq> {
        RabbitMq::new("", "", free_port()?)
    }

    /// Starts one that speaks TLS too, on [`RabbitMq::other_port`], and asks its clients there for a certificate.
    ///
    /// # Errors
    /// As for [`RabbitMq::start`].
    pub fn with_tls(authority: &Authority) -> Result<RabbitMq> {
        let port = free_port()?;
        let file =
            |option: &str, name: &str| format!("ssl_options.{option} = {}\n", authority.file(name).display());
        let files = [
            ("cacertfile", "authority.pem"),
            ("certfile", "broker.pem"),
            ("keyfile", "broker.key"),
        ];
        let files = files.map(|(option, name)| file(option, name)).concat();
        let more = format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = true\n{files}"
        );
        RabbitMq::new(&more, "", port)
    }

    /// Starts one that speaks MQTT too, on [`RabbitMq::other_port`]: 3.1.1 only, up to `RabbitMQ` 3.12.
    ///
    /// # Errors
    /// As for [`RabbitMq::start`].
    pub fn with_mqtt() -> Result<RabbitMq> {
        let port = free_port()?;
        let settings = format!("mqtt.listeners.tcp.1 = 127.0.0.1:{port}\n");
        RabbitMq::new(&settings, "rabbitmq_mqtt", port)
    }

    /// Starts one that takes back what a consumer holds unacknowledged for longer than `millis`. It looks every half a second,
    /// and not every minute.
    ///
    /// # Errors
    /// As for [`RabbitMq::start`].
    pub fn with_consumer_timeout(millis: u32) -> Result<RabbitMq> {
        let node = RabbitMq::start()?;
        for (name, value) in [("consumer_timeout", millis), ("channel_tick_interval", 500)] {
            node.control(&["eval", &format!("application:set_env(rabbit, {name}, {value}).")])?;
        }
        Ok(node)
    }

    /// `settings` and `plugins` beside what all have.
    fn new(settings: &str, plugins: &str, other_port: u16) -> Result<RabbitMq> {
        let epmd_port = free_port()?;
        let mut epmd = Command::new("epmd");
        epmd.args(["-address", "127.0.0.1", "-port", &epmd_port.to_string()]);
        epmd.stdout(Stdio::null()).stderr(Stdio::null());
        let folder = tempfile::Builder::new().prefix("rabbitmq-").tempdir()?;
        let mut epmd = Process::start(&mut epmd, folder.path())?;
        epmd.wait_for(epmd_port, Duration::from_secs(10))
            .context("epmd")?;
        let mut rabbit = RabbitMq {
            port: free_port()?,
            other_port,
            has_other: !settings.is_empty(),
            epmd_port,
            folder,
            node: None,
            _epmd: epmd,
        };
        fs::write(rabbit.folder.path().join("plugins"), format!("[{plugins}].\n"))?;
        fs::write(rabbit.folder.path().join("rabbitmq.conf"), settings)?;
        rabbit.resume()?;
        Ok(rabbit)
    }

    /// The port of its AMQP listener.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of whatever it listens for beside AMQP in the clear.
    pub fn other_port(&self) -> u16 {
        self.other_port
    }

    /// `amqp://guest:guest@127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port)
    }

    /// Adds a user who may do everything.
    ///
    /// # Errors
    /// The node refuses.
    pub fn add_user(&self, name: &str, password: &str) -> Result<()> {
        self.control(&["add_user", name, password])?;
        self.control(&["set_permissions", name, ".*", ".*", ".*"])?;
        Ok(())
    }

    /// Waits until what was declared is on disk. A node writes the record that makes a declaration valid after it has
    /// answered, by a process of its own, and keeps it in memory for up to two seconds: until then a crash takes the
    /// queue away, and what is in it.
    ///
    /// # Errors
    /// The node doesn't answer.
    pub fn settle(&self) -> Result<()> {
        // The process first, so that it has handed on what it was told to write.
        self.control(&["eval", "sys:get_state(mnesia_recover), mnesia:sync_log()."])?;
        Ok(())
    }

    /// What the node has in its queues, and who reads them, for the message of a test that fails.
    pub fn status(&self) -> String {
        let queues =
            "list_queues name messages_ready messages_unacknowledged messages_persistent consumers state";
        let consumers = "list_consumers queue_name consumer_tag prefetch_count active";
        let bindings = "list_bindings source_name destination_name";
        let ask = |question: &str| {
            let arguments: Vec<&str> = question.split(' ').collect();
            self.control(&arguments)
                .unwrap_or_else(|error| format!("{error:#}\n"))
        };
        [queues, consumers, bindings].map(ask).concat()
    }

    fn control(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(CONTROL);
        self.environment(&mut command);
        let output = command.args(arguments).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "rabbitmqctl: {}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What the node and `rabbitmqctl` have in common.
    fn environment(&self, command: &mut Command) {
        let folder = self.folder.path();
        command
            .env("HOME", folder)
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf"))
            .env("RABBITMQ_NODENAME", format!("test{}@localhost", self.port));
    }

    /// Kills it, as a power failure would.
    pub fn kill(&mut self) {
        self.node = None;
    }

    /// Starts it again after [`RabbitMq::kill`], with the port and the data that it had.
    ///
    /// # Errors
    /// As for [`RabbitMq::start`].
    pub fn resume(&mut self) -> Result<()> {
        let folder = self.folder.path();
        let log = File::create(folder.join("out.log"))?;
        let mut command = Command::new(PROGRAM);
        self.environment(&mut command);
        command
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", folder.join("config"))
            .env("RABBITMQ_PID_FILE", folder.join("pid"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", free_port()?.to_string())
            // Few threads, and none that spins: tests share the machine.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none")
            .stdout(log.try_clone()?)
            .stderr(log);
        let node = self.node.insert(Process::start(&mut command, folder)?);
        node.wait_for(self.port, Duration::from_secs(90))
            .with_context(|| {
                let said = fs::read_to_string(folder.join("out.log")).unwrap_or_default();
                format!("rabbitmq-server; it said:\n{said}")
            })?;
        if self.has_other {
            node.wait_for(self.other_port, Duration::from_secs(20))?;
        }
        Ok(())
    }
}
