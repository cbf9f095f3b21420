//! Did you mean …?

/// The candidate nearest to what was written, if one is near enough to be a slip.
pub(crate) fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // One slip in a short word, a third of a long one: more than that is another word.
    let allowed = (written.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .filter_map(|candidate| distance(written, candidate, allowed).map(|d| (d, candidate)))
        .min()
        .map(|(_, candidate)| candidate)
}

/// `did you mean X?`, or what there is: at most eight names.
pub(crate) fn or_list<'c>(
    written: &str,
    candidates: impl IntoIterator<Item = &'c str>,
    there_is: &str,
    there_is_none: &str,
) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    if let Some(name) = nearest(written, candidates.iter().copied()) {
        return format!("did you mean `{name}`?");
    }
    if candidates.is_empty() {
        return there_is_none.to_owned();
    }
    let shown: Vec<String> = candidates
        .iter()
        .take(8)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if candidates.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    format!("{there_is} {}{more}", shown.join(", "))
}

/// Edit distance with swaps of neighbours (optimal string alignment), ignoring case; `None` beyond `most`.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).take(128).collect();
    let b: Vec<char> = b.chars().flat_map(char::to_lowercase).take(128).collect();
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(from != to))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *from == b[j - 1] && a[i - 1] == *to {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|d| *d <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        let fields = ["select", "where", "from", "to", "window"];
        assert_eq!(nearest("whre", fields), Some("where"));
        assert_eq!(nearest("Windwo", fields), Some("window"));
        assert_eq!(nearest("form", fields), Some("from"));
        assert_eq!(nearest("filter", fields), None);
        assert_eq!(nearest("x", fields), None);
        assert_eq!(nearest("", fields), None);
    }
}
