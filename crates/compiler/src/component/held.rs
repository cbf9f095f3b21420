//! Whether a broker waits for as long as a window holds its messages.

use streaming_plan::Windows;

use crate::document::Resource;
use crate::problem::Report;
use crate::streams::Resolved;
use crate::{properties, reason};

/// `RabbitMQ` closes the channel of a consumer that leaves a message unacknowledged for `consumerTimeout`, and delivers
/// it again (<https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout>). A window's messages are held unacknowledged
/// until its rows are delivered.
pub(super) fn outlives(resource: &Resource, windows: Windows, stream: &Resolved<'_>, report: &mut Report) {
    const DEFAULT: i64 = 30 * 60 * 1_000_000;
    // For as long as the window is, and as others may come late; a hopping one's messages are held for the last of them.
    let window = match windows {
        Windows::Tumbling { length } | Windows::Hopping { length, .. } => length,
        Windows::Session { max, .. } => max,
        Windows::Unbounded => return,
    };
    let late = stream.spec.out_of_orderness.as_ref();
    let late = late.and_then(|late| streaming_api::parse_micros(late).ok());
    let window = window.saturating_add(late.unwrap_or_default());
    if stream.cluster.protocol != streaming_api::Protocol::RabbitMq {
        return;
    }
    let given = properties::get(stream.cluster, Some(stream.spec), "consumerTimeout");
    // The broker's own setting is a number of milliseconds.
    let timeout = given.and_then(|given| {
        let millis = given.parse::<i64>().ok().map(|ms| ms.saturating_mul(1000));
        millis.or_else(|| streaming_api::parse_micros(given).ok())
    });
    let timeout = timeout.unwrap_or(DEFAULT);
    if window < timeout {
        return;
    }
    let message = format!(
        "RabbitMQ takes back the messages of Stream `{}` after {}, before the window ends",
        stream.resource.name,
        given.unwrap_or("30m, its default consumerTimeout"),
    );
    let help = "keep its messages with spec.state, or shorten the window, or raise consumer_timeout on the broker and set the property consumerTimeout to the same";
    report.problem(
        resource,
        resource
            .at("spec.window", reason::WINDOW_TOO_LONG, message)
            .help(help),
    );
}
