//! Expressions from the outside: source and data in, JSON or an error out.
#![allow(clippy::unwrap_used)] // helpers of tests

#[path = "expr/support.rs"]
mod support;

use serde_json::json;
use support::{Outcome, eval};

#[test]
fn the_datacenter_expressions() {
    let data = json!({
        "tenants": {"tenant_id": 7, "customer_id": 924},
        "poweruse": {"tenant_id": 7.0, "power_use": 1.25, "kwh_use": 2.0},
    });
    let filter = "tenants.tenant_id == poweruse.tenant_id && poweruse.power_use >= 1.0";
    assert_eq!(eval(filter, &data), Outcome::Value(json!(true)));
    let select = r#"{"customer_id": tenants.customer_id, "tenant_kwh_usage": poweruse.kwh_use,}"#;
    assert_eq!(
        eval(select, &data),
        Outcome::Value(json!({"customer_id": 924, "tenant_kwh_usage": 2}))
    );
}
