//! Who asks, and whether they may.

use super::error::ApiError;
use super::state::{Key, Token, World};
use data_encoding::BASE64;
use serde_json::{Value, json};

impl World {
    /// `b2_authorize_account`: a new token for the key named in the header.
    pub fn authorize(&mut self, header: Option<&str>) -> Result<Value, ApiError> {
        let wrong = || ApiError::new(401, "bad_auth_token", "Invalid applicationKeyId or applicationKey");
        let header = header.ok_or_else(missing)?;
        let encoded = header.strip_prefix("Basic ").ok_or_else(wrong)?;
        let decoded = BASE64.decode(encoded.trim().as_bytes()).map_err(|_| wrong())?;
        let text = String::from_utf8(decoded).map_err(|_| wrong())?;
        let (id, secret) = text.split_once(':').ok_or_else(wrong)?;
        let now = self.clock.now_millis();
        let key = self.keys.get(id).filter(|key| key.secret == secret).cloned().ok_or_else(wrong)?;
        if key.expires_millis.is_some_and(|expires| expires <= now) {
            return Err(wrong());
        }
        let token = format!("4_{}_{:08x}_acct", key.id, self.serial());
        let life = self.options.token_life_millis;
        let expires_millis = key.expires_millis.map_or(now + life, |expires| expires.min(now + life));
        self.tokens.insert(token.clone(), Token { key: key.id.clone(), expires_millis });
        let storage = json!({
            "absoluteMinimumPartSize": self.options.min_part_bytes,
            "allowed": self.allowed(&key),
            "apiUrl": self.endpoint,
            "downloadUrl": self.endpoint,
            "recommendedPartSize": self.options.recommended_part_bytes,
            "s3ApiUrl": self.endpoint,
        });
        Ok(json!({
            "accountId": key.account,
            "apiInfo": { "storageApi": storage },
            "applicationKeyExpirationTimestamp": key.expires_millis,
            "authorizationToken": token,
        }))
    }

    fn allowed(&self, key: &Key) -> Value {
        let named = |id: &String| json!({ "id": id, "name": self.buckets.get(id).map(|bucket| &bucket.name) });
        let buckets: Option<Vec<Value>> = key.buckets.as_ref().map(|ids| ids.iter().map(named).collect());
        json!({ "buckets": buckets, "capabilities": key.capabilities, "namePrefix": key.prefix })
    }

    /// The key behind an account token.
    pub fn key_of(&self, header: Option<&str>) -> Result<Key, ApiError> {
        let token = self.tokens.get(header.ok_or_else(missing)?).ok_or_else(invalid)?;
        if token.expires_millis <= self.clock.now_millis() {
            return Err(expired());
        }
        self.keys.get(&token.key).cloned().ok_or_else(invalid)
    }
}

pub fn missing() -> ApiError {
    ApiError::new(401, "missing_auth_token", "There is no Authorization header")
}

pub fn invalid() -> ApiError {
    ApiError::new(401, "bad_auth_token", "Invalid authorization token")
}

pub fn expired() -> ApiError {
    ApiError::new(401, "expired_auth_token", "Authorization token has expired")
}

/// Refuses a key without the capability, or restricted to other buckets or names.
pub fn require(key: &Key, capability: &str, bucket: Option<&str>, name: Option<&str>) -> Result<(), ApiError> {
    if !key.may(capability) {
        return Err(ApiError::unauthorized(format!("unauthorized: the key lacks {capability}")));
    }
    if bucket.is_some_and(|bucket| !key.in_bucket(bucket)) {
        return Err(ApiError::unauthorized("unauthorized: the key is restricted to another bucket"));
    }
    if name.is_some_and(|name| !key.covers(name)) {
        return Err(ApiError::unauthorized("unauthorized: the key is restricted to another name prefix"));
    }
    Ok(())
}

/// Whether the bucket belongs to the key's account.
pub fn same_account(key: &Key, account: &str) -> Result<(), ApiError> {
    if key.account == account {
        return Ok(());
    }
    Err(ApiError::unauthorized("unauthorized: another account's"))
}
