//! RE2's syntax (<https://github.com/google/re2/wiki/Syntax>), as Go has it, in that of the regex crate. They are
//! nearly the same; where they read a text differently, or only one of them takes it, RE2 decides.

use std::fmt::Write as _;

/// The largest count in braces.
const MAX_REPEAT: u32 = 1000;

/// The names of classes in brackets.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// The pattern for the regex crate and its weight, or what RE2 has against it. The weight is how many characters and
/// classes there are once repetitions are written out: what matching a byte of text can take at worst.
pub(super) fn translate(source: &str) -> Result<(String, u64), String> {
    let mut translator = Translator {
        rest: source,
        out: String::with_capacity(source.len() + 16),
        groups: vec![0],
        last: 0,
    };
    let mut repeated = false;
    while let Some(c) = translator.peek() {
        let repeats = match c {
            '*' | '+' | '?' => {
                translator.bump();
                translator.out.push(c);
                true
            }
            '{' => translator.braces()?,
            _ => {
                translator.one(c)?;
                false
            }
        };
        if repeats {
            if repeated {
                return Err("a repetition can't be repeated without parentheses".into());
            }
            // A question mark after a repetition makes it lazy, and repeats nothing.
            if translator.peek() == Some('?') {
                translator.bump();
                translator.out.push('?');
            }
        }
        repeated = repeats;
    }
    let weight = translator
        .groups
        .iter()
        .fold(0u64, |sum, group| sum.saturating_add(*group));
    Ok((translator.out, weight))
}

struct Translator<'p> {
    rest: &'p str,
    out: String,
    /// The weights of the groups that are open, innermost last.
    groups: Vec<u64>,
    /// The weight of what a repetition would repeat.
    last: u64,
}

