//! The calls of one application key, each tried until it succeeds or there is nothing more to try.

use super::credentials::Credential;
use super::failure::{Failure, Verdict};
use super::http::{Head, Http};
use super::retry::Attempts;
use super::session::{Account, Session};
use super::wire::{Action, Bucket, Buckets, Page, Retention, UploadUrl, Version};
use crate::backend::usage::{Class, Sort};
use crate::error::StoreError;
use reqwest::header::{AUTHORIZATION, RANGE};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// An application key at work on one bucket.
pub(super) struct Client {
    pub http: Arc<Http>,
    pub session: Session,
    bucket: String,
    bucket_id: Mutex<Option<String>>,
}

/// Which file a download is of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of<'a> {
    /// The version of this id.
    Id(&'a str),
    /// The newest version of this name, from the bucket's root.
    Name(&'a str),
}

/// What a download gave.
pub(super) struct Downloaded {
    pub bytes: Vec<u8>,
    /// The version's id, where the answer says it.
    pub file_id: Option<String>,
    /// The size of the whole file, where the answer says it.
    pub object_bytes: Option<u64>,
}

impl Client {
    pub fn new(http: Arc<Http>, endpoint: &str, bucket: &str, credential: Credential) -> Self {
        let session = Session::new(endpoint, credential);
        Self { http, session, bucket: bucket.to_owned(), bucket_id: Mutex::default() }
    }

    pub async fn account(&self) -> Result<Arc<Account>, StoreError> {
        self.session.account(&self.http).await
    }

    /// Tries `work` with a token until it succeeds. The attempt is told whether it repeats another.
    pub async fn attempts<T>(
        &self,
        mut work: impl AsyncFnMut(&Arc<Account>, bool) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut attempts = Attempts::new(&self.http.patience, &self.http.stop);
        loop {
            let account = self.account().await?;
            match work(&account, attempts.is_retry()).await {
                Ok(done) => return Ok(done),
                Err(failure) => {
                    if matches!(failure.verdict(), Verdict::Authorise) {
                        self.session.reject(&account).await;
                    }
                    attempts.next(failure).await?;
                }
            }
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        what: &str,
        class: Class,
        sort: Sort,
        body: &Value,
    ) -> Result<T, StoreError> {
        self.attempts(async |account, is_retry| self.post(account, what, class, sort, body, is_retry).await).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        account: &Account,
        what: &str,
        class: Class,
        sort: Sort,
        body: &Value,
        is_retry: bool,
    ) -> Result<T, Failure> {
        self.http.meter.request(class, sort, is_retry);
        let url = format!("{}/b2api/v4/{what}", account.api_url);
        // What has just failed is tried again over another connection.
        let client = self.http.client(is_retry);
        let request = client.post(url).header(AUTHORIZATION, &**account.token).body(body.to_string());
        let (_, response) = self.http.send(request).await?;
        self.http.json(response).await
    }

    /// The bucket's id: the key says it if it is restricted to the bucket.
    ///
    /// # Errors
    /// [`StoreError::Forbidden`] if the key is restricted to others; [`StoreError::NoBucket`].
    pub async fn bucket_id(&self) -> Result<String, StoreError> {
        let known = || self.bucket_id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = &*known() {
            return Ok(id.clone());
        }
        let account = self.account().await?;
        let id = match &account.allowed.buckets {
            Some(buckets) if !buckets.is_empty() => {
                let found = buckets.iter().find(|bucket| bucket.name.as_deref() == Some(&*self.bucket));
                found.map(|bucket| bucket.id.clone()).ok_or_else(|| {
                    let text = format!("the application key is restricted to other buckets than {}", self.bucket);
                    StoreError::Forbidden(io::Error::other(text))
                })?
            }
            _ => self.bucket().await?.bucket_id,
        };
        *known() = Some(id.clone());
        Ok(id)
    }

    /// The bucket with its settings.
    pub async fn bucket(&self) -> Result<Bucket, StoreError> {
        let account = self.account().await?;
        let body = json!({ "accountId": account.account_id, "bucketName": self.bucket });
        let answer: Buckets = self.call("b2_list_buckets", Class::C, Sort::Other, &body).await?;
        let found = answer.buckets.into_iter().find(|bucket| bucket.bucket_name == self.bucket);
        found.ok_or_else(|| StoreError::NoBucket(self.bucket.clone()))
    }

    /// A page of versions whose names begin with `prefix`, from `start` on (a name, and maybe an id of one of its versions).
    pub async fn versions(
        &self,
        prefix: &str,
        start: Option<(&str, Option<&str>)>,
        delimiter: bool,
        most: u32,
    ) -> Result<Page, StoreError> {
        let mut body = json!({ "bucketId": self.bucket_id().await?, "prefix": prefix, "maxFileCount": most });
        if let Some((name, id)) = start {
            body["startFileName"] = name.into();
            if let Some(id) = id {
                body["startFileId"] = id.into();
            }
        }
        if delimiter {
            body["delimiter"] = "/".into();
        }
        let page: Page = self.call("b2_list_file_versions", Class::C, Sort::List, &body).await?;
        self.http.meter.listed(page.files.len() as u64);
        Ok(page)
    }

    /// All versions of one name, newest first.
    pub async fn versions_of(&self, name: &str) -> Result<Vec<Version>, StoreError> {
        let (mut found, mut start) = (Vec::new(), (name.to_owned(), None));
        loop {
            let page = self.versions(name, Some((&start.0, start.1.as_deref())), false, 100).await?;
            // The name itself comes first of all that begin with it.
            found.extend(page.files.into_iter().filter(|version| version.file_name == name));
            match page.next_file_name {
                Some(next) if next == name && found.len() < 10_000 => start = (next, page.next_file_id),
                _ => return Ok(found),
            }
        }
    }

    /// A page of the newest versions that are not hidden.
    pub async fn names(&self, prefix: &str, start: Option<&str>, most: u32) -> Result<Page, StoreError> {
        let mut body = json!({ "bucketId": self.bucket_id().await?, "prefix": prefix, "maxFileCount": most });
        if let Some(start) = start {
            body["startFileName"] = start.into();
        }
        let page: Page = self.call("b2_list_file_names", Class::C, Sort::List, &body).await?;
        self.http.meter.listed(page.files.len() as u64);
        Ok(page)
    }

    /// What is known of one version.
    pub async fn file_info(&self, file_id: &str) -> Result<Version, StoreError> {
        self.call("b2_get_file_info", Class::B, Sort::Other, &json!({ "fileId": file_id })).await
    }

    /// Hides a name: a marker becomes its newest version. Needs only `writeFiles`.
    pub async fn hide(&self, name: &str) -> Result<Version, StoreError> {
        let body = json!({ "bucketId": self.bucket_id().await?, "fileName": name });
        self.call("b2_hide_file", Class::A, Sort::Other, &body).await
    }

    /// Removes one version for good; [`StoreError::NotFound`] if it was gone already.
    pub async fn delete_version(&self, name: &str, file_id: &str, bypass_governance: bool) -> Result<(), StoreError> {
        let mut body = json!({ "fileName": name, "fileId": file_id });
        if bypass_governance {
            body["bypassGovernance"] = true.into();
        }
        let mut in_doubt = false;
        let done = self.attempts(async |account, is_retry| {
            let done =
                self.post::<Value>(account, "b2_delete_file_version", Class::A, Sort::Other, &body, is_retry).await;
            in_doubt |= done.as_ref().is_err_and(Failure::may_have_arrived);
            done
        });
        match done.await {
            // An attempt whose answer was lost has removed it.
            Err(StoreError::NotFound) if in_doubt => Ok(()),
            done => done.map(drop),
        }
    }

    /// Sets until when a version is protected.
    pub async fn update_retention(&self, name: &str, file_id: &str, retention: Retention) -> Result<(), StoreError> {
        let body = json!({ "fileName": name, "fileId": file_id, "fileRetention": retention });
        let _: Value = self.call("b2_update_file_retention", Class::A, Sort::Other, &body).await?;
        Ok(())
    }

    /// An address to upload to, for one upload at a time.
    pub async fn upload_url(&self) -> Result<UploadUrl, StoreError> {
        let body = json!({ "bucketId": self.bucket_id().await? });
        let answer: UploadUrl = self.call("b2_get_upload_url", Class::A, Sort::Other, &body).await?;
        self.session.check(&answer.upload_url).map_err(Failure::into_error)?;
        Ok(answer)
    }

    /// Downloads a file or a range of it, of at most `most_bytes`. With a range, exactly that comes back.
    ///
    /// # Errors
    /// [`StoreError::Length`] if it is longer than `most_bytes`, or ends before the range does.
    pub async fn download(
        &self,
        of: Of<'_>,
        range: Option<Range<u64>>,
        most_bytes: u64,
        fresh: bool,
    ) -> Result<Downloaded, StoreError> {
        self.attempts(async |account, is_retry| {
            self.http.meter.request(Class::B, Sort::Download, is_retry);
            let url = match of {
                Of::Id(id) => format!("{}/b2api/v4/b2_download_file_by_id?fileId={}", account.download_url, encode(id)),
                Of::Name(name) => format!("{}/file/{}/{}", account.download_url, self.bucket, encode(name)),
            };
            let mut request = self.http.client(fresh || is_retry).get(url).header(AUTHORIZATION, &**account.token);
            if let Some(range) = &range {
                // Inclusive at both ends (RFC 9110, 14.1.2); an empty range cannot be asked for.
                request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
            }
            let (head, response) = match self.http.send(request).await {
                Err(Failure::Status(error)) if error.status == 416 => {
                    return Err(Failure::Length { actual_bytes: 0, wanted: String::new() });
                }
                sent => sent?,
            };
            self.take(&head, response, range.as_ref(), most_bytes).await
        })
        .await
    }

    async fn take(
        &self,
        head: &Head,
        response: reqwest::Response,
        range: Option<&Range<u64>>,
        most_bytes: u64,
    ) -> Result<Downloaded, Failure> {
        let object_bytes = head.object_bytes();
        let expected = match (range, object_bytes) {
            (Some(range), Some(actual_bytes)) if range.end > actual_bytes => {
                let wanted = format!("at least {} from {} on", range.end - range.start, range.start);
                return Err(Failure::Length { actual_bytes, wanted });
            }
            (Some(_), _) if head.status != 206 => {
                return Err(Failure::Strange("a part was asked for and something else is answered".into()));
            }
            (Some(range), _) => Some(range.end - range.start),
            (None, Some(actual_bytes)) if actual_bytes > most_bytes => {
                return Err(Failure::Length { actual_bytes, wanted: format!("at most {most_bytes}") });
            }
            (None, size) => size,
        };
        let bytes = self.http.body(response, expected.unwrap_or(most_bytes), true).await?;
        if expected.is_some_and(|expected| expected != bytes.len() as u64) {
            return Err(Failure::Lost("the answer ended too early".into()));
        }
        let text = |name| head.text(name).map(str::to_owned);
        let sha1 = text("x-bz-content-sha1").filter(|sha1| is_sha1(sha1));
        if object_bytes == Some(bytes.len() as u64)
            && let Some(sha1) = &sha1
            && *sha1 != sha1_of(&bytes)
        {
            return Err(Failure::Lost("what came has another SHA-1 than what is stored".into()));
        }
        Ok(Downloaded { bytes, file_id: text("x-bz-file-id"), object_bytes })
    }
}

/// The SHA-1 of bytes, in hexadecimal digits.
pub(super) fn sha1_of(bytes: &[u8]) -> String {
    use sha1::Digest;
    data_encoding::HEXLOWER.encode(&sha1::Sha1::digest(bytes))
}

fn is_sha1(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Percent-encoded for addresses and headers ("String Encoding" in the vendor's documentation); `/` stays.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Whether a version is a whole file.
pub(super) fn is_upload(version: &Version) -> bool {
    version.action == Action::Upload && version.file_id.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded() {
        assert_eq!(encode("a/b-c._~9"), "a/b-c._~9");
        assert_eq!(encode("ü ?&%"), "%C3%BC%20%3F%26%25");
    }

    #[test]
    fn sha1_is_that_of_the_standard() {
        // RFC 3174, 7.3, test 1.
        assert_eq!(sha1_of(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(
            is_sha1(&sha1_of(b""))
                && !is_sha1("none")
                && !is_sha1("unverified:a9993e364706816aba3e25717850c26c9cd0d89d")
        );
    }
}
