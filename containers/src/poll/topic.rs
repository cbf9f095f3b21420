//! Which topic a row goes to: a text with `{Column}` in it, for what the row has there.

/// A topic with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Column(String),
}

/// Why a text is no topic.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// A brace that has no other.
    #[error("`{{` and `}}` stand around the name of a column, as in `plants/{{Fuel}}`")]
    Brace,
}

/// A level of a topic from outside may have this many bytes: with a path before it, it stays within the 255 of AMQP.
const LONGEST: usize = 128;

impl Topic {
    /// Finds the placeholders.
    ///
    /// # Errors
    /// Where braces don't match.
    pub fn parse(text: &str) -> Result<Topic, TopicError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (column, after) = after.split_once('}').ok_or(TopicError::Brace)?;
            if before.contains('}') || column.contains('{') || column.trim().is_empty() {
                return Err(TopicError::Brace);
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Column(column.trim().to_owned()));
            rest = after;
        }
        if rest.contains('}') {
            return Err(TopicError::Brace);
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Topic(parts))
    }

    /// The columns that it takes something from.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Column(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The topic of a row, by what it has in a column.
    ///
    /// # Errors
    /// Where that is nothing that a level of a topic can be: a broker would refuse it, or take it for a pattern.
    pub fn of<'r>(&self, cell: impl Fn(&str) -> Option<&'r str>) -> Result<String, String> {
        let mut topic = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => topic.push_str(text),
                Part::Column(name) => {
                    let text = cell(name).unwrap_or_default().trim();
                    if text.is_empty() {
                        return Err(format!("no {name}, which is a part of the topic"));
                    }
                    let refused = |c: char| c.is_control() || matches!(c, '/' | '+' | '#');
                    if text.len() > LONGEST || text.contains(refused) {
                        let text = super::times::excerpt(text);
                        return Err(format!("its {name} `{text}` can't be a part of a topic"));
                    }
                    topic.push_str(text);
                }
            }
        }
        Ok(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_takes_its_place() {
        let topic = Topic::parse("mix/{Fuel Category}/{ Zone }").unwrap();
        assert_eq!(topic.columns().collect::<Vec<_>>(), ["Fuel Category", "Zone"]);
        let cell = |name: &str| match name {
            "Fuel Category" => Some(" Natural Gas "),
            "Zone" => Some("EST"),
            _ => None,
        };
        assert_eq!(topic.of(cell).unwrap(), "mix/Natural Gas/EST");
        let plain = Topic::parse("mix").unwrap();
        assert_eq!(plain.of(|_| None).unwrap(), "mix");
    }

    #[test]
    fn what_no_broker_takes_makes_no_topic() {
        let topic = Topic::parse("mix/{Fuel}").unwrap();
        let long = "x".repeat(129);
        for text in ["", "  ", "a/b", "+", "#", "a\nb", &long] {
            assert!(topic.of(|_| Some(text)).is_err(), "{text:?}");
        }
        assert!(topic.of(|_| None).is_err());
    }

    #[test]
    fn braces_come_in_pairs_around_a_name() {
        for text in ["{Fuel", "Fuel}", "{}", "{ }", "a{b{c}}", "}{"] {
            assert_eq!(Topic::parse(text), Err(TopicError::Brace), "{text}");
        }
    }
}
