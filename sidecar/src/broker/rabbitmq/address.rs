//! Where a broker is and how to log in.

use std::fmt;

use super::super::url::{Url, unescape};

/// An AMQP URL (<https://www.rabbitmq.com/docs/uri-spec>), taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) tls: bool,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) vhost: String,
}

/// Without the login, and without the virtual host.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Address {
    /// Parses `amqp[s]://[user[:password]@]host[:port][/vhost]`; `None` if it isn't that. Missing parts are what
    /// `RabbitMQ` takes for granted.
    pub(super) fn parse(url: &str) -> Option<Address> {
        let url = Url::parse(url)?;
        let tls = match url.scheme.as_str() {
            "amqp" => false,
            "amqps" => true,
            _ => return None,
        };
        let login = url
            .user
            .zip(url.password)
            .unwrap_or(("guest".into(), "guest".into()));
        let (host, port) = host_and_port(url.host, tls)?;
        let vhost = match url.path {
            "" => "/".to_owned(),
            vhost => unescape(vhost),
        };
        Some(Address {
            tls,
            user: login.0,
            password: login.1,
            host,
            port,
            vhost,
        })
    }

    /// Turns encryption on, on the port that is usual for it where none other was named.
    pub(super) fn encrypt(&mut self) {
        if !self.tls && self.port == 5672 {
            self.port = 5671;
        }
        self.tls = true;
    }

    /// From a host name on its own, with or without a port.
    pub(super) fn of_host(host: &str, tls: bool, user: &str, password: &str) -> Option<Address> {
        let (host, port) = host_and_port(host.trim(), tls)?;
        Some(Address {
            tls,
            user: user.to_owned(),
            password: password.to_owned(),
            host,
            port,
            vhost: "/".to_owned(),
        })
    }
}

fn host_and_port(text: &str, tls: bool) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let usual = if tls { 5671 } else { 5672 };
    let port = port.map_or(Some(usual), |port| port.parse().ok())?;
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(url: &str) -> (String, String, String) {
        let address = Address::parse(url).unwrap();
        (
            address.user.clone(),
            address.password.clone(),
            address.to_string(),
        )
    }

    #[test]
    fn an_at_sign_in_a_password_may_be_escaped_or_not() {
        let expected = (
            "u".to_owned(),
            "p@ss:w0rd".to_owned(),
            "amqp://rabbit:5672".to_owned(),
        );
        assert_eq!(login("amqp://u:p@ss:w0rd@rabbit"), expected);
        assert_eq!(login("amqp://u:p%40ss%3Aw0rd@rabbit:5672/"), expected);
        assert_eq!(login("amqp://u:50%@rabbit").1, "50%");
        let slash = (
            "u".to_owned(),
            "pa@ss/w0rd".to_owned(),
            "amqp://rabbit:5672".to_owned(),
        );
        assert_eq!(login("amqp://u:pa@ss/w0rd@rabbit/v"), slash);
        assert_eq!(login("amqp://u:12/34@h").2, "amqp://h:5672");
    }

    #[test]
    fn missing_parts_are_the_usual_ones() {
        let plain = login("amqps://rabbit");
        assert_eq!(
            plain,
            ("guest".into(), "guest".into(), "amqps://rabbit:5671".into())
        );
        assert_eq!(
            Address::parse("amqp://[::1]:7/a%2Fb?heartbeat=5").unwrap().vhost,
            "a/b"
        );
        assert_eq!(Address::parse("amqp://h/%2f").unwrap().vhost, "/");
        assert_eq!(login("amqp://u@h").1, "");
    }

    #[test]
    fn what_is_no_url_is_refused_and_a_password_is_never_shown() {
        for bad in [
            "",
            "rabbit:5672",
            "http://h",
            "amqp://",
            "amqp://u:p@",
            "amqp://h:x",
            "amqp://h:99999",
        ] {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
        let address = Address::parse("amqp://u:s3cret@h").unwrap();
        assert!(!format!("{address} {address:?}").contains("s3cret"));
    }
}
