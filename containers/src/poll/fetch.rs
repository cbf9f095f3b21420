//! Asking for a file.

use std::time::Duration;

use jiff::civil::Date;
use ureq::Agent;
use ureq::http::Uri;

/// The largest file that is taken.
const LARGEST: u64 = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(30);
const DATE: &str = "{date}";

/// The files of a URL.
pub struct Files {
    agent: Agent,
    url: String,
}

/// Why a file can't be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It isn't there.
    #[error("{0}")]
    Missing(String),
    /// It may be, but this time something went wrong.
    #[error("{0}")]
    Failed(String),
}

impl Files {
    /// `{date}` in the URL is a day, as YYYYMMDD.
    ///
    /// # Errors
    /// Why that is no URL.
    pub fn new(url: &str) -> Result<Files, String> {
        let example = on(url, Date::ZERO);
        if example.contains(['{', '}']) {
            return Err(format!("`{url}` has other braces than those of {DATE}"));
        }
        let uri: Uri = example.parse().map_err(|e| format!("`{url}` is no URL: {e}"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none_or(str::is_empty) {
            return Err(format!(
                "`{url}` doesn't begin with http:// and a host; there is no other way to get it"
            ));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .into();
        let url = url.to_owned();
        Ok(Files { agent, url })
    }

    /// Whether each day has its own.
    pub fn daily(&self) -> bool {
        self.url.contains(DATE)
    }

    /// The URL, without what is behind a question mark: that may be a key.
    pub fn name(&self) -> &str {
        name(&self.url)
    }

    /// The file of a day.
    ///
    /// # Errors
    /// Where it can't be had.
    pub fn get(&self, day: Date) -> Result<Vec<u8>, Trouble> {
        let url = on(&self.url, day);
        let name = name(&url);
        let failed = |e: ureq::Error| Trouble::Failed(format!("cannot get {name}: {e}"));
        let mut answer = self.agent.get(&url).call().map_err(failed)?;
        let status = answer.status();
        if status.is_success() {
            return answer
                .body_mut()
                .with_config()
                .limit(LARGEST)
                .read_to_vec()
                .map_err(failed);
        }
        let why = format!("cannot get {name}: {status}");
        Err(match status.as_u16() {
            403 | 404 | 410 => Trouble::Missing(why),
            _ => Trouble::Failed(why),
        })
    }
}

fn name(url: &str) -> &str {
    url.split_once('?').map_or(url, |(name, _)| name)
}

fn on(url: &str, day: Date) -> String {
    url.replace(DATE, &day.strftime("%Y%m%d").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_takes_its_place() {
        let day = jiff::civil::date(2018, 2, 9);
        assert_eq!(
            on("http://x/{date}mix.csv?d={date}", day),
            "http://x/20180209mix.csv?d=20180209"
        );
    }

    #[test]
    fn only_http_is_spoken() {
        assert!(Files::new("http://localhost:80/{date}mix.csv").is_ok_and(|files| files.daily()));
        assert!(Files::new("http://localhost/mix.csv").is_ok_and(|files| !files.daily()));
        for url in [
            "https://localhost/mix.csv",
            "mix.csv",
            "http:///mix.csv",
            "http://x/{day}",
        ] {
            assert!(Files::new(url).is_err(), "{url}");
        }
    }
}
