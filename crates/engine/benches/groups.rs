//! Gathering groups at full speed on one core.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::disallowed_methods
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use streaming_engine::aggregate::{GroupSpec, Groups};
use streaming_engine::expr::{Context, Expr, Row, Scope, compile_grouped};
use streaming_engine::field::Field;
use streaming_engine::layout::Layout;

mod cpu;

use cpu::CpuTime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages of one run.
const MESSAGES: u64 = 100_000;

fn spec(select: &str) -> GroupSpec {
    let scope = Scope::new(&["power"]).expect("a name");
    let grouped = compile_grouped(&["power.sensor"], Some(select), None, None, &scope).expect("compiles");
    let accesses = grouped.row_level().flat_map(Expr::accesses);
    let layout = Layout::new(accesses.map(|access| &*access.path));
    GroupSpec::new(&grouped, &[&layout])
}

fn add(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("groups");
    group.throughput(Throughput::Elements(MESSAGES));
    for select in [
        "count()",
        "[count(), sum(power.watt), avg(power.watt)]",
        "stddev(power.watt)",
        "[min(power.watt), max(power.watt), last(power.watt)]",
        "percentile(power.watt, 0.95)",
        "countDistinct(power.watt)",
        "collect(power.watt)",
    ] {
        let spec = spec(select);
        group.bench_function(select, |b| {
            b.iter(|| {
                let mut groups = Groups::new();
                for number in 0..MESSAGES {
                    // Readings of a thousand sensors, with fractions.
                    let sensor = u32::try_from(number * 7919 % 1000).unwrap_or(0);
                    let watt = u32::try_from(number * 104_729 % 65_521).unwrap_or(0);
                    let row = [
                        Field::Number(f64::from(sensor)),
                        Field::Number(f64::from(watt) / 10.0),
                    ];
                    let rows: [&dyn Row; 1] = [&row];
                    let cx = Context::new(&rows);
                    let key = spec.key(&cx).expect("a key");
                    groups.add(&spec, &key, &cx, u128::from(number).to_be_bytes(), &mut |_| {});
                }
                black_box(groups.bytes())
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = add
}
criterion_main!(benches);
