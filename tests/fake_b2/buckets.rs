//! Calls on buckets.

use super::auth::{require, same_account};
use super::error::ApiError;
use super::state::{Bucket, Key, Mode, World, guarded};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A parameter that must be there.
pub fn text<'a>(params: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    params[name].as_str().ok_or_else(|| ApiError::bad_request(format!("required field {name} is missing")))
}

/// A parameter that may be left out or null.
pub fn maybe<'a>(params: &'a Value, name: &str) -> Result<Option<&'a str>, ApiError> {
    match &params[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(ApiError::new(400, "bad_json", format!("field {name} must be a string"))),
    }
}

/// A number that may be left out.
pub fn number(params: &Value, name: &str) -> Result<Option<i64>, ApiError> {
    let bad = || ApiError::new(400, "bad_json", format!("field {name} must be a number"));
    match &params[name] {
        Value::Null => Ok(None),
        // As it comes in a query.
        Value::String(text) => text.parse().map(Some).map_err(|_| bad()),
        value => value.as_i64().map(Some).ok_or_else(bad),
    }
}

pub fn flag(params: &Value, name: &str) -> bool {
    params[name].as_bool().unwrap_or(params[name] == json!("true"))
}

impl World {
    pub fn create_bucket(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        require(key, "writeBuckets", None, None)?;
        same_account(key, text(params, "accountId")?)?;
        let name = text(params, "bucketName")?;
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !(6..=63).contains(&name.len()) || !name.chars().all(good) || name.starts_with("b2-") {
            return Err(ApiError::bad_request(format!("Invalid bucket name: {name}")));
        }
        if self.buckets.values().any(|bucket| bucket.name == name) {
            return Err(ApiError::new(400, "duplicate_bucket_name", "Bucket name is already in use."));
        }
        let kind = text(params, "bucketType")?;
        if !["allPrivate", "allPublic"].contains(&kind) {
            return Err(ApiError::bad_request(format!("Invalid bucketType: {kind}")));
        }
        let mut bucket = Bucket {
            account: key.account.clone(),
            id: format!("{:024x}", 0xe73e_de99_69c6_4355_0000_0000_u128 + u128::from(self.serial())),
            name: name.to_owned(),
            kind: kind.to_owned(),
            info: params["bucketInfo"].as_object().map_or(json!({}), |info| json!(info)),
            cors: params["corsRules"].as_array().map_or(json!([]), |rules| json!(rules)),
            lifecycle: Vec::new(),
            lock: flag(params, "fileLockEnabled"),
            default_retention: None,
            encryption: json!({ "mode": null, "algorithm": null }),
            revision: 1,
            files: BTreeMap::new(),
        };
        settings(&mut bucket, params)?;
        bucket.revision = 1;
        let shown = bucket_json(&bucket, key);
        self.buckets.insert(bucket.id.clone(), bucket);
        Ok(shown)
    }

    pub fn update_bucket(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "bucketId")?;
        require(key, "writeBuckets", Some(id), None)?;
        if !params["defaultRetention"].is_null() || !params["fileLockEnabled"].is_null() {
            require(key, "writeBucketRetentions", Some(id), None)?;
        }
        let bucket = self.bucket_mut(id)?;
        same_account(key, &bucket.account)?;
        if number(params, "ifRevisionIs")?.is_some_and(|revision| revision != bucket.revision as i64) {
            return Err(ApiError::new(409, "conflict", "The bucket has another revision"));
        }
        settings(bucket, params)?;
        bucket.revision += 1;
        Ok(bucket_json(bucket, key))
    }

    pub fn delete_bucket(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "bucketId")?.to_owned();
        require(key, "deleteBuckets", Some(&id), None)?;
        let bucket = self.bucket(&id)?;
        same_account(key, &bucket.account)?;
        if !bucket.files.is_empty() {
            return Err(ApiError::new(400, "cannot_delete_non_empty_bucket", "Cannot delete non-empty bucket"));
        }
        let shown = bucket_json(bucket, key);
        self.buckets.remove(&id);
        Ok(shown)
    }

    pub fn list_buckets(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        require(key, "listBuckets", None, None)?;
        same_account(key, text(params, "accountId")?)?;
        let (id, name) = (maybe(params, "bucketId")?, maybe(params, "bucketName")?);
        let all = self.buckets.values().filter(|bucket| bucket.account == key.account);
        let mut found: Vec<&Bucket> = all
            .filter(|bucket| id.is_none_or(|id| id == bucket.id) && name.is_none_or(|name| name == bucket.name))
            .collect();
        // A restricted key has to name one of its own.
        let named = found.iter().any(|bucket| key.in_bucket(&bucket.id)) && (id.is_some() || name.is_some());
        if key.buckets.is_some() && !named {
            return Err(ApiError::unauthorized("unauthorized: the key is restricted to other buckets"));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(json!({ "buckets": found.into_iter().map(|bucket| bucket_json(bucket, key)).collect::<Vec<_>>() }))
    }
}

