use proptest::prelude::*;

use super::*;

fn paths(paths: &[&str]) -> Vec<Vec<Box<str>>> {
    paths
        .iter()
        .map(|path| {
            path.split('.')
                .filter(|name| !name.is_empty())
                .map(Box::from)
                .collect()
        })
        .collect()
}

fn layout(wanted: &[&str]) -> (Layout, Vec<Option<usize>>) {
    let paths = paths(wanted);
    let layout = Layout::new(paths.iter().map(Vec::as_slice));
    let slots = paths
        .iter()
        .map(|path| layout.resolve(path).map(|(slot, _)| slot))
        .collect();
    (layout, slots)
}

fn fields(payload: &str, wanted: &[&str]) -> Result<Vec<String>, DecodeError> {
    let (layout, slots) = layout(wanted);
    let mut row = RowBuilder::default();
    Decoder::new(MAX_MESSAGE_BYTES).decode(payload.as_bytes(), &layout, 0, &mut row)?;
    Ok(slots
        .iter()
        .map(|slot| format!("{:?}", row.row().field(slot.unwrap())))
        .collect())
}

fn reason(payload: &[u8]) -> (&'static str, usize) {
    let error = Decoder::new(MAX_MESSAGE_BYTES)
        .decode(payload, &Layout::default(), 0, &mut RowBuilder::default())
        .unwrap_err();
    (error.reason(), error.offset)
}

#[test]
fn a_row_holds_what_the_layout_asks_for() {
    let got = fields(
        r#" {"a":{"b":1.5,"c":[1,2]}, "s":"x\ty", "n":null, "t":true, "big":12345678901234567890, "z": {}} "#,
        &["a.b", "a.c", "s", "n", "t", "big", "z.q", "s.x"],
    );
    // `s.x` is covered by `s`.
    assert_eq!(
        got.unwrap(),
        [
            "Number(1.5)",
            "Json(\"[1,2]\")",
            "Str(\"x\\ty\")",
            "Null",
            "Bool(true)",
            "BigInt(\"12345678901234567890\")",
            "Absent",
            "Str(\"x\\ty\")"
        ]
    );
}

