//! Where a broker is: host and port, or a URL. What is wrong with one is said without repeating any part of it, because
//! in a malformed address anything may be the password.

/// What an address looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `host:port`, several with commas between them (the nodes of a Redis Cluster).
    Hosts,
    /// `host` or `host:port`.
    Host,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
}

/// What is wrong with an address, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Looks at an address as its broker's clients would.
pub(super) fn check(form: Form, example: &str, value: &str) -> Result<(), Fault> {
    let parts = match form {
        Form::Hosts => value.split(',').try_for_each(|node| bare(node.trim())),
        Form::Host => bare(value),
        Form::Url(schemes) => url(schemes, value),
    };
    parts.map_err(|(message, help)| Fault {
        message,
        help: help.or_else(|| Some(format!("example: {example}"))),
    })
}

type Why = (String, Option<String>);

fn because(message: impl Into<String>) -> Why {
    (message.into(), None)
}

fn bare(value: &str) -> Result<(), Why> {
    if value.contains("://") {
        return Err(because("this takes a host and a port, not a URL"));
    }
    if value.contains('@') {
        return Err((
            "this takes a host and a port, not credentials".to_owned(),
            Some("user and password have properties of their own".to_owned()),
        ));
    }
    host_and_port(value)
}

fn url(schemes: &[&str], value: &str) -> Result<(), Why> {
    let wanted = || {
        let all: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
        all.join(" or ")
    };
    let Some((scheme, rest)) = value.split_once("://") else {
        return Err(because(format!(
            "this is no URL: it must begin with {}",
            wanted()
        )));
    };
    if !schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(because(format!("the URL must begin with {}", wanted())));
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // The `@` of a password need not be escaped: what counts is the last one.
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if has_loose_percent(user) {
        return Err((
            "a `%` in the URL's user or password begins no escape".to_owned(),
            Some("write a `%` that is meant as such as %25".to_owned()),
        ));
    }
    host_and_port(host).map_err(|why| {
        // More of it after the path has begun: the password was cut short by what ends an authority.
        if path.contains('@') {
            let message = "the URL's user and password end at the first `/`, `?` or `#`";
            let help = "write those of a password as %2F, %3F and %23";
            return (message.to_owned(), Some(help.to_owned()));
        }
        why
    })
}

fn has_loose_percent(text: &str) -> bool {
    text.split('%').skip(1).any(|after| {
        let mut digits = after.bytes();
        let mut hex = || digits.next().is_some_and(|digit| digit.is_ascii_hexdigit());
        !(hex() && hex())
    })
}

fn host_and_port(text: &str) -> Result<(), Why> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, rest)) if rest.starts_with(':') => (host, Some(&rest[1..])),
            _ => return Err(because("the `[` of an IPv6 address has no `]`")),
        },
        None => text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p))),
    };
    if host.is_empty() {
        return Err(because("the host is missing"));
    }
    if text.starts_with('[') {
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(because("what stands in `[` and `]` is no IPv6 address"));
        }
    } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err((
            "an IPv6 address is missing its brackets".to_owned(),
            Some("write it as [::1]:port".to_owned()),
        ));
    } else if !is_host(host) {
        return Err(because(
            "the host is no name of a host: it may have letters, digits, `-`, `_` and `.`",
        ));
    }
    match port {
        Some(port) if !is_port(port) => Err(because("the port must be a number from 1 to 65535")),
        _ => Ok(()),
    }
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    // A dot at the end says that the name is complete.
    host.strip_suffix('.').unwrap_or(host).split('.').all(label)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMQP: Form = Form::Url(&["amqp", "amqps"]);

    #[test]
    fn addresses_that_clients_take_are_taken() {
        for (form, value) in [
            (Form::Hosts, "redis"),
            (Form::Hosts, "redis:6379"),
            (Form::Hosts, "redis-0.redis:6379, redis-1.redis:6379"),
            (Form::Hosts, "[::1]:6379"),
            (Form::Hosts, "10.0.0.1:6379"),
            (Form::Host, "my_host.default.svc.cluster.local.:5672"),
            (AMQP, "amqp://rabbitmq"),
            (AMQP, "amqp://user:pw@rabbitmq:5672"),
            (AMQP, "AMQPS://user@rabbitmq:5671/%2Fvhost?heartbeat=10"),
            (AMQP, "amqp://admin:@dm1n@rabbitmq.default.svc:5672"),
            (AMQP, "amqp://a:b%2Fc@[fe80::1]:5672/"),
            (AMQP, "amqp://rabbitmq:5672/v@host"),
        ] {
            assert_eq!(check(form, "", value), Ok(()), "{value}");
        }
    }

    #[test]
    fn no_part_of_a_refused_address_is_repeated() {
        for (form, value, says) in [
            (AMQP, "amqp//user:hunter2@h:5672", "no URL"),
            (AMQP, "hunter2@h:5672", "no URL"),
            (
                AMQP,
                "http://user:hunter2@h:5672",
                "begin with amqp:// or amqps://",
            ),
            (AMQP, "amqp://", "host is missing"),
            (AMQP, "amqp://user:hunter2@", "host is missing"),
            (AMQP, "amqp://:5672", "host is missing"),
            (AMQP, "amqp://user:hunter2", "from 1 to 65535"),
            (AMQP, "amqp://user:hunter2@h:0", "from 1 to 65535"),
            (AMQP, "amqp://user:hunter2@h:+5672", "from 1 to 65535"),
            (AMQP, "amqp://user:hunter2@h:", "from 1 to 65535"),
            (AMQP, "amqp://user:hunt/er2@h:5672", "end at the first `/`"),
            (AMQP, "amqp://user:hunter2%@h:5672", "begins no escape"),
            (AMQP, "amqp://user:hunter2@[::1:5672", "no `]`"),
            (AMQP, "amqp://user:hunter2@[hunter2]:5672", "no IPv6"),
            (AMQP, "amqp://user:hunter2@h ost:5672", "no name of a host"),
            (AMQP, "amqp://user:hunter2@a..b", "no name of a host"),
            (Form::Hosts, "host:99999", "from 1 to 65535"),
            (Form::Hosts, "a:1,", "host is missing"),
            (Form::Hosts, ":6379", "host is missing"),
            (Form::Hosts, "::1", "host is missing"),
            (Form::Hosts, "fe80::1", "brackets"),
            (Form::Hosts, "redis://:hunter2@h:6379", "not a URL"),
            (Form::Host, "user:hunter2@h", "not credentials"),
        ] {
            let fault = check(form, "e", value).unwrap_err();
            assert!(fault.message.contains(says), "{value}: {}", fault.message);
            assert!(!format!("{fault:?}").contains("hunter2"), "{value}: {fault:?}");
        }
    }
}
