//! What `docs/reliability.md` names is there.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_documentation_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let docs = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let mut checked = 0;
    for row in docs.lines().filter(|line| line.starts_with("| **")) {
        // Names in backticks, then the file that they are in, in parentheses.
        let mut names = Vec::new();
        for word in row.split('`').skip(1).step_by(2) {
            let is_file = Path::new(word)
                .extension()
                .is_some_and(|extension| extension == "rs");
            if is_file && word.contains('/') {
                let file = root.join(word);
                let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{word}: {error}"));
                for name in std::mem::take(&mut names) {
                    assert!(text.contains(&format!("fn {name}(")), "{name} is not in {word}");
                    checked += 1;
                }
            } else if word.contains('_') {
                names.push(word);
            }
        }
    }
    assert!(checked > 30, "{checked}");
}
