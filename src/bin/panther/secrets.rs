//! Where passphrases and identities come from. They are wiped after use and never in a message.

use crate::cli::Globals;
use age::secrecy::{ExposeSecret, SecretString};
use panther::keys::wrap::{MAX_WORK_FACTOR, Opener, Recipient, WORK_FACTOR};
use panther::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// More than any passphrase or identity file has.
const LIMIT_BYTES: usize = 64 << 10;

/// Where a secret is.
enum Source {
    PasswordFile(PathBuf),
    PasswordCommand(OsString),
    Password(Zeroizing<String>),
    IdentityFile(PathBuf),
}

/// What opens the repository; asks on the terminal if nothing else is given.
///
/// # Errors
/// [`Error::Usage`] when there is none, more than one, or an empty one; [`Error::Io`].
pub fn opener(globals: &Globals) -> Result<Opener> {
    match available(globals)? {
        Some(opener) => Ok(opener),
        None => ask("passphrase of the repository: ").map(Opener::Passphrase),
    }
}

/// As [`opener`] for a new repository: a question is asked twice.
///
/// # Errors
/// As [`opener`].
pub fn new_opener(globals: &Globals) -> Result<Opener> {
    match available(globals)? {
        Some(opener) => Ok(opener),
        None => ask_twice().map(Opener::Passphrase),
    }
}

/// What opens the repository, if it is given; nothing is asked.
///
/// # Errors
/// As [`opener`].
pub fn available(globals: &Globals) -> Result<Option<Opener>> {
    source(globals)?.map(read).transpose()
}

/// What opens a second repository, from the options for that; nothing if none is given.
///
/// # Errors
/// As [`opener`].
pub fn of_second(
    password_file: Option<&Path>,
    password_command: Option<&OsStr>,
    identity_file: Option<&Path>,
) -> Result<Option<Opener>> {
    let options = [
        password_file.map(|path| Source::PasswordFile(path.to_owned())),
        password_command.map(|command| Source::PasswordCommand(command.to_owned())),
        identity_file.map(|path| Source::IdentityFile(path.to_owned())),
    ];
    only(options, "give only one of --other-password-file, --other-password-command and --other-identity-file")?
        .map(read)
        .transpose()
}

/// To whom a key is wrapped that `opener` shall open.
pub fn recipient(opener: &Opener) -> Recipient {
    match opener {
        Opener::Passphrase(passphrase) => Recipient::Passphrase(passphrase.clone()),
        Opener::Identities(identities) => Recipient::Recipients(identities.iter().map(|i| i.to_public()).collect()),
    }
}

/// To whom a new key is wrapped.
#[derive(Debug, clap::Args)]
pub struct NewSecret {
    /// Read the new passphrase from this file
    #[arg(long, value_name = "FILE", conflicts_with = "new_password_command")]
    pub new_password_file: Option<PathBuf>,
    /// Run this command, without a shell, and take the first line of its output as the new passphrase
    #[arg(long, value_name = "COMMAND")]
    pub new_password_command: Option<OsString>,
}

impl NewSecret {
    /// The new passphrase; asked twice if nothing is given.
    ///
    /// # Errors
    /// As [`opener`].
    pub fn recipient(&self) -> Result<Recipient> {
        let source = match (&self.new_password_file, &self.new_password_command) {
            (Some(file), _) => Source::PasswordFile(file.clone()),
            (None, Some(command)) => Source::PasswordCommand(command.clone()),
            (None, None) => return ask_twice().map(Recipient::Passphrase),
        };
        read(source).map(|opener| recipient(&opener))
    }
}

/// The cost of a new passphrase's wrapping, for `init` and `key add`. `PANTHER_TEST_WORK_FACTOR` lowers it, for tests only: such a passphrase is quickly
/// guessed.
pub fn work_factor() -> u8 {
    let wanted = std::env::var("PANTHER_TEST_WORK_FACTOR").ok().and_then(|text| text.parse().ok());
    wanted.filter(|factor| (1..=MAX_WORK_FACTOR).contains(factor)).unwrap_or(WORK_FACTOR)
}

