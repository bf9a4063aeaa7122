//! Downloads by id and by name, whole and in part.

use super::auth::{require, same_account};
use super::error::ApiError;
use super::http::{Answer, Bytes, Request};
use super::names;
use super::route::Kind;
use super::state::{Action, Bucket, FileVersion, Key, World};
use std::sync::Arc;

impl World {
    /// The version asked for and the one who asks.
    fn wanted(
        &self,
        request: &Request,
        kind: Kind,
        rest: &str,
    ) -> Result<(&Bucket, &FileVersion, Option<Key>), ApiError> {
        let header = request.header("authorization");
        let found = if kind == Kind::DownloadById {
            let id = request.query.iter().find(|(name, _)| name == "fileId").map(|(_, value)| value.as_str());
            let id = id.ok_or_else(|| ApiError::bad_request("required field fileId is missing"))?;
            super::listing::sequence(id)?;
            self.find(id)
        } else {
            let (bucket, name) = rest.split_once('/').unwrap_or((rest, ""));
            let name = names::decode(name)?;
            let bucket = self.buckets.values().find(|own| own.name == bucket);
            bucket.and_then(|bucket| {
                let newest = bucket.files.get(&name)?.iter().find(|version| version.action != Action::Start)?;
                Some((bucket, newest))
            })
        };
        let public = found.is_some_and(|(bucket, _)| bucket.kind == "allPublic");
        let key = if public && header.is_none() { None } else { Some(self.key_of(header)?) };
        if let Some(key) = &key {
            require(key, "readFiles", None, None)?;
        }
        let (bucket, version) = found.ok_or_else(|| ApiError::not_found("File with such name or id does not exist"))?;
        if let Some(key) = &key {
            same_account(key, &bucket.account)?;
            require(key, "readFiles", Some(&bucket.id), Some(&version.name))?;
        }
        if version.action != Action::Upload {
            return Err(ApiError::not_found("File with such name or id does not exist"));
        }
        Ok((bucket, version, key))
    }

    pub fn download(&mut self, request: &Request, kind: Kind, rest: &str) -> Result<Answer, ApiError> {
        let (bucket, version, key) = self.wanted(request, kind, rest)?;
        let length = version.data.len();
        let range = request.header("range").map(|text| range_of(text, length)).transpose()?;
        let (from, to) = range.unwrap_or((0, length));
        let mut headers = vec![
            ("Accept-Ranges".to_owned(), "bytes".to_owned()),
            ("Content-Type".to_owned(), version.content_type.clone().unwrap_or_default()),
            ("X-Bz-File-Id".to_owned(), version.id.clone()),
            ("X-Bz-File-Name".to_owned(), names::encode(&version.name)),
            ("X-Bz-Content-Sha1".to_owned(), version.sha1.clone().unwrap_or_else(|| "none".to_owned())),
            ("X-Bz-Upload-Timestamp".to_owned(), version.uploaded_millis.to_string()),
        ];
        headers.extend(version.info.iter().map(|(name, value)| (format!("X-Bz-Info-{name}"), names::encode(value))));
        if range.is_some() {
            headers.push(("Content-Range".to_owned(), format!("bytes {from}-{}/{length}", to - 1)));
        }
        let may_see = bucket.lock && key.is_some_and(|key| key.may("readFileRetentions"));
        if let Some(retention) = version.retention.filter(|_| may_see) {
            headers.push(("X-Bz-File-Retention-Mode".to_owned(), retention.mode.name().to_owned()));
            let until = retention.until_millis.to_string();
            headers.push(("X-Bz-File-Retention-Retain-Until-Timestamp".to_owned(), until));
        }
        let over = |cap: Option<u64>, used: u64| cap.is_some_and(|cap| used > cap);
        let wanted = (to - from) as u64;
        if over(self.caps.download_bytes, self.day.downloaded_bytes + wanted) {
            return Err(download_cap());
        }
        let status = if range.is_some() { 206 } else { 200 };
        Ok(Answer { status, headers, body: Bytes { data: Arc::clone(&version.data), from, to } })
    }
}

pub fn download_cap() -> ApiError {
    ApiError::new(
        403,
        "download_cap_exceeded",
        "Cannot download file, download bandwidth or transaction (Class B) cap exceeded. See the Caps & Alerts page to increase your cap.",
    )
}

/// From where to before where; an end past the file's is taken back to it.
fn range_of(text: &str, length: usize) -> Result<(usize, usize), ApiError> {
    let bad = || ApiError::new(416, "range_not_satisfiable", format!("The range {text} cannot be satisfied"));
    let (first, last) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or_else(bad)?;
    let (from, to) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(from), Ok(last)) if last >= from => (from, last.saturating_add(1).min(length)),
        (Ok(from), Err(_)) if last.is_empty() => (from, length),
        (Err(_), Ok(count)) if first.is_empty() => (length.saturating_sub(count), length),
        _ => return Err(bad()),
    };
    if from >= to { Err(bad()) } else { Ok((from, to)) }
}
