//! One connection: requests read, calls made, answers written, and all that may go wrong with it.

use super::error::ApiError;
use super::fault::{Call, Fault};
use super::http::{self, Answer, Bytes, Request};
use super::route::{Kind, Route, route};
use super::server::Shared;
use super::state::UploadTarget;
use super::upload::{Received, length_of, name_of};
use super::{auth, count::Logged};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const MAX_JSON_BYTES: u64 = 4 << 20;

/// Lower-case hexadecimal.
pub fn sha1_of(data: &[u8]) -> String {
    HEXLOWER.encode(&Sha1::digest(data))
}

/// What becomes of the connection.
#[derive(PartialEq)]
pub(super) enum Next {
    Keep,
    Close,
    Reset,
}

/// A call under way.
struct Under<'a> {
    request: &'a Request,
    route: &'a Route,
    params: &'a Value,
    fault: Option<Fault>,
    logged: Logged,
}

pub struct Connection<'a> {
    pub(super) shared: &'a Shared,
    pub(super) stream: TcpStream,
    number: u64,
    pub(super) buffer: Vec<u8>,
    /// Downloads have a wrong byte.
    corrupting: bool,
}

impl<'a> Connection<'a> {
    pub fn new(shared: &'a Shared, stream: TcpStream, number: u64) -> Self {
        Self { shared, stream, number, buffer: Vec::new(), corrupting: false }
    }

    pub fn serve(mut self) {
        while !self.shared.stopping() {
            let next = match http::read_head(&mut self.stream, &mut self.buffer) {
                Ok(Some(request)) => self.one(&request).unwrap_or(Next::Close),
                Ok(None) => Next::Close,
                Err(e) if e.kind() == ErrorKind::InvalidData => {
                    self.shared.world().violation(format!("a request that is none: {e}"));
                    Next::Close
                }
                Err(_) => Next::Close,
            };
            match next {
                Next::Keep => {}
                Next::Close => return,
                Next::Reset => {
                    // Nothing that waits in the socket is sent any more; the other side sees ECONNRESET.
                    let _ = rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
                    return;
                }
            }
        }
    }

    fn one(&mut self, request: &Request) -> io::Result<Next> {
        let route = route(&request.path);
        let params = if route.kind.uploads() { Value::Null } else { self.params(request)? };
        let call = Call {
            number: 0,
            nth: 0,
            kind: route.kind,
            name: self.subject(request, &route, &params),
            body_bytes: if route.kind.uploads() { request.length_bytes().unwrap_or(0) } else { 0 },
            connection: self.number,
        };
        let (call, fault) = self.shared.meet(call);
        *self.shared.world().counts.calls.entry(route.kind).or_default() += 1;
        let logged = Logged {
            number: call.number,
            at_millis: self.shared.world().clock.now_millis(),
            kind: call.kind,
            name: call.name,
            status: 0,
            up_bytes: 0,
            down_bytes: 0,
            listed: 0,
            done: false,
            connection: self.number,
            fault: fault.as_ref().map(Fault::describe),
        };
        let mut under = Under { request, route: &route, params: &params, fault, logged };
        let next = self.call(&mut under);
        self.shared.world().log.push(under.logged);
        next
    }

    /// The parameters of a JSON call: its body, or its query.
    fn params(&mut self, request: &Request) -> io::Result<Value> {
        let length = request.length_bytes().unwrap_or(0);
        if length > MAX_JSON_BYTES {
            return Err(io::Error::new(ErrorKind::InvalidData, "the body is too long"));
        }
        self.expected(request)?;
        let mut body = Vec::new();
        self.read_body(length, &mut |chunk| body.extend_from_slice(chunk))?;
        if body.is_empty() {
            let pairs = request.query.iter().map(|(name, value)| (name.clone(), json!(value)));
            return Ok(Value::Object(pairs.collect()));
        }
        Ok(serde_json::from_slice(&body).unwrap_or(Value::Bool(false)))
    }

    /// Says to go on to a client that waits for it.
    fn expected(&mut self, request: &Request) -> io::Result<()> {
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        Ok(())
    }

    /// What a call is about, for plans and the log.
    fn subject(&self, request: &Request, route: &Route, params: &Value) -> Option<String> {
        match route.kind {
            Kind::UploadFile => name_of(request).ok(),
            Kind::DownloadByName => super::names::decode(route.rest.split_once('/')?.1).ok(),
            Kind::DownloadById | Kind::GetFileInfo => {
                let id = params["fileId"].as_str()?;
                self.shared.world().find(id).map(|(_, version)| version.name.clone())
            }
            Kind::ListFileNames | Kind::ListFileVersions => params["prefix"].as_str().map(str::to_owned),
            _ => params["fileName"].as_str().map(str::to_owned),
        }
    }

