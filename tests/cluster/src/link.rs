//! The cable from this machine to the cluster's network namespace: a pair of virtual interfaces with an address each.

use std::process::Command;

use anyhow::{Result, bail};

/// This many clusters can be up on one machine.
const NUMBERS: std::ops::Range<u8> = 0..64;

/// What the other end is called in the cluster, as `node.sh` has it.
const NAME_THERE: &str = "host";

/// One end here, one in the cluster. It goes when the cluster's namespace goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link(u8);

impl Link {
    /// Lays it to the network namespace of a process.
    pub(crate) fn lay(process: u32) -> Result<Link> {
        let namespace = process.to_string();
        let mut why = String::new();
        for link in NUMBERS.map(Link) {
            let (here, there) = (link.name(), NAME_THERE);
            // Fails where the name is taken, which makes the number ours from here on.
            let added = ip(&[
                "link", "add", &here, "type", "veth", "peer", "name", there, "netns", &namespace,
            ]);
            match added {
                Ok(()) => {
                    let address = format!("{}/30", link.address_here());
                    ip(&["address", "add", &address, "dev", &here])?;
                    ip(&["link", "set", &here, "up"])?;
                    return Ok(link);
                }
                Err(e) if e.to_string().contains("File exists") => why = e.to_string(),
                Err(e) => return Err(e),
            }
        }
        bail!("no interface can be added: {why}")
    }

    /// The one with a number that was noted.
    pub(crate) fn of(number: &str) -> Option<Link> {
        number.parse().ok().map(Link)
    }

    /// Takes it away; without it, it goes with the cluster's namespace, but later.
    pub(crate) fn remove(self) {
        ip(&["link", "delete", &self.name()]).ok();
    }

    /// The cluster's number on this machine.
    pub(crate) fn number(self) -> u8 {
        self.0
    }

    fn name(self) -> String {
        format!("streaming{}", self.0)
    }

    fn address_here(self) -> String {
        format!("10.213.{}.1", self.0)
    }

    /// The cluster's address, as this machine and its pods reach it.
    pub(crate) fn address(self) -> String {
        format!("10.213.{}.2", self.0)
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output()?;
    if !output.status.success() {
        bail!(
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
