//! Object Lock: retention and legal hold.

use super::auth::{require, same_account};
use super::buckets::{flag, number, text};
use super::error::ApiError;
use super::state::{Bucket, DAY_MILLIS, FileVersion, Key, Mode, Retention, World};
use serde_json::{Value, json};

const MAX_DAYS: i64 = 3000;

/// Refuses to delete what is locked.
pub fn check_deletion(version: &FileVersion, key: &Key, bypass: bool, now_millis: i64) -> Result<(), ApiError> {
    if version.legal_hold {
        return Err(ApiError::access_denied("The file has a legal hold"));
    }
    let Some(retention) = version.retention.filter(|retention| retention.until_millis > now_millis) else {
        return Ok(());
    };
    if bypass {
        require(key, "bypassGovernance", None, None)?;
    }
    if retention.mode == Mode::Compliance || !bypass {
        return Err(ApiError::access_denied("The file is retained"));
    }
    Ok(())
}

/// What a new version gets if the upload says nothing.
pub fn default_of(bucket: &Bucket, now_millis: i64) -> Option<Retention> {
    let (mode, duration, unit) = bucket.default_retention.as_ref()?;
    let days = if unit == "years" { duration * 365 } else { *duration };
    Some(Retention { mode: *mode, until_millis: now_millis + days * DAY_MILLIS })
}

/// A retention as a request has it: none if its mode is null.
pub fn parse(given: &Value, now_millis: i64) -> Result<Option<Retention>, ApiError> {
    let Some(mode) = given["mode"].as_str().filter(|mode| *mode != "none") else { return Ok(None) };
    let mode = Mode::parse(mode)?;
    let until = number(given, "retainUntilTimestamp")?
        .ok_or_else(|| ApiError::bad_request("retainUntilTimestamp is missing"))?;
    if until <= now_millis || until > now_millis + MAX_DAYS * DAY_MILLIS {
        return Err(ApiError::bad_request("retainUntilTimestamp must be in the future, by at most 3000 days"));
    }
    Ok(Some(Retention { mode, until_millis: until }))
}

impl World {
    /// The version that a call on its lock is about.
    fn locked(&self, key: &Key, params: &Value, capability: &str) -> Result<&FileVersion, ApiError> {
        let (id, name) = (text(params, "fileId")?, text(params, "fileName")?);
        require(key, capability, None, Some(name))?;
        super::listing::sequence(id)?;
        let absent = || ApiError::new(400, "file_not_present", format!("File not present: {name} {id}"));
        let (bucket, version) = self.find(id).filter(|(_, version)| version.name == name).ok_or_else(absent)?;
        same_account(key, &bucket.account)?;
        require(key, capability, Some(&bucket.id), Some(name))?;
        if !bucket.lock {
            return Err(ApiError::bad_request("The bucket is not enabled for file lock"));
        }
        Ok(version)
    }

    pub fn update_file_retention(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let now = self.clock.now_millis();
        let version = self.locked(key, params, "writeFileRetentions")?;
        let (id, name) = (version.id.clone(), version.name.clone());
        let new = parse(&params["fileRetention"], now)?;
        let bypass = flag(params, "bypassGovernance");
        if bypass {
            require(key, "bypassGovernance", None, None)?;
        }
        if let Some(old) = version.retention.filter(|old| old.until_millis > now) {
            let kept = new.is_some_and(|new| new.until_millis >= old.until_millis);
            let stricter = new.is_some_and(|new| new.mode == Mode::Compliance || old.mode == Mode::Governance);
            let allowed = match old.mode {
                Mode::Compliance => kept && stricter,
                Mode::Governance => kept || bypass,
            };
            if !allowed {
                return Err(ApiError::access_denied("The retention cannot be weakened"));
            }
        }
        if let Some(version) = self.version_mut(&id) {
            version.retention = new;
        }
        let shown = json!({
            "mode": new.map(|new| new.mode.name()),
            "retainUntilTimestamp": new.map(|new| new.until_millis),
        });
        Ok(json!({ "fileId": id, "fileName": name, "fileRetention": shown }))
    }

    pub fn update_file_legal_hold(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let version = self.locked(key, params, "writeFileLegalHolds")?;
        let (id, name) = (version.id.clone(), version.name.clone());
        let on = match text(params, "legalHold")? {
            "on" => true,
            "off" => false,
            other => return Err(ApiError::bad_request(format!("Invalid legalHold: {other}"))),
        };
        if let Some(version) = self.version_mut(&id) {
            version.legal_hold = on;
        }
        Ok(json!({ "fileId": id, "fileName": name, "legalHold": if on { "on" } else { "off" } }))
    }
}
