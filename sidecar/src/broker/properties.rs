//! A `ClusterStream`'s properties, by the names of Dapr's pub/sub components, read as what they mean. No value is ever
//! repeated in an error: it may be a password.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::BrokerError;

/// Properties, a subscription's own before its connection's.
#[derive(Clone, Copy)]
pub(super) struct Properties<'a> {
    pub(super) broker: &'a Arc<str>,
    pub(super) own: Option<&'a BTreeMap<String, String>>,
    pub(super) connection: &'a BTreeMap<String, String>,
}

impl<'a> Properties<'a> {
    /// A text; an empty one counts as not set.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let own = self.own.and_then(|own| own.get(name));
        let value = own.or_else(|| self.connection.get(name))?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// True or false, in the words that Dapr takes.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, BrokerError> {
        let read = |value: &str| match value.trim().to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
            "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
            _ => Err(self.invalid(name, "true or false")),
        };
        self.text(name).map(read).transpose()
    }

    /// A number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, BrokerError> {
        let read = |value: &str| value.trim().parse().map_err(|_| self.invalid(name, "a number"));
        self.text(name).map(read).transpose()
    }

    /// A duration as Go writes it (`1m30s`), or a number of milliseconds.
    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, BrokerError> {
        let read =
            |value: &str| go_duration(value.trim()).ok_or_else(|| self.invalid(name, "a duration, as 15s"));
        self.text(name).map(read).transpose()
    }

    /// A property that isn't what it must be.
    pub(super) fn invalid(&self, name: &str, expected: &str) -> BrokerError {
        let what = format!("the property `{name}` is not {expected}");
        BrokerError::new(self.broker, "InvalidProperty", what, false)
    }
}

fn go_duration(text: &str) -> Option<Duration> {
    if let Ok(millis) = text.parse() {
        return Some(Duration::from_millis(millis));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(unit);
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_s_or_milliseconds() {
        assert_eq!(go_duration("250"), Some(Duration::from_millis(250)));
        assert_eq!(go_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(go_duration("1.5s"), Some(Duration::from_millis(1500)));
        for bad in ["", "s", "5 s", "5y", "-1s", "1..2s", "99999999999999999999h"] {
            assert_eq!(go_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_refused_is_not_repeated() {
        let connection = BTreeMap::from([("redisDB".to_owned(), "s3cret".to_owned())]);
        let broker: Arc<str> = "b".into();
        let properties = Properties {
            broker: &broker,
            own: None,
            connection: &connection,
        };
        let error = properties.number::<u32>("redisDB").unwrap_err();
        assert_eq!(error.to_string(), "b: the property `redisDB` is not a number");
    }
}
