//! What must hold between the keys of a profile.

use super::places::{Places, Step};
use super::types::{Config, Profile, Retention, Source};
use super::{Problem, nearest};
use crate::format::limits;

/// Everything that is wrong with a configuration whose values are sound each by itself.
pub(super) fn check(config: &Config, places: &Places<'_>) -> Vec<Problem> {
    let mut rules = Rules { places, at: Vec::new(), problems: Vec::new() };
    let names = || config.profiles.keys().map(String::as_str);
    if let Some(name) = config.default_profile.as_ref().filter(|name| !config.profiles.contains_key(*name)) {
        let near = nearest(name, names()).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        rules.say(&["default-profile".into()], format!("there is no profile {name:?}{near}"));
    }
    for (name, profile) in &config.profiles {
        rules.at = vec!["profiles".into(), name.as_str().into()];
        if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            rules.say(&[], "a profile's name is not empty and has no spaces");
        }
        rules.profile(profile);
    }
    rules.problems.sort();
    rules.problems
}

struct Rules<'a> {
    places: &'a Places<'a>,
    at: Vec<Step>,
    problems: Vec<Problem>,
}

impl Rules<'_> {
    fn say(&mut self, below: &[Step], what: impl Into<String>) {
        let path = [&self.at[..], below].concat();
        self.problems.push(self.places.problem(&path, what));
    }

    fn profile(&mut self, profile: &Profile) {
        if profile.repository.as_ref().is_some_and(|r| r.trim().is_empty() || r.contains('\0')) {
            self.say(&["repository".into()], "it is empty");
        } else if profile.repository.as_ref().is_some_and(|r| !r.starts_with('/') && !r.contains(':')) {
            // Where a relative one is depends on who runs the program.
            self.say(&["repository".into()], "a folder is given by its absolute path");
        }
        let keys = [
            ("password-file", profile.password_file.is_some()),
            ("password-command", profile.password_command.is_some()),
            ("identity-file", profile.identity_file.is_some()),
        ];
        self.only_one("what opens the repository", &[], &keys);
        self.sources(profile);
        self.databases(profile);
        self.backup(profile);
        if let Some(retention) = &profile.retention {
            self.retention(&["retention".into()], retention);
        }
        if let Some(snapshots) = &profile.snapshots
            && let Some(retention) = &snapshots.retention
        {
            let below = ["snapshots".into(), "retention".into()];
            self.retention(&below, retention);
            if retention.group_by.is_some() {
                self.say(&[&below[..], &["group-by".into()]].concat(), "local snapshots are always apart by subvolume");
            }
        }
        self.money_and_metrics(profile);
    }

    fn only_one(&mut self, what: &str, table: &[Step], keys: &[(&str, bool)]) {
        let given: Vec<&str> = keys.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect();
        if let [_, second, ..] = given[..] {
            let path = [table, &[second.into()]].concat();
            self.say(&path, format!("give only one of {}: {what} is one thing", given.join(" and ")));
        }
    }

    fn sources(&mut self, profile: &Profile) {
        let place = |source: &Source| source.path.as_ref().or(source.subvolume.as_ref()).map(|p| p.get().clone());
        for (at, source) in profile.sources.iter().enumerate() {
            let here: Vec<Step> = vec!["sources".into(), at.into()];
            match (&source.path, &source.subvolume) {
                (None, None) => self.say(&here, "a source has a path or a subvolume"),
                (Some(_), Some(_)) => self.say(&here, "a source has a path or a subvolume, not both"),
                (Some(_), None) if source.newest_of.is_some() || source.nested != Default::default() => {
                    self.say(&here, "nested and newest-of are for subvolumes");
                }
                _ => {}
            }
            if place(source).is_some_and(|p| profile.sources[..at].iter().any(|other| place(other) == Some(p.clone())))
            {
                self.say(&here, "this source is given twice");
            }
        }
    }

    fn databases(&mut self, profile: &Profile) {
        for (at, database) in profile.databases.iter().enumerate() {
            let key = |key: &str| -> Vec<Step> { vec!["databases".into(), at.into(), key.into()] };
            if database.sources.is_empty() {
                self.say(&key("sources"), "a database lives in at least one source");
            }
            for (n, path) in database.sources.iter().enumerate() {
                let is_it =
                    |s: &Source| s.subvolume.as_ref().or(s.path.as_ref()).is_some_and(|p| p.get() == path.get());
                if !profile.sources.iter().any(is_it) {
                    self.say(&[&key("sources")[..], &[n.into()]].concat(), format!("{path} is none of the sources"));
                }
            }
            let no_hooks = database.before.is_none() && database.after.is_none();
            if database.kind == super::types::DatabaseKind::Other && no_hooks {
                self.say(&key("kind"), "a database of the kind other needs before or after");
            }
            if database.timeout.as_ref().is_some_and(|timeout| timeout.get().is_zero()) {
                self.say(&key("timeout"), "it is 0");
            }
        }
    }

    fn backup(&mut self, profile: &Profile) {
        let Some(backup) = &profile.backup else { return };
        for (at, tag) in backup.tags.iter().enumerate() {
            self.tag(&["backup".into(), "tags".into(), at.into()], tag);
        }
        for (key, patterns) in [("exclude", &backup.exclude), ("iexclude", &backup.iexclude)] {
            for (at, _) in patterns.iter().enumerate().filter(|(_, pattern)| pattern.trim().is_empty()) {
                self.say(&["backup".into(), key.into(), at.into()], "a pattern is empty");
            }
        }
        if backup.host.as_ref().is_some_and(|host| host.is_empty() || host.len() as u64 > limits::TEXT_BYTES) {
            self.say(&["backup".into(), "host".into()], "a host name is not empty and not long");
        }
    }

    fn tag(&mut self, path: &[Step], tag: &str) {
        if tag.is_empty() || tag.contains(',') || tag.len() as u64 > limits::TAG_BYTES {
            let most = limits::TAG_BYTES;
            self.say(path, format!("a tag has 1 to {most} bytes and no comma"));
        }
    }

    fn retention(&mut self, table: &[Step], retention: &Retention) {
        if retention.policy().is_empty() {
            self.say(table, "it keeps nothing: give a preset or a number");
        }
        for (at, list) in retention.tags.iter().enumerate() {
            let here = [table, &["tags".into(), at.into()]].concat();
            if list.is_empty() {
                self.say(&here, "an empty list of tags");
            }
            for (n, tag) in list.iter().enumerate() {
                self.tag(&[&here[..], &[n.into()]].concat(), tag);
            }
        }
    }

    fn money_and_metrics(&mut self, profile: &Profile) {
        if let Some(budget) = &profile.budget
            && let (Some(warn), Some(stop)) = (budget.warn_month_dollars, budget.stop_month_dollars)
            && warn.0 > stop.0
        {
            self.say(&["budget".into(), "warn-month-dollars".into()], "it is more than stop-month-dollars");
        }
        if let Some(day) = profile.limits.as_ref().and_then(|limits| limits.day.as_ref()) {
            let here: [Step; 2] = ["limits".into(), "day".into()];
            if day.from.get() == day.to.get() {
                self.say(&here, "from and to are the same time");
            }
            if day.upload.is_none() && day.download.is_none() {
                self.say(&here, "it has neither upload nor download");
            }
        }
        let Some(metrics) = &profile.metrics else { return };
        let hooks = [("webhook", metrics.webhook.is_some()), ("webhook-file", metrics.webhook_file.is_some())];
        self.only_one("the address", &["metrics".into()], &hooks);
        if metrics.prometheus_file.as_ref().is_some_and(|file| file.get().extension().is_none_or(|e| e != "prom")) {
            self.say(
                &["metrics".into(), "prometheus-file".into()],
                "its name must end in .prom, or nobody collects it",
            );
        }
        if !metrics.dogstatsd_tags.is_empty() && metrics.dogstatsd.is_none() {
            self.say(&["metrics".into(), "dogstatsd-tags".into()], "there is no dogstatsd to send them to");
        }
    }
}
