//! The workload: a window of 1,000 tenants and many 77-byte events, one in ten of an unknown tenant, `power_use`
//! uniform in 0..1.99, so that 45 % of the events give a row.

use std::hint::black_box;

use streaming_engine::component::{Component, Config, Effect, Incoming, InputConfig, Role};
use streaming_engine::delivery::Answer;
use streaming_engine::join::JoinSpec;
use streaming_engine::query::Emit;
use streaming_engine::time::Time;

pub const TENANTS: usize = 1_000;
const WHERE: &str = "tenants.tenant_id == poweruse.tenant_id && poweruse.power_use >= 1.0";
const SELECT: &str = "{'customer_id': tenants.customer_id, 'tenant_id': tenants.tenant_id, \
                      'tenant_kwh_usage': poweruse.kwh_use}";
const REGIONS: [&str; 4] = ["eqix:us:chi1", "eqix:us:dal2", "kddi:eu:ber1", "kddi:cn:hnk2"];
const WINDOW: i64 = 20_000_000;

pub fn tenants() -> Vec<String> {
    let tenant = |n: usize| {
        let id = format!("dc:{}:{n}", REGIONS[n % 4]);
        format!("{{\"customer_id\":{},\"tenant_id\":\"{id}\"}}", 100 + n % 700)
    };
    (0..TENANTS).map(tenant).collect()
}

/// A generator of events; the same ones each time.
pub struct Events {
    state: u64,
    number: usize,
}

impl Events {
    pub fn new() -> Events {
        Events { state: 7, number: 0 }
    }

    /// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    fn random(&mut self, below: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 1).map_or(0, |z| z % below)
    }
}

impl Iterator for Events {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let unknown = if self.random(10) == 0 { TENANTS } else { 0 };
        let tenant = unknown + self.random(TENANTS);
        let power = self.random(200);
        let panel = self.random(8);
        let number = self.number;
        self.number += 1;
        Some(format!(
            "{{\"tenant_id\":\"dc:{}:{tenant}\",\"power_use\":{}.{:02},\"kwh_use\":{number},\"panel_id\":{panel}}}",
            REGIONS[tenant % 4],
            power / 100,
            power % 100,
        ))
    }
}

pub fn component() -> Component {
    let spec = JoinSpec::new(
        &["tenants", "poweruse"],
        WINDOW,
        Some(WHERE),
        Some(SELECT),
        Emit::Batch,
    );
    let input = |name: &str| InputConfig {
        cluster_stream: name.to_owned(),
        max_deliveries: 0,
    };
    let role = Role::Join(Box::new(spec.expect("the workload's expressions compile")));
    let inputs = vec![input("redis"), input("rabbit")];
    let config = Config {
        memory_budget: 1 << 30,
        ..Config::new("uid", "/bench", role, inputs, 1)
    };
    let mut component = Component::new(config);
    component.recovered(0, Time(0));
    component.recovered(1, Time(0));
    component
}

pub fn deliver(component: &mut Component, input: usize, token: usize, payload: &str) {
    let mut position = itoa::Buffer::new();
    component.message(
        Incoming {
            input,
            token: token as u64,
            position: position.format(token),
            received: Time(1),
            attempts: 0,
            topic: "topic",
            key: None,
            payload: payload.as_bytes(),
        },
        Time(1),
    );
    while let Some(effect) = component.poll_effect() {
        black_box(&effect);
    }
}

/// Closes the window, encodes its result and accepts it; gives the number of bytes.
pub fn close(component: &mut Component) -> usize {
    while component.poll_timeout().is_some() {
        component.timeout(Time(WINDOW));
    }
    let mut bytes = 0;
    while let Some(effect) = component.poll_effect() {
        if let Effect::Send { id, event, .. } = effect {
            // What a component is posted: the bare rows.
            bytes += black_box(event.data()).len();
            drop(event);
            component.answered(id, Answer::Accepted, Time(WINDOW));
        }
    }
    bytes
}
