//! A container that uses Dapr's own SDK: it publishes by gRPC, once the sidecar's health says that it may.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

use crate::common::{PATIENCE, Running, take};
use crate::delivery::brokers;
use crate::publish::generator;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generator_with_dapr_s_python_sdk_publishes() {
    let (brokers, a, _) = brokers();
    let running = Running::start(generator(), &brokers, None).await;
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dapr");
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/dapr/bin/python");
    assert!(
        python.exists(),
        "Dapr's SDK is not in {}: `cargo xtask setup` installs it",
        python.display()
    );
    let generator = Command::new(python)
        .arg(here.join("generator.py"))
        .env_clear()
        .env("DAPR_HTTP_PORT", running.publish.port().to_string())
        .env("DAPR_GRPC_PORT", running.publish_grpc.port().to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, generator).await.expect("it hangs").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("refused: ") && said.contains("`publishes` allows a"),
        "{said}"
    );
    let got = take(&*a, "t", "reader", 3).await;
    for (n, event) in got.iter().enumerate() {
        assert_eq!(
            (&event["data"], &event["datacontenttype"], &event["specversion"]),
            (&json!({"n": n}), &json!("application/json"), &json!("1.0"))
        );
    }
    running.stop().await;
}
