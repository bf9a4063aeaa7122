//! Application keys: an id and a secret.

use std::fmt;
use zeroize::Zeroizing;

/// An application key. Its secret is wiped when dropped and never shown.
#[derive(Clone)]
pub struct Credential {
    /// The key's id: no secret.
    pub id: String,
    secret: Zeroizing<String>,
}

impl Credential {
    /// From its two parts.
    ///
    /// # Errors
    /// What is wrong with it, for people, without the secret.
    pub fn new(id: &str, secret: Zeroizing<String>) -> Result<Self, String> {
        let is_good = |text: &str| (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !is_good(id) || id.contains(':') {
            return Err("the application key's id is empty or has characters that no such id has".into());
        }
        if !is_good(&secret) {
            return Err("the application key is empty or has characters that no such key has".into());
        }
        Ok(Self { id: id.to_owned(), secret })
    }

    /// From a file's text: id and key on two lines, or `ID:KEY` on one.
    ///
    /// # Errors
    /// As [`Credential::new`].
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (id, secret) = text
            .split_once(['\n', ':'])
            .ok_or("an application key's file has its id and the key itself on two lines, or ID:KEY on one")?;
        Self::new(id.trim(), Zeroizing::new(secret.trim().to_owned()))
    }

    /// The header of b2_authorize_account (RFC 7617).
    pub(super) fn basic(&self) -> Zeroizing<String> {
        let pair = Zeroizing::new(format!("{}:{}", self.id, *self.secret));
        Zeroizing::new(format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes())))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn two_lines_or_one() {
        for text in ["id\nsecret\n", "id:secret", "  id \r\n secret \r\n", "id:secret\n"] {
            let credential = Credential::parse(text).unwrap();
            assert_eq!((&*credential.id, &**credential.secret), ("id", "secret"), "{text:?}");
            assert_eq!(&*credential.basic(), "Basic aWQ6c2VjcmV0");
        }
        for text in ["", "id", "id\n", ":secret", "id:se cret", "a\nb\nc"] {
            Credential::parse(text).unwrap_err();
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let shown = format!("{:?}", Credential::parse("the-id:the-secret").unwrap());
        assert!(shown.contains("the-id") && !shown.contains("the-secret"), "{shown}");
    }
}
