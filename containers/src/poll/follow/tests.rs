use std::collections::HashMap;

use super::super::times::Times;
use super::super::topic::Topic;
use super::*;

const HEADER: &str = "at,n\n";

/// Files by their day, and what came of them.
#[derive(Default)]
struct Web {
    files: HashMap<String, Result<Vec<u8>, Trouble>>,
    published: Vec<String>,
    log: Vec<String>,
}

impl Web {
    fn put(&mut self, day: &str, rows: &str) {
        let text = format!("{HEADER}{rows}").into_bytes();
        self.files.insert(day.to_owned(), Ok(text));
    }

    fn fail(&mut self, day: &str) {
        let trouble = Trouble::Failed(format!("{day}: 500"));
        self.files.insert(day.to_owned(), Err(trouble));
    }

    fn published(&mut self) -> String {
        self.published.drain(..).collect::<Vec<_>>().join(" ")
    }
}

impl Outside for Web {
    fn get(&mut self, day: Date) -> Result<Vec<u8>, Trouble> {
        let day = day.to_string();
        let found = self.files.get(&day).cloned();
        found.unwrap_or_else(|| Err(Trouble::Missing(format!("{day}: 404"))))
    }

    fn publish(&mut self, message: &Message) {
        self.published
            .push(String::from_utf8_lossy(&message.body).into_owned());
    }

    fn log(&mut self, text: &str) {
        self.log.push(text.to_owned());
    }
}

fn follow(daily: bool) -> Follow {
    let times = Times::new("%m-%d %H:%M %Y", Times::zone("America/New_York").unwrap()).unwrap();
    let topic = Topic::parse("n").unwrap();
    Follow::new(Source::new("at", times, topic, "int(row.n)").unwrap(), daily)
}

/// A time of day in New York, in February 2018.
fn at(day: u8, time: &str) -> Timestamp {
    format!("2018-02-{day:02}T{time}:00-05:00").parse().unwrap()
}

#[test]
fn what_is_new_is_published_and_what_was_is_not() {
    let (mut follow, mut web) = (follow(true), Web::default());
    web.put(
        "2018-02-09",
        "02-09 06:05 2018,1\n02-09 06:10 2018,2\n02-09 06:15 2018,3",
    );
    follow.tick(at(9, "06:16"), &mut web);
    assert_eq!(
        web.published(),
        "1 2",
        "a line without an end may not be all of it"
    );
    web.put(
        "2018-02-09",
        "02-09 06:05 2018,1\n02-09 06:10 2018,2\n02-09 06:15 2018,34\n02-09 06:15 2018,5\n",
    );
    follow.tick(at(9, "06:17"), &mut web);
    assert_eq!(web.published(), "34 5");
    follow.tick(at(9, "06:18"), &mut web);
    assert_eq!(web.published(), "");
    assert_eq!(web.log, [""; 0]);
}

#[test]
fn yesterdays_file_is_read_until_todays_has_begun() {
    let (mut follow, mut web) = (follow(true), Web::default());
    web.put("2018-02-09", "02-09 23:50 2018,1\n");
    follow.tick(at(9, "23:52"), &mut web);
    assert_eq!(web.published(), "1");
    // Midnight passes. A day's last row is of the next day's first moment, and comes when that has begun.
    web.put("2018-02-09", "02-09 23:50 2018,1\n02-09 23:55 2018,2\n");
    follow.tick(at(10, "00:01"), &mut web);
    assert_eq!(web.published(), "2");
    web.put("2018-02-10", "");
    follow.tick(at(10, "00:02"), &mut web);
    assert_eq!(web.published(), "");
    web.put(
        "2018-02-09",
        "02-09 23:50 2018,1\n02-09 23:55 2018,2\n02-10 00:00 2018,3",
    );
    web.put("2018-02-10", "02-10 00:05 2018,4\n");
    follow.tick(at(10, "00:06"), &mut web);
    assert_eq!(
        web.published(),
        "3 4",
        "nothing follows its last row, which needs no end"
    );
    // It is not asked for again.
    web.files.remove("2018-02-09");
    web.put("2018-02-10", "02-10 00:05 2018,4\n02-10 00:10 2018,5\n");
    follow.tick(at(10, "00:11"), &mut web);
    assert_eq!(web.published(), "5");
    assert_eq!(
        web.log,
        ["trying on: 2018-02-10: 404", "the file can be read again"]
    );
}

