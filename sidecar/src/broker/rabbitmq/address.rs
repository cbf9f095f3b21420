//! Where a broker is and how to log in. An `@` in a password need not be escaped: the last one before the path counts.

use std::fmt;

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

/// Without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "amqps" } else { "amqp" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)?;
        if self.vhost == "/" {
            Ok(())
        } else {
            write!(f, "/{}", self.vhost)
        }
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
        let (scheme, rest) = url.trim().split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "amqp" => false,
            "amqps" => true,
            _ => return None,
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match login {
            "" => ("guest", "guest"),
            login => login.split_once(':').unwrap_or((login, "")),
        };
        let (host, port) = host_and_port(host, tls)?;
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let vhost = match path.strip_prefix('/') {
            None | Some("") => "/".to_owned(),
            Some(vhost) => unescape(vhost),
        };
        Some(Address {
            tls,
            user: unescape(user),
            password: unescape(password),
            host,
            port,
            vhost,
        })
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

/// Resolves `%41`; a `%` that begins no escape stands for itself.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
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
