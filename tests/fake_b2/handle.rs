//! The fake as tests hold it.

use super::count::{Counts, Logged};
use super::fault::{Call, Fault, Weather};
use super::server::{self, Shared};
use super::state::{ALL_CAPABILITIES, Action, Caps, FileVersion, Key, World};
use serde_json::{Value, json};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct Options {
    /// 0 for any free port of the loopback device.
    pub port: u16,
    pub token_life_millis: i64,
    /// Pages have at most so many files, whatever is asked for.
    pub page_limit: usize,
    pub max_file_bytes: u64,
    pub min_part_bytes: u64,
    pub recommended_part_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            token_life_millis: 86_400_000,
            page_limit: 10_000,
            max_file_bytes: 5_000_000_000,
            min_part_bytes: 5_000_000,
            recommended_part_bytes: 100_000_000,
        }
    }
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct KeySpec {
    pub capabilities: Vec<String>,
    /// Names of buckets; none for all.
    pub buckets: Option<Vec<String>>,
    pub prefix: Option<String>,
}

impl KeySpec {
    /// A key that may do this in one bucket.
    pub fn new(bucket: &str, capabilities: &[&str]) -> Self {
        let capabilities = capabilities.iter().map(|&capability| capability.to_owned()).collect();
        Self { capabilities, buckets: Some(vec![bucket.to_owned()]), prefix: None }
    }

    /// The same for names that begin so.
    pub fn within(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.to_owned());
        self
    }

    /// A key that may do everything in one bucket.
    pub fn everything(bucket: &str) -> Self {
        Self::new(bucket, &ALL_CAPABILITIES)
    }
}

/// A running service; it ends when this is dropped.
pub struct FakeB2 {
    shared: Arc<Shared>,
    address: SocketAddr,
    thread: Option<JoinHandle<io::Result<()>>>,
    master: Key,
}

impl FakeB2 {
    /// One with an account.
    pub fn start() -> Self {
        Self::with(Options::default()).unwrap()
    }

    /// One with these settings.
    pub fn with(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", options.port))?;
        let address = listener.local_addr()?;
        let mut world = World::new(format!("http://{address}"), options);
        let (account, _) = world.create_account();
        let master = world.keys[&account].clone();
        let shared = Arc::new(Shared::new(world));
        let thread = std::thread::Builder::new().name("fake-b2".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || server::run(&shared, listener, address)
        })?;
        Ok(Self { shared, address, thread: Some(thread), master })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Id and secret of the key that may do everything.
    pub fn master_key(&self) -> (String, String) {
        (self.master.id.clone(), self.master.secret.clone())
    }

    /// Another account: id and secret of its master key.
    pub fn another_account(&self) -> (String, String) {
        self.shared.world().create_account()
    }

    /// Makes a private bucket, or one with more settings as `b2_create_bucket` takes them; returns its id.
    pub fn bucket(&self, name: &str, settings: Value) -> String {
        let mut params = json!({ "accountId": self.master.account, "bucketName": name, "bucketType": "allPrivate" });
        for (name, value) in settings.as_object().into_iter().flatten() {
            params[name] = value.clone();
        }
        let made = self.shared.world().create_bucket(&self.master, &params).unwrap();
        made["bucketId"].as_str().unwrap().to_owned()
    }

    /// Changes settings as `b2_update_bucket` takes them.
    pub fn update_bucket(&self, name: &str, settings: Value) {
        let mut params = json!({ "accountId": self.master.account, "bucketId": self.bucket_id(name) });
        for (name, value) in settings.as_object().into_iter().flatten() {
            params[name] = value.clone();
        }
        self.shared.world().update_bucket(&self.master, &params).unwrap();
    }

    pub fn bucket_id(&self, name: &str) -> String {
        let world = self.shared.world();
        world.buckets.values().find(|bucket| bucket.name == name).unwrap().id.clone()
    }