#[test]
fn today_waits_for_a_yesterday_that_cannot_be_had() {
    let (mut follow, mut web) = (follow(true), Web::default());
    web.put("2018-02-09", "02-09 23:50 2018,1\n");
    follow.tick(at(9, "23:52"), &mut web);
    web.fail("2018-02-09");
    web.put("2018-02-10", "02-10 00:05 2018,3\n");
    follow.tick(at(10, "00:06"), &mut web);
    follow.tick(at(10, "00:07"), &mut web);
    assert_eq!(web.published(), "1");
    assert_eq!(web.log, ["trying on: 2018-02-09: 500"], "once");
    web.put("2018-02-09", "02-09 23:50 2018,1\n02-10 00:00 2018,2\n");
    follow.tick(at(10, "00:08"), &mut web);
    assert_eq!(web.published(), "2 3");
}

#[test]
fn today_does_not_wait_for_a_yesterday_that_is_gone_or_for_one_that_fails_all_day() {
    for gone in [true, false] {
        let (mut follow, mut web) = (follow(true), Web::default());
        web.put("2018-02-09", "02-09 23:50 2018,1\n");
        follow.tick(at(9, "23:52"), &mut web);
        web.put("2018-02-10", "02-10 00:05 2018,2\n");
        if gone {
            web.files.remove("2018-02-09");
            follow.tick(at(10, "00:06"), &mut web);
        } else {
            web.fail("2018-02-09");
            follow.tick(at(10, "23:59"), &mut web);
            assert_eq!(web.published(), "1");
            web.put("2018-02-11", "");
            follow.tick(at(11, "00:01"), &mut web);
            web.published.insert(0, "1".to_owned());
        }
        assert_eq!(web.published(), "1 2");
    }
}

#[test]
fn days_that_were_slept_through_are_caught_up_with() {
    let (mut follow, mut web) = (follow(true), Web::default());
    web.put("2018-02-09", "02-09 12:00 2018,1\n");
    follow.tick(at(9, "12:01"), &mut web);
    web.put("2018-02-09", "02-09 12:00 2018,1\n02-09 13:00 2018,2\n");
    web.put("2018-02-10", "02-10 12:00 2018,3\n");
    web.put("2018-02-12", "02-12 12:00 2018,4\n");
    follow.tick(at(12, "12:01"), &mut web);
    assert_eq!(web.published(), "1 2 3 4");
}

#[test]
fn a_url_without_a_date_is_one_file_for_all_days() {
    let (mut follow, mut web) = (follow(false), Web::default());
    let day = Date::ZERO.to_string();
    web.put(&day, "02-09 23:55 2018,1\n");
    follow.tick(at(9, "23:56"), &mut web);
    web.put(&day, "02-09 23:55 2018,1\n02-10 00:00 2018,2\n");
    follow.tick(at(10, "00:01"), &mut web);
    assert_eq!(web.published(), "1 2");
    assert_eq!(web.log, [""; 0]);
}

#[test]
fn what_is_wrong_is_said_once_and_not_without_end() {
    let (mut follow, mut web) = (follow(true), Web::default());
    let wrong = "nothing\n".repeat(12);
    let mut rows = format!("{wrong}02-09 06:05 2018,x\n02-09 06:05 2018,1\n");
    web.put("2018-02-09", &rows);
    follow.tick(at(9, "06:06"), &mut web);
    follow.tick(at(9, "06:07"), &mut web);
    assert_eq!(web.published(), "1");
    assert_eq!(web.log.len(), 11, "{:?}", web.log);
    assert_eq!(
        web.log[0],
        "line 2 is skipped: 1 columns, where the first line has 2"
    );
    assert_eq!(web.log[10], "and so are 3 lines more");
    rows += "nothing\n";
    web.put("2018-02-09", &rows);
    follow.tick(at(9, "06:08"), &mut web);
    assert_eq!(web.log.len(), 12);
    // Another file under the same name is none of it.
    web.files
        .insert("2018-02-09".to_owned(), Ok(b"<html>\n".to_vec()));
    follow.tick(at(9, "06:09"), &mut web);
    follow.tick(at(9, "06:10"), &mut web);
    assert_eq!(web.log.len(), 13);
    rows += "02-09 06:10 2018,2\n";
    web.put("2018-02-09", &rows);
    follow.tick(at(9, "06:11"), &mut web);
    assert_eq!(web.published(), "2");
    assert_eq!(web.log[13], "the file can be read again");
}
