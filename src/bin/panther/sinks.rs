//! Where figures and events go: an agent's socket, a file, a web page, a command. None of them may fail a run, nor hold it up for long.

use panther::config::types::Metrics;
use panther::ops::Progress;
use panther::ops::database::CommandLine;
use panther::ops::database::command::Limits;
use panther::report::metrics::dogstatsd::{MOST_BYTES, UDP_BYTES, packets};
use std::io::Write;
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// A name may have to be looked up; longer than this nobody waits for an agent.
const AGENT_PATIENCE: Duration = Duration::from_secs(1);
/// Nor for a web page.
const WEB_PATIENCE: Duration = Duration::from_secs(10);
/// Nor for a command, which is killed then.
const COMMAND_PATIENCE: Duration = Duration::from_secs(30);

/// Does something in a thread of its own, and waits for it no longer than that.
fn within(patience: Duration, work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    let (done, result) = mpsc::channel();
    let thread = std::thread::Builder::new().name("metrics".into());
    // Nobody listens any more when it took too long.
    thread.spawn(move || drop(done.send(work()))).map_err(|e| e.to_string())?;
    result.recv_timeout(patience).unwrap_or_else(|_| Err("it took too long".into()))
}

/// Sends datagrams to a DogStatsD: to `HOST:PORT` or `unix:/PATH`. What it has no room for is lost.
///
/// # Errors
/// Why not all could be sent.
pub fn dogstatsd(address: &str, datagrams: &[String]) -> Result<(), String> {
    let address = address.to_owned();
    let datagrams = datagrams.to_vec();
    within(AGENT_PATIENCE, move || match address.strip_prefix("unix:") {
        Some(path) => {
            let socket = UnixDatagram::unbound().map_err(|e| e.to_string())?;
            socket.set_nonblocking(true).map_err(|e| e.to_string())?;
            all(&packets(&datagrams, MOST_BYTES), |packet| socket.send_to(packet, path))
        }
        None => {
            let target = address.to_socket_addrs().map_err(|e| e.to_string())?.next().ok_or("there is no such host")?;
            let any = if target.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).map_err(|e| e.to_string())?;
            socket.set_nonblocking(true).map_err(|e| e.to_string())?;
            all(&packets(&datagrams, UDP_BYTES), |packet| socket.send_to(packet, target))
        }
    })
}

/// Sends every packet, whatever became of others.
fn all(packets: &[String], send: impl Fn(&[u8]) -> std::io::Result<usize>) -> Result<(), String> {
    let failed = packets.iter().filter_map(|packet| send(packet.as_bytes()).err());
    failed.last().map_or(Ok(()), |error| Err(error.to_string()))
}

/// Puts a text in the place of a file, all at once; everybody may read it.
///
/// # Errors
/// Why it could not be.
pub fn file(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // The collector reads *.prom only, so it never sees half of it.
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = folder.join(name);
    let write = || {
        let mut out =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().inspect_err(|_| drop(std::fs::remove_file(&temporary)))
}

/// Posts a JSON document.
///
/// # Errors
/// Why it could not be; never with the address, which may be a secret.
pub fn webhook(address: &str, body: String) -> Result<(), String> {
    let address = address.trim().to_owned();
    let is_plain_local =
        ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|p| address.starts_with(p));
    if !address.starts_with("https://") && !is_plain_local {
        return Err("its address does not begin with https://".into());
    }
    within(WEB_PATIENCE + Duration::from_secs(1), move || {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().timeout(WEB_PATIENCE).redirect(reqwest::redirect::Policy::none());
        let client = client.build().map_err(|e| e.without_url().to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        runtime.block_on(async {
            let request = client.post(address).header("content-type", "application/json").body(body);
            let answer = request.send().await.map_err(|e| e.without_url().to_string())?;
            if answer.status().is_success() { Ok(()) } else { Err(format!("it answers {}", answer.status())) }
        })
    })
}

/// Runs a command with a JSON document on its standard input.
///
/// # Errors
/// Why it failed.
pub fn command(words: &[String], body: &str, progress: &dyn Progress) -> panther::Result<()> {
    let limits = Limits { timeout: COMMAND_PATIENCE, run_as: None, finishes: true, logs_output: false, progress };
    CommandLine::new(words.to_vec())?.run("the metrics' command", body, &limits).map(drop)
}

/// The address of the webhook, from the profile or from its file.
///
/// # Errors
/// Why the file cannot be read.
pub fn webhook_address(metrics: &Metrics) -> panther::Result<Option<String>> {
    match (&metrics.webhook, &metrics.webhook_file) {
        (Some(url), _) => Ok(Some(url.to_string())),
        (None, Some(file)) => {
            let bytes = crate::secrets::read_file(file.get())?;
            Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
        }
        (None, None) => Ok(None),
    }
}