impl Translator<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = self.rest.get(c.len_utf8()..).unwrap_or_default();
        Some(c)
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let after = self.rest.strip_prefix(prefix);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn literal(&mut self, c: char) {
        // Writing to a string does not fail.
        let _ = write!(self.out, "\\x{{{:x}}}", u32::from(c));
    }

    /// `{2}`, `{2,}`, `{2,3}`; a brace that starts no count is a brace.
    fn braces(&mut self) -> Result<bool, String> {
        let count = self
            .rest
            .split_once('}')
            .map(|(head, _)| head.trim_start_matches('{').to_owned());
        let numbers = count.as_deref().and_then(|count| {
            let (low, high) = count.split_once(',').unwrap_or((count, count));
            let number = |text: &str| {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                digits.then(|| text.parse().unwrap_or(u32::MAX))
            };
            let high = if high.is_empty() {
                Some(number(low)?)
            } else {
                number(high)
            };
            Some((number(low)?, high?))
        });
        self.bump();
        let (Some((low, high)), Some(count)) = (numbers, count) else {
            self.literal('{');
            return Ok(false);
        };
        if low > high || high > MAX_REPEAT {
            return Err(format!(
                "a count is at most {MAX_REPEAT}, and the first is not the larger one"
            ));
        }
        self.weigh(
            self.last
                .saturating_mul(u64::from(high.max(low)).saturating_sub(1)),
        );
        let _ = write!(self.out, "{{{count}}}");
        self.rest = self.rest.get(count.len() + 1..).unwrap_or_default();
        Ok(true)
    }

    /// Adds to the weight of the innermost group.
    fn weigh(&mut self, weight: u64) {
        if let Some(group) = self.groups.last_mut() {
            *group = group.saturating_add(weight);
        }
    }

    /// Anything but a repetition.
    fn one(&mut self, c: char) -> Result<(), String> {
        self.bump();
        match c {
            '(' => self.groups.push(0),
            ')' if self.groups.len() > 1 => {
                self.last = self.groups.pop().unwrap_or(0).saturating_add(1);
                self.weigh(self.last);
            }
            _ => {
                self.last = 1;
                self.weigh(1);
            }
        }
        match c {
            '\\' => self.escape(),
            '[' => self.class(),
            '(' if self.rest.starts_with('?') => self.group(),
            _ => {
                self.out.push(c);
                Ok(())
            }
        }
    }

    /// `(?flags)`, `(?flags:`, `(?P<name>`, `(?<name>`.
    fn group(&mut self) -> Result<(), String> {
        if self.rest.starts_with("?P<") || self.rest.starts_with("?<") {
            self.out.push('(');
            return Ok(());
        }
        let flags = self
            .rest
            .get(1..)
            .and_then(|rest| rest.split([')', ':']).next())
            .unwrap_or_default();
        if !flags.bytes().all(|flag| b"imsU-".contains(&flag)) {
            return Err(format!("there is no group (?{flags}"));
        }
        self.out.push('(');
        Ok(())
    }

    /// What follows a backslash outside of brackets.
    fn escape(&mut self) -> Result<(), String> {
        if self.skip("Q") {
            let (quoted, after) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
            self.rest = after;
            for c in quoted.chars() {
                self.literal(c);
            }
            return Ok(());
        }
        if let Some(set) = self.perl_class() {
            let _ = write!(self.out, "[{set}]");
            return Ok(());
        }
        match self.peek() {
            Some('b' | 'B') => {
                let upper = self.bump() == Some('B');
                self.out.push_str(if upper { "(?-u:\\B)" } else { "(?-u:\\b)" });
                Ok(())
            }
            Some(c @ ('A' | 'z')) => {
                self.bump();
                let _ = write!(self.out, "\\{c}");
                Ok(())
            }
            _ => {
                let c = self.escaped_char()?;
                self.literal(c);
                Ok(())
            }
        }
    }

    /// `\d`, `\s`, `\w`, which know ASCII only, and `\pL`; as what stands in brackets.
    fn perl_class(&mut self) -> Option<String> {
        let set = match self.peek()?.to_ascii_lowercase() {
            'd' => "0-9",
            's' => "\\t\\n\\f\\r\\x20",
            'w' => "0-9A-Za-z_",
            'p' => return self.unicode_class(),
            _ => return None,
        };
        let upper = self.bump()?.is_ascii_uppercase();
        Some(if upper {
            format!("[^{set}]")
        } else {
            set.to_owned()
        })
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`.
    fn unicode_class(&mut self) -> Option<String> {
        let mut negated = self.bump()? == 'P';
        let name = if self.skip("{") {
            let (name, after) = self.rest.split_once('}')?;
            self.rest = after;
            name.to_owned()
        } else {
            self.bump()?.to_string()
        };
        let name = name.strip_prefix('^').map_or(name.as_str(), |rest| {
            negated = !negated;
            rest
        });
        Some(format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }))
    }

    /// A character that a backslash names.
    fn escaped_char(&mut self) -> Result<char, String> {
        let wrong = |c: char| Err(format!("there is no escape \\{c}"));
        let Some(c) = self.bump() else {
            return Err("it ends with a backslash".into());
        };
        Ok(match c {
            'a' => '\u{7}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' => return self.hexadecimal(),
            '0'..='7' => {
                let length = self
                    .rest
                    .bytes()
                    .take(2)
                    .take_while(|b| (b'0'..=b'7').contains(b))
                    .count();
                if c != '0' && length == 0 {
                    return wrong(c);
                }
                let (digits, after) = self.rest.split_at_checked(length).unwrap_or(("", self.rest));
                self.rest = after;
                let code = u32::from_str_radix(&format!("{c}{digits}"), 8).unwrap_or(0);
                char::from_u32(code).unwrap_or_default()
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
            c => return wrong(c),
        })
    }

    /// What follows `\x`: two digits, or any number in braces.
    fn hexadecimal(&mut self) -> Result<char, String> {
        let digits = if self.skip("{") {
            let (digits, after) = self.rest.split_once('}').unwrap_or(("", ""));
            self.rest = after;
            digits
        } else {
            let (digits, after) = self.rest.split_at_checked(2).unwrap_or(("", self.rest));
            self.rest = after;
            digits
        };
        let hexadecimal = digits.bytes().all(|b| b.is_ascii_hexdigit());
        let code = u32::from_str_radix(digits, 16).ok().filter(|_| hexadecimal);
        code.and_then(char::from_u32)
            .ok_or_else(|| "\\x needs two hexadecimal digits, or some in braces".into())
    }

    /// A class in brackets, the first of which is read.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.skip("^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.peek() else {
                return Err("a bracket [ is not closed".into());
            };
            if c == ']' && !first {
                self.bump();
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if let Some((name, after)) = self
                .rest
                .strip_prefix("[:")
                .and_then(|rest| rest.split_once(":]"))
            {
                if !POSIX.contains(&name.trim_start_matches('^')) {
                    return Err(format!("there is no class [:{name}:]"));
                }
                let _ = write!(self.out, "[:{name}:]");
                self.rest = after;
                continue;
            }
            if self.rest.starts_with('\\') {
                let before = self.rest;
                self.bump();
                if let Some(set) = self.perl_class() {
                    self.out.push_str(&set);
                    continue;
                }
                self.rest = before;
            }
            let low = self.class_char()?;
            self.literal(low);
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.bump();
                let high = self.class_char()?;
                if high < low {
                    return Err(format!("a range can't go from {low} to {high}"));
                }
                self.out.push('-');
                self.literal(high);
            }
        }
    }

    fn class_char(&mut self) -> Result<char, String> {
        match self.bump() {
            Some('\\') => self.escaped_char(),
            Some(c) => Ok(c),
            None => Err("a bracket [ is not closed".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::expr::functions::pattern;

    #[test]
    fn patterns_mean_what_re2_has_them_mean() {
        for (source, text, expected) in [
            (r"^\w+$", "aé", false),
            (r"^\W$", "é", true),
            (r"^\d$", "٣", false),
            (r"\s", "\u{b}", false),
            (r"\s", "\u{c}", true),
            (r"^[\w-]+$", "a-b", true),
            (r"^[^\s]$", "x", true),
            (r"^[\D]$", "1", false),
            (r"\bé", "aé", true),
            (r"a\B", "aä", false),
            (r"\Qa.b\E+", "a.bb", true),
            (r"\Qa.b", "a.b", true),
            (r"\<x\>", "<x>", true),
            (r"^[[a]$", "[", true),
            (r"^[]a]$", "]", true),
            (r"^[^]a]$", "]", false),
            (r"^[a&&b]+$", "a&b", true),
            (r"^[a~~b]+$", "a~b", true),
            (r"^[+--]+$", "+,-", true),
            (r"^[a-]+$", "a-", true),
            (r"^[[:alpha:]_]+$", "a_b", true),
            (r"^[[:^alpha:]]$", "1", true),
            (r"^\pL+$", "é", true),
            (r"^\p{^Greek}$", "a", true),
            (r"(?i)É", "é", true),
            (r"(?i:a)b", "Ab", true),
            (r"(?P<n>a)(?<m>b)", "ab", true),
            (r"a{", "a{", true),
            (r"^a{,3}$", "a{,3}", true),
            (r"^a{x}$", "a{x}", true),
            (r"^a{2,3}$", "aaa", true),
            (r"^a{2,}$", "aaaa", true),
            (r"^a{2,3}?$", "aa", true),
            (r"^a*?$", "aa", true),
            (r"^\141\x62\x{63}$", "abc", true),
            (r"^\0$", "\0", true),
            ("^.$", "😀", true),
            ("^.$", "\n", false),
            ("(?s)^.$", "\n", true),
            ("(?m)^b$", "a\nb", true),
            ("^b$", "a\nb", false),
        ] {
            assert_eq!(
                pattern(source).unwrap().is_match(text),
                expected,
                "{source} {text}"
            );
        }
        for source in [
            "(",
            ")",
            "a**",
            "a*+",
            "a{2}{3}",
            "a{1001}",
            "a{2,1}",
            "(?=a)",
            "(?<!a)",
            "(?x)a",
            "(?u)a",
            "(?R)a",
            r"\1",
            r"\8",
            r"\u00e4",
            r"\e",
            r"\é",
            "[",
            "[a",
            "[]",
            "[a--b]",
            "[z-a]",
            "[[:nope:]]",
            r"[a-\d]",
            "*a",
            "+",
            "a\\",
            r"\pX",
            r"\x1",
            r"\x{110000}",
        ] {
            assert!(pattern(source).is_err(), "{source}");
        }
    }
}
