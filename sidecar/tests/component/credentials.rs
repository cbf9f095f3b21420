//! Credentials in files, as a kubelet mounts Secrets, for a real Redis that asks for them.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use streaming_plan::Plan;
use streaming_sidecar::Brokers;
use streaming_sidecar::broker::{Broker, open};
use tempfile::TempDir;
use test_brokers::{Redis, RedisServer};

use crate::common::{Running, http_until, input, plan, publish, take};
use crate::delivery::all;

/// A Redis, and the file from which a sidecar takes its password.
struct Bed {
    redis: Redis,
    folder: TempDir,
}

impl Bed {
    fn start() -> Bed {
        Bed {
            redis: RedisServer::installed().with_password("first").unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("redisPassword")
    }

    /// As somebody would who edits the Secret by hand.
    fn write(&self, password: &str) {
        std::fs::write(self.file(), format!("{password}\n")).unwrap();
    }

    /// A Channel from one topic to another.
    fn plan(&self) -> Plan {
        let broker = json!({
            "protocol": "redis",
            "properties": {"redisHost": format!("127.0.0.1:{}", self.redis.port())},
            "files": {
                "redisPassword": {"path": self.file()},
                "redisUsername": {"path": self.folder.path().join("nobody"), "optional": true},
            },
        });
        let more = json!({
            "clusterStreams": {"a": broker},
            "outputs": [{"kind": "stream", "clusterStream": "a", "topic": "out"}],
        });
        plan(&all(), &json!([input("m", "a", "in")]), &more)
    }

    /// A connection of the test's own, which says its password itself.
    fn with_password(&self, password: &str) -> Arc<dyn Broker> {
        let mut cluster_stream = self.plan().cluster_streams["a"].clone();
        cluster_stream.files.clear();
        let password = ("redisPassword".to_owned(), password.to_owned());
        cluster_stream.properties.extend([password]);
        open("a", &cluster_stream).unwrap()
    }

    /// Another password from now on, for whoever is connected too.
    fn change(&self, before: &str, after: &str) {
        let url = format!("redis://:{before}@127.0.0.1:{}", self.redis.port());
        let mut client = redis::Client::open(url).unwrap().get_connection().unwrap();
        redis::cmd("CONFIG")
            .arg(&["SET", "requirepass", after])
            .exec(&mut client)
            .unwrap();
        redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "normal"])
            .exec(&mut client)
            .unwrap();
    }
}

fn brokers(plan: &Plan) -> Brokers {
    let open = |(name, stream): (&String, _)| (name.clone(), open(name, stream).unwrap());
    plan.cluster_streams.iter().map(open).collect()
}

#[tokio::test]
async fn a_password_that_is_changed_is_taken_up_without_a_restart() {
    let bed = Bed::start();
    let plan = bed.plan();
    let running = Running::start(plan.clone(), &brokers(&plan), None).await;
    let ready = format!("http://{}/readyz", running.admin);
    // The kubelet lets no pod start without it, but may take it away.
    http_until(&ready, |status, text| {
        status == 503 && text.contains("can't read the property `redisPassword`")
    })
    .await;
    bed.write("wrong");
    http_until(&ready, |status, text| {
        status == 503 && text.contains("refuses the user or the password") && !text.contains("wrong")
    })
    .await;
    bed.write("first");
    http_until(&ready, |status, _| status == 200).await;
    let send = async |password: &str, messages: Vec<Value>| {
        publish(&*bed.with_password(password), "in", messages).await;
    };
    send("first", vec![json!({"n": 1})]).await;
    assert_eq!(numbers(&*bed.with_password("first"), 1).await, [1]);

    // First the broker, then the Secret.
    bed.change("first", "second");
    http_until(&ready, |status, text| {
        status == 503 && text.contains("reading a/in: ")
    })
    .await;
    send("second", vec![json!({"n": 2})]).await;
    bed.write("second");
    assert_eq!(numbers(&*bed.with_password("second"), 2).await, [1, 2]);
    http_until(&ready, |status, _| status == 200).await;
    running.stop().await;
}

/// What has come out, as far as it was told how much there is to be.
async fn numbers(broker: &dyn Broker, count: usize) -> Vec<i64> {
    // Each looks from the beginning.
    let taken = take(broker, "out", &format!("look-{count}"), count).await;
    let number = |event: &Value| event["data"]["n"].as_f64().unwrap();
    #[expect(clippy::cast_possible_truncation)] // small whole numbers
    taken.iter().map(|event| number(event) as i64).collect()
}
