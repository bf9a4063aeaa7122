//! Calls that list files.

use super::auth::require;
use super::buckets::{maybe, number, text};
use super::error::ApiError;
use super::files::file_json;
use super::state::{Action, FileVersion, Key, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const MAX_FILES: i64 = 10_000;

/// What a listing asks for.
struct Wanted {
    prefix: String,
    delimiter: Option<String>,
    start: String,
    max: usize,
}

impl Wanted {
    fn new(params: &Value, page_limit: usize) -> Result<Self, ApiError> {
        let max = number(params, "maxFileCount")?.filter(|max| *max != 0).unwrap_or(100);
        if !(1..=MAX_FILES).contains(&max) {
            return Err(ApiError::bad_request("maxFileCount out of range: 1 to 10000"));
        }
        Ok(Self {
            prefix: maybe(params, "prefix")?.unwrap_or("").to_owned(),
            delimiter: maybe(params, "delimiter")?.filter(|text| !text.is_empty()).map(str::to_owned),
            start: maybe(params, "startFileName")?.unwrap_or("").to_owned(),
            max: (max as usize).min(page_limit),
        })
    }

    /// The folder below the prefix in which a name is, if names are to be taken together.
    fn folder<'a>(&self, name: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref()?;
        let at = name.get(self.prefix.len()..)?.find(delimiter)?;
        Some(&name[..self.prefix.len() + at + delimiter.len()])
    }
}

/// A name that comes after all that begin with the folder's.
fn after_folder(folder: &str) -> String {
    let mut name = folder.to_owned();
    if let Some(last) = name.pop() {
        name.extend(char::from_u32(u32::from(last) + 1));
    }
    name
}

impl World {
    /// The ids that a stale listing leaves out; each listing uses one up.
    fn unseen(&mut self, bucket: &str) -> BTreeSet<String> {
        let (newest, listings) = self.stale;
        if listings == 0 {
            return BTreeSet::new();
        }
        self.stale.1 -= 1;
        let Some(bucket) = self.buckets.get(bucket) else { return BTreeSet::new() };
        let mut all: Vec<&FileVersion> = bucket.versions().collect();
        all.sort_by_key(|version| std::cmp::Reverse(version.sequence));
        all.into_iter().take(newest).map(|version| version.id.clone()).collect()
    }

    pub fn list_file_names(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "bucketId")?;
        let wanted = Wanted::new(params, self.options.page_limit)?;
        self.bucket(id)?;
        require(key, "listFiles", Some(id), Some(&wanted.prefix))?;
        let unseen = self.unseen(id);
        let bucket = self.bucket(id)?;
        let (mut files, mut next, mut last_folder) = (Vec::new(), None, None);
        for (name, versions) in bucket.files.range(wanted.start.clone()..) {
            if !name.starts_with(&wanted.prefix) {
                continue;
            }
            // The newest version decides; one that is not finished is none.
            let newest = versions.iter().find(|v| v.action != Action::Start && !unseen.contains(&v.id));
            let Some(version) = newest.filter(|version| version.action == Action::Upload) else { continue };
            let folder = wanted.folder(name);
            if folder.is_some() && folder == last_folder.as_deref() {
                continue;
            }
            if files.len() == wanted.max {
                next = Some(next_name(&files));
                break;
            }
            files.push(folder.map_or_else(|| file_json(bucket, version, key), |folder| folder_json(bucket, folder)));
            last_folder = folder.map(str::to_owned);
        }
        Ok(json!({ "files": files, "nextFileName": next }))
    }

    pub fn list_file_versions(&mut self, key: &Key, params: &Value) -> Result<Value, ApiError> {
        let id = text(params, "bucketId")?;
        let wanted = Wanted::new(params, self.options.page_limit)?;
        let start_id = maybe(params, "startFileId")?.filter(|text| !text.is_empty());
        if start_id.is_some() && wanted.start.is_empty() {
            return Err(ApiError::bad_request("startFileName must be provided if startFileId is provided"));
        }
        let start_at = start_id.map(sequence).transpose()?;
        self.bucket(id)?;
        require(key, "listFiles", Some(id), Some(&wanted.prefix))?;
        let unseen = self.unseen(id);
        let bucket = self.bucket(id)?;
        let (mut files, mut next, mut last_folder) = (Vec::new(), None, None);
        'names: for (name, versions) in bucket.files.range(wanted.start.clone()..) {
            if !name.starts_with(&wanted.prefix) {
                continue;
            }
            let folder = wanted.folder(name);
            for version in versions.iter().filter(|version| !unseen.contains(&version.id)) {
                if *name == wanted.start && start_at.is_some_and(|start| version.sequence > start) {
                    continue;
                }
                if folder.is_some() && folder == last_folder.as_deref() {
                    continue 'names;
                }
                if files.len() == wanted.max {
                    let from_folder = folder.map_or(name.as_str(), |folder| folder);
                    let same = folder.is_none().then(|| version.id.clone());
                    next = Some((from_folder.to_owned(), same));
                    break 'names;
                }
                files.push(folder.map_or_else(|| file_json(bucket, version, key), |f| folder_json(bucket, f)));
                last_folder = folder.map(str::to_owned);
            }
        }
        let (next_name, next_id) = next.map_or((None, None), |(name, id)| (Some(name), id));
        Ok(json!({ "files": files, "nextFileName": next_name, "nextFileId": next_id }))
    }
}

/// Where to go on: no file need have this name, but it finds the next one.
fn next_name(files: &[Value]) -> String {
    let last = files.last().map_or(&Value::Null, |file| file);
    let name = last["fileName"].as_str().unwrap_or("");
    if last["action"] == "folder" { after_folder(name) } else { format!("{name} ") }
}

/// The place of a file id in time.
pub fn sequence(id: &str) -> Result<u64, ApiError> {
    let part = id.split('_').find_map(|part| part.strip_prefix('f').filter(|digits| digits.len() == 16));
    part.and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| ApiError::bad_request(format!("Invalid fileId: {id}")))
}

fn folder_json(bucket: &super::state::Bucket, folder: &str) -> Value {
    json!({
        "accountId": bucket.account,
        "action": "folder",
        "bucketId": bucket.id,
        "contentLength": 0,
        "contentSha1": null,
        "contentType": null,
        "fileId": null,
        "fileInfo": {},
        "fileName": folder,
        "uploadTimestamp": 0,
    })
}
