use std::fs;

use serde_json::json;

use super::*;
use crate::report::Severity;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded
        .documents
        .iter()
        .map(|d| d.value["metadata"]["name"].as_str().unwrap())
        .collect()
}

/// Reason, line and column of what is wrong with one file.
fn faults(text: &str) -> Vec<(String, usize, usize)> {
    let dir = folder(&[("a.yaml", text)]);
    load(&[dir.path().join("a.yaml")])
        .findings
        .into_iter()
        .filter(|f| f.severity == Severity::Error)
        .map(|f| {
            (
                f.reason,
                f.place.as_ref().unwrap().mark.line,
                f.place.as_ref().unwrap().mark.column,
            )
        })
        .collect()
}

fn resource(name: &str) -> String {
    format!("apiVersion: v1\nkind: X\nmetadata: {{name: {name}}}\n")
}

#[test]
fn folders_are_walked_in_order_and_hidden_files_left_out() {
    let (a, b, c) = (
        resource("a"),
        resource("b") + "---\n# nothing\n---\n" + &resource("b2"),
        resource("c"),
    );
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "X",
	"metadata": {"name": "j"}}]}"#;
    let dir = folder(&[
        ("z.yaml", &a),
        ("sub/deep/b.yml", &b),
        ("sub/l.json", list),
        (".git/c.yaml", &c),
        ("input/d.yaml", &c),
        ("notes.txt", "{"),
        ("values.yaml", "replicas: 3\n"),
    ]);
    let loaded = load_except(&[dir.path()], &["input"]);
    assert_eq!(names(&loaded), ["b", "b2", "j", "a"]);
    assert_eq!(loaded.findings.len(), 1);
    assert_eq!(loaded.findings[0].reason, "NotAResource");
    assert_eq!(loaded.findings[0].severity, Severity::Warning);
}

#[test]
fn a_file_is_read_once_however_often_it_is_named() {
    let dir = folder(&[("a.yaml", &resource("a"))]);
    let loaded = load(&[
        dir.path().to_owned(),
        dir.path().join("a.yaml"),
        dir.path().join("./a.yaml"),
    ]);
    assert_eq!(names(&loaded), ["a"]);
}

#[test]
fn kustomizations_say_which_files_count() {
    let dir = folder(&[
        ("base/kustomization.yaml", "resources: [a.yaml]\nnamespace: lab\n"),
        ("base/a.yaml", &resource("a")),
        ("base/unlisted.yaml", &resource("unlisted")),
        (
            "top/kustomization.yml",
            "resources:\n- ../base\n- b.yaml\n- ../none.yaml\n- https://x/y\npatches: []\n",
        ),
        ("top/b.yaml", &resource("b")),
    ]);
    let loaded = load(&[dir.path().join("top")]);
    assert_eq!(names(&loaded), ["a", "b"]);
    assert_eq!(loaded.documents[0].namespace(), "lab");
    assert_eq!(loaded.documents[1].namespace(), "default");
    let said: Vec<_> = loaded
        .findings
        .iter()
        .map(|f| (f.reason.as_str(), f.place.as_ref().unwrap().mark.line))
        .collect();
    assert_eq!(
        said,
        [
            ("KustomizationFieldIgnored", 5),
            ("NotFound", 4),
            ("RemoteResource", 5)
        ]
        .map(|(r, l)| { (r, if r == "KustomizationFieldIgnored" { 6 } else { l }) })
    );
}

