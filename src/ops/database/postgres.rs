//! PostgreSQL: a checkpoint, then one atomic snapshot of data and write-ahead log is a consistent backup: it recovers from it as after a power cut,
//! which the manual allows ("File System Level Backup", where all of it is in one snapshot).

use super::command::{CommandLine, Limits, RunAs};
use super::control::ControlFile;
use super::spec::Database;
use crate::error::{CommandError, Error, Result};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where a data directory says of itself what it is.
pub const CONTROL_FILE: &str = "global/pg_control";
/// Says which process serves the data directory, on which port and socket.
pub const PID_FILE: &str = "postmaster.pid";
/// A data directory is looked for so deep below the folder given: Debian has `15/main` in `/var/lib/postgresql`.
const SEARCH_DEPTH: u32 = 3;
/// The options for an answer that a program reads.
const PSQL_OPTIONS: [&str; 4] = ["-XAtqw", "-v", "ON_ERROR_STOP=1", "-f-"];

/// A data directory, and everything outside of it that belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// The data directory.
    pub folder: PathBuf,
    /// That, the write-ahead log's folder and the tablespaces' folders, as far as these are elsewhere.
    pub places: Vec<PathBuf>,
}

fn failed(database: &Database, why: String) -> Error {
    Error::Command { what: database.label(), source: CommandError::Failed(why) }
}

impl Cluster {
    /// The data directory in the folder that was given: that itself, or the only one some levels below.
    ///
    /// # Errors
    /// [`Error::Command`] when there is none, or more than one; [`Error::Io`].
    pub fn find(database: &Database, given: &Path) -> Result<Self> {
        let mut found = Vec::new();
        search(given, SEARCH_DEPTH, &mut found).map_err(|e| Error::io("look for a data directory in", given, e))?;
        let folder = match found.as_slice() {
            [one] => one.clone(),
            [] => return Err(failed(database, format!("there is no data directory in {}", given.display()))),
            [first, second, ..] => {
                let (first, second) = (first.display(), second.display());
                return Err(failed(database, format!("there are several data directories: {first}, {second}")));
            }
        };
        let mut places = vec![folder.clone()];
        let mut add = |link: PathBuf| {
            let place = link.canonicalize().map_err(|e| Error::io("find", &link, e))?;
            if !places.iter().any(|at| place.starts_with(at)) {
                places.push(place);
            }
            Ok::<(), Error>(())
        };
        add(folder.join("pg_wal"))?;
        let spaces = folder.join("pg_tblspc");
        let io = |e| Error::io("read", &spaces, e);
        for entry in std::fs::read_dir(&spaces).map_err(io)? {
            add(entry.map_err(io)?.path())?;
        }
        Ok(Self { folder, places })
    }

    /// What the data directory says of itself now; `at` is it or a snapshot of it.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Command`] when it says nothing that is understood.
    pub fn control(database: &Database, at: &Path) -> Result<ControlFile> {
        let path = at.join(CONTROL_FILE);
        let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        ControlFile::parse(&bytes).ok_or_else(|| {
            failed(database, format!("{} is not of a version of PostgreSQL from 11 to 18", path.display()))
        })
    }

    /// A checkpoint: the snapshot then has little to recover. Of a cluster that does not run, nothing is asked. Returns whether it runs.
    ///
    /// # Errors
    /// [`Error::Command`]: it cannot be reached, is another cluster, or fails.
    pub fn checkpoint(&self, database: &Database, limits: &Limits<'_>) -> Result<bool> {
        let pid_file = self.folder.join(PID_FILE);
        let pid_text = match std::fs::read_to_string(&pid_file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::io("read", pid_file, error)),
        };
        let (command, run_as) = match &database.client {
            Some(client) => (client.clone(), None),
            None => self.own_client(&pid_text)?,
        };
        let limits = Limits { run_as, ..*limits };
        let sql = "SELECT system_identifier FROM pg_control_system();\nCHECKPOINT;\n";
        let answer = command.with(&PSQL_OPTIONS).run(&database.label(), sql, &limits)?;
        let wanted = Self::control(database, &self.folder)?.system;
        match answer.trim().parse::<u64>() {
            Ok(system) if system == wanted => Ok(true),
            Ok(system) => {
                Err(failed(database, format!("the one that answers is another cluster, {system} and not {wanted}")))
            }
            Err(_) => Err(failed(database, format!("an answer that makes no sense: {:?}", answer.trim()))),
        }
    }

    /// `psql` to the very server of this data directory, as its owner where this process is root.
    fn own_client(&self, pid_text: &str) -> Result<(CommandLine, Option<RunAs>)> {
        let owner = std::fs::metadata(&self.folder).map_err(|e| Error::io("look at", &self.folder, e))?;
        let mut words = vec!["psql".to_owned(), "-d".into(), "postgres".into()];
        // Lines (src/include/utils/pidfile.h): pid, data directory, start, port, socket's folder, address, …
        let lines: Vec<&str> = pid_text.lines().collect();
        for (option, line) in [("-p", 3), ("-h", 4)] {
            if let Some(value) = lines.get(line).filter(|value| !value.is_empty()) {
                words.extend([option.to_owned(), (*value).to_owned()]);
            }
        }
        let is_root = rustix::process::geteuid().is_root();
        let run_as = (is_root && owner.uid() != 0).then(|| RunAs { uid: owner.uid(), gid: owner.gid() });
        if run_as.is_some()
            && let Some(user) = uzers::get_user_by_uid(owner.uid())
        {
            // With HOME and USER of somebody else, psql would be somebody else.
            words.extend(["-U".to_owned(), user.name().to_string_lossy().into_owned()]);
        }
        Ok((CommandLine::new(words)?, run_as))
    }
}

fn search(at: &Path, depth: u32, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if at.join(CONTROL_FILE).is_file() && at.join("PG_VERSION").is_file() {
        found.push(at.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir(at)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name() != crate::source::snapshot_folder::FOLDER {
            search(&entry.path(), depth - 1, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ops::database::spec::DatabaseKind;

    #[test]
    fn data_directories_are_found_with_all_that_belongs_to_them() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let database = Database::new(DatabaseKind::Postgresql, root.clone());
        assert!(Cluster::find(&database, &root).is_err());
        let make = |name: &str| {
            let folder = root.join(name);
            for below in ["global", "pg_wal", "pg_tblspc"] {
                std::fs::create_dir_all(folder.join(below)).unwrap();
            }
            std::fs::write(folder.join("PG_VERSION"), "15\n").unwrap();
            std::fs::write(folder.join(CONTROL_FILE), "").unwrap();
            folder
        };
        let main = make("15/main");
        let plain = Cluster { folder: main.clone(), places: vec![main.clone()] };
        assert_eq!(Cluster::find(&database, &root).unwrap(), plain);
        assert_eq!(Cluster::find(&database, &main).unwrap(), plain);
        std::fs::create_dir(root.join("space")).unwrap();
        std::os::unix::fs::symlink(root.join("space"), main.join("pg_tblspc/16400")).unwrap();
        assert_eq!(Cluster::find(&database, &root).unwrap().places, [main.clone(), root.join("space")]);
        assert!(Cluster::control(&database, &main).is_err());
        make("16/main");
        assert!(Cluster::find(&database, &root).unwrap_err().to_string().contains("postgresql in"));
    }
}
