//! Problems as a condition tells them: the field, what is wrong and what to do; of an expression also line, column and
//! the line itself with a mark.

use streaming_compiler::Problem;

/// The schema allows 32,768 bytes; a message that nobody reads to its end helps nobody.
pub(super) const MOST: usize = 4096;
/// What an event's note may have (<https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>).
pub(crate) const MOST_OF_A_NOTE: usize = 1024;

/// All problems, one after the other.
pub(crate) fn all<'p>(problems: impl IntoIterator<Item = &'p Problem>) -> String {
    let texts: Vec<String> = problems.into_iter().map(one).collect();
    cut(&texts.join("\n"), MOST)
}

fn one(problem: &Problem) -> String {
    let field = if problem.field.is_empty() {
        String::new()
    } else {
        format!("{}: ", problem.field)
    };
    if let Some((diagnostic, source)) = &problem.diagnostic {
        let shown = diagnostic.render(source);
        let shown = shown.strip_prefix("error: ").unwrap_or(&shown);
        return format!("{field}{}", shown.trim_end());
    }
    let mut text = format!("{field}{}", problem.message);
    if let Some(help) = &problem.help {
        text.push_str("; ");
        text.push_str(help);
    }
    text
}

/// At most so many bytes, cut between characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    const MORE: &str = " …";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most - MORE.len());
    format!("{}{MORE}", &text[..end])
}