fn source(globals: &Globals) -> Result<Option<Source>> {
    let options = [
        globals.password_file.clone().map(Source::PasswordFile),
        globals.password_command.clone().map(Source::PasswordCommand),
        globals.identity_file.clone().map(Source::IdentityFile),
    ];
    if let Some(found) = only(options, "give only one of --password-file, --password-command and --identity-file")? {
        return Ok(Some(found));
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let password = match variable("PANTHER_PASSWORD").map(OsString::into_string) {
        None => None,
        Some(Ok(text)) => Some(Source::Password(Zeroizing::new(text))),
        Some(Err(raw)) => {
            drop(Zeroizing::new(raw.into_encoded_bytes()));
            return Err(Error::Usage("the passphrase in PANTHER_PASSWORD is not UTF-8".into()));
        }
    };
    let environment = [
        variable("PANTHER_PASSWORD_FILE").map(|path| Source::PasswordFile(path.into())),
        variable("PANTHER_PASSWORD_COMMAND").map(Source::PasswordCommand),
        password,
        variable("PANTHER_IDENTITY_FILE").map(|path| Source::IdentityFile(path.into())),
    ];
    let several =
        "set only one of PANTHER_PASSWORD_FILE, PANTHER_PASSWORD_COMMAND, PANTHER_PASSWORD and PANTHER_IDENTITY_FILE";
    if let Some(found) = only(environment, several)? {
        return Ok(Some(found));
    }
    // The configuration has no more than one of them.
    let profile = [
        globals.from_profile.password_file.clone().map(Source::PasswordFile),
        globals.from_profile.password_command.clone().map(Source::PasswordCommand),
        globals.from_profile.identity_file.clone().map(Source::IdentityFile),
    ];
    if let Some(found) = profile.into_iter().flatten().next() {
        return Ok(Some(found));
    }
    let Some(folder) = variable("CREDENTIALS_DIRECTORY").map(PathBuf::from) else { return Ok(None) };
    let credentials = [
        Some(folder.join("panther-password")).filter(|path| path.exists()).map(Source::PasswordFile),
        Some(folder.join("panther-identity")).filter(|path| path.exists()).map(Source::IdentityFile),
    ];
    only(credentials, "give only one of the credentials panther-password and panther-identity")
}

fn only<const N: usize>(sources: [Option<Source>; N], several: &str) -> Result<Option<Source>> {
    let mut found = sources.into_iter().flatten();
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(Error::Usage(several.into())),
    }
}

fn read(source: Source) -> Result<Opener> {
    match source {
        Source::PasswordFile(path) => {
            let bytes = read_file(&path)?;
            let what = format!("the password file {}", path.display());
            passphrase(without_line_end(&bytes), &what).map(Opener::Passphrase)
        }
        Source::PasswordCommand(command) => {
            let bytes = run(&command)?;
            let line = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
            passphrase(without_line_end(line), "the output of the password command").map(Opener::Passphrase)
        }
        Source::Password(text) => passphrase(text.as_bytes(), "PANTHER_PASSWORD").map(Opener::Passphrase),
        Source::IdentityFile(path) => {
            let bytes = read_file(&path)?;
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| Error::Usage(format!("the identity file {} is not text", path.display())))?;
            Opener::identities(text)
        }
    }
}

/// A passphrase of these bytes, which are called `what` if they are none.
///
/// # Errors
/// [`Error::Usage`].
pub fn passphrase(bytes: &[u8], what: &str) -> Result<SecretString> {
    match std::str::from_utf8(bytes) {
        Ok("") => Err(Error::Usage(format!("{what} is empty"))),
        Ok(text) => Ok(SecretString::from(text)),
        Err(_) => Err(Error::Usage(format!("{what} is not UTF-8"))),
    }
}

