//! The command line.

use std::net::SocketAddr;

use clap::Parser;

/// Turns the resources of streaming.vivien.io into running components.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// Image of the sidecar that runs in every component's pod.
    #[arg(
        long,
        env = "STREAMING_SIDECAR_IMAGE",
        default_value = "docker.io/library/streaming-sidecar:latest"
    )]
    pub sidecar_image: String,
    /// Where /healthz, /readyz and /metrics are served.
    #[arg(long, env = "STREAMING_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
}
