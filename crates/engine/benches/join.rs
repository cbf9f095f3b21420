//! Decoding and joining at full speed on one core. `docs/performance.md` has the figures.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::disallowed_methods
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use streaming_engine::json::{Decoder, MAX_MESSAGE_BYTES};
use streaming_engine::layout::Layout;
use streaming_engine::row::RowBuilder;

mod cpu;
#[allow(dead_code)]
mod workload;

use cpu::CpuTime;
use workload::{Events, close, component, deliver, tenants};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn decode(c: &mut Criterion<CpuTime>) {
    let events: Vec<String> = Events::new().take(10_000).collect();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("serde_json to a Value", |b| {
        b.iter(|| {
            for event in &events {
                black_box(serde_json::from_slice::<serde_json::Value>(event.as_bytes()).expect("valid"));
            }
        });
    });
    let paths = ["tenant_id", "power_use", "kwh_use"].map(|name| [Box::from(name)]);
    let layout = Layout::new(paths.iter().map(|path: &[Box<str>; 1]| path.as_slice()));
    let mut decoder = Decoder::new(MAX_MESSAGE_BYTES);
    let mut row = RowBuilder::default();
    group.bench_function("three of four fields to a row", |b| {
        b.iter(|| {
            for event in &events {
                black_box(
                    decoder
                        .decode(event.as_bytes(), &layout, 0, &mut row)
                        .expect("valid"),
                );
                black_box(&row);
            }
        });
    });
    group.finish();
}

fn join(c: &mut Criterion<CpuTime>) {
    let tenants = tenants();
    let mut group = c.benchmark_group("decode and join");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5));
    for count in [10_000, 100_000, 1_000_000] {
        let events: Vec<String> = Events::new().take(count).collect();
        group.throughput(Throughput::Elements((tenants.len() + count) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("1000 x {count}")), |b| {
            b.iter_batched_ref(
                component,
                |component| {
                    for (token, tenant) in tenants.iter().enumerate() {
                        deliver(component, 0, token, tenant);
                    }
                    for (token, event) in events.iter().enumerate() {
                        deliver(component, 1, token, event);
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
    targets = decode, join
}
criterion_main!(benches);
