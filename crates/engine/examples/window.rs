//! Holds one window of 1,000 tenants and 200,000 events in a process of its own, and says what that takes.
//!
//! `cargo run --release -p streaming-engine --example window`

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::disallowed_macros
)]

use std::time::Instant;

#[allow(dead_code)]
#[path = "../benches/cpu.rs"]
mod cpu;
#[allow(dead_code)]
#[path = "../benches/workload.rs"]
mod workload;

use workload::{Events, close, component, deliver, tenants};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: usize = 200_000;

/// A line of the kernel's account of this process, in MB.
fn memory(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|l| {
        l.strip_prefix(line)?
            .split_whitespace()
            .next()?
            .parse::<f64>()
            .ok()
    });
    found.unwrap_or(f64::NAN) / 1024.0
}

/// Milliseconds that this process was on a processor.
#[allow(clippy::cast_precision_loss)]
fn on_cpu() -> f64 {
    cpu::now() as f64 / 1e6
}

fn main() {
    let mut component = component();
    let before = memory("VmRSS:");
    let (start, cpu) = (Instant::now(), on_cpu());
    for (token, tenant) in tenants().iter().enumerate() {
        deliver(&mut component, 0, token, tenant);
    }
    // Made one by one: the events themselves are not held.
    for (token, event) in Events::new().take(EVENTS).enumerate() {
        deliver(&mut component, 1, token, &event);
    }
    let (filled, filled_cpu) = (start.elapsed(), on_cpu() - cpu);
    let held = component.counters().held_bytes;
    println!("before            {before:8.1} MB");
    println!(
        "window held       {:8.1} MB resident, {:.1} MB by its own account",
        memory("VmRSS:"),
        mb(held)
    );
    let filled = filled.as_secs_f64() * 1e3;
    println!("filled in         {filled:8.1} ms, {filled_cpu:.1} ms on CPU, making the events included");
    let (start, cpu) = (Instant::now(), on_cpu());
    let bytes = close(&mut component);
    let (closed, closed_cpu) = (start.elapsed().as_secs_f64() * 1e3, on_cpu() - cpu);
    println!("closed to encoded {closed:8.1} ms, {closed_cpu:.1} ms on CPU");
    let counters = component.counters();
    println!(
        "rows              {:8} in {:.1} MB",
        counters.rows,
        mb(bytes as u64)
    );
    println!("peak              {:8.1} MB resident", memory("VmHWM:"));
    println!("held afterwards   {:8} bytes", counters.held_bytes);
}

#[allow(clippy::cast_precision_loss)]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
