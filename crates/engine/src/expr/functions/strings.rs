//! Functions over strings: CEL's own and those of cel-go's strings extension. Positions count characters (code
//! points), not bytes.

use crate::expr::error::EvalError;
use crate::expr::machine::Machine;
use crate::value::Value;

use super::no_overload;

type Result<'a> = std::result::Result<Value<'a>, EvalError>;

pub(super) fn contains<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Str(text), Value::Str(part)] = args else {
        return Err(no_overload("contains", args));
    };
    machine.spend_bytes(text.len() + part.len())?;
    Ok(Value::Bool(text.contains(&**part)))
}

pub(super) fn starts_with<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Str(text), Value::Str(part)] = args else {
        return Err(no_overload("startsWith", args));
    };
    machine.spend_bytes(part.len())?;
    Ok(Value::Bool(text.starts_with(&**part)))
}

pub(super) fn ends_with<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Str(text), Value::Str(part)] = args else {
        return Err(no_overload("endsWith", args));
    };
    machine.spend_bytes(part.len())?;
    Ok(Value::Bool(text.ends_with(&**part)))
}

fn out_of_range(index: i64) -> EvalError {
    EvalError::index_out_of_range(index.to_string())
}

/// The byte at which a character starts; the text's length for the place after the last one.
fn offset(text: &str, index: i64) -> Option<usize> {
    let index = usize::try_from(index).ok()?;
    let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    starts.nth(index)
}

pub(super) fn char_at<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Str(text), Value::Int(index)] = args else {
        return Err(no_overload("charAt", args));
    };
    machine.spend_bytes(text.len())?;
    let at = offset(text, *index).ok_or_else(|| out_of_range(*index))?;
    let character = text.get(at..).and_then(|rest| rest.chars().next());
    Ok(Value::string(character.map(String::from).unwrap_or_default()))
}

fn position(text: &str, byte: Option<usize>) -> Value<'static> {
    let before = byte
        .and_then(|at| text.get(..at))
        .map(|before| before.chars().count());
    Value::Int(before.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1))
}

pub(super) fn index_of<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let (text, part, from) = match args {
        [Value::Str(text), Value::Str(part)] => (text, part, 0),
        [Value::Str(text), Value::Str(part), Value::Int(from)] => (text, part, *from),
        _ => return Err(no_overload("indexOf", args)),
    };
    machine.spend_bytes(text.len() + part.len())?;
    if from < 0 {
        return Err(out_of_range(from));
    }
    let start = offset(text, from);
    if part.is_empty() {
        return Ok(position(text, Some(start.unwrap_or(text.len()))));
    }
    let found = start.and_then(|start| text.get(start..)?.find(&**part).map(|at| start + at));
    Ok(position(text, found))
}

pub(super) fn last_index_of<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let (text, part, from) = match args {
        [Value::Str(text), Value::Str(part)] => (text, part, None),
        [Value::Str(text), Value::Str(part), Value::Int(from)] => (text, part, Some(*from)),
        _ => return Err(no_overload("lastIndexOf", args)),
    };
    machine.spend_bytes(text.len() + part.len())?;
    if let Some(from) = from.filter(|from| *from < 0) {
        return Err(out_of_range(from));
    }
    let last = from.map_or(Some(text.len()), |from| offset(text, from));
    if part.is_empty() {
        return Ok(position(text, Some(last.unwrap_or(text.len()))));
    }
    // As in cel-go, to start beyond the end is to find nothing.
    let Some(last) = last.filter(|at| from.is_none() || *at < text.len()) else {
        return Ok(Value::Int(-1));
    };
    // A match may start at `last`, so the text that is searched reaches to where that match would end.
    let end = (last + part.len()).min(text.len());
    let end = (end..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len());
    let found = text
        .get(..end)
        .and_then(|head| head.rfind(&**part))
        .filter(|at| *at <= last);
    let found = found.or_else(|| text.get(..last).and_then(|head| head.rfind(&**part)));
    Ok(position(text, found))
}

