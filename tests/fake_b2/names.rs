//! Names of files and their encoding ("Files", "String Encoding").

use super::error::ApiError;

/// Undoes percent-encoding; `+` is a space.
pub fn decode(text: &str) -> Result<String, ApiError> {
    let bad = || ApiError::bad_request(format!("Bad percent-encoding: {text}"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().ok_or_else(bad)?, rest.next().ok_or_else(bad)?];
                let digits = std::str::from_utf8(&digits).map_err(|_| bad())?;
                u8::from_str_radix(digits, 16).map_err(|_| bad())?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

/// Percent-encoding as the service gives it in headers.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'.' | b'_' | b'-' | b'/' | b'~' | b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b';' | b'=' | b':' | b'@' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Refuses what cannot be the name of a file.
pub fn check(name: &str) -> Result<(), ApiError> {
    let bad = |why: &str| Err(ApiError::bad_request(format!("File name {why}")));
    if name.is_empty() || name.len() > 1024 {
        return bad("must have 1 to 1024 bytes");
    }
    if name.chars().any(|c| c < ' ' || c == '\u{7f}') {
        return bad("must not contain control characters");
    }
    if name.starts_with('/') || name.ends_with('/') || name.contains("//") {
        return bad("must not start or end with '/' or contain '//'");
    }
    if name.split('/').any(|part| part.len() > 250) {
        return bad("has a segment of more than 250 bytes");
    }
    Ok(())
}
