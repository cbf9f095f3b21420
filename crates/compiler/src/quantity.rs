//! Kubernetes quantities, as far as memory limits need them.

/// Bytes of a quantity such as `256Mi`, `1G` or `134217728`; `None` if it can't be read or is not positive.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let number_len = text
        .bytes()
        .take_while(|b| b.is_ascii_digit() || *b == b'.')
        .count();
    let (number, suffix) = text.split_at(number_len);
    let scale = match suffix {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => f64::from(1 << 10),
        "Mi" => f64::from(1 << 20),
        "Gi" => f64::from(1 << 30),
        "Ti" => 1_099_511_627_776.0,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * scale;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within bounds
    (1.0..1e15).contains(&value).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn reads_memory_limits() {
        assert_eq!(bytes("256Mi"), Some(268_435_456));
        assert_eq!(bytes("1.5G"), Some(1_500_000_000));
        assert_eq!(bytes("134217728"), Some(134_217_728));
        for bad in ["", "Mi", "256MB", "-1Gi", "0", "1e3Gi", "1.2.3G", "99999999Ti"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
