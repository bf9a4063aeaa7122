//! Calls handed to what makes them.

use super::count::Class;
use super::error::ApiError;
use super::http::{Answer, Request};
use super::route::{Kind, Route};
use super::state::World;
use serde_json::Value;
use std::sync::Arc;

impl World {
    /// Makes the call; the number is how many files a listing gave.
    pub fn dispatch(&mut self, request: &Request, route: &Route, params: &Value) -> Result<(Answer, u64), ApiError> {
        let header = request.header("authorization");
        self.check_cap(route.kind)?;
        if route.kind.downloads() {
            return Ok((self.download(request, route.kind, &route.rest)?, 0));
        }
        if route.kind == Kind::Unknown {
            return Err(ApiError::not_found(format!("unknown API call: {}", request.path)));
        }
        if route.kind == Kind::Authorize {
            return Ok((Answer::json(200, &self.authorize(header)?), 0));
        }
        let key = self.key_of(header)?;
        let value = match route.kind {
            Kind::CreateBucket => self.create_bucket(&key, params),
            Kind::DeleteBucket => self.delete_bucket(&key, params),
            Kind::ListBuckets => self.list_buckets(&key, params),
            Kind::UpdateBucket => self.update_bucket(&key, params),
            Kind::CreateKey => self.create_key(&key, params),
            Kind::DeleteKey => self.delete_key(&key, params),
            Kind::ListKeys => self.list_keys(&key, params),
            Kind::GetUploadUrl => self.get_upload_url(&key, params),
            Kind::ListFileNames => self.list_file_names(&key, params),
            Kind::ListFileVersions => self.list_file_versions(&key, params),
            Kind::GetFileInfo => self.get_file_info(&key, params),
            Kind::HideFile => self.hide_file(&key, params),
            Kind::DeleteFileVersion => self.delete_file_version(&key, params),
            Kind::UpdateFileRetention => self.update_file_retention(&key, params),
            Kind::UpdateFileLegalHold => self.update_file_legal_hold(&key, params),
            Kind::StartLargeFile => self.start_large_file(&key, params),
            Kind::GetUploadPartUrl => self.get_upload_part_url(&key, params),
            Kind::FinishLargeFile => self.finish_large_file(&key, params),
            Kind::CancelLargeFile => self.cancel_large_file(&key, params),
            Kind::ListParts => self.list_parts(&key, params),
            Kind::ListUnfinishedLargeFiles => self.list_unfinished(&key, params),
            _ => Err(ApiError::not_found("no such call")),
        }?;
        let listed = if route.kind.lists() { value["files"].as_array().map_or(0, Vec::len) as u64 } else { 0 };
        Ok((Answer::json(200, &value), listed))
    }

    fn check_cap(&self, kind: Kind) -> Result<(), ApiError> {
        let over = |cap: Option<u64>, class| cap.is_some_and(|cap| self.day.class(class) >= cap);
        let full = match kind.class() {
            Some(Class::B) => over(self.caps.class_b_calls, Class::B),
            Some(Class::C) => over(self.caps.class_c_calls, Class::C),
            _ => false,
        };
        match full {
            true if kind.downloads() => Err(super::download::download_cap()),
            true => {
                let what = "Transaction cap exceeded. See the Caps & Alerts page to increase your cap.";
                Err(ApiError::new(403, "transaction_cap_exceeded", what))
            }
            false => Ok(()),
        }
    }

    /// Puts a wrong byte into a stored file.
    pub fn corrupt(&mut self, file_id: &str) {
        if let Some(version) = self.version_mut(file_id) {
            let mut data = version.data.to_vec();
            let at = data.len() / 3;
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 0x40;
            }
            version.data = Arc::new(data);
        }
    }
}
