//! Joins without an equality: what a range of values leaves out costs nothing. `docs/performance.md` has the figures.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::disallowed_methods
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use streaming_engine::component::{Component, Config, InputConfig, Role};
use streaming_engine::join::JoinSpec;
use streaming_engine::query::Emit;
use streaming_engine::time::Time;

mod cpu;
#[allow(dead_code)]
mod workload;

use cpu::CpuTime;
use workload::{close, deliver};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// For each reading of `a` those of `b` less than two seconds after it: one, as there is one every two seconds.
const BAND: &str = "a.ts <= b.ts && b.ts < a.ts + 2000";
/// The same by their distance: those less than two seconds before or after it, of which there is one.
const DISTANCE: &str = "math.abs(a.ts - b.ts) < 2000";

fn component(on: &str) -> Component {
    let spec = JoinSpec::new(&["a", "b"], 20_000_000, Some(on), Some("[a.n, b.n]"), Emit::Batch);
    let role = Role::Join(Box::new(spec.expect("the condition compiles")));
    let input = |name: &str| InputConfig {
        cluster_stream: name.to_owned(),
        max_deliveries: 0,
    };
    let config = Config {
        memory_budget: 1 << 30,
        ..Config::new("uid", "/bench", role, vec![input("a"), input("b")], 1)
    };
    let mut component = Component::new(config);
    component.recovered(0, Time(0));
    component.recovered(1, Time(0));
    component
}

/// Readings in no order of their times.
fn readings(count: usize) -> Vec<String> {
    let reading = |n: usize| format!("{{\"n\":{n},\"ts\":{}}}", n * 7919 % count * 2000);
    (0..count).map(reading).collect()
}

fn band(c: &mut Criterion<CpuTime>) {
    rows(c, "band", BAND);
}

fn distance(c: &mut Criterion<CpuTime>) {
    rows(c, "distance", DISTANCE);
}

fn rows(c: &mut Criterion<CpuTime>, name: &str, on: &str) {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5));
    for count in [1_000, 10_000, 100_000] {
        let readings = readings(count);
        group.throughput(Throughput::Elements(2 * count as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{count} x {count}")), |b| {
            b.iter_batched_ref(
                || component(on),
                |component| {
                    for input in 0..2 {
                        for (token, reading) in readings.iter().enumerate() {
                            deliver(component, input, token, reading);
                        }
                    }
                    black_box(close(component))
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
    targets = band, distance
}
criterion_main!(benches);
