//! The name of an image, whatever registry and tag it comes with.

use serde_json::Value;

/// The last part of a container's image, without tag and digest.
pub(crate) fn of(container: &Value) -> Option<&str> {
    container["image"].as_str().map(name)
}

fn name(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    let last = image.rsplit_once('/').map_or(image, |(_, last)| last);
    last.split_once(':').map_or(last, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn registry_tag_and_digest_do_not_matter() {
        for image in [
            "message-gen",
            "message-gen:v1",
            "ghcr.io/someone/examples/message-gen:latest",
            "localhost:5000/message-gen",
            "localhost:5000/x/message-gen:1@sha256:00ff",
            "message-gen@sha256:00ff",
        ] {
            assert_eq!(super::name(image), "message-gen", "{image}");
        }
        assert_eq!(super::name("x/message-generator"), "message-generator");
    }
}
