//! `b2://BUCKET/PREFIX`, and the address of the service.

use std::net::IpAddr;

/// The service's address where nothing else is given ("Native API", b2_authorize_account).
pub const ENDPOINT: &str = "https://api.backblazeb2.com";

/// Where a repository is: a bucket and what its objects' names begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket's name.
    pub bucket: String,
    /// Empty, or ending in `/`.
    pub prefix: String,
}

impl Location {
    /// Reads `b2://BUCKET/PREFIX`, with or without the scheme. The prefix may be missing; a `/` at its end does not matter.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("b2:").unwrap_or(text);
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // "Buckets" in the vendor's documentation: 6 to 63 letters, digits and dashes.
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !(6..=63).contains(&bucket.len()) || !bucket.chars().all(is_letter) {
            return Err(format!(
                "{bucket:?} is no bucket's name: 6 to 63 letters, digits and dashes, as b2://BUCKET/PREFIX"
            ));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if prefix.is_empty() {
            return Ok(Self { bucket: bucket.to_owned(), prefix: String::new() });
        }
        let odd = |part: &str| matches!(part, "" | "." | "..");
        // "Files": at most 1,024 bytes, of which our own names take up to 200, and no control characters.
        if prefix.len() > 512 || prefix.chars().any(char::is_control) || prefix.split('/').any(odd) {
            return Err(format!(
                "{prefix:?} cannot be the prefix of a repository: it has an empty part, . or .., or is too long"
            ));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: format!("{prefix}/") })
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b2://{}/{}", self.bucket, self.prefix.strip_suffix('/').unwrap_or(&self.prefix))
    }
}

/// Whether an address may be spoken to: https anywhere, http only to this machine.
///
/// # Errors
/// Why not, for people.
pub fn check_address(address: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(address).map_err(|e| format!("{address:?} is no address: {e}"))?;
    let host = url.host_str().unwrap_or_default();
    let is_local = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_local => Ok(()),
        "http" => {
            Err(format!("{address} is plain http: only this machine itself (127.0.0.1, localhost) may be spoken to so"))
        }
        other => Err(format!("{address} is {other}: B2 speaks https")),
    }
}

/// Whether an address is this machine's, in plain text: then no proxy is asked.
pub(super) fn is_plain(address: &str) -> bool {
    address.starts_with("http://")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for (text, bucket, prefix) in [
            ("b2://my-bucket", "my-bucket", ""),
            ("b2://my-bucket/", "my-bucket", ""),
            ("b2:my-bucket/a", "my-bucket", "a/"),
            ("b2://My-Bucket/a/b/", "My-Bucket", "a/b/"),
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!((&*location.bucket, &*location.prefix), (bucket, prefix), "{text}");
            assert_eq!(Location::parse(&location.to_string()).unwrap(), location);
        }
        for text in [
            "b2://",
            "b2://short",
            "b2://my_bucket",
            "b2://my-bucket//a",
            "b2://my-bucket/a/../b",
            "b2://my-bucket/a\n",
        ] {
            Location::parse(text).unwrap_err();
        }
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        for good in [ENDPOINT, "http://127.0.0.1:80", "http://[::1]:8080", "http://localhost:1", "https://example.org"]
        {
            check_address(good).unwrap();
        }
        for bad in
            ["http://example.org", "http://10.0.0.1", "http://127.0.0.1.example.org", "ftp://localhost", "nothing"]
        {
            check_address(bad).unwrap_err();
        }
    }
}