    /// Makes a key; returns its id and its secret.
    pub fn key(&self, spec: &KeySpec) -> (String, String) {
        let buckets = spec.buckets.as_ref().map(|names| names.iter().map(|n| self.bucket_id(n)).collect::<Vec<_>>());
        let params = json!({
            "accountId": self.master.account, "keyName": "test", "capabilities": spec.capabilities,
            "bucketIds": buckets, "namePrefix": spec.prefix,
        });
        let made = self.shared.world().create_key(&self.master, &params).unwrap();
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("applicationKeyId"), text("applicationKey"))
    }

    /// Takes a key away: its tokens are no good any more.
    pub fn revoke(&self, key_id: &str) {
        self.shared.world().keys.remove(key_id);
    }

    /// Meets calls with faults.
    pub fn plan(&self, plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        self.shared.set_plan(Box::new(plan));
    }

    /// Meets calls with a random mixture.
    pub fn weather(&self, mut weather: Weather) {
        self.plan(move |call| weather.meet(call));
    }

    /// No more faults, delays, limits or caps.
    pub fn fair_weather(&self) {
        self.plan(|_| None);
        self.shared.set_delay(Duration::ZERO);
        self.shared.set_upload_rate(0);
        let mut world = self.shared.world();
        world.caps = Caps::default();
        world.stale = (0, 0);
    }

    /// Every call takes so much longer.
    pub fn delay(&self, delay: Duration) {
        self.shared.set_delay(delay);
    }

    /// All uploads share an uplink of this rate. 0 for none.
    pub fn uplink(&self, bytes_per_sec: u64) {
        self.shared.set_upload_rate(bytes_per_sec);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Refuses connections and drops those there are, until told otherwise.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refuse(refuse, self.address);
    }

    pub fn caps(&self, caps: Caps) {
        self.shared.world().caps = caps;
    }

    /// Moves the clock forward, applies lifecycle rules, and starts a new day for the caps.
    pub fn advance(&self, by: Duration) {
        let mut world = self.shared.world();
        world.clock.advance(by);
        world.day = Counts::default();
        world.apply_lifecycle();
    }

    /// Makes the service's clock differ from this machine's.
    pub fn skew(&self, by_millis: i64) {
        self.shared.world().clock.skew(by_millis);
    }

    /// Ends the life of all account and upload tokens.
    pub fn expire_tokens(&self) {
        let mut world = self.shared.world();
        world.tokens.values_mut().for_each(|token| token.expires_millis = 0);
        world.uploads.values_mut().for_each(|token| token.expires_millis = 0);
    }

    pub fn counts(&self) -> Counts {
        self.shared.world().counts.clone()
    }

    pub fn log(&self) -> Vec<Logged> {
        self.shared.world().log.clone()
    }

    /// The service's clock.
    pub fn now_millis(&self) -> i64 {
        self.shared.world().clock.now_millis()
    }

    /// What was ever billed as stored: bytes, since when, and until when if it is gone.
    pub fn stored_log(&self) -> Vec<(u64, i64, Option<i64>)> {
        let world = self.shared.world();
        let versions = world.buckets.values().flat_map(super::state::Bucket::versions);
        let there = versions.map(|v| (v.data.len() as u64, v.uploaded_millis, None));
        let gone = world.gone.iter().map(|(bytes, from, until)| (*bytes, *from, Some(*until)));
        there.chain(gone).collect()
    }

    /// Starts counts and log anew.
    pub fn reset_counts(&self) {
        let mut world = self.shared.world();
        world.counts = Counts::default();
        world.log.clear();
    }

    /// What clients did against the rules.
    pub fn violations(&self) -> Vec<String> {
        self.shared.world().violations.clone()
    }

    /// All versions in a bucket: by name, the newest first.
    pub fn versions(&self, bucket: &str) -> Vec<FileVersion> {
        let id = self.bucket_id(bucket);
        self.shared.world().buckets[&id].versions().cloned().collect()
    }

    /// Names of the files that are visible.
    pub fn names(&self, bucket: &str) -> Vec<String> {
        let id = self.bucket_id(bucket);
        let world = self.shared.world();
        let files = world.buckets[&id].files.iter();
        let visible = files.filter(|(_, versions)| versions.first().is_some_and(|v| v.action == Action::Upload));
        visible.map(|(name, _)| name.clone()).collect()
    }

    /// Bytes that are billed as stored.
    pub fn stored_bytes(&self) -> u64 {
        self.shared.world().stored_bytes()
    }

    /// Hides a file, as anybody with `writeFiles` could.
    pub fn hide(&self, bucket: &str, name: &str) {
        let params = json!({ "bucketId": self.bucket_id(bucket), "fileName": name });
        self.shared.world().hide_file(&self.master, &params).unwrap();
    }

    /// Puts another version over a file, as anybody with `writeFiles` could.
    pub fn shadow(&self, bucket: &str, name: &str, data: &[u8]) {
        let id = self.bucket_id(bucket);
        let mut world = self.shared.world();
        let mut version = world.new_version(&id, name, Action::Upload);
        version.sha1 = Some(super::connection::sha1_of(data));
        version.content_type = Some("application/octet-stream".to_owned());
        version.data = Arc::new(data.to_vec());
        world.bucket_mut(&id).unwrap().add(version);
    }

    /// Removes all versions of a file.
    pub fn destroy(&self, bucket: &str, name: &str) {
        let id = self.bucket_id(bucket);
        self.shared.world().bucket_mut(&id).unwrap().files.remove(name);
    }

    /// Changes a byte of a stored file's newest version.
    pub fn corrupt(&self, bucket: &str, name: &str) {
        let id = self.bucket_id(bucket);
        let mut world = self.shared.world();
        let file = world.bucket(&id).unwrap().files[name][0].id.clone();
        world.corrupt(&file);
    }
}

impl Drop for FakeB2 {
    fn drop(&mut self) {
        self.shared.stop(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
