"""A generator as people write them with Dapr's SDK: it knows nothing of what its sidecar is."""

import json

from dapr.clients import DaprClient

with DaprClient() as client:
    for n in range(3):
        client.publish_event(
            pubsub_name="a",
            topic_name="t",
            data=json.dumps({"n": n}),
            data_content_type="application/json",
        )
    try:
        client.publish_event(pubsub_name="b", topic_name="t", data="1")
    except Exception as refused:  # the SDK's own class for it differs by version
        print(f"refused: {refused}")
