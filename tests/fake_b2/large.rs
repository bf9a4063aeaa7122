//! Large files: started, uploaded in parts, finished or cancelled.

use super::auth::{require, same_account};
use super::buckets::{maybe, number, text};
use super::error::ApiError;
use super::files::file_json;
use super::state::{Action, FileVersion, Key, UploadTarget, World};
use serde_json::{Value, json};
use std::sync::Arc;

impl World {
    pub fn start_large_file(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let (bucket, name) = (text(params, "bucketId")?.to_owned(), text(params, "fileName")?.to_owned());
        same_account(key, &self.bucket(&bucket)?.account)?;
        require(key, "writeFiles", Some(&bucket), Some(&name))?;
        super::names::check(&name)?;
        let content_type = text(params, "contentType")?.to_owned();
        let mut version = self.new_version(&bucket, &name, Action::Start);
        version.content_type = Some(content_type);
        version.sha1 = Some("none".to_owned());
        version.info = serde_json::from_value(params["fileInfo"].clone()).unwrap_or_default();
        let now = self.clock.now_millis();
        let bucket = self.bucket_mut(&bucket)?;
        version.retention = super::lock::default_of(bucket, now);
        let shown = file_json(bucket, &version, key);
        bucket.add(version);
        Ok(shown)
    }

    /// An unfinished large file that the key may write to.
    fn unfinished(&self, key: &Key, id: &str) -> Result<&FileVersion, ApiError> {
        require(key, "writeFiles", None, None)?;
        let gone = || ApiError::bad_request(format!("No active upload for: {id}"));
        let (bucket, version) = self.find(id).ok_or_else(gone)?;
        same_account(key, &bucket.account)?;
        require(key, "writeFiles", Some(&bucket.id), Some(&version.name))?;
        Some(version).filter(|version| version.action == Action::Start).ok_or_else(gone)
    }

    pub fn get_upload_part_url(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "fileId")?.to_owned();
        self.unfinished(key, &id)?;
        let (url, token) = self.new_upload(key, UploadTarget::File(id.clone()), "b2_upload_part", &id);
        Ok(json!({ "authorizationToken": token, "fileId": id, "uploadUrl": url }))
    }

    pub fn finish_large_file(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "fileId")?.to_owned();
        let version = self.unfinished(key, &id)?;
        let claimed: Vec<String> = serde_json::from_value(params["partSha1Array"].clone())
            .map_err(|_| ApiError::new(400, "bad_json", "partSha1Array must be a list of strings"))?;
        let count = version.parts.len() as u64;
        if count == 0 || !version.parts.keys().copied().eq(1..=count) || claimed.len() as u64 > count {
            return Err(ApiError::new(400, "missing_part", "Part number is missing"));
        }
        if !version.parts.values().map(|part| &part.sha1).eq(&claimed) {
            return Err(ApiError::bad_request("checksums of the parts do not match"));
        }
        let least = self.options.min_part_bytes;
        if version.parts.values().rev().skip(1).any(|part| (part.data.len() as u64) < least) {
            return Err(ApiError::bad_request("a part other than the last is too small"));
        }
        let data: Vec<u8> = version.parts.values().flat_map(|part| part.data.iter().copied()).collect();
        if let Some(version) = self.version_mut(&id) {
            version.data = Arc::new(data);
            version.parts.clear();
            version.action = Action::Upload;
        }
        let (bucket, version) = self.find(&id).ok_or_else(|| ApiError::not_found("file"))?;
        Ok(file_json(bucket, version, key))
    }

    pub fn cancel_large_file(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "fileId")?.to_owned();
        let name = self.unfinished(key, &id)?.name.clone();
        let (bucket, _) = self.place(&id).ok_or_else(|| ApiError::not_found("file"))?;
        let bucket = self.bucket_mut(&bucket)?;
        bucket.remove(&name, &id);
        Ok(json!({ "accountId": bucket.account, "bucketId": bucket.id, "fileId": id, "fileName": name }))
    }

    pub fn list_parts(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "fileId")?;
        let start = number(params, "startPartNumber")?.unwrap_or(1).max(1) as u64;
        let max = number(params, "maxPartCount")?.unwrap_or(100).clamp(1, 1000) as usize;
        let version = self.unfinished(key, id)?;
        let mut parts: Vec<Value> = version
            .parts
            .range(start..)
            .map(|(number, part)| {
                json!({
                    "contentLength": part.data.len(), "contentSha1": part.sha1, "fileId": id, "partNumber": number,
                    "uploadTimestamp": part.uploaded_millis,
                })
            })
            .collect();
        let next = parts.get(max).map(|part| part["partNumber"].clone());
        parts.truncate(max);
        Ok(json!({ "nextPartNumber": next, "parts": parts }))
    }

    pub fn list_unfinished(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "bucketId")?;
        let prefix = maybe(params, "namePrefix")?.unwrap_or("");
        let max = number(params, "maxFileCount")?.unwrap_or(100).clamp(1, 100) as usize;
        let start = maybe(params, "startFileId")?.map(super::listing::sequence).transpose()?.unwrap_or(0);
        let bucket = self.bucket(id)?;
        same_account(key, &bucket.account)?;
        require(key, "listFiles", Some(id), Some(prefix))?;
        let mut found: Vec<&FileVersion> = bucket
            .versions()
            .filter(|v| v.action == Action::Start && v.name.starts_with(prefix) && v.sequence >= start)
            .collect();
        found.sort_by_key(|version| version.sequence);
        let next = found.get(max).map(|version| version.id.clone());
        found.truncate(max);
        let files: Vec<Value> = found.into_iter().map(|version| file_json(bucket, version, key)).collect();
        Ok(json!({ "files": files, "nextFileId": next }))
    }
}
