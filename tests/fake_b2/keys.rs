//! Calls on application keys.

use super::auth::{require, same_account};
use super::buckets::{maybe, number, text};
use super::error::ApiError;
use super::state::{ALL_CAPABILITIES, Key, World};
use serde_json::{Value, json};

const MAX_LIFE_SECS: i64 = 86_400_000;

fn strings(params: &Value, name: &str) -> Result<Option<Vec<String>>, ApiError> {
    if params[name].is_null() {
        return Ok(None);
    }
    serde_json::from_value(params[name].clone())
        .map(Some)
        .map_err(|_| ApiError::new(400, "bad_json", format!("field {name} must be a list of strings")))
}

impl World {
    pub fn create_key(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        require(key, "writeKeys", None, None)?;
        same_account(key, text(params, "accountId")?)?;
        let name = text(params, "keyName")?;
        if name.is_empty() || name.len() > 100 || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(ApiError::new(400, "bad_json", format!("illegal key name: {name}")));
        }
        let capabilities = strings(params, "capabilities")?.unwrap_or_default();
        if let Some(unknown) = capabilities.iter().find(|own| !ALL_CAPABILITIES.contains(&own.as_str())) {
            return Err(ApiError::bad_request(format!("unknown capability: {unknown}")));
        }
        let life_secs = number(params, "validDurationInSeconds")?;
        if life_secs.is_some_and(|secs| !(1..=MAX_LIFE_SECS).contains(&secs)) {
            let what = "valid duration must be greater than 0, and less than 1000 days in seconds";
            return Err(ApiError::new(400, "bad_json", what));
        }
        let buckets = strings(params, "bucketIds")?;
        let prefix = maybe(params, "namePrefix")?.map(str::to_owned);
        for bucket in buckets.iter().flatten() {
            self.bucket(bucket)?;
        }
        let serial = self.serial();
        let made = Key {
            account: key.account.clone(),
            id: format!("00{}{serial:010x}", key.account),
            secret: format!("K000{:08x}{serial:016x}", serial.wrapping_mul(0x9e37_79b9) & 0xffff_ffff),
            name: name.to_owned(),
            capabilities,
            buckets,
            prefix,
            expires_millis: life_secs.map(|secs| self.clock.now_millis() + secs * 1000),
        };
        let mut shown = key_json(&made);
        shown["applicationKey"] = json!(made.secret);
        self.keys.insert(made.id.clone(), made);
        Ok(shown)
    }

    pub fn list_keys(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        require(key, "listKeys", None, None)?;
        same_account(key, text(params, "accountId")?)?;
        let max = number(params, "maxKeyCount")?.unwrap_or(100);
        if !(1..=10_000).contains(&max) {
            return Err(ApiError::bad_request("maxKeyCount is 1 to 10000"));
        }
        let start = maybe(params, "startApplicationKeyId")?.unwrap_or("");
        let now = self.clock.now_millis();
        let own = |own: &&Key| own.account == key.account && own.id != own.account && own.id.as_str() >= start;
        let alive = |own: &&Key| own.expires_millis.is_none_or(|expires| expires > now);
        let mut found: Vec<&Key> = self.keys.values().filter(own).filter(alive).collect();
        let max = max as usize;
        let next = found.get(max).map(|key| key.id.clone());
        found.truncate(max);
        Ok(json!({ "keys": found.into_iter().map(key_json).collect::<Vec<_>>(), "nextApplicationKeyId": next }))
    }

    pub fn delete_key(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        require(key, "deleteKeys", None, None)?;
        let id = text(params, "applicationKeyId")?;
        let found = self.keys.get(id).filter(|found| found.account == key.account && found.id != found.account);
        let shown = found
            .map(key_json)
            .ok_or_else(|| ApiError::bad_request(format!("application key does not exist: {id}")))?;
        self.keys.remove(id);
        Ok(shown)
    }
}

fn key_json(key: &Key) -> Value {
    json!({
        "accountId": key.account,
        "applicationKeyId": key.id,
        "bucketIds": key.buckets,
        "capabilities": key.capabilities,
        "expirationTimestamp": key.expires_millis,
        "keyName": key.name,
        "namePrefix": key.prefix,
        "options": ["s3"],
    })
}
