//! What it costs to know which messages the open windows have: messages in event time, in their order, that go into groups
//! of a window that stays open, and of none. `docs/performance.md` has the figures.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::disallowed_methods
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use streaming_engine::component::{Component, Config, InputConfig, Role};
use streaming_engine::join::JoinSpec;
use streaming_engine::query::{EventTime, Query, QueryInput, Windows};
use streaming_engine::time::Time;

mod cpu;
#[allow(dead_code)]
mod workload;

use cpu::CpuTime;
use workload::deliver;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages of one run, a millisecond apart.
const MESSAGES: usize = 100_000;
/// Messages between two looks at what is due.
const TOGETHER: usize = 64;

/// The trigger is never true: without it there could be no query without windows.
fn component(windows: Windows) -> Component {
    let spec = JoinSpec::compile(&Query {
        inputs: vec![QueryInput {
            variable: "power".to_owned(),
            time: Some(EventTime {
                timestamp: "power.t".to_owned(),
                out_of_orderness: 1_000_000,
                idle_timeout: None,
            }),
            table: None,
        }],
        windows,
        group_by: vec!["power.sensor".to_owned()],
        select: Some("count()".to_owned()),
        trigger: Some("count() > 1000000".to_owned()),
        ..Query::default()
    });
    let role = Role::Join(Box::new(spec.expect("the query compiles")));
    let input = InputConfig {
        cluster_stream: "power".to_owned(),
        max_deliveries: 0,
    };
    let config = Config {
        memory_budget: 1 << 30,
        ..Config::new("uid", "/bench", role, vec![input], 1)
    };
    let mut component = Component::new(config);
    component.recovered(0, Time(0));
    component
}

fn open(c: &mut Criterion<CpuTime>) {
    let reading = |n: usize| format!("{{\"sensor\":{},\"t\":{n}}}", n * 7919 % 1000);
    let readings: Vec<String> = (0..MESSAGES).map(reading).collect();
    let mut group = c.benchmark_group("event time");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(MESSAGES as u64));
    for (name, windows) in [
        ("no window", Windows::Unbounded),
        (
            "an open window",
            Windows::Tumbling {
                length: 3_600_000_000,
            },
        ),
    ] {
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                || component(windows),
                |component| {
                    for (token, reading) in readings.iter().enumerate() {
                        deliver(component, 0, token, reading);
                        if token % TOGETHER == 0 {
                            component.timeout(Time(1));
                        }
                    }
                    black_box(component.counters().held_bytes)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = open
}
criterion_main!(benches);
