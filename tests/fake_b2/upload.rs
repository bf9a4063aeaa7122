//! Uploads: URLs, their serial use, and what comes in.

use super::auth::{expired, invalid, missing, require, same_account};
use super::buckets::text;
use super::error::ApiError;
use super::files::file_json;
use super::http::Request;
use super::names;
use super::state::{Action, Key, Part, UploadTarget, UploadToken, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A body as it came in.
pub struct Received {
    pub data: Vec<u8>,
    /// Of all of it.
    pub sha1: String,
}

impl World {
    pub fn get_upload_url(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "bucketId")?.to_owned();
        same_account(key, &self.bucket(&id)?.account)?;
        require(key, "writeFiles", Some(&id), None)?;
        let (url, token) = self.new_upload(key, UploadTarget::Bucket(id.clone()), "b2_upload_file", &id);
        Ok(json!({ "authorizationToken": token, "bucketId": id, "uploadUrl": url }))
    }

    pub fn new_upload(&mut self, key: &Key, target: UploadTarget, call: &str, id: &str) -> (String, String) {
        let serial = self.serial();
        let token = format!("4_{}_{serial:08x}_upld", key.id);
        let expires_millis = self.clock.now_millis() + self.options.token_life_millis;
        let upload = UploadToken { key: key.id.clone(), target, expires_millis, in_use: false, dead: None };
        self.uploads.insert(token.clone(), upload);
        (format!("{}/b2api/v4/{call}/{id}/c000_v0001000_t{serial:04}", self.endpoint), token)
    }

    /// Takes an upload URL into use. `end_upload` has to follow.
    pub fn begin_upload(&mut self, token: Option<&str>, target: &str) -> Result<(Key, UploadTarget), ApiError> {
        let name = token.ok_or_else(missing)?;
        let now = self.clock.now_millis();
        let upload = self.uploads.get_mut(name).ok_or_else(invalid)?;
        let own = match &upload.target {
            UploadTarget::Bucket(id) | UploadTarget::File(id) => id,
        };
        if target.split('/').next() != Some(own) {
            return Err(invalid());
        }
        if upload.in_use {
            let what = format!("more than one upload using auth token {name}");
            self.violation(what.clone());
            return Err(ApiError::new(400, "auth_token_limit", what));
        }
        if let Some(why) = upload.dead.clone() {
            self.violation(format!("an upload URL was used again after {why}"));
            return Err(invalid());
        }
        if upload.expires_millis <= now {
            upload.dead = Some("its end of life".to_owned());
            return Err(expired());
        }
        upload.in_use = true;
        let (key, target) = (upload.key.clone(), upload.target.clone());
        let key = self.keys.get(&key).cloned().ok_or_else(invalid)?;
        Ok((key, target))
    }

    /// Gives an upload URL back, dead if something failed on it.
    pub fn end_upload(&mut self, token: Option<&str>, failed: Option<&str>) {
        if let Some(upload) = token.and_then(|token| self.uploads.get_mut(token)) {
            upload.in_use = false;
            if let Some(why) = failed {
                upload.dead.get_or_insert_with(|| why.to_owned());
            }
        }
    }

    /// What the headers of an upload say, before its body is read.
    pub fn check_upload(&mut self, request: &Request, key: &Key, target: &UploadTarget) -> Result<(), ApiError> {
        let length = length_of(request)?;
        if length > self.options.max_file_bytes {
            return Err(ApiError::bad_request("The file is too large for a single upload"));
        }
        if self.caps.storage_bytes.is_some_and(|cap| self.stored_bytes() + length > cap) {
            return Err(storage_cap());
        }
        let UploadTarget::Bucket(bucket) = target else { return Ok(()) };
        let name = name_of(request)?;
        names::check(&name)?;
        require(key, "writeFiles", Some(bucket), Some(&name))?;
        header(request, "content-type")?;
        let info = info_of(request)?;
        let used: usize = name.len() + info.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let limit = if self.bucket(bucket)?.lock { 2048 } else { 7000 };
        if info.len() > 10 || used > limit {
            return Err(ApiError::bad_request("The file name and file info are too long"));
        }
        Ok(())
    }

    /// Stores a file whose body has come.
    pub fn upload_file(
        &mut self,
        request: &Request,
        key: &Key,
        bucket: &str,
        body: Received,
    ) -> Result<Value, ApiError> {
        let now = self.clock.now_millis();
        let (data, sha1) = verified(request, body)?;
        let mut version = self.new_version(bucket, &name_of(request)?, Action::Upload);
        version.content_type = Some(match header(request, "content-type")? {
            "b2/x-auto" => "application/octet-stream".to_owned(),
            other => other.to_owned(),
        });
        version.sha1 = Some(sha1);
        version.info = info_of(request)?;
        version.data = Arc::new(data);
        let given = json!({
            "mode": request.header("x-bz-file-retention-mode"),
            "retainUntilTimestamp": request.header("x-bz-file-retention-retain-until-timestamp"),
        });
        let hold = request.header("x-bz-file-legal-hold");
        let lock = self.bucket(bucket)?.lock;
        if !lock && (!given["mode"].is_null() || hold.is_some()) {
            return Err(ApiError::bad_request("The bucket is not enabled for file lock"));
        }
        version.retention = super::lock::default_of(self.bucket(bucket)?, now);
        if !given["mode"].is_null() {
            require(key, "writeFileRetentions", Some(bucket), None)?;
            version.retention = super::lock::parse(&given, now)?;
        }
        if hold.is_some() {
            require(key, "writeFileLegalHolds", Some(bucket), None)?;
            version.legal_hold = hold == Some("on");
        }
        let bucket = self.bucket_mut(bucket)?;
        let shown = file_json(bucket, &version, key);
        bucket.add(version);
        Ok(shown)
    }

    /// Stores a part whose body has come.
    pub fn upload_part(&mut self, request: &Request, file: &str, body: Received) -> Result<Value, ApiError> {
        let number: u64 = header(request, "x-bz-part-number")?
            .parse()
            .ok()
            .filter(|number| (1..=10_000).contains(number))
            .ok_or_else(|| ApiError::bad_request("Part number must be in range 1 - 10000"))?;
        let (data, sha1) = verified(request, body)?;
        let now = self.clock.now_millis();
        let gone = || ApiError::bad_request(format!("No active upload for: {file}"));
        let version = self.version_mut(file).filter(|version| version.action == Action::Start).ok_or_else(gone)?;
        let shown = json!({
            "contentLength": data.len(), "contentSha1": sha1, "fileId": file, "partNumber": number,
            "uploadTimestamp": now,
        });
        version.parts.insert(number, Part { sha1, data: Arc::new(data), uploaded_millis: now });
        Ok(shown)
    }
}

