//! Where spans go, and which: OpenTelemetry's environment variables
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Uri};

use super::context::Sampler;

/// The values of variables; empty where one is not set.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the collector, `http://HOST:4318`. Without it there are no spans.
    pub endpoint: String,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: `NAME=VALUE,...`, values percent-encoded.
    pub headers: String,
    /// `OTEL_SERVICE_NAME`, in place of the component's name.
    pub service_name: String,
    /// `OTEL_TRACES_SAMPLER`.
    pub sampler: String,
    /// `OTEL_TRACES_SAMPLER_ARG`.
    pub sampler_arg: String,
}

/// Settings that make sense.
pub(super) struct Checked {
    pub(super) url: Uri,
    pub(super) headers: HeaderMap,
    pub(super) sampler: Sampler,
}

impl Settings {
    /// Those of the process.
    pub fn from_env() -> Settings {
        let get = |name| std::env::var(name).unwrap_or_default();
        Settings {
            endpoint: get("OTEL_EXPORTER_OTLP_ENDPOINT"),
            headers: get("OTEL_EXPORTER_OTLP_HEADERS"),
            service_name: get("OTEL_SERVICE_NAME"),
            sampler: get("OTEL_TRACES_SAMPLER"),
            sampler_arg: get("OTEL_TRACES_SAMPLER_ARG"),
        }
    }

    /// What they come to, or what is wrong with which. Headers may be credentials, so that their values are not repeated.
    pub(super) fn check(&self) -> Result<Checked, String> {
        let url = format!("{}/v1/traces", self.endpoint.trim_end_matches('/'));
        let url: Option<Uri> = url.parse().ok();
        let url = url.filter(|url| url.scheme_str() == Some("http") && url.host().is_some());
        let url = url.ok_or_else(|| {
            format!(
                "OTEL_EXPORTER_OTLP_ENDPOINT is `{}`; write http://HOST:4318, the address of a collector or agent without encryption",
                self.endpoint
            )
        })?;
        let mut headers = HeaderMap::new();
        for header in self.headers.split(',').filter(|header| !header.trim().is_empty()) {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            let (name, value) = (name.trim(), decoded(value.trim()));
            let parsed = (name.parse::<HeaderName>(), HeaderValue::from_bytes(&value));
            let (Ok(key), Ok(mut value)) = parsed else {
                return Err(format!(
                    "OTEL_EXPORTER_OTLP_HEADERS has `{name}`, which is no header; write NAME=VALUE,NAME=VALUE"
                ));
            };
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Checked {
            url,
            headers,
            sampler: Sampler::named(&self.sampler, &self.sampler_arg)?,
        })
    }
}

/// Without percent-encoding.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        let digit = |at: usize| char::from(*others.get(at)?).to_digit(16);
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high << 4 | low));
                rest = &others[2..];
            }
            _ => out.push(*first),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(endpoint: &str, headers: &str) -> Result<Checked, String> {
        let settings = Settings {
            endpoint: endpoint.to_owned(),
            headers: headers.to_owned(),
            ..Settings::default()
        };
        settings.check()
    }

    #[test]
    fn an_endpoint_gets_the_path_of_traces() {
        for endpoint in ["http://collector:4318", "http://collector:4318/"] {
            assert_eq!(
                checked(endpoint, "").unwrap().url,
                "http://collector:4318/v1/traces"
            );
        }
        let below = checked("http://collector/otlp", "").unwrap().url;
        assert_eq!(below, "http://collector/otlp/v1/traces");
        for wrong in ["collector:4318", "https://collector:4318", "http://", "/"] {
            let error = checked(wrong, "").err().unwrap();
            assert!(error.contains("http://HOST:4318"), "{error}");
        }
    }

    #[test]
    fn headers_are_a_list() {
        let headers = checked("http://c", "api-key=a%20b%3D, x = 100%, ")
            .unwrap()
            .headers;
        assert_eq!(
            (&headers["api-key"], &headers["x"]),
            (&"a b=".parse().unwrap(), &"100%".parse().unwrap())
        );
        for wrong in ["a b=secret", "=secret", "x=se%0Acret"] {
            let error = checked("http://c", wrong).err().unwrap();
            assert!(error.contains("NAME=VALUE") && !error.contains("cret"), "{error}");
        }
    }
}
