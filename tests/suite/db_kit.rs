//! Real database servers for tests. Each is gone when dropped.

use crate::btrfs_kit::run;
use crate::common::Lab;
use crate::words;
use panther::id::ObjectId;
use panther::ops::Silent;
use panther::ops::restore::{RestoreOptions, restore};
use panther::repo::snapshots::Snapshot;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where the programs of PostgreSQL are, and as whom they run; nothing, and a line that says so, where they are not installed.
#[derive(Clone)]
pub struct Postgres {
    bin: PathBuf,
    uid: u32,
    gid: u32,
}

impl Postgres {
    pub fn find() -> Option<Self> {
        // Debian keeps them out of the way, by version.
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
        folders.sort();
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let found = folders.into_iter().find(|bin| {
            ["initdb", "pg_ctl", "pgbench", "pg_amcheck", "psql"].iter().all(|program| bin.join(program).exists())
        });
        match (found, uzers::get_user_by_name("postgres")) {
            (Some(bin), Some(user)) => Some(Self { bin, uid: user.uid(), gid: user.primary_group_id() }),
            _ => {
                println!("skipped: PostgreSQL, or its user postgres, is not installed");
                None
            }
        }
    }

    /// Where the programs are.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.uid(self.uid).gid(self.gid).current_dir("/").env("LC_ALL", "C").env("PGOPTIONS", "");
        command
            .env("PATH", std::env::join_paths([self.bin.as_path(), Path::new("/usr/bin"), Path::new("/bin")]).unwrap());
        command
    }

    pub fn ok(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {err}{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A folder that its user owns.
    pub fn folder(&self, path: &Path) {
        std::fs::create_dir_all(path).unwrap();
        self.give(path);
    }

    pub fn give(&self, path: &Path) {
        chown(path, Some(self.uid), Some(self.gid)).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// A new data directory with checksums.
    pub fn init(&self, data: &Path, settings: &str) {
        self.folder(data);
        self.ok(self.command("initdb").args(["--data-checksums", "-A", "peer", "-N", "-D"]).arg(data));
        let mut file = std::fs::File::options().append(true).open(data.join("postgresql.conf")).unwrap();
        file.write_all(settings.as_bytes()).unwrap();
    }

    /// What `pg_controldata` says after this.
    pub fn control(&self, data: &Path, key: &str) -> String {
        let text = self.ok(self.command("pg_controldata").arg(data));
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::trim));
        line.unwrap_or_else(|| panic!("{key} in {text}")).to_owned()
    }

    pub fn start(&self, data: &Path) -> Server {
        let socket = TempDir::new().unwrap();
        self.give(socket.path());
        let server = Server { postgres: self.clone(), data: data.to_owned(), socket };
        let options = format!(
            "-c listen_addresses='' -c port=5432 -c unix_socket_directories='{}' -c shared_buffers=16MB -c max_connections=20",
            server.socket.path().display()
        );
        let log = server.log_path();
        let mut command = self.command("pg_ctl");
        command.args(["start", "-w", "-t", "120", "-D"]).arg(data).arg("-l").arg(&log).args(["-o", &options]);
        // It must not hold pipes of this process.
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "{}", server.log());
        server
    }
}

pub struct Server {
    postgres: Postgres,
    data: PathBuf,
    socket: TempDir,
}

