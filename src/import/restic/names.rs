//! Names as restic writes them: Go's `strconv.Quote` without the quotes around, so that names that are no UTF-8 fit into JSON.

use crate::error::FormatError;

/// The bytes that a quoted name stands for.
///
/// # Errors
/// [`FormatError::Invalid`] if it is not quoted as Go would.
pub(super) fn unquote(text: &str) -> Result<Vec<u8>, FormatError> {
    const ODD: FormatError = FormatError::Invalid("a name is not quoted as it should be");
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let (kind, after) = rest.split_first().ok_or(ODD)?;
        rest = after;
        let number = |digits: usize, radix: u32, rest: &mut &[u8]| {
            let (text, after) = rest.split_at_checked(digits)?;
            *rest = after;
            // `from_str_radix` would allow a sign.
            let text = std::str::from_utf8(text).ok().filter(|text| text.chars().all(|c| c.is_digit(radix)))?;
            u32::from_str_radix(text, radix).ok()
        };
        match kind {
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'\\' | b'"' => out.push(*kind),
            b'x' => out.push(number(2, 16, &mut rest).and_then(|n| u8::try_from(n).ok()).ok_or(ODD)?),
            b'u' | b'U' => {
                let digits = if *kind == b'u' { 4 } else { 8 };
                let c = number(digits, 16, &mut rest).and_then(char::from_u32).ok_or(ODD)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            b'0'..=b'7' => {
                rest = &text.as_bytes()[text.len() - rest.len() - 1..];
                out.push(number(3, 8, &mut rest).and_then(|n| u8::try_from(n).ok()).ok_or(ODD)?);
            }
            _ => return Err(ODD),
        }
    }
    Ok(out)
}

/// What Go makes of bytes in JSON: each byte that is no part of UTF-8 becomes U+FFFD. Paths of snapshots are written so.
pub fn as_go_text(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|_| out.push(char::REPLACEMENT_CHARACTER));
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unquoted_as_go_does() {
        for (quoted, want) in [
            ("plain", &b"plain"[..]),
            ("", b""),
            (r"\xff\xfe", b"\xff\xfe"),
            (r#"a\"b\\c"#, b"a\"b\\c"),
            (r"\a\b\f\n\r\t\v", b"\x07\x08\x0c\n\r\t\x0b"),
            (r"\u00e9", "é".as_bytes()),
            ("é", "é".as_bytes()),
            (r"\U0001f600!", "😀!".as_bytes()),
            (r"\101\377", b"A\xff"),
            (r"\x41é\x00", b"A\xc3\xa9\0"),
        ] {
            assert_eq!(unquote(quoted).unwrap(), want, "{quoted}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for quoted in [
            r"\",
            r"\q",
            r"\x",
            r"\x4",
            r"\xg0",
            r"\x+4",
            r"\u12",
            r"\ud800",
            r"\U00110000",
            r"\8",
            r"\40",
            r"\400",
            r"\u00é9",
        ] {
            assert!(unquote(quoted).is_err(), "{quoted}");
        }
    }

    #[test]
    fn each_odd_byte_is_replaced() {
        assert_eq!(as_go_text(b"a\xe2\x82b\xff"), "a\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(as_go_text("é€".as_bytes()), "é€");
    }
}
