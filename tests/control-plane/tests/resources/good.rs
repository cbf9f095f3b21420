//! What we give away applies, without a warning.

use std::fs;

use crate::{CONTROL_PLANE, manifest, output, root};

#[test]
fn every_good_manifest_is_accepted_without_a_warning() {
    let client = CONTROL_PLANE.client();
    let mut wrong = Vec::new();
    let mut count = 0;
    for folder in ["examples", "tests/good-resources"] {
        for file in manifest::files(&root().join(folder)) {
            if file.ends_with("kustomization.yaml") {
                continue;
            }
            for manifest in manifest::read(&file) {
                count += 1;
                match manifest.dry_run(client) {
                    Some(answer) if answer.is_ok() && answer.warnings.is_empty() => {}
                    answer => wrong.push(format!("{} {}: {answer:?}", file.display(), manifest.title())),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{count} documents accepted");
    assert!(count >= 10);
}

#[test]
fn every_example_applies_as_its_readme_says() {
    for example in fs::read_dir(root().join("examples")).unwrap() {
        let folder = example.unwrap().path();
        if !folder.join("kustomization.yaml").exists() {
            continue;
        }
        let mut apply = CONTROL_PLANE.kubectl();
        let applied = output(apply.args(["apply", "--dry-run=server", "-k"]).arg(&folder));
        assert!(applied.contains("created (server dry run)"), "{applied}");
    }
}