#[test]
fn circles_of_kustomizations_end() {
    let dir = folder(&[
        ("a/kustomization.yaml", "resources: [../b]\n"),
        ("b/kustomization.yaml", "resources: [../a]\n"),
    ]);
    assert!(load(&[dir.path().join("a")]).documents.is_empty());
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place() {
    for (text, reason, line, column) in [
        ("a: 1\na: 2\n", "DuplicateKey", 2, 1),
        ("a:\n\tb: 1\n", "InvalidYaml", 2, 2),
        ("a:\n  b: 1\n c: 2\n", "InvalidYaml", 3, 2),
        ("a: [1, 2\n", "InvalidYaml", 1, 4),
        ("a: .nan\n", "InvalidValue", 1, 4),
        ("a: !!binary aGk=\n", "InvalidValue", 1, 13),
        ("a: !mine 1\n", "InvalidValue", 1, 10),
        ("a: *b\n", "InvalidYaml", 1, 4),
        ("a: &b [*b]\n", "InvalidYaml", 1, 8),
        ("? [1]\n: 2\n", "InvalidYaml", 1, 3),
    ] {
        assert_eq!(faults(text), [(reason.to_owned(), line, column)], "{text:?}");
    }
}

#[test]
fn a_broken_document_does_not_hide_the_next() {
    let text = format!(
        "a: [1\n---\n{}---\nb: 1\nb: 2\n---\n{}",
        resource("ex"),
        resource("ey")
    );
    let dir = folder(&[("a.yaml", &text)]);
    let loaded = load(&[dir.path().join("a.yaml")]);
    assert_eq!(names(&loaded), ["ex", "ey"]);
    assert_eq!(loaded.findings.len(), 2);
}

#[test]
fn bombs_are_refused() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol]\n");
    for n in 1..40 {
        let items = vec![format!("*a{}", n - 1); 9].join(", ");
        laughs = format!("{laughs}a{n}: &a{n} [{items}]\n");
    }
    assert_eq!(faults(&laughs)[0].0, "TooLarge");
    assert_eq!(faults(&format!("a: {}", "[".repeat(100_000))).len(), 1);
    let deep = (0..200).map(|n| " ".repeat(n) + "a:\n").collect::<String>();
    assert_eq!(faults(&deep).len(), 1);
    assert_eq!(faults(&"x".repeat(9 << 20))[0].0, "TooLarge");
}

#[test]
fn bytes_that_are_not_text_and_files_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), b"a: \xff\n").unwrap();
    assert_eq!(
        load(&[dir.path().join("a.yaml")]).findings[0].reason,
        "InvalidUtf8"
    );
    assert_eq!(load(&[dir.path().join("b.yaml")]).findings[0].reason, "NotFound");
}

#[test]
fn fields_have_places_and_so_have_parts_of_texts() {
    let text = "\
apiVersion: v1
kind: Joiner
metadata: {name: j}
spec:
  properties:
    a.b: x
  stream:
    from:
    - tenants
    - poweruse
    select: '{\"a\": 1}'
    where: |

      tenants.a ==
        poweruse.b
    folded: >-
      a
      b
";
    let dir = folder(&[("a.yaml", text)]);
    let loaded = load(&[dir.path().join("a.yaml")]);
    let doc = &loaded.documents[0];
    let at = |field: &str| {
        let mark = doc.place(field).mark;
        (mark.line, mark.column)
    };
    assert_eq!(at("spec.stream.from[1]"), (10, 7));
    assert_eq!(at("spec.stream.from[7]"), (8, 5));
    assert_eq!(at("spec.properties.a.b"), (6, 10));
    assert_eq!(at("spec.window"), (4, 1));
    assert_eq!(at("spec.stream.where"), (14, 7));
    assert_eq!(doc.key_place("spec.stream.select").mark.column, 5);
    let inside = |field: &str, line, column| {
        doc.place_inside(field, line, column, 1)
            .map(|p| (p.mark.line, p.mark.column))
    };
    assert_eq!(inside("spec.stream.where", 2, 1), Some((14, 7)));
    assert_eq!(inside("spec.stream.where", 3, 3), Some((15, 9)));
    assert_eq!(inside("spec.stream.select", 1, 2), Some((11, 15)));
    assert_eq!(inside("spec.stream.folded", 1, 1), None);
}

#[test]
fn merges_and_aliases_are_expanded() {
    let text = "apiVersion: v1\nkind: X\nmetadata: {name: m}\nbase: &b {p: 1, q: 2}\nuse: {<<: *b, q: 3}\nboth: {<<: [{r: 1}, *b]}\n";
    let dir = folder(&[("a.yaml", text)]);
    let value = &load(&[dir.path().join("a.yaml")]).documents[0].value;
    assert_eq!(value["use"], json!({"q": 3, "p": 1}));
    assert_eq!(value["both"], json!({"r": 1, "p": 1, "q": 2}));
}