    fn call(&mut self, under: &mut Under<'_>) -> io::Result<Next> {
        std::thread::sleep(self.shared.delay());
        let token = under.request.header("authorization");
        let uploads = under.route.kind.uploads();
        match &under.fault {
            Some(Fault::Delay(time)) => std::thread::sleep(*time),
            Some(Fault::ResetBefore) => {
                self.blame(uploads, token, "a reset");
                return Ok(Next::Reset);
            }
            Some(Fault::Stall) => {
                self.blame(uploads, token, "a stall");
                return Ok(self.hold());
            }
            Some(Fault::EarlyStatus(status, code)) => {
                self.blame(uploads, token, "an error");
                let answer = Answer::json(*status, &ApiError::new(*status, code, "early").to_json());
                under.logged.status = *status;
                self.write(&answer, true, under)?;
                return Ok(Next::Close);
            }
            Some(Fault::StaleListing(newest, listings)) => self.shared.world().stale = (*newest, *listings),
            Some(Fault::ExpiredToken | Fault::BadToken) => self.spoil(uploads, token),
            _ => {}
        }
        let done = if uploads { self.upload(under)? } else { Some(self.perform(under)) };
        let Some(done) = done else {
            return Ok(if under.fault == Some(Fault::StallMidBody) { self.hold() } else { Next::Reset });
        };
        match &under.fault {
            Some(Fault::ResetAfter | Fault::LostAnswer) => return Ok(Next::Reset),
            Some(Fault::StallAnswer) => return Ok(self.hold()),
            _ => {}
        }
        let (mut answer, list_items) = match done {
            Ok(done) => done,
            Err(error) => (Answer::json(error.status, &error.to_json()), 0),
        };
        if let (Some(Fault::Status(_, _, Some(after))), true) = (&under.fault, answer.status >= 400) {
            answer.headers.push(("Retry-After".to_owned(), (*after).to_owned()));
        }
        self.account(under, &mut answer, list_items);
        let close = under.request.wants_close();
        let next = self.write(&answer, close, under)?;
        Ok(if close && next == Next::Keep { Next::Close } else { next })
    }

    /// Notes that something failed on an upload URL.
    fn blame(&self, uploads: bool, token: Option<&str>, why: &str) {
        if uploads {
            self.shared.world().end_upload(token, Some(why));
        }
    }

    /// Makes a token useless.
    fn spoil(&self, uploads: bool, token: Option<&str>) {
        let mut world = self.shared.world();
        if uploads {
            world.end_upload(token, Some("401"));
        } else if let Some(token) = token {
            world.tokens.remove(token);
        }
    }

    /// The error that a fault puts in place of the call.
    fn instead(fault: Option<&Fault>) -> Option<ApiError> {
        match fault? {
            Fault::Status(status, code, _) => Some(ApiError::new(*status, code, "made to fail")),
            Fault::ExpiredToken => Some(auth::expired()),
            Fault::BadToken => Some(auth::invalid()),
            Fault::Cap("storage_cap_exceeded") => Some(super::upload::storage_cap()),
            Fault::Cap("download_cap_exceeded") => Some(super::download::download_cap()),
            Fault::Cap(code) => Some(ApiError::new(403, code, "Cap exceeded. See the Caps & Alerts page.")),
            // Never seen by anybody.
            Fault::ResetAfter => Some(ApiError::new(500, "internal_error", "reset")),
            _ => None,
        }
    }

