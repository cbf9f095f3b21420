//! Topics, and patterns of topics: who reads what, by the rules of each protocol.

use crate::Protocol;

impl Protocol {
    /// Where a topic's first wildcard is; `None` if it names one topic. What has wildcards can be read, not published to.
    ///
    /// MQTT has `+` and `#` for levels (MQTT 5, 4.7), AMQP's topic exchanges `*` and `#` for words between dots.
    pub fn wildcard(self, topic: &str) -> Option<usize> {
        match self {
            Protocol::Mqtt => topic.find(['+', '#']),
            Protocol::RabbitMq => {
                let mut at = 0;
                topic.split('.').find_map(|word| {
                    let here = at;
                    at += word.len() + 1;
                    matches!(word, "*" | "#").then_some(here)
                })
            }
            Protocol::Redis => None,
        }
    }

    /// Whether who reads `filter` gets what is published to `topic`.
    pub fn is_read_by(self, topic: &str, filter: &str) -> bool {
        topic == filter
            || match self {
                Protocol::Mqtt => levels_match(topic, filter),
                Protocol::RabbitMq => words_match(topic, filter),
                Protocol::Redis => false,
            }
    }
}

fn levels_match(topic: &str, filter: &str) -> bool {
    let (mut levels, mut wanted) = (topic.split('/'), filter.split('/'));
    loop {
        match (levels.next(), wanted.next()) {
            (_, Some("#")) | (None, None) => return true,
            (Some(_), Some("+")) => {}
            (Some(level), Some(want)) if level == want => {}
            _ => return false,
        }
    }
}

/// `#` stands for any number of words, wherever it is: after a mismatch the last one takes one word more.
fn words_match(topic: &str, filter: &str) -> bool {
    let words: Vec<&str> = topic.split('.').collect();
    let wanted: Vec<&str> = filter.split('.').collect();
    let (mut word, mut want) = (0, 0);
    let mut last: Option<(usize, usize)> = None;
    while word < words.len() {
        match wanted.get(want) {
            Some(&"#") => {
                last = Some((want, word));
                want += 1;
            }
            Some(&wanted) if wanted == "*" || wanted == words[word] => {
                word += 1;
                want += 1;
            }
            _ => {
                let Some((hash, from)) = last else {
                    return false;
                };
                last = Some((hash, from + 1));
                word = from + 1;
                want = hash + 1;
            }
        }
    }
    wanted[want..].iter().all(|rest| *rest == "#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_mqtt_says() {
        for (topic, filter, read) in [
            ("a/b/c", "a/+/c", true),
            ("a/b/c", "a/#", true),
            ("a", "a/#", true),
            ("a/b", "a/+/c", false),
            ("b/a", "a/#", false),
            ("a/b", "+", false),
        ] {
            assert_eq!(Protocol::Mqtt.is_read_by(topic, filter), read, "{topic} {filter}");
        }
        assert!(!Protocol::Redis.is_read_by("a/b", "a/#"));
    }

    #[test]
    fn patterns_match_as_amqp_says() {
        for (topic, filter, read) in [
            ("a.b.c", "a.*.c", true),
            ("a.b.c", "a.#", true),
            ("a", "a.#", true),
            ("a.b.c.d", "#.d", true),
            ("a.b.c.d", "a.#.c.*", true),
            ("a.c.b.c.d", "a.#.c.#.d", true),
            ("a.b", "#.#", true),
            ("", "#", true),
            ("a.b", "a.*.c", false),
            ("b.a", "a.#", false),
            ("a.b", "*", false),
            ("a.b.c", "#.b", false),
            ("a.bc", "a.b*", false),
        ] {
            assert_eq!(
                Protocol::RabbitMq.is_read_by(topic, filter),
                read,
                "{topic} {filter}"
            );
        }
    }

    #[test]
    fn wildcards_are_found_where_they_begin() {
        assert_eq!(Protocol::RabbitMq.wildcard("plant.*.power"), Some(6));
        assert_eq!(Protocol::RabbitMq.wildcard("plant.a*"), None);
        assert_eq!(Protocol::Mqtt.wildcard("plant/+/power"), Some(6));
        assert_eq!(Protocol::Redis.wildcard("#"), None);
    }
}
