//! Command-line flags. Each can be given as an environment variable instead.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use streaming_engine::delivery::Backoff;
use tokio::net::TcpListener;

use crate::run::{Listeners, Options};
use crate::traces::Settings;

/// Runs one component of a pipeline: reads its topics, joins or filters or relays, and delivers.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Args {
    /// The component's plan, as the operator made it.
    #[arg(long, env = "STREAMING_PLAN", value_name = "FILE")]
    pub plan: PathBuf,
    /// Take away what the brokers keep for the component (queues, consumer groups, sessions), and end. For a component that
    /// is deleted: what waits for it is lost.
    #[arg(long)]
    pub tear_down: bool,
    /// Where other components' sidecars post results for the container.
    #[arg(
        long,
        env = "STREAMING_DELIVER",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:3600"
    )]
    pub deliver: SocketAddr,
    /// Where the container publishes by HTTP, as with Dapr.
    #[arg(
        long,
        env = "STREAMING_PUBLISH",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:3500"
    )]
    pub publish: SocketAddr,
    /// Where the container publishes by gRPC, as with Dapr.
    #[arg(
        long,
        env = "STREAMING_PUBLISH_GRPC",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:50001"
    )]
    pub publish_grpc: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are.
    #[arg(
        long,
        env = "STREAMING_ADMIN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:3501"
    )]
    pub admin: SocketAddr,
    /// Where a component is, instead of `COMPONENT.NAMESPACE` on its servicePort. May be given several times.
    #[arg(long, env = "STREAMING_RESOLVE", value_name = "COMPONENT=HOST:PORT", value_delimiter = ',', value_parser = resolved)]
    pub resolve: Vec<(String, String)>,
    /// How long a recipient, the container or a broker may take to answer.
    #[arg(long, env = "STREAMING_TIMEOUT", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
    /// How long what is in flight may take after SIGTERM.
    #[arg(long, env = "STREAMING_DRAIN", value_name = "DURATION", default_value = "25s", value_parser = duration)]
    pub drain: Duration,
    /// What is logged: a level (error, warn, info, debug, trace), or one for each target.
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

/// An address that can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: {source}; give another address with --{flag}")]
pub struct ListenError {
    address: SocketAddr,
    flag: &'static str,
    source: std::io::Error,
}

impl Args {
    /// Listens everywhere, so that what can't be had is known before anything starts.
    ///
    /// # Errors
    /// An address that is taken, or not ours.
    pub async fn options(self) -> Result<Options, ListenError> {
        let listeners = Listeners {
            deliver: Some(listen(self.deliver, "deliver").await?),
            publish: Some(listen(self.publish, "publish").await?),
            publish_grpc: Some(listen(self.publish_grpc, "publish-grpc").await?),
            admin: Some(listen(self.admin, "admin").await?),
        };
        Ok(Options {
            listeners,
            resolve: self.resolve.into_iter().collect::<BTreeMap<_, _>>(),
            patience: self.timeout,
            drain: self.drain,
            backoff: Backoff::default(),
            traces: Settings::from_env(),
            windows: None,
        })
    }
}

async fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError {
        address,
        flag,
        source,
    })
}

fn resolved(text: &str) -> Result<(String, String), String> {
    let wrong = || "write COMPONENT=HOST:PORT".to_owned();
    let (component, address) = text.split_once('=').ok_or_else(wrong)?;
    let port = address
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    port.ok_or_else(wrong)?;
    Ok((component.to_owned(), address.to_owned()))
}

/// A number of seconds, or of milliseconds or minutes with their unit.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a duration, as 25s, 500ms or 2m".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u32 = number.parse().map_err(|_| wrong())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number.into())),
        "" | "s" => Ok(Duration::from_secs(number.into())),
        "m" => Ok(Duration::from_secs(u64::from(number) * 60)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("25s"), duration("25"));
        assert_eq!(duration("2m"), duration("120s"));
        for wrong in ["", "s", "1h", "-1s", "99999999999s", "1.5s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn components_have_addresses() {
        assert_eq!(resolved("a=h:1"), Ok(("a".to_owned(), "h:1".to_owned())));
        for wrong in ["a", "a=h", "a=h:x", "a=h:70000"] {
            assert!(resolved(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_are_what_clap_expects() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