/// Sets what is given.
fn settings(bucket: &mut Bucket, params: &Value) -> Result<(), ApiError> {
    if let Some(kind) = maybe(params, "bucketType")? {
        bucket.kind = kind.to_owned();
    }
    if let Some(info) = params["bucketInfo"].as_object() {
        bucket.info = json!(info);
    }
    if let Some(rules) = params["lifecycleRules"].as_array() {
        bucket.lifecycle = lifecycle_rules(rules)?;
    }
    if params["defaultServerSideEncryption"].is_object() {
        bucket.encryption = params["defaultServerSideEncryption"].clone();
    }
    match params["fileLockEnabled"].as_bool() {
        Some(false) if bucket.lock => {
            let what = "fileLockEnabled value of false is not allowed when bucket is already file lock enabled.";
            return Err(ApiError::new(400, "file_lock_conflict", what));
        }
        Some(lock) => bucket.lock = lock,
        None => {}
    }
    let retention = &params["defaultRetention"];
    if retention.is_object() {
        bucket.default_retention = default_retention(bucket.lock, retention)?;
    }
    Ok(())
}

fn default_retention(lock: bool, given: &Value) -> Result<Option<(Mode, i64, String)>, ApiError> {
    if !lock {
        return Err(ApiError::bad_request("default retention needs a bucket with Object Lock"));
    }
    let Some(mode) = given["mode"].as_str().filter(|mode| *mode != "none") else { return Ok(None) };
    let period = &given["period"];
    let duration = number(period, "duration")?.unwrap_or(0);
    let unit = text(period, "unit")?;
    let days = match unit {
        "days" => duration,
        "years" => duration.saturating_mul(365),
        _ => 0,
    };
    if !(1..=3000).contains(&days) {
        return Err(ApiError::bad_request("the period of a retention is 1 to 3000 days"));
    }
    Ok(Some((Mode::parse(mode)?, duration, unit.to_owned())))
}

/// At most 100 rules, each with a number of days, and no prefix within another.
fn lifecycle_rules(rules: &[Value]) -> Result<Vec<Value>, ApiError> {
    let bad = |what: &str| Err(ApiError::bad_request(what));
    if rules.len() > 100 {
        return bad("too many lifecycle rules");
    }
    let mut done: Vec<Value> = Vec::new();
    for rule in rules {
        let prefix = text(rule, "fileNamePrefix")?;
        let days = ["daysFromHidingToDeleting", "daysFromUploadingToHiding"];
        let unfinished = "daysFromStartingToCancelingUnfinishedLargeFiles";
        let mut shown = json!({ "fileNamePrefix": prefix });
        for name in days.into_iter().chain([unfinished]) {
            let value = number(rule, name)?;
            if value.is_some_and(|days| days < 1) {
                return bad("days of a lifecycle rule are at least 1");
            }
            shown[name] = json!(value);
        }
        let overlaps = |other: &Value| {
            other["fileNamePrefix"].as_str().is_some_and(|other| other.starts_with(prefix) || prefix.starts_with(other))
        };
        if done.iter().any(overlaps) {
            return bad("prefixes of lifecycle rules overlap");
        }
        done.push(shown);
    }
    Ok(done)
}

fn bucket_json(bucket: &Bucket, key: &Key) -> Value {
    let retention = bucket.default_retention.as_ref();
    let period = retention.map(|(_, duration, unit)| json!({ "duration": duration, "unit": unit }));
    let lock = json!({
        "defaultRetention": { "mode": retention.map(|(mode, ..)| mode.name()), "period": period },
        "isFileLockEnabled": bucket.lock,
    });
    json!({
        "accountId": bucket.account,
        "bucketId": bucket.id,
        "bucketInfo": bucket.info,
        "bucketName": bucket.name,
        "bucketType": bucket.kind,
        "corsRules": bucket.cors,
        "defaultServerSideEncryption": guarded(key.may("readBucketEncryption"), bucket.encryption.clone()),
        "fileLockConfiguration": guarded(key.may("readBucketRetentions"), lock),
        "lifecycleRules": bucket.lifecycle,
        "options": ["s3"],
        "replicationConfiguration": guarded(
            key.may("readBucketReplications"),
            json!({ "asReplicationSource": null, "asReplicationDestination": null }),
        ),
        "revision": bucket.revision,
    })
}
