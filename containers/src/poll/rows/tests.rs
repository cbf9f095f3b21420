use proptest::prelude::*;

use super::*;

const MIX: &str = "\
Time Stamp,Time Zone,Fuel Category,Gen MW
02/09/2018 06:05:00,EST,Dual Fuel,2282
02/09/2018 06:05:00,EST,Natural Gas,3310
02/09/2018 06:10:00,EST,Dual Fuel,2340
";

fn source(message: &str) -> Source {
    let times = Times::new("%m/%d/%Y %H:%M:%S", Times::zone("America/New_York").unwrap()).unwrap();
    let topic = Topic::parse("mix/{Fuel Category}").unwrap();
    Source::new("Time Stamp", times, topic, message).unwrap()
}

fn mix() -> Source {
    source(r#"{"ts": timestamp, "value": double(row["Gen MW"]), "units": "MW"}"#)
}

fn late() -> Timestamp {
    "2018-02-10T00:00:00Z".parse().unwrap()
}

fn steps(source: &Source, text: &str, after: Option<Mark>) -> Vec<Step> {
    source.steps(text.as_bytes(), after, late()).unwrap().collect()
}

/// A message as topic and body, or why there is none.
fn told(step: &Step) -> String {
    match &step.outcome {
        Ok(message) => format!("{} {}", message.topic, String::from_utf8_lossy(&message.body)),
        Err(why) => format!("line {}: {why}", step.line),
    }
}

fn all(source: &Source, text: &str) -> Vec<String> {
    steps(source, text, None).iter().map(told).collect()
}

#[test]
fn a_row_becomes_a_message_for_its_topic() {
    assert_eq!(
        all(&mix(), MIX),
        [
            r#"mix/Dual Fuel {"ts":"2018-02-09T11:05:00Z","value":2282,"units":"MW"}"#,
            r#"mix/Natural Gas {"ts":"2018-02-09T11:05:00Z","value":3310,"units":"MW"}"#,
            r#"mix/Dual Fuel {"ts":"2018-02-09T11:10:00Z","value":2340,"units":"MW"}"#,
        ]
    );
}

#[test]
fn rows_up_to_the_mark_are_skipped_and_later_ones_of_its_time_are_not() {
    let source = mix();
    let first = steps(&source, MIX, None);
    for (read, step) in first.iter().enumerate() {
        let rest = steps(&source, MIX, step.mark);
        assert_eq!(rest, first[read + 1..]);
    }
}

#[test]
fn cells_may_be_quoted_and_lines_may_end_as_on_windows() {
    let text = "\u{feff}Time Stamp,Time Zone,\"Fuel Category\",Gen MW\r\n\
        \"02/09/2018 06:05:00\",EST,\"Wind, \"\"on\"\" land\nand sea\",\" 258 \"\r\n\
        \r\n\
        02/09/2018 06:10:00,EST,Wind,x\r\n";
    let source = source(r#"row["Fuel Category"].substring(0, 10) + row["Gen MW"]"#);
    let read = all(&source, text);
    assert_eq!(
        read[0],
        "line 2: its Fuel Category `Wind, \"on\" land and sea` can't be a part of a topic"
    );
    assert_eq!(read.len(), 2);
    assert!(read[1].starts_with("line 5: "), "{}", read[1]);
    let plain = text.replace('\n', " ").replace("\r ", "\r\n");
    let read = all(&source, &plain);
    assert_eq!(read[0], r#"mix/Wind, "on" land and sea "Wind, \"on\"258""#);
}

#[test]
fn what_is_wrong_with_a_row_is_told_with_its_line_and_the_others_go_on() {
    let text = "Time Stamp,Time Zone,Fuel Category,Gen MW\n\
        02/09/2018 06:05:00,EST,Wind\n\
        yesterday,EST,Wind,258\n\
        03/11/2018 02:30:00,EST,Wind,258\n\
        02/19/2018 06:05:00,EST,Wind,258\n\
        02/09/2018 06:10:00,EST,Wind,much\n\
        02/09/2018 06:10:00,EST,Wind/Sun,258\n\
        02/09/2018 06:05:00,EST,Wind,258\n\
        02/09/2018 06:10:00,EST,Wind,258\n";
    let steps = steps(&mix(), text, None);
    let read: Vec<String> = steps.iter().map(told).collect();
    assert_eq!(read.len(), 8, "{read:?}");
    assert_eq!(read[0], "line 2: 3 columns, where the first line has 4");
    assert!(
        read[1].starts_with("line 3: its time `yesterday`: "),
        "{}",
        read[1]
    );
    assert_eq!(
        read[2],
        "line 4: its time `03/11/2018 02:30:00` is one that the clock skips"
    );
    assert_eq!(
        read[3],
        "line 5: its time `02/19/2018 06:05:00` is more than a day ahead"
    );
    assert!(read[4].starts_with("line 6: MESSAGE_EXPR: "), "{}", read[4]);
    assert_eq!(
        read[5],
        "line 7: its Fuel Category `Wind/Sun` can't be a part of a topic"
    );
    assert_eq!(
        read[6],
        "line 8: its time `02/09/2018 06:05:00` is before that of the row above"
    );
    assert!(read[7].starts_with("mix/Wind "), "{}", read[7]);
    // What has no message has its place all the same, where it has a time.
    let rows: Vec<_> = steps.iter().map(|step| step.mark.map(|mark| mark.rows)).collect();
    assert_eq!(rows, [None, None, None, None, Some(1), Some(2), None, Some(3)]);
}

#[test]
fn bytes_that_are_no_text_cost_their_row_only() {
    let mut text = MIX.as_bytes().to_vec();
    text.extend(b"02/09/2018 06:15:00,EST,\xff,1\n02/09/2018 06:15:00,EST,Wind,1\n");
    let source = mix();
    let read: Vec<Step> = source.steps(&text, None, late()).unwrap().collect();
    assert_eq!(told(&read[3]), "line 5: it isn't UTF-8");
    assert!(read[4].outcome.is_ok());
}

#[test]
fn another_file_is_told_from_this_one() {
    let source = mix();
    let refused = |text: &str| source.steps(text.as_bytes(), None, late()).err();
    let why = refused("<html>\n<body>Under maintenance</body>\n").unwrap();
    assert_eq!(why, "it has no column `Time Stamp`; its first line is `<html>`");
    let why = refused("Time Stamp,Gen MW\n").unwrap();
    assert!(why.contains("no column `Fuel Category`"), "{why}");
    assert!(refused(&format!("{},Time Stamp,Fuel Category\n", "x".repeat(20_000))).is_some());
    // One that has not begun is one with nothing in it.
    assert_eq!(refused(""), None);
    assert_eq!(all(&source, ""), [""; 0]);
}

/// Readings each half hour around the end of summer time; some rows at each.
fn readings() -> impl Strategy<Value = Vec<(i64, usize)>> {
    prop::collection::vec(1..4usize, 1..12).prop_map(|rows| {
        // 2017-11-05T03:00:00Z: 23:00 of the day before in New York.
        rows.into_iter()
            .zip(0..)
            .map(|(rows, at)| (1_509_850_800 + 1800 * at, rows))
            .collect()
    })
}

proptest! {
    /// However a file grows, and whatever its last line is cut to: what is published is what is in it, once, in order.
    #[test]
    fn a_file_that_grows_gives_each_row_once(readings in readings(), cuts in prop::collection::vec(0.0..1.0f64, 0..8)) {
        let source = source("[timestamp, row[\"n\"]]");
        let mut text = String::from("Time Stamp,Fuel Category,n\n");
        let mut expected = Vec::new();
        for (at, rows) in &readings {
            let at = Timestamp::from_second(*at).unwrap();
            let local = at.in_tz("America/New_York").unwrap();
            for _ in 0..*rows {
                let n = expected.len();
                let local = local.strftime("%m/%d/%Y %H:%M:%S").to_string();
                text.extend([local.as_str(), ",Wind,", &n.to_string(), "\n"]);
                expected.push(format!("[\"{at}\",\"{n}\"]"));
            }
        }
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let mut ends: Vec<usize> = cuts.iter().map(|cut| (cut * text.len() as f64) as usize).collect();
        ends.push(text.len());
        ends.sort_unstable();
        let (mut mark, mut published) = (None, Vec::new());
        for end in ends {
            let part = &text[..text[..end].rfind('\n').map_or(0, |at| at + 1)];
            for step in source.steps(part.as_bytes(), mark, late()).unwrap() {
                published.push(String::from_utf8(step.outcome.unwrap().body).unwrap());
                mark = step.mark;
            }
        }
        prop_assert_eq!(published, expected);
    }

    /// Nothing that a server says is the end of it.
    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let source = source("row");
        let text = [MIX.as_bytes(), &bytes].concat();
        prop_assert!(source.steps(&text, None, late()).unwrap().count() >= 3);
        if let Ok(steps) = source.steps(&bytes, None, late()) {
            steps.count();
        }
    }
}
