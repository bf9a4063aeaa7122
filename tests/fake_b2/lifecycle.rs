//! Lifecycle rules, applied when the clock is moved forward ("Lifecycle Rules").

use super::lock::check_deletion;
use super::state::{Action, Bucket, DAY_MILLIS, FileVersion, World};
use serde_json::Value;

/// The rule that holds for a name, if any: no two overlap.
fn rule_of<'a>(bucket: &'a Bucket, name: &str) -> Option<&'a Value> {
    bucket.lifecycle.iter().find(|rule| rule["fileNamePrefix"].as_str().is_some_and(|prefix| name.starts_with(prefix)))
}

fn older(since_millis: i64, days: &Value, now_millis: i64) -> bool {
    days.as_i64().is_some_and(|days| since_millis + days * DAY_MILLIS <= now_millis)
}

impl World {
    /// Hides and deletes what the rules of all buckets say.
    pub fn apply_lifecycle(&mut self) {
        let now = self.clock.now_millis();
        let ids: Vec<String> = self.buckets.keys().cloned().collect();
        for id in ids {
            let (to_hide, to_delete) = self.buckets.get(&id).map(|bucket| due(bucket, now)).unwrap_or_default();
            for name in to_hide {
                let marker = self.hide_marker(&id, &name);
                if let Some(bucket) = self.buckets.get_mut(&id) {
                    bucket.add(marker);
                }
            }
            for (name, file) in to_delete {
                if let Some(bucket) = self.buckets.get_mut(&id) {
                    bucket.remove(&name, &file);
                }
            }
        }
    }
}

/// Names to hide, versions to delete.
fn due(bucket: &Bucket, now: i64) -> (Vec<String>, Vec<(String, String)>) {
    let (mut to_hide, mut to_delete) = (Vec::new(), Vec::new());
    for (name, versions) in &bucket.files {
        let Some(rule) = rule_of(bucket, name) else { continue };
        let unfinished = &rule["daysFromStartingToCancelingUnfinishedLargeFiles"];
        let starts = versions.iter().filter(|v| v.action == Action::Start);
        to_delete
            .extend(starts.filter(|v| older(v.uploaded_millis, unfinished, now)).map(|v| (name.clone(), v.id.clone())));
        let finished: Vec<&FileVersion> = versions.iter().filter(|v| v.action != Action::Start).collect();
        let Some(newest) = finished.first() else { continue };
        if newest.action == Action::Upload && older(newest.uploaded_millis, &rule["daysFromUploadingToHiding"], now) {
            to_hide.push(name.clone());
        }
        // A version has been hidden since the one after it came.
        let days = &rule["daysFromHidingToDeleting"];
        let mut kept = 1;
        for pair in finished.windows(2) {
            let locked = !free(pair[1], now);
            if older(pair[0].uploaded_millis, days, now) && !locked {
                to_delete.push((name.clone(), pair[1].id.clone()));
            } else {
                kept += 1;
            }
        }
        // A marker that hides nothing any more goes, too.
        if kept == 1 && newest.action == Action::Hide && older(newest.uploaded_millis, days, now) {
            to_delete.push((name.clone(), newest.id.clone()));
        }
    }
    (to_hide, to_delete)
}

/// Whether nothing keeps a version.
fn free(version: &FileVersion, now: i64) -> bool {
    let nobody = super::state::Key {
        account: String::new(),
        id: String::new(),
        secret: String::new(),
        name: String::new(),
        capabilities: Vec::new(),
        buckets: None,
        prefix: None,
        expires_millis: None,
    };
    check_deletion(version, &nobody, false, now).is_ok()
}