impl Server {
    fn log_path(&self) -> PathBuf {
        self.socket.path().join("log")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub fn client(&self, program: &str) -> Command {
        let mut command = self.postgres.command(program);
        command.arg("-h").arg(self.socket.path()).args(["-p", "5432"]);
        command
    }

    pub fn sql(&self, sql: &str) -> String {
        self.postgres
            .ok(self.client("psql").args(["-XAtq", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", sql]))
            .trim()
            .to_owned()
    }

    /// Waits until a question is answered so.
    pub fn wait_for(&self, sql: &str, answer: &str) {
        let until = Instant::now() + Duration::from_secs(120);
        while self.sql(sql) != answer {
            assert!(Instant::now() < until, "{sql} is {}, not {answer}: {}", self.sql(sql), self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it in good order.
    pub fn stop(self) {
        let mut command = self.postgres.command("pg_ctl");
        self.postgres.ok(command.args(["stop", "-w", "-m", "fast", "-D"]).arg(&self.data));
    }

    /// Inserts 1, 2, 3, … into `ack`, each a transaction, until it is dropped.
    pub fn write(&self) -> Writer {
        self.sql("CREATE TABLE IF NOT EXISTS ack (n bigint PRIMARY KEY, filler text)");
        let mut command = self.client("psql");
        command.args(["-XAtq", "-d", "postgres", "-v", "ON_ERROR_STOP=1"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = Running::new(command);
        Writer::spawn(child, |n| format!("INSERT INTO ack VALUES ({n}, repeat('x', 100)) RETURNING n;\n"))
    }

    /// A load until it is dropped.
    pub fn bench(&self, scale: &str) -> Running {
        self.postgres.ok(self.client("pgbench").args(["-i", "-q", "-s", scale, "postgres"]));
        let mut command = self.client("pgbench");
        command.args(["-n", "-c", "3", "-T", "100000", "postgres"]).stdout(Stdio::null()).stderr(Stdio::null());
        Running::new(command)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut command = self.postgres.command("pg_ctl");
        command.args(["stop", "-w", "-m", "immediate", "-D"]).arg(&self.data);
        // It may have been stopped already.
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// A process that is killed when dropped.
pub struct Running(pub Child);

impl Running {
    pub fn new(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

/// Writes numbers, one after the other, and knows which of them were acknowledged.
pub struct Writer {
    acked: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn spawn(mut child: Running, statement: impl Fn(u64) -> String + Send + 'static) -> Self {
        let (input, output) = (child.0.stdin.take().unwrap(), child.0.stdout.take().unwrap());
        Self::over(input, output, statement, child)
    }

    /// Statements into one, and their acknowledgements, which are the numbers, from the other.
    pub fn over(
        mut input: impl Write + Send + 'static,
        output: impl std::io::Read + Send + 'static,
        statement: impl Fn(u64) -> String + Send + 'static,
        keep: impl Send + 'static,
    ) -> Self {
        let (acked, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (acked_there, stop_there) = (Arc::clone(&acked), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut lines = BufReader::new(output).lines();
            for n in 1_u64.. {
                if stop_there.load(Ordering::SeqCst) {
                    break;
                }
                input.write_all(statement(n).as_bytes()).unwrap();
                input.flush().unwrap();
                let line = lines.next().unwrap().unwrap();
                assert_eq!(line.trim().trim_start_matches(':'), n.to_string());
                acked_there.store(n, Ordering::SeqCst);
            }
            drop((input, keep));
        });
        Self { acked, stop, thread: Some(thread) }
    }

    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::SeqCst)
    }

    /// Waits for so many more.
    pub fn more(&self, count: u64) -> u64 {
        let wanted = self.acked() + count;
        let until = Instant::now() + Duration::from_secs(120);
        while self.acked() < wanted {
            assert!(Instant::now() < until, "the writer has stopped");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.acked()
    }

    /// Ends it; how many it has written.
    pub fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
        self.acked()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the writer has failed");
        }
    }
}

/// A Redis that keeps its files in a folder and listens on a socket.
pub struct Redis {
    _running: Running,
    run: TempDir,
}

impl Redis {
    pub fn is_installed() -> bool {
        let installed = Command::new("redis-server").arg("--version").output().is_ok();
        if !installed {
            println!("skipped: Redis is not installed");
        }
        installed
    }

    pub fn start(folder: &Path, appends: bool) -> Self {
        let run = TempDir::new().unwrap();
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", if appends { "yes" } else { "no" }]);
        command.arg("--dir").arg(folder).arg("--unixsocket").arg(run.path().join("socket"));
        command.arg("--logfile").arg(run.path().join("log"));
        let redis = Self { _running: Running::new(command), run };
        let until = Instant::now() + Duration::from_secs(60);
        while redis.ask(&["PING"]) != "PONG" {
            let log = std::fs::read_to_string(redis.run.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        redis
    }

    pub fn socket(&self) -> PathBuf {
        self.run.path().join("socket")
    }

    pub fn ask(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli").arg("-s").arg(self.socket()).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Counts `n` up until it is dropped.
    pub fn write(&self) -> Writer {
        let stream = UnixStream::connect(self.socket()).unwrap();
        Writer::over(stream.try_clone().unwrap(), stream, |_| "INCR n\r\n".into(), ())
    }
}

pub fn snapshot(lab: &Lab, id: ObjectId) -> Snapshot {
    let statements = lab.repo.statements().unwrap();
    let all = lab.repo.snapshots(&statements).unwrap().snapshots;
    all.into_iter().find(|snapshot| snapshot.head.id == id).unwrap()
}

/// Restores a folder of a snapshot into `target`, which is emptied first.
pub fn restored(lab: &Lab, id: ObjectId, folder: &Path, target: &Path) {
    if target.exists() {
        run("rm", words!["-r", target]);
    }
    let options = RestoreOptions {
        reflink: false,
        threads: 2,
        ..RestoreOptions::new(Some(folder.as_os_str().as_bytes().to_vec()), target.to_owned())
    };
    let report = restore(&lab.repo, &lab.state, &snapshot(lab, id), &options, &Silent).unwrap();
    assert!(!report.incomplete, "{:?}", report.problems);
}

/// Everybody may look for what lies on it: its servers run as other users.
pub fn open_up(root: &Path) {
    std::fs::set_permissions(root.parent().unwrap(), std::fs::Permissions::from_mode(0o755)).unwrap();
}
