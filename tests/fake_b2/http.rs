//! HTTP/1.1 by hand: a request read, an answer written.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;

const MAX_HEAD_BYTES: usize = 64 << 10;

/// A request without its body.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub fn length_bytes(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    pub fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Reads a request's head; what was read beyond it stays in `buffer`. None at the end of the stream.
pub fn read_head(stream: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some((request, len)) = parse(buffer)? {
            buffer.drain(..len);
            return Ok(Some(request));
        }
        if buffer.len() > MAX_HEAD_BYTES {
            return Err(io::Error::new(ErrorKind::InvalidData, "the head of the request is too long"));
        }
        let mut chunk = [0; 8192];
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            return Ok(None);
        }
        buffer.extend_from_slice(&chunk[..read]);
    }
}

fn parse(buffer: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    let bad = |what: String| io::Error::new(ErrorKind::InvalidData, what);
    let len = match parsed.parse(buffer).map_err(|e| bad(e.to_string()))? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(len) => len,
    };
    let target = parsed.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let decode = |text: &str| super::names::decode(text).map_err(|e| bad(e.message));
    let query = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect::<io::Result<_>>()?;
    let headers = parsed
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_owned()))
        .collect();
    let request = Request { method: parsed.method.unwrap_or("").to_owned(), path: path.to_owned(), query, headers };
    Ok(Some((request, len)))
}

/// The bytes of an answer, perhaps part of a file.
#[derive(Debug, Clone)]
pub struct Bytes {
    pub data: Arc<Vec<u8>>,
    pub from: usize,
    pub to: usize,
}

impl Bytes {
    pub fn new(data: Vec<u8>) -> Self {
        Self { from: 0, to: data.len(), data: Arc::new(data) }
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.data[self.from..self.to]
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Answer {
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        let headers = vec![
            ("Content-Type".to_owned(), "application/json;charset=utf-8".to_owned()),
            ("Cache-Control".to_owned(), "max-age=0, no-cache, no-store".to_owned()),
        ];
        Self { status, headers, body: Bytes::new(value.to_string().into_bytes()) }
    }

    /// The head as it goes over the wire.
    pub fn head(&self, date: &str, close: bool) -> Vec<u8> {
        let mut head =
            format!("HTTP/1.1 {} {}\r\nServer: fake-b2\r\nDate: {date}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = self.body.as_slice().len();
        head.push_str(&format!("Content-Length: {length}\r\n"));
        head.push_str(if close { "Connection: close\r\n\r\n" } else { "Connection: keep-alive\r\n\r\n" });
        head.into_bytes()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

/// A time as HTTP has it (RFC 9110, 5.6.7).
pub fn date(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map(|time| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        .unwrap_or_default()
}
