//! The listening socket and its connections.

use super::connection::Connection;
use super::fault::{Call, Fault};
use super::route::Kind;
use super::state::World;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Decides which fault meets a call.
pub type Plan = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

/// What all connections share.
pub struct Shared {
    world: Mutex<World>,
    plan: Mutex<Plan>,
    stopping: AtomicBool,
    refusing: Mutex<bool>,
    refusal_ended: Condvar,
    streams: Mutex<HashMap<u64, TcpStream>>,
    numbers: Mutex<(u64, BTreeMap<Kind, u64>)>,
    pub(super) connections: AtomicU64,
    delay_micros: AtomicU64,
    /// 0 for no limit.
    upload_bytes_per_sec: AtomicU64,
    uplink_free: Mutex<Instant>,
}

/// A panic in one connection's thread must not hide what the others did.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(world: World) -> Self {
        Self {
            world: Mutex::new(world),
            plan: Mutex::new(Box::new(|_| None)),
            stopping: AtomicBool::new(false),
            refusing: Mutex::new(false),
            refusal_ended: Condvar::new(),
            streams: Mutex::default(),
            numbers: Mutex::default(),
            connections: AtomicU64::new(0),
            delay_micros: AtomicU64::new(0),
            upload_bytes_per_sec: AtomicU64::new(0),
            uplink_free: Mutex::new(Instant::now()),
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    pub fn set_plan(&self, plan: Plan) {
        *lock(&self.plan) = plan;
    }

    /// Numbers a call and asks the plan about it.
    pub fn meet(&self, mut call: Call) -> (Call, Option<Fault>) {
        let mut numbers = lock(&self.numbers);
        numbers.0 += 1;
        call.number = numbers.0;
        let nth = numbers.1.entry(call.kind).or_default();
        *nth += 1;
        call.nth = *nth;
        // Under the lock: a seeded plan sees calls in the order of their numbers.
        let fault = lock(&self.plan)(&call);
        (call, fault)
    }

    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub fn delay(&self) -> Duration {
        Duration::from_micros(self.delay_micros.load(Ordering::Relaxed))
    }

    pub fn set_delay(&self, delay: Duration) {
        self.delay_micros.store(delay.as_micros() as u64, Ordering::Relaxed);
    }

    pub fn set_upload_rate(&self, bytes_per_sec: u64) {
        self.upload_bytes_per_sec.store(bytes_per_sec, Ordering::Relaxed);
    }

    /// Waits until so many bytes have come through the shared uplink.
    pub fn pace(&self, bytes: usize) {
        let rate = self.upload_bytes_per_sec.load(Ordering::Relaxed);
        if rate == 0 {
            return;
        }
        let until = {
            let mut free = lock(&self.uplink_free);
            *free = (*free).max(Instant::now()) + Duration::from_secs_f64(bytes as f64 / rate as f64);
            *free
        };
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
    }

    /// Ends what is open and lets nothing new in.
    pub fn stop(&self, address: SocketAddr) {
        self.stopping.store(true, Ordering::Relaxed);
        self.refuse(false, address);
        self.disconnect();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(address);
    }

    pub fn disconnect(&self) {
        for stream in lock(&self.streams).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Closes the listening socket, or opens it again.
    pub fn refuse(&self, refuse: bool, address: SocketAddr) {
        *lock(&self.refusing) = refuse;
        self.refusal_ended.notify_all();
        if refuse {
            self.disconnect();
            let _ = TcpStream::connect(address);
        }
    }

    fn wait_while_refusing(&self) {
        let mut refusing = lock(&self.refusing);
        while *refusing && !self.stopping() {
            refusing = self.refusal_ended.wait(refusing).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Accepts until stopped.
pub fn run(shared: &Arc<Shared>, listener: TcpListener, address: SocketAddr) -> io::Result<()> {
    let mut listener = listener;
    loop {
        let (stream, _) = listener.accept()?;
        if shared.stopping() {
            return Ok(());
        }
        if *lock(&shared.refusing) {
            drop((stream, listener));
            shared.wait_while_refusing();
            listener = bind_again(address)?;
            continue;
        }
        let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        stream.set_nodelay(true)?;
        lock(&shared.streams).insert(number, stream.try_clone()?);
        let shared = Arc::clone(shared);
        let thread = std::thread::Builder::new().name(format!("fake-b2-{number}"));
        thread.spawn(move || {
            Connection::new(&shared, stream, number).serve();
            lock(&shared.streams).remove(&number);
        })?;
    }
}

fn bind_again(address: SocketAddr) -> io::Result<TcpListener> {
    let mut tries = 0;
    loop {
        match TcpListener::bind(address) {
            Err(_) if tries < 200 => std::thread::sleep(Duration::from_millis(10)),
            done => return done,
        }
        tries += 1;
    }
}
