//! A message as it is written down.

use crate::component::Incoming;
use crate::time::Time;

/// Writes down what the component has to be given again; all but the token, which is the entry's number.
pub(super) fn encode(message: &Incoming<'_>) -> Vec<u8> {
    let texts = [message.position, message.topic, message.key.unwrap_or_default()];
    let length: usize = texts.iter().map(|text| text.len() + 4).sum();
    let mut out = Vec::with_capacity(length + message.payload.len() + 24);
    out.extend_from_slice(&(message.input as u64).to_be_bytes()[4..]);
    out.extend_from_slice(&message.received.0.to_be_bytes());
    out.extend_from_slice(&message.attempts.to_be_bytes());
    out.push(u8::from(message.key.is_some()));
    for text in texts {
        // What a broker gives is far from 4 GiB.
        out.extend_from_slice(&(text.len() as u64).to_be_bytes()[4..]);
        out.extend_from_slice(text.as_bytes());
    }
    out.extend_from_slice(message.payload);
    out
}

/// Reads it back. `None` if it is no entry.
pub(super) fn decode(number: u64, entry: &[u8]) -> Option<Incoming<'_>> {
    let mut rest = entry;
    let input = u32::from_be_bytes(array(&mut rest)?);
    let received = i64::from_be_bytes(array(&mut rest)?);
    let attempts = u32::from_be_bytes(array(&mut rest)?);
    let [has_key] = array(&mut rest)?;
    let (position, topic, key) = (text(&mut rest)?, text(&mut rest)?, text(&mut rest)?);
    Some(Incoming {
        input: input as usize,
        token: number,
        position,
        received: Time(received),
        attempts,
        topic,
        key: (has_key == 1).then_some(key),
        payload: rest,
    })
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*taken)
}

fn text<'e>(rest: &mut &'e [u8]) -> Option<&'e str> {
    let length = u32::from_be_bytes(array(rest)?);
    let (taken, left) = rest.split_at_checked(length as usize)?;
    *rest = left;
    std::str::from_utf8(taken).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (input, number) in any::<(u16, u64)>(),
            (received, attempts) in any::<(i64, u32)>(),
            [position, topic] in any::<[String; 2]>(),
            key in any::<Option<String>>(),
            payload in any::<Vec<u8>>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let message = Incoming {
                input: input.into(),
                token: number,
                position: &position,
                received: Time(received),
                attempts,
                topic: &topic,
                key: key.as_deref(),
                payload: &payload,
            };
            let entry = encode(&message);
            let read = decode(number, &entry).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{message:?}"));
            // Never a panic, whatever is in a file.
            let _ = decode(number, &entry[..cut.index(entry.len())]);
        }
    }
}
