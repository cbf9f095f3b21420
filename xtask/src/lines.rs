//! No source file longer than a reader can hold: at most 400 lines that are not tests.

use anyhow::{Result, bail};

use crate::shell;

const LIMIT: usize = 400;

pub(crate) fn run() -> Result<()> {
    let listing = shell::command("git ls-files --cached --others --exclude-standard *.rs").output()?;
    let mut long = Vec::new();
    for path in String::from_utf8_lossy(&listing.stdout).lines() {
        let is_test = path.split('/').any(|part| part == "tests" || part == "tests.rs");
        if is_test {
            continue;
        }
        // A file that is listed but deleted in the work tree is no source file.
        let Ok(text) = std::fs::read_to_string(shell::root().join(path)) else {
            continue;
        };
        let count = source_lines(&text);
        if count > LIMIT {
            long.push(format!("{path}: {count} lines"));
        }
    }
    if long.is_empty() {
        return Ok(());
    }
    bail!(
        "split these files, the limit is {LIMIT} lines without tests:\n{}",
        long.join("\n")
    )
}

/// Lines before the file's own `#[cfg(test)]` module.
fn source_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{'))
        .unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::source_lines;

    #[test]
    fn a_test_module_at_the_end_does_not_count() {
        assert_eq!(source_lines("fn a() {}\n#[cfg(test)]\nmod tests {\n}\n"), 1);
    }

    #[test]
    fn a_test_only_item_counts() {
        assert_eq!(source_lines("#[cfg(test)]\nfn a() {}\nfn b() {}\n"), 3);
    }
}
