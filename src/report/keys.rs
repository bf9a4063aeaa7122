//! Key files, and the page of a paper key.

use crate::format::time::Time;
use crate::id::{ObjectId, RepoId};
use crate::ops::keys::PaperKey;
use crate::repo::keyring::KeyListing;
use crate::report::text::{self, Align, Table};
use crate::report::time;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::fmt::Write;

/// A key file of a list.
#[derive(Debug, Serialize)]
pub struct Row {
    id: ObjectId,
    short_id: String,
    opened_by: &'static str,
    size_bytes: u64,
    in_use: bool,
}

/// What is known of the key that was opened, if one was.
#[derive(Debug, Serialize)]
pub struct InUse {
    /// Its id.
    pub id: ObjectId,
    /// What its holder can do.
    pub role: &'static str,
    /// Its label.
    pub label: String,
    /// When it was made.
    pub created: Time,
}

/// The body of the JSON document.
#[derive(Debug, Serialize)]
pub struct Body {
    keys: Vec<Row>,
    in_use: Option<InUse>,
}

impl Body {
    /// The list of `keys`.
    pub fn new(keys: &[KeyListing], in_use: Option<InUse>) -> Self {
        let row = |key: &KeyListing| Row {
            id: key.id,
            short_id: key.id.short(),
            opened_by: if key.passphrase { "passphrase" } else { "identity" },
            size_bytes: key.size_bytes,
            in_use: in_use.as_ref().is_some_and(|used| used.id == key.id),
        };
        Self { keys: keys.iter().map(row).collect(), in_use }
    }

    /// A table for people.
    pub fn table(&self, zone: &TimeZone) -> String {
        let mut table = Table::new(&[("ID", Align::Left), ("Opened by", Align::Left), ("", Align::Left)]);
        for row in &self.keys {
            let used = match &self.in_use {
                Some(used) if row.in_use => {
                    let label = if used.label.is_empty() { String::new() } else { format!(" {:?}", used.label) };
                    format!("in use: {}{label}, of {}", used.role, time::day(used.created, zone))
                }
                _ => String::new(),
            };
            table.row(vec![row.short_id.clone(), row.opened_by.into(), text::message(&used)]);
        }
        table.render()
    }
}

/// What is printed beside the key on its page.
#[derive(Debug)]
pub struct PaperFacts<'a> {
    /// Where the repository is, as `-r` takes it.
    pub location: &'a str,
    /// The repository.
    pub repo: RepoId,
    /// BLAKE3 of `panther.cbor`.
    pub config_hash: ObjectId,
    /// Text for people.
    pub label: &'a str,
    /// Now.
    pub now: Time,
}

/// The page. Whoever has it can read the repository.
pub fn paper_page(paper: &PaperKey, facts: &PaperFacts<'_>, zone: &TimeZone) -> zeroize::Zeroizing<String> {
    let location = shell_words::quote(facts.location);
    // Roomy from the start: a growing text would leave copies of the secret behind.
    let mut page = zeroize::Zeroizing::new(String::with_capacity(8 << 10));
    let lines = [
        ("For", text::message(facts.label)),
        ("Date", time::day(facts.now, zone)),
        ("Repository", text::message(facts.location)),
        ("Repository id", facts.repo.to_hex()),
        ("Configuration", facts.config_hash.to_hex()),
        ("Key file", format!("keys/{}.age", paper.id)),
        ("Role", paper.role.as_str().to_owned()),
    ];
    let lines: Vec<(&str, String)> = lines.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    // Writing to a string does not fail.
    let _ = write!(
        page,
        "PANTHER RECOVERY KEY\n\n\
         With this page and the repository below, everything that was backed up can be\n\
         restored without any passphrase. Whoever has it can read everything. Keep it\n\
         where valuables are kept, away from the machines that are backed up.\n\n\
         {}\n\
         The key, as one line:\n\n{}\n\n\
         The same in groups of four, to type it from. The spaces are not part of it.\n\n",
        text::pairs(&lines),
        *paper.secret
    );
    for line in paper.secret.as_bytes().chunks(32) {
        page.push_str("  ");
        for (index, group) in line.chunks(4).enumerate() {
            page.push_str(if index == 0 { "" } else { "  " });
            page.extend(group.iter().map(|byte| char::from(*byte)));
        }
        page.push('\n');
    }
    let _ = write!(
        page,
        "\nTo restore: run `panther restore` alone, on a terminal. It asks for the repository and\n\
         for this key, and shows what it will do. Or write the key to a file (type it, then\n\
         Enter and Ctrl-D), look which snapshots there are, restore the latest one:\n\n\
         \x20 (umask 077; cat > paper.key)\n\
         \x20 panther -r {location} --identity-file paper.key snapshots\n\
         \x20 panther -r {location} --identity-file paper.key restore latest --target restored\n\n\
         The key file in the repository is an ordinary age file (age-encryption.org);\n\
         the format of everything else is in panther's format-spec.\n"
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::keyfile::Role;

    #[test]
    fn list() {
        let key = |byte, passphrase| KeyListing { id: ObjectId([byte; 32]), passphrase, size_bytes: 9 };
        let created = Time::default();
        let in_use = InUse { id: ObjectId([2; 32]), role: "admin", label: "first".into(), created };
        let body = Body::new(&[key(1, true), key(2, false)], Some(in_use));
        let want =
            "ID        Opened by\n01010101  passphrase\n02020202  identity    in use: admin \"first\", of 1970-01-01\n";
        assert_eq!(body.table(&TimeZone::UTC), want);
    }

    #[test]
    fn page_has_what_is_needed() {
        let secret = format!("AGE-SECRET-KEY-1{}", "Q".repeat(58));
        let paper = PaperKey { id: ObjectId([3; 32]), role: Role::Admin, secret: secret.clone().into() };
        let facts = PaperFacts {
            location: "/mnt/my backups",
            repo: RepoId([4; 32]),
            config_hash: ObjectId([5; 32]),
            label: "",
            now: Time::default(),
        };
        let page = paper_page(&paper, &facts, &TimeZone::UTC);
        for part in
            [&secret, &"04".repeat(32), &"05".repeat(32), &"03".repeat(32), "1970-01-01", "AGE-  SECR  ET-K  EY-1"]
        {
            assert!(page.contains(part), "{part} is missing from\n{}", *page);
        }
        assert!(page.contains("-r '/mnt/my backups' --identity-file paper.key restore latest --target restored\n"));
        assert!(page.lines().all(|line| line.chars().count() <= 100), "too wide to print");
        assert!(page.len() < page.capacity());
    }
}
