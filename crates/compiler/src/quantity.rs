//! Kubernetes quantities, as far as memory limits need them
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).

/// Bytes of a quantity such as `256Mi`, `1G`, `1e9` or `134217728`; `None` if it can't be read or is less than one.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let number_len = text
        .bytes()
        .take_while(|b| b.is_ascii_digit() || *b == b'.')
        .count();
    let (number, suffix) = text.split_at(number_len);
    let scale = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        _ => match suffix.strip_suffix('i').map(|unit| "KMGTPE".find(unit)) {
            Some(Some(power)) if suffix.len() == 2 => 1024_f64.powi(i32::try_from(power).ok()? + 1),
            _ => {
                let exponent = suffix.strip_prefix(['e', 'E'])?;
                10_f64.powi(exponent.parse().ok()?)
            }
        },
    };
    let value = number.parse::<f64>().ok()? * scale;
    // More than any machine has is as good as no limit; no sum of such numbers overflows.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within bounds
    (value >= 1.0).then_some(value.min(1e15) as u64)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn reads_memory_limits() {
        for (text, wanted) in [
            ("256Mi", 268_435_456),
            ("1.5G", 1_500_000_000),
            ("134217728", 134_217_728),
            ("+1Ki", 1024),
            ("128974848000m", 128_974_848),
            ("1e9", 1_000_000_000),
            (".5E+3", 500),
            ("2Pi", 1_000_000_000_000_000),
            ("1e300", 1_000_000_000_000_000),
        ] {
            assert_eq!(bytes(text), Some(wanted), "{text}");
        }
        for bad in [
            "",
            "Mi",
            "256MB",
            "-1Gi",
            "0",
            "100m",
            "1e3Gi",
            "1.2.3G",
            "1K",
            "1i",
            "1KMi",
            "1e99999999999",
        ] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