#[test]
fn names_are_compared_by_value() {
    assert_eq!(fields(r#"{"\u0061":1}"#, &["a"]).unwrap(), ["Number(1.0)"]);
    assert_eq!(reason(br#"{"a":1,"\u0061":2}"#), ("DuplicateKey", 7));
    assert_eq!(
        reason(br#"{"a":1,"b":{"long name 1":1,"long name 1":2}}"#).0,
        "DuplicateKey"
    );
    assert_eq!(
        fields(r#"{"a":{"a":1},"b":{"a":2}}"#, &["a.a", "b.a"]).unwrap(),
        ["Number(1.0)", "Number(2.0)"]
    );
}

#[test]
fn duplicates_in_large_objects_are_found_where_they_stand() {
    let mut names: Vec<String> = (0..100_000).map(|n| format!("\"member number {n}\":0")).collect();
    let object = format!("{{{}}}", names.join(","));
    assert!(fields(&object, &["x"]).is_ok());
    names[70_000] = "\"member number 31\\u0037\":0".to_owned();
    let object = format!("{{{}}}", names.join(","));
    let at = object.find("31\\u0037").unwrap() - "\"member number ".len();
    assert_eq!(reason(object.as_bytes()), ("DuplicateKey", at));
}

#[test]
fn each_refusal_has_its_reason_and_place() {
    assert_eq!(reason(b""), ("InvalidJson", 0));
    assert_eq!(reason(b"{\"a\":\xff}"), ("InvalidUtf8", 5));
    assert_eq!(reason(b"{\"a\":NaN}"), ("InvalidJson", 5));
    assert_eq!(reason(b"{\"a\":1} x"), ("InvalidJson", 8));
    assert_eq!(reason(b"[1e999]"), ("NumberOutOfRange", 1));
    assert_eq!(reason(br#"["\ud800"]"#), ("LoneSurrogate", 2));
    assert_eq!(reason("[".repeat(10_000).as_bytes()), ("TooDeep", 128));
    assert_eq!(reason(r#"{"a":"#.repeat(10_000).as_bytes()).0, "TooDeep");
    assert_eq!(
        reason(&vec![b' '; MAX_MESSAGE_BYTES + 1]),
        ("MessageTooLarge", MAX_MESSAGE_BYTES)
    );
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert!(fields(&deep, &[]).is_ok());
}

const HEAD: &str = r#""specversion":"1.0","id":"7","source":"/s","type":"t""#;

fn decoded(payload: &str) -> (Option<(String, String)>, String, String) {
    let (layout, slots) = layout(&["a"]);
    let mut row = RowBuilder::default();
    let mut json = Decoder::new(MAX_MESSAGE_BYTES);
    let decoded = json.decode(payload.as_bytes(), &layout, 1, &mut row).unwrap();
    let identity = decoded
        .identity
        .map(|i| (i.source.into_owned(), i.id.into_owned()));
    let field = format!("{:?}", row.row().field(slots[0].unwrap()));
    let (whole, _) = super::tests::layout(&["", "a"]);
    let mut row = RowBuilder::default();
    let again = json.decode(payload.as_bytes(), &whole, 0, &mut row).unwrap();
    assert_eq!(again.data, decoded.data, "the layout changes no data");
    (identity, decoded.data.into_owned(), field)
}

#[test]
fn cloudevents_are_unwrapped() {
    let identity = Some(("/s".to_owned(), "7".to_owned()));
    for (data, text, field) in [
        (r#""data":{"a":1}"#, r#"{"a":1}"#, "Number(1.0)"),
        (r#""data":"{\"a\": 1}""#, r#"{"a": 1}"#, "Number(1.0)"),
        (r#""data":"{\"a\": ""#, r#""{\"a\": ""#, "Absent"),
        (r#""data":"12""#, r#""12""#, "Absent"),
        (r#""data":[1]"#, "[1]", "Absent"),
        (r#""data":null"#, "null", "Absent"),
        (r#""data_base64":"eyJhIjoyfQ==""#, r#"{"a":2}"#, "Number(2.0)"),
        (r#""ext":"x""#, "null", "Absent"),
    ] {
        for event in [format!("{{{HEAD},{data}}}"), format!("{{{data},{HEAD}}}")] {
            let got = decoded(&event);
            assert_eq!(
                got,
                (identity.clone(), text.to_owned(), field.to_owned()),
                "{event}"
            );
        }
    }
}

#[test]
fn a_message_that_only_looks_like_a_cloudevent_is_data() {
    for text in [
        r#"{"specversion":"1.0","a":3}"#,
        r#"{"a":3,"specversion":"0.3","id":"1","source":"s","type":"t","data":{"a":1}}"#,
        r#"{"a":3,"specversion":"1.0","id":"","source":"s","type":"t","data":{"a":1}}"#,
        r#"{"a":3,"specversion":1.0,"id":"1","source":"s","type":"t","data":{"a":1}}"#,
        r#"{"a":3,"x":{"specversion":"1.0"}}"#,
    ] {
        assert_eq!(decoded(text), (None, text.to_owned(), "Number(3.0)".to_owned()));
    }
}

#[test]
fn a_broken_cloudevent_is_refused() {
    assert_eq!(
        reason(format!(r#"{{{HEAD},"data":{{"a":1,"a":2}}}}"#).as_bytes()).0,
        "DuplicateKey"
    );
    assert_eq!(
        reason(format!(r#"{{{HEAD},"data_base64":"*"}}"#).as_bytes()).0,
        "InvalidBase64"
    );
    assert_eq!(
        reason(format!(r#"{{{HEAD},"data_base64":"ew=="}}"#).as_bytes()).0,
        "InvalidJson"
    );
    assert_eq!(
        reason(format!(r#"{{{HEAD},"id":"8"}}"#).as_bytes()).0,
        "DuplicateKey"
    );
}

#[test]
fn identify_only_checks() {
    let mut decoder = Decoder::new(100);
    assert_eq!(decoder.identify(b"[1]"), Ok(None));
    let event = format!("{{{HEAD},\"data_base64\":\"*\"}}");
    assert_eq!(decoder.identify(event.as_bytes()).unwrap().unwrap().id, "7");
    assert!(decoder.identify(b"[1").is_err());
}

/// Messages whose members are called alike, or nearly so.
fn messages() -> impl Strategy<Value = Vec<String>> {
    let names = [
        "a",
        "ab",
        "sensor",
        "sensor_id",
        "sensor_ie",
        "a_name_of_more_than_16",
        "specversion",
    ];
    let more: Vec<String> = (0..20).map(|n| format!("more{n}")).collect();
    let name = prop_oneof![
        8 => prop::sample::select(names.to_vec()).prop_map(str::to_owned),
        2 => prop::sample::select(more),
        1 => Just("\\u0061".to_owned()),
    ];
    let colon = prop::sample::select(vec![":", ":", ":", ":", " :", ": ", ":  "]);
    let value = prop::sample::select(vec![
        "1",
        "-0",
        "1.50",
        "01",
        "1.",
        "-",
        "12e3",
        "123456789012345",
        "9007199254740993",
        "0.1234567890123456",
        "\"x\"",
        "\"a longer text\"",
        "\"\\n\"",
        "\"x",
        "true",
        "false",
        "null",
        "nil",
        "{\"a\":1,\"ab\":2}",
        "[{}]",
    ]);
    let member = (name, colon, value).prop_map(|(name, colon, value)| format!("\"{name}\"{colon}{value}"));
    let comma = prop::sample::select(vec![",", ",", ", ", " ,", ",\n"]);
    let end = prop::sample::select(vec!["}", "}", "}\n", " } ", "}}", "}x", ""]);
    let message = (prop::collection::vec(member, 0..24), comma, end)
        .prop_map(|(members, comma, end)| format!("{{{}{end}", members.join(comma)));
    // A few messages and their first members, over and over.
    (
        prop::collection::vec(message, 1..4),
        prop::collection::vec((0..4usize, 0..200usize), 1..12),
    )
        .prop_map(|(messages, picks)| {
            let pick = |(which, cut): (usize, usize)| {
                let message = &messages[which % messages.len()];
                let whole = cut % 3 > 0;
                let end = message.match_indices(',').map(|(at, _)| at).nth(cut % 7);
                end.filter(|_| !whole)
                    .map_or(message.clone(), |end| format!("{}}}", &message[..end]))
            };
            picks.into_iter().map(pick).collect()
        })
}

proptest! {
    #[test]
    fn what_came_before_makes_no_difference(messages in messages()) {
        let (layout, slots) = layout(&["a", "sensor_id", "a_name_of_more_than_16", "more3", "more4"]);
        let mut used = Decoder::new(MAX_MESSAGE_BYTES);
        for message in messages {
            let decode = |decoder: &mut Decoder| {
                let mut row = RowBuilder::default();
                let decoded = decoder.decode(message.as_bytes(), &layout, 0, &mut row)?;
                let fields: Vec<_> = slots.iter().map(|slot| format!("{:?}", row.row().field(slot.unwrap()))).collect();
                Ok::<_, DecodeError>((decoded.identity.is_some(), decoded.data.into_owned(), fields))
            };
            prop_assert_eq!(decode(&mut used), decode(&mut Decoder::new(MAX_MESSAGE_BYTES)), "{}", message);
        }
    }
}
