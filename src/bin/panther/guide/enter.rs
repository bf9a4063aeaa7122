//! Which repository, and by which key.

use super::ask::Asker;
use crate::context::Context;
use crate::{b2, open, secrets};
use panther::backend::Backend;
use panther::backend::b2::Credential;
use panther::keys::wrap::Opener;
use panther::repo::Repository;
use panther::{Error, Result};
use std::ffi::OsStr;
use std::sync::Arc;

/// How a key of a recovery sheet begins.
const IDENTITY: &str = "AGE-SECRET-KEY-1";

/// The repository, open, and what it is called.
///
/// # Errors
/// [`Error::Interrupted`]; whatever asking again does not mend.
pub fn repository(asker: &Asker<'_>, context: &Context) -> Result<(Repository, String)> {
    let given = context.globals.repo.as_ref().filter(|repo| !repo.is_empty());
    let mut before = String::new();
    let mut named = given.map(|repo| repo.to_string_lossy().into_owned());
    loop {
        let name = match named.take() {
            Some(name) => name,
            None => asker.line("Where is the repository? A folder, or b2://BUCKET/PREFIX", &before)?,
        };
        if name.is_empty() {
            continue;
        }
        match store(asker, context, &name).and_then(|store| opened(asker, context, store)) {
            Ok(repo) => return Ok((repo, name)),
            Err(error) if may_be_mended(&error) => {
                asker.say(&format!("That did not work: {}.", open::with_causes(&error)));
                before = name;
                error.hint().iter().for_each(|hint| asker.say(&format!("({hint})")));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether another answer may do.
fn may_be_mended(error: &Error) -> bool {
    matches!(error, Error::Usage(_) | Error::NoRepository(_) | Error::Store { .. } | Error::Io { .. })
}

fn store(asker: &Asker<'_>, context: &Context, name: &str) -> Result<Arc<dyn Backend>> {
    match open::named_place(OsStr::new(name))? {
        open::Place::Folder(folder) => open::folder(context, &folder),
        open::Place::B2(location) => {
            let store = if b2::has_key(context) {
                b2::open(context, location)?
            } else {
                asker.say("An application key of the bucket that may list and read, from the page \"Application Keys\" of your account:");
                let id = asker.line("Its keyID", "")?;
                let key = asker.secret("Its applicationKey (not shown)")?;
                b2::open_by(context, location, Credential::new(&id, key).map_err(Error::Usage)?)?
            };
            let store = Arc::new(store);
            let _ = context.b2.set(Arc::clone(&store));
            Ok(open::counted(context, store))
        }
    }
}

fn opened(asker: &Asker<'_>, context: &Context, store: Arc<dyn Backend>) -> Result<Repository> {
    if let Some(opener) = secrets::available(&context.globals)? {
        return open::repository_on(context, store, || Ok(opener)).map(|(repo, _)| repo);
    }
    loop {
        let opener = || {
            let text = asker.secret("Passphrase, or the key of the recovery sheet (not shown)")?;
            key(&text)
        };
        match open::repository_on(context, Arc::clone(&store), opener) {
            Ok((repo, _)) => return Ok(repo),
            Err(error @ (Error::WrongKey(_) | Error::Usage(_))) => {
                asker.say(&format!("{}. Once more:", open::with_causes(&error)));
            }
            Err(error) => return Err(error),
        }
    }
}

/// What was typed: a passphrase, or an identity, maybe in the groups of four of a recovery sheet.
fn key(text: &str) -> Result<Opener> {
    let joined: zeroize::Zeroizing<String> =
        zeroize::Zeroizing::new(text.split_whitespace().map(str::to_uppercase).collect());
    if joined.starts_with(IDENTITY) {
        return Opener::identities(&joined);
    }
    secrets::passphrase(text.as_bytes(), "the passphrase").map(Opener::Passphrase)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sheets_are_typed_as_people_do() {
        let (secret, recipient) = panther::keys::wrap::new_identity();
        let grouped: Vec<String> =
            secret.to_lowercase().as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four).into_owned()).collect();
        for text in [secret.to_string(), grouped.join(" "), format!("  {}  ", *secret)] {
            let Opener::Identities(found) = key(&text).unwrap() else { panic!("a passphrase?") };
            assert_eq!(found[0].to_public().to_string(), recipient.to_string());
        }
        assert!(matches!(key("correct horse"), Ok(Opener::Passphrase(_))));
        assert!(key("AGE-SECRET-KEY-1 MISTYPED").is_err());
        assert!(key("").is_err());
    }
}
