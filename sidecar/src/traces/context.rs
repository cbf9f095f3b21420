//! Where a span is in its trace, and which traces are told: W3C's Trace Context
//! (<https://www.w3.org/TR/trace-context/#traceparent-header>) and OpenTelemetry's samplers.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A span's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace: u128,
    pub(super) span: u64,
    /// Whether the trace is told to a collector.
    pub(super) sampled: bool,
}

impl Context {
    /// Of a header or an attribute `traceparent`.
    pub(super) fn parse(text: &str) -> Option<Context> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length| {
            text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        // Later versions may say more, this one says no more than that.
        let whole = version != "00" || parts.next().is_none();
        if !(is_hex(version, 2) && version != "ff" && whole) {
            return None;
        }
        let is_one = is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
        let context = Context {
            trace: u128::from_str_radix(trace, 16).ok().filter(|_| is_one)?,
            span: u64::from_str_radix(span, 16).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (context.trace != 0 && context.span != 0).then_some(context)
    }

    /// The place of a span within this one, which is told where this is.
    pub(super) fn within(self) -> Context {
        Context {
            span: fresh(),
            ..self
        }
    }

    /// A trace of its own, which nobody is told of: who comes after is not to begin another one that is.
    pub(super) fn untold() -> Context {
        Context {
            trace: u128::from(fresh()) << 64 | u128::from(fresh()),
            span: fresh(),
            sampled: false,
        }
    }
}

/// As `traceparent`.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace,
            self.span,
            u8::from(self.sampled)
        )
    }
}

/// A number that has not been given before, as far as anyone can tell, and is not 0.
fn fresh() -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    KEYS.hash_one(NUMBER.fetch_add(1, Ordering::Relaxed)).max(1)
}

/// Which traces are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampler {
    /// Whether a message's own trace decides.
    by_parent: bool,
    /// Of the others those whose ids, as numbers of 63 bits, are below.
    bound: u64,
}

/// All of 63 bits.
const ALL: u64 = 1 << 63;

impl Sampler {
    /// By the values of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`; empty if they are not set.
    pub(super) fn named(name: &str, ratio: &str) -> Result<Sampler, String> {
        let name = if name.is_empty() {
            "parentbased_always_on"
        } else {
            name
        };
        let own = name.strip_prefix("parentbased_");
        let bound = match own.unwrap_or(name) {
            "always_on" => ALL,
            "always_off" => 0,
            "traceidratio" => part(ratio)?,
            _ => {
                return Err(format!(
                    "OTEL_TRACES_SAMPLER is `{name}`; write always_on, always_off or traceidratio, or one of them after parentbased_"
                ));
            }
        };
        Ok(Sampler {
            by_parent: own.is_some(),
            bound,
        })
    }

    /// The place of a new span: below its parent, or at the root of a trace.
    pub(super) fn begin(self, parent: Option<Context>) -> Context {
        let context = match parent {
            Some(parent) => parent.within(),
            None => Context::untold(),
        };
        let sampled = match parent {
            Some(parent) if self.by_parent => parent.sampled,
            // The lower half: the one that is random in every producer's ids.
            _ => (context.trace & u128::from(u64::MAX)) >> 1 < u128::from(self.bound),
        };
        Context { sampled, ..context }
    }
}

/// A part of [`ALL`].
fn part(ratio: &str) -> Result<u64, String> {
    let ratio = if ratio.is_empty() { "1" } else { ratio };
    let part = ratio
        .parse::<f64>()
        .ok()
        .filter(|part| (0.0..=1.0).contains(part));
    let part = part.ok_or_else(|| {
        format!("OTEL_TRACES_SAMPLER_ARG is `{ratio}`; write the part of all traces, a number from 0 to 1")
    })?;
    // No more than 2^63, and not below 0.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let part = (part * ALL as f64) as u64;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_place_in_a_trace_is_written_as_it_is_read() {
        let text = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(Context::parse(&text).unwrap().to_string(), text);
        assert!(!Context::parse(&format!("00-{TRACE}-{SPAN}-02")).unwrap().sampled);
        assert!(
            Context::parse(&format!("01-{TRACE}-{SPAN}-03-more"))
                .unwrap()
                .sampled
        );
        for wrong in [
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{TRACE}-01"),
            format!("00-{TRACE}-+7ad6b7169203331-01"),
            String::new(),
        ] {
            assert_eq!(Context::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ids_are_new_each_time() {
        let ids: std::collections::HashSet<u64> = (0..10_000).map(|_| fresh()).collect();
        assert_eq!((ids.len(), ids.contains(&0)), (10_000, false));
    }

    #[test]
    fn a_trace_that_is_told_is_told_by_all() {
        let parent = |sampled| Context {
            sampled,
            ..Context::untold()
        };
        let default = Sampler::named("", "").unwrap();
        for sampled in [true, false] {
            let parent = parent(sampled);
            let child = default.begin(Some(parent));
            assert_eq!((child.trace, child.sampled), (parent.trace, sampled));
            assert_ne!(child.span, parent.span);
        }
        assert!(default.begin(None).sampled);
        let none = Sampler::named("parentbased_always_off", "").unwrap();
        assert!(none.begin(Some(parent(true))).sampled && !none.begin(None).sampled);
        assert!(
            !Sampler::named("always_off", "")
                .unwrap()
                .begin(Some(parent(true)))
                .sampled
        );
        assert!(
            Sampler::named("always_on", "")
                .unwrap()
                .begin(Some(parent(false)))
                .sampled
        );
    }

    #[test]
    fn a_part_of_all_traces_is_told() {
        let tenth = Sampler::named("parentbased_traceidratio", "0.1").unwrap();
        let told = (0..10_000).filter(|_| tenth.begin(None).sampled).count();
        // Ten standard deviations.
        assert!((700..1300).contains(&told), "{told}");
        let by_id = Sampler::named("traceidratio", "0.5").unwrap();
        let of = |trace| Context {
            trace,
            span: 1,
            sampled: true,
        };
        assert!(by_id.begin(Some(of(u128::from(u64::MAX / 2 - 9)))).sampled);
        assert!(!by_id.begin(Some(of(u128::from(u64::MAX / 2 + 9)))).sampled);
        for (name, ratio) in [
            ("sometimes", ""),
            ("traceidratio", "2"),
            ("traceidratio", "NaN"),
            ("traceidratio", "x"),
        ] {
            assert!(
                Sampler::named(name, ratio)
                    .unwrap_err()
                    .starts_with("OTEL_TRACES_SAMPLER")
            );
        }
    }
}
