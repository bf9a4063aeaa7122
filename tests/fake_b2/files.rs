//! Single versions: what they look like, information, hiding, deleting.

use super::auth::{require, same_account};
use super::buckets::{flag, text};
use super::error::ApiError;
use super::listing::sequence;
use super::state::{Action, Bucket, FileVersion, Key, World, guarded};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub const HIDE_TYPE: &str = "application/x-bz-hide-marker";

/// A version as listings, uploads and `b2_get_file_info` give it.
pub fn file_json(bucket: &Bucket, version: &FileVersion, key: &Key) -> Value {
    let retention = json!({
        "mode": version.retention.map(|retention| retention.mode.name()),
        "retainUntilTimestamp": version.retention.map(|retention| retention.until_millis),
    });
    json!({
        "accountId": bucket.account,
        "action": version.action.name(),
        "bucketId": bucket.id,
        "contentLength": version.data.len(),
        "contentMd5": null,
        "contentSha1": version.sha1,
        "contentType": version.content_type,
        "fileId": version.id,
        "fileInfo": version.info,
        "fileName": version.name,
        "fileRetention": guarded(key.may("readFileRetentions"), retention),
        "legalHold": guarded(key.may("readFileLegalHolds"), json!(version.legal_hold.then_some("on"))),
        "replicationStatus": null,
        "serverSideEncryption": bucket.encryption,
        "uploadTimestamp": version.uploaded_millis,
    })
}

impl World {
    /// A version that is not in its bucket yet.
    pub fn new_version(&mut self, bucket: &str, name: &str, action: Action) -> FileVersion {
        let sequence = self.serial();
        let now = self.clock.now_millis();
        let stamp = jiff::Timestamp::from_millisecond(now)
            .map(|time| time.strftime("d%Y%m%d_m%H%M%S").to_string())
            .unwrap_or_default();
        FileVersion {
            sequence,
            id: format!("4_z{bucket}_f{sequence:016x}_{stamp}_c000_v0001000_t0000_u{now:017}"),
            name: name.to_owned(),
            action,
            uploaded_millis: now,
            content_type: None,
            sha1: None,
            info: BTreeMap::new(),
            data: Arc::default(),
            parts: BTreeMap::new(),
            retention: None,
            legal_hold: false,
        }
    }

    pub fn get_file_info(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "fileId")?;
        require(key, "readFiles", None, None)?;
        sequence(id)?;
        let missing = || ApiError::not_found(format!("file_id {id} not found"));
        let (bucket, version) = self.find(id).ok_or_else(missing)?;
        same_account(key, &bucket.account)?;
        require(key, "readFiles", Some(&bucket.id), Some(&version.name))?;
        Ok(file_json(bucket, version, key))
    }

    /// Needs no more than `writeFiles`: the trap that "append-only" keys have.
    pub fn hide_file(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let (id, name) = (text(params, "bucketId")?, text(params, "fileName")?);
        let bucket = self.bucket(id)?;
        same_account(key, &bucket.account)?;
        require(key, "writeFiles", Some(id), Some(name))?;
        let newest = bucket.files.get(name).and_then(|v| v.iter().find(|v| v.action != Action::Start));
        match newest.map(|version| version.action) {
            None => return Err(ApiError::new(400, "no_such_file", format!("File not present: {name}"))),
            Some(Action::Hide) => {
                return Err(ApiError::new(400, "already_hidden", format!("File already hidden: {name}")));
            }
            Some(_) => {}
        }
        let (id, name) = (id.to_owned(), name.to_owned());
        let marker = self.hide_marker(&id, &name);
        let bucket = self.bucket_mut(&id)?;
        let shown = file_json(bucket, &marker, key);
        bucket.add(marker);
        Ok(shown)
    }

    pub fn hide_marker(&mut self, bucket: &str, name: &str) -> FileVersion {
        let mut marker = self.new_version(bucket, name, Action::Hide);
        marker.content_type = Some(HIDE_TYPE.to_owned());
        marker
    }

    pub fn delete_file_version(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let (id, name) = (text(params, "fileId")?, text(params, "fileName")?);
        require(key, "deleteFiles", None, Some(name))?;
        sequence(id)?;
        let absent = || ApiError::new(400, "file_not_present", format!("File not present: {name} {id}"));
        let (bucket, version) = self.find(id).filter(|(_, version)| version.name == name).ok_or_else(absent)?;
        same_account(key, &bucket.account)?;
        require(key, "deleteFiles", Some(&bucket.id), Some(name))?;
        super::lock::check_deletion(version, key, flag(params, "bypassGovernance"), self.clock.now_millis())?;
        let bucket = bucket.id.clone();
        let removed = self.bucket_mut(&bucket)?.remove(name, id).ok_or_else(absent)?;
        let now = self.clock.now_millis();
        self.gone.push((removed.data.len() as u64, removed.uploaded_millis, now));
        Ok(json!({ "fileId": id, "fileName": name }))
    }
}