pub(super) fn join<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let (list, separator) = match args {
        [list] => (list, ""),
        [list, Value::Str(separator)] => (list, &**separator),
        _ => return Err(no_overload("join", args)),
    };
    let Value::List(items) = machine.open(list.clone())? else {
        return Err(no_overload("join", args));
    };
    let mut out = String::new();
    for (at, item) in items.iter().enumerate() {
        let Value::Str(text) = item else {
            return Err(no_overload("join", std::slice::from_ref(item)));
        };
        machine.spend(1)?;
        machine.spend_bytes(text.len() + separator.len())?;
        if at > 0 {
            out.push_str(separator);
        }
        out.push_str(text);
    }
    Ok(Value::string(out))
}

pub(super) fn lower_ascii<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Str(text)] = args else {
        return Err(no_overload("lowerAscii", args));
    };
    machine.spend_bytes(text.len())?;
    Ok(Value::string(text.to_ascii_lowercase()))
}

pub(super) fn upper_ascii<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Str(text)] = args else {
        return Err(no_overload("upperAscii", args));
    };
    machine.spend_bytes(text.len())?;
    Ok(Value::string(text.to_ascii_uppercase()))
}

pub(super) fn replace<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let (text, old, new, limit) = match args {
        [Value::Str(text), Value::Str(old), Value::Str(new)] => (text, old, new, -1),
        [
            Value::Str(text),
            Value::Str(old),
            Value::Str(new),
            Value::Int(limit),
        ] => (text, old, new, *limit),
        _ => return Err(no_overload("replace", args)),
    };
    // The result's size is known before it is built.
    machine.spend_bytes(text.len())?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = text.matches(&**old).take(limit).count();
    machine.spend_bytes(found.saturating_mul(new.len()))?;
    Ok(Value::string(text.replacen(&**old, new, limit)))
}

pub(super) fn split<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let (text, separator, limit) = match args {
        [Value::Str(text), Value::Str(separator)] => (text, separator, -1),
        [Value::Str(text), Value::Str(separator), Value::Int(limit)] => (text, separator, *limit),
        _ => return Err(no_overload("split", args)),
    };
    machine.spend_bytes(text.len())?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut push = |part: &str| {
        machine.spend(8)?;
        parts.push(Value::string(part.to_owned()));
        Ok::<(), EvalError>(())
    };
    if limit == 0 {
    } else if separator.is_empty() {
        // By character, as Go splits; what the limit leaves over is the last part.
        let mut rest: &str = text;
        let mut count = 1;
        while let Some(first) = rest.chars().next() {
            if count == limit {
                break;
            }
            let (head, tail) = rest.split_at_checked(first.len_utf8()).unwrap_or((rest, ""));
            push(head)?;
            rest = tail;
            count += 1;
        }
        if !rest.is_empty() {
            push(rest)?;
        }
    } else {
        for part in text.splitn(limit, &**separator) {
            push(part)?;
        }
    }
    Ok(Value::list(parts))
}

pub(super) fn substring<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let (text, start, end) = match args {
        [Value::Str(text), Value::Int(start)] => (text, *start, None),
        [Value::Str(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return Err(no_overload("substring", args)),
    };
    machine.spend_bytes(text.len())?;
    let from = offset(text, start).ok_or_else(|| out_of_range(start))?;
    let to = end
        .map_or(Some(text.len()), |end| offset(text, end))
        .ok_or_else(|| out_of_range(end.unwrap_or(0)))?;
    let part = text.get(from..to).ok_or_else(|| out_of_range(start))?;
    Ok(Value::string(part.to_owned()))
}

pub(super) fn trim<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Str(text)] = args else {
        return Err(no_overload("trim", args));
    };
    machine.spend_bytes(text.len())?;
    Ok(Value::string(text.trim().to_owned()))
}

pub(super) fn reverse<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Str(text)] = args else {
        return Err(no_overload("reverse", args));
    };
    machine.spend_bytes(text.len())?;
    Ok(Value::string(text.chars().rev().collect::<String>()))
}

pub(super) fn quote<'a>(machine: &mut Machine<'a>, args: &[Value<'a>]) -> Result<'a> {
    let [Value::Str(text)] = args else {
        return Err(no_overload("strings.quote", args));
    };
    machine.spend_bytes(2 * text.len())?;
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out.push('"');
    Ok(Value::string(out))
}