    /// An upload. None if the connection is to end without an answer.
    #[allow(clippy::type_complexity)]
    fn upload(&mut self, under: &mut Under<'_>) -> io::Result<Option<Result<(Answer, u64), ApiError>>> {
        let token = under.request.header("authorization");
        let spoiled = matches!(under.fault, Some(Fault::ExpiredToken | Fault::BadToken));
        let begun = if spoiled {
            Err(auth::invalid())
        } else {
            let mut world = self.shared.world();
            world.begin_upload(token, &under.route.rest).and_then(|(key, target)| {
                // What the headers have wrong is said before the body is read; then the URL is free again.
                let checked = world.check_upload(under.request, &key, &target);
                checked.inspect_err(|_| world.end_upload(token, None))?;
                Ok((key, target))
            })
        };
        let Ok(length) = length_of(under.request) else {
            // Where the body ends is not known.
            let answer = Answer::json(400, &length_of(under.request).err().map_or(Value::Null, |e| e.to_json()));
            under.logged.status = 400;
            self.write(&answer, true, under)?;
            self.drain();
            return Err(ErrorKind::InvalidInput.into());
        };
        self.expected(under.request)?;
        let (mut data, mut hash) = (Vec::with_capacity(length as usize), Sha1::new());
        let part = match under.fault {
            Some(Fault::ResetMidBody | Fault::StallMidBody) => length / 2,
            _ => length,
        };
        let read = self.read_body(part, &mut |chunk| {
            hash.update(chunk);
            data.extend_from_slice(chunk);
        });
        under.logged.up_bytes = data.len() as u64;
        let cut = part < length || matches!(under.fault, Some(Fault::ResetMidBody | Fault::StallMidBody));
        if read.is_err() || cut {
            self.shared.world().end_upload(token, Some("a broken connection"));
            read?;
            return Ok(None);
        }
        let (key, target) = match begun {
            Ok(begun) => begun,
            Err(error) => return Ok(Some(Err(Self::instead(under.fault.as_ref()).unwrap_or(error)))),
        };
        let body = Received { data, sha1: HEXLOWER.encode(&hash.finalize()) };
        let mut world = self.shared.world();
        world.counts.uploaded_bytes += length;
        let result = match (Self::instead(under.fault.as_ref()), target) {
            (Some(error), _) => Err(error),
            (None, UploadTarget::Bucket(bucket)) => world.upload_file(under.request, &key, &bucket, body),
            (None, UploadTarget::File(file)) => world.upload_part(under.request, &file, body),
        };
        under.logged.done = result.is_ok();
        let unseen =
            matches!(under.fault, Some(Fault::LostAnswer | Fault::StallAnswer | Fault::ResetAfter | Fault::Truncate));
        let failed = match &result {
            Err(error) if error.status >= 500 || [401, 408].contains(&error.status) => Some(error.code.clone()),
            _ if unseen => Some("a broken connection".to_owned()),
            _ => None,
        };
        world.end_upload(token, failed.as_deref());
        Ok(Some(result.map(|value| (Answer::json(200, &value), 0))))
    }

    /// Any other call.
    fn perform(&mut self, under: &mut Under<'_>) -> Result<(Answer, u64), ApiError> {
        let mut world = self.shared.world();
        if let Some(error) = Self::instead(under.fault.as_ref()) {
            return Err(error);
        }
        if *under.params == Value::Bool(false) {
            return Err(ApiError::new(400, "bad_json", "The body is not JSON"));
        }
        let result = world.dispatch(under.request, under.route, under.params);
        under.logged.done = result.is_ok();
        if let (Ok(_), Some(Fault::CorruptForGood)) = (&result, &under.fault) {
            let id = under.params["fileId"].as_str().unwrap_or("").to_owned();
            world.corrupt(&id);
            return world.dispatch(under.request, under.route, under.params);
        }
        result
    }

    /// Counts a call that is about to be answered; puts the wrong byte into a file.
    fn account(&mut self, under: &mut Under<'_>, answer: &mut Answer, list_items: u64) {
        under.logged.status = answer.status;
        under.logged.listed = list_items;
        let kind = under.route.kind;
        let mut world = self.shared.world();
        world.counts.bill(kind, list_items);
        world.day.bill(kind, list_items);
        if !(kind.downloads() && answer.status < 300) {
            return;
        }
        if under.fault == Some(Fault::Corrupt) {
            self.corrupting = true;
        }
        let body = &mut answer.body;
        if self.corrupting && body.to > body.from {
            let mut wrong = body.as_slice().to_vec();
            let at = wrong.len() / 3;
            wrong[at] ^= 0x40;
            *body = Bytes::new(wrong);
        }
    }

    /// Sends an answer.
    fn write(&mut self, answer: &Answer, close: bool, under: &mut Under<'_>) -> io::Result<Next> {
        let date = http::date(self.shared.world().clock.now_millis());
        let mut bytes = answer.head(&date, close);
        let body: &[u8] = if under.request.method == "HEAD" { &[] } else { answer.body.as_slice() };
        let half = body.len() / 2;
        let (sent, next) = match under.fault {
            Some(Fault::Truncate) => (half, Next::Close),
            Some(Fault::ResetMidBody) => (half, Next::Reset),
            Some(Fault::StallMidBody) => (half, Next::Keep),
            _ => (body.len(), Next::Keep),
        };
        let written = if let Some(Fault::Trickle(piece, pause)) = under.fault {
            bytes.extend_from_slice(body);
            self.trickle(&bytes, piece, pause)
        } else if body.len() < 64 << 10 {
            bytes.extend_from_slice(&body[..sent]);
            self.stream.write_all(&bytes)
        } else {
            self.stream.write_all(&bytes).and_then(|()| self.stream.write_all(&body[..sent]))
        };
        {
            let mut world = self.shared.world();
            under.logged.down_bytes = sent as u64;
            if under.route.kind.downloads() && answer.status < 300 {
                world.counts.downloaded_bytes += sent as u64;
                world.day.downloaded_bytes += sent as u64;
            }
            if written.is_ok() && answer.status < 300 && sent == body.len() {
                *world.counts.good.entry(under.route.kind).or_default() += 1;
            }
        }
        written?;
        if under.fault == Some(Fault::StallMidBody) {
            return Ok(self.hold());
        }
        Ok(next)
    }
}