pub fn storage_cap() -> ApiError {
    ApiError::new(
        403,
        "storage_cap_exceeded",
        "Cannot upload files, storage cap exceeded. See the Caps & Alerts page to increase your cap.",
    )
}

fn header<'a>(request: &'a Request, name: &str) -> Result<&'a str, ApiError> {
    request.header(name).ok_or_else(|| ApiError::bad_request(format!("Missing header: {name}")))
}

/// The length of an upload's body, which has to be given.
pub fn length_of(request: &Request) -> Result<u64, ApiError> {
    if request.header("transfer-encoding").is_some() {
        return Err(ApiError::bad_request("Transfer-Encoding is not supported, Content-Length is required"));
    }
    request.length_bytes().ok_or_else(|| ApiError::bad_request("Missing header: Content-Length"))
}

/// The file's name from the header.
pub fn name_of(request: &Request) -> Result<String, ApiError> {
    names::decode(header(request, "x-bz-file-name")?)
}

fn info_of(request: &Request) -> Result<BTreeMap<String, String>, ApiError> {
    let mut info = BTreeMap::new();
    for (name, value) in &request.headers {
        let Some(name) = name.strip_prefix("x-bz-info-") else { continue };
        let value = names::decode(value)?;
        if name == "src_last_modified_millis" && value.parse::<i64>().is_err() {
            return Err(ApiError::bad_request("src_last_modified_millis is not a number"));
        }
        info.insert(name.to_owned(), value);
    }
    Ok(info)
}

/// The data without a checksum at its end, and its checksum, if that is right.
fn verified(request: &Request, body: Received) -> Result<(Vec<u8>, String), ApiError> {
    let Received { mut data, mut sha1 } = body;
    let given = header(request, "x-bz-content-sha1")?;
    let mismatch = || ApiError::bad_request("Sha1 did not match data received");
    if given == "do_not_verify" {
        return Ok((data, format!("unverified:{sha1}")));
    }
    let mut claimed = given.to_ascii_lowercase();
    if given == "hex_digits_at_end" {
        let at = data.len().checked_sub(40).ok_or_else(mismatch)?;
        claimed = String::from_utf8(data.split_off(at)).map_err(|_| mismatch())?.to_ascii_lowercase();
        sha1 = super::connection::sha1_of(&data);
    } else if given.len() != 40 || !given.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ApiError::bad_request(format!("Invalid X-Bz-Content-Sha1: {given}")));
    }
    if claimed != sha1 {
        return Err(mismatch());
    }
    Ok((data, sha1))
}
