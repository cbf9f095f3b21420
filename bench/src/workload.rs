//! What is sent: tenants, and events of some 80 bytes that mostly name one of them.
//!
//! `kwh_use` is the event's own number, so that every row names the one event it came from. One event in ten has a
//! tenant that nobody announced, and `power_use` is uniform in 0..1.99: 45 % of the events give a row.

/// The join that the messages are made for.
pub(crate) const WHERE: &str = "tenants.tenant_id == poweruse.tenant_id && poweruse.power_use >= 1.0";
/// Its rows.
pub(crate) const SELECT: &str = "{'customer_id': tenants.customer_id, 'tenant_id': tenants.tenant_id, \
                                 'tenant_kwh_usage': poweruse.kwh_use}";
/// An event with less than this gives no row, in hundredths.
const THRESHOLD: u64 = 100;

const REGIONS: [&str; 4] = ["eqix:us:chi1", "eqix:us:dal2", "kddi:eu:ber1", "kddi:cn:hnk2"];

/// A row, as the checker compares it: customer, tenant's number, event's number.
pub(crate) type Row = (u64, u64, u64);

/// The messages of one window, and the rows that they make.
pub(crate) struct Window {
    pub(crate) events: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// Makes windows of events, the same ones for the same arguments.
pub(crate) struct Workload {
    tenants: u64,
    events: u64,
    next: u64,
    state: u64,
}

impl Workload {
    pub(crate) fn new(tenants: u64, events: u64) -> Workload {
        Workload {
            tenants: tenants.max(1),
            events,
            next: 0,
            state: 7,
        }
    }

    pub(crate) fn tenants(&self) -> Vec<String> {
        let tenant = |n| {
            let (customer, tenant) = (customer(n), tenant(n));
            format!("{{\"customer_id\":{customer},\"tenant_id\":\"{tenant}\"}}")
        };
        (0..self.tenants).map(tenant).collect()
    }

    pub(crate) fn window(&mut self) -> Window {
        let mut window = Window {
            events: Vec::new(),
            rows: Vec::new(),
        };
        for _ in 0..self.events {
            let unknown = if self.random(10) == 0 { self.tenants } else { 0 };
            let number = unknown + self.random(self.tenants);
            let (power, panel) = (self.random(200), self.random(8));
            let event = self.next;
            self.next += 1;
            window.events.push(format!(
                "{{\"tenant_id\":\"{}\",\"power_use\":{}.{:02},\"kwh_use\":{event},\"panel_id\":{panel}}}",
                tenant(number),
                power / 100,
                power % 100,
            ));
            if unknown == 0 && power >= THRESHOLD {
                window.rows.push((customer(number), number, event));
            }
        }
        window
    }

    /// splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
    fn random(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

fn customer(tenant: u64) -> u64 {
    100 + tenant % 700
}

fn tenant(number: u64) -> String {
    let region = REGIONS.iter().cycle().nth((number % 4) as usize).unwrap_or(&"");
    format!("dc:{region}:{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_what_the_figures_say() {
        let mut workload = Workload::new(1_000, 20_000);
        let tenants = workload.tenants();
        assert_eq!(tenants.len(), 1_000);
        assert_eq!(
            tenants[1],
            r#"{"customer_id":101,"tenant_id":"dc:eqix:us:dal2:1"}"#
        );
        let window = workload.window();
        let bytes: usize = window.events.iter().map(String::len).sum();
        assert!((75..83).contains(&(bytes / window.events.len())), "{bytes}");
        let share = window.rows.len() * 100 / window.events.len();
        assert!((43..47).contains(&share), "{share} % give a row");
        let (_, _, last) = workload.window().rows.pop().unwrap();
        assert!(last >= 20_000, "numbers go on from window to window");
    }
}
