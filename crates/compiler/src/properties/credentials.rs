//! Passwords in the open.

/// Properties that are secrets whatever they hold.
const SECRET: [&str; 5] = [
    "redisPassword",
    "sentinelPassword",
    "password",
    "clientKey",
    "clientSecret",
];

/// Properties that say where a broker is: what stands before their `@` may be credentials, however malformed.
const ADDRESS: [&str; 5] = ["redisHost", "host", "connectionString", "hostname", "url"];

/// Whether a property holds a secret: by its name, or as the password of a URL.
pub(super) fn are_in(name: &str, value: &str) -> bool {
    !value.is_empty()
        && (SECRET.contains(&name)
            || url_password(value).is_some()
            || ADDRESS.contains(&name) && before_at(value))
}

/// Whether something with a colon stands before an `@`, as in `amqp//user:pw@host`, which lost a colon itself.
fn before_at(value: &str) -> bool {
    let user = value.rsplit_once('@').map(|(user, _)| user);
    let user = user.map(|user| user.split_once("://").map_or(user, |(_, user)| user));
    user.and_then(|user| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty())
}

/// The password in a URL's authority. It ends at the last `@` before the path, because people don't escape the `@` of
/// their passwords (and clients forgive them).
fn url_password(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let (user, host) = rest.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    (!password.is_empty() && !host.is_empty()).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_passwords_of_urls() {
        assert_eq!(
            url_password("amqp://user:PfobN4Ttfq@rabbitmq:5672"),
            Some("PfobN4Ttfq")
        );
        assert_eq!(
            url_password("amqp://admin:@dm1n@rabbitmq.default:5672"),
            Some("@dm1n")
        );
        assert_eq!(url_password("mqtt://broker:1883"), None);
        assert_eq!(url_password("mqtt://user@broker:1883"), None);
        assert_eq!(url_password("redis:6379"), None);
        for malformed in [
            "amqp//user:pw@h:5672",
            "user:pw@h",
            "amqp:user:pw@h",
            "amqp://user:pw@",
        ] {
            assert!(are_in("host", malformed), "{malformed}");
        }
        assert!(!are_in("clientName", "a:b@c") && !are_in("host", "amqp://u@h:5672"));
        assert!(are_in("redisPassword", "x") && !are_in("redisPassword", ""));
    }
}