/// Without one line feed at the end, or the carriage return and line feed of other systems.
fn without_line_end(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\r\n").or_else(|| bytes.strip_suffix(b"\n")).unwrap_or(bytes)
}

/// Reads a small secret file.
///
/// # Errors
/// [`Error::Io`], also when it is far too long.
pub fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    std::fs::File::open(path).and_then(limited).map_err(|e| Error::io("read", path, e))
}

/// Into a buffer that never grows, so that no copies are left behind.
fn limited(mut from: impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(vec![0; LIMIT_BYTES]);
    let mut len_bytes = 0;
    while len_bytes < LIMIT_BYTES {
        match from.read(&mut buffer[len_bytes..]) {
            Ok(0) => {
                buffer.truncate(len_bytes);
                return Ok(buffer);
            }
            Ok(read) => len_bytes += read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "it is far too long for a passphrase or identity"))
}

fn run(command: &OsStr) -> Result<Zeroizing<Vec<u8>>> {
    let usage = |why: &str| Error::Usage(format!("the password command {why}"));
    let text = std::str::from_utf8(command.as_bytes()).map_err(|_| usage("is not UTF-8"))?;
    let words = shell_words::split(text).map_err(|_| usage("has a quote without an end"))?;
    let Some((program, arguments)) = words.split_first() else { return Err(usage("is empty")) };
    let failed = |e| Error::io("run the password command", program, e);
    let mut child = Command::new(program)
        .args(arguments)
        .env_remove("PANTHER_PASSWORD")
        .env_remove("B2_APPLICATION_KEY")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let output = match child.stdout.take() {
        Some(pipe) => limited(pipe),
        None => Ok(Zeroizing::default()),
    };
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        return Err(usage(&format!("has failed: {status}")));
    }
    output.map_err(failed)
}

fn ask(question: &str) -> Result<SecretString> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::Usage(
            "no passphrase is given and there is no terminal to ask on: use --password-file, --password-command or --identity-file"
                .into(),
        ));
    }
    let answer = rpassword::prompt_password(question).map_err(|e| match e.kind() {
        std::io::ErrorKind::Interrupted => Error::Interrupted,
        _ => Error::io("ask on", "/dev/tty", e),
    })?;
    let answer = Zeroizing::new(answer);
    passphrase(answer.as_bytes(), "the passphrase")
}

fn ask_twice() -> Result<SecretString> {
    let first = ask("new passphrase: ")?;
    let second = ask("new passphrase again: ")?;
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(Error::Usage("the two passphrases differ".into()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_one_line_end_is_dropped() {
        for (text, want) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
            assert_eq!(without_line_end(text.as_bytes()), want.as_bytes());
        }
    }

    #[test]
    fn passphrases_are_text() {
        assert!(passphrase(b"", "x").is_err());
        assert!(passphrase(b"\xff", "x").is_err());
        assert_eq!(passphrase(b"p", "x").unwrap().expose_secret(), "p");
    }

    #[test]
    fn commands_are_split_into_words_and_only_the_first_line_counts() {
        let read = |command: &str| read(Source::PasswordCommand(command.into()));
        for command in ["echo 'two words'", "printf 'two words\\nmore'", "sh -c 'echo two words'"] {
            let Opener::Passphrase(found) = read(command).unwrap() else { unreachable!() };
            assert_eq!(found.expose_secret(), "two words");
        }
        for command in ["", "echo 'x", "true", "false", "echo"] {
            assert!(matches!(read(command), Err(Error::Usage(_))), "{command}");
        }
        assert!(matches!(read("/no/such/program"), Err(Error::Io { .. })));
    }

    #[test]
    fn too_long_is_refused() {
        assert!(limited(std::io::repeat(7)).is_err());
        assert_eq!(limited(&b"abc"[..]).unwrap().as_slice(), b"abc");
    }
}
