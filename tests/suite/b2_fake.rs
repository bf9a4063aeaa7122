//! The fake B2 itself, where the vendor's simulator knows nothing of it: rules of buckets, locks, caps, and bytes on the wire.

use crate::b2_kit::BUCKET;
use crate::fake_b2::{Caps, FakeB2, Fault, KeySpec, Kind, Mode, Options, WRITER_CAPABILITIES};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// An answer: status, head, body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

/// Sends bytes and reads to the end of the connection.
fn raw(fake: &FakeB2, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(fake.endpoint().trim_start_matches("http://"))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn request(fake: &FakeB2, head: &str, body: &[u8]) -> Answer {
    let mut bytes = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    let answer = raw(fake, &bytes).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body: answer[end + 4..].to_vec() }
}

fn authorize(fake: &FakeB2, key: &(String, String)) -> Value {
    let basic = BASE64.encode(format!("{}:{}", key.0, key.1).as_bytes());
    let head = format!("GET /b2api/v4/b2_authorize_account HTTP/1.1\r\nAuthorization: Basic {basic}");
    let answer = request(fake, &head, b"");
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).unwrap()
}

/// A call with JSON both ways: status and answer.
fn call(fake: &FakeB2, token: &Value, name: &str, params: &Value) -> (u16, Value) {
    let (token, body) = (token["authorizationToken"].as_str().unwrap(), params.to_string());
    let head = format!("POST /b2api/v4/{name} HTTP/1.1\r\nAuthorization: {token}\r\nContent-Length: {}", body.len());
    let answer = request(fake, &head, body.as_bytes());
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn fake() -> FakeB2 {
    let fake = FakeB2::start();
    fake.bucket(BUCKET, json!({}));
    fake
}

#[test]
fn a_rule_makes_of_hiding_a_deletion() {
    let fake = fake();
    let rule = |prefix, hide: Option<u32>, delete: Option<u32>| json!({ "fileNamePrefix": prefix, "daysFromUploadingToHiding": hide, "daysFromHidingToDeleting": delete });
    fake.update_bucket(BUCKET, json!({ "lifecycleRules": [rule("a/", None, Some(3)), rule("b/", Some(2), Some(1))] }));
    for name in ["a/hidden", "a/kept", "a/twice", "b/old", "c/hidden"] {
        fake.shadow(BUCKET, name, b"data");
    }
    fake.shadow(BUCKET, "a/twice", b"newer");
    fake.hide(BUCKET, "a/hidden");
    fake.hide(BUCKET, "c/hidden");
    let left = || -> Vec<String> { fake.versions(BUCKET).into_iter().map(|version| version.name).collect() };
    fake.advance(DAY * 2);
    // What b/old has got is a marker.
    assert_eq!(fake.names(BUCKET), ["a/kept", "a/twice"]);
    assert_eq!(left().len(), 9);
    // Three days after a/hidden was hidden, and one after b/old was; markers of nothing go, too.
    fake.advance(DAY + Duration::from_secs(1));
    assert_eq!(left(), ["a/kept", "a/twice", "c/hidden", "c/hidden"]);
    fake.advance(DAY * 1_000);
    assert_eq!(fake.versions(BUCKET).len(), 4);
}

#[test]
fn what_is_locked_stays() {
    let fake = FakeB2::start();
    let retention = json!({ "mode": "governance", "period": { "duration": 5, "unit": "days" } });
    fake.bucket(BUCKET, json!({ "fileLockEnabled": true }));
    let rule = json!({ "fileNamePrefix": "", "daysFromHidingToDeleting": 1, "daysFromUploadingToHiding": null });
    fake.update_bucket(BUCKET, json!({ "defaultRetention": retention, "lifecycleRules": [rule] }));
    let all = authorize(&fake, &fake.key(&KeySpec::everything(BUCKET)));
    let no_bypass: Vec<&str> =
        crate::fake_b2::ALL_CAPABILITIES.into_iter().filter(|capability| *capability != "bypassGovernance").collect();
    let less = authorize(&fake, &fake.key(&KeySpec::new(BUCKET, &no_bypass)));
    let (status, url) = call(&fake, &all, "b2_get_upload_url", &json!({ "bucketId": fake.bucket_id(BUCKET) }));
    assert_eq!(status, 200);
    let head = format!(
        "POST {} HTTP/1.1\r\nAuthorization: {}\r\nX-Bz-File-Name: f%C3%BC\r\nContent-Type: b2/x-auto\r\nContent-Length: 3\r\n\
         X-Bz-Content-Sha1: a9993e364706816aba3e25717850c26c9cd0d89d",
        url["uploadUrl"].as_str().unwrap().trim_start_matches(&fake.endpoint()),
        url["authorizationToken"].as_str().unwrap()
    );
    assert_eq!(request(&fake, &head, b"abc").status, 200);
    let version = fake.versions(BUCKET).remove(0);
    assert_eq!((version.name.as_str(), version.retention.unwrap().mode), ("fü", Mode::Governance));
    let file = json!({ "fileName": "fü", "fileId": version.id });
    let bypass = json!({ "fileName": "fü", "fileId": version.id, "bypassGovernance": true });
    let delete = |token, params| call(&fake, token, "b2_delete_file_version", params);
    assert_eq!(delete(&all, &file).0, 403);
    assert_eq!(delete(&less, &bypass).0, 401);
    // A rule does not delete it either.
    fake.hide(BUCKET, "fü");
    fake.advance(DAY * 4);
    assert_eq!(fake.versions(BUCKET).len(), 2);
    // Stricter and longer, but never back.
    let now = version.uploaded_millis + 4 * 86_400_000;
    let update = |mode: &str, days: i64| {
        let until = now + days * 86_400_000;
        let setting = json!({ "mode": mode, "retainUntilTimestamp": until });
        let params =
            json!({ "fileName": "fü", "fileId": version.id, "fileRetention": setting, "bypassGovernance": true });
        // A day has passed for the tokens, too.
        let all = authorize(&fake, &fake.key(&KeySpec::everything(BUCKET)));
        call(&fake, &all, "b2_update_file_retention", &params).0
    };
    assert_eq!(update("compliance", 10), 200);
    assert_eq!(update("compliance", 5), 403);
    assert_eq!(update("governance", 20), 403);
    assert_eq!(update("compliance", 3_001), 400);
    let all = authorize(&fake, &fake.key(&KeySpec::everything(BUCKET)));
    assert_eq!(delete(&all, &bypass).0, 403);
    fake.advance(DAY * 11);
    let all = authorize(&fake, &fake.key(&KeySpec::everything(BUCKET)));
    assert!([200, 400].contains(&delete(&all, &file).0), "nothing keeps it any more");
    assert!(fake.versions(BUCKET).iter().all(|version| version.data.is_empty()));
}

#[test]
fn listings_page_and_fold() {
    let fake = FakeB2::with(Options { page_limit: 3, ..Options::default() }).unwrap();
    fake.bucket(BUCKET, json!({}));
    let names = ["a", "a/1", "a/2", "a-b/1", "a/b/1", "a/b/2", "b", "b/c/d/e", "c", "d/1"];
    for name in names {
        fake.shadow(BUCKET, name, name.as_bytes());
        fake.shadow(BUCKET, name, b"again");
    }
    fake.hide(BUCKET, "c");
    let all = authorize(&fake, &fake.key(&KeySpec::everything(BUCKET)));
    let walk = |api: &str, prefix: &str, delimiter: Option<&str>| {
        let (mut found, mut name, mut id, mut pages) = (Vec::new(), Value::Null, Value::Null, 0);
        loop {
            let params = json!({
                "bucketId": fake.bucket_id(BUCKET), "prefix": prefix, "delimiter": delimiter, "maxFileCount": 1000,
                "startFileName": name, "startFileId": id,
            });
            let (status, page) = call(&fake, &all, api, &params);
            assert_eq!(status, 200, "{page}");
            let files = page["files"].as_array().unwrap();
            assert!(files.len() <= 3);
            found.extend(files.iter().map(|file| file["fileName"].as_str().unwrap().to_owned()));
            (name, id) = (page["nextFileName"].clone(), page["nextFileId"].clone());
            pages += 1;
            if name.is_null() {
                return found;
            }
            assert!(pages < 50, "no end");
        }
    };
    let sorted: BTreeSet<&str> = names.into_iter().collect();
    let visible: Vec<&str> = sorted.iter().copied().filter(|name| *name != "c").collect();
    assert_eq!(walk("b2_list_file_names", "", None), visible);
    let versions: Vec<&str> =
        sorted.iter().flat_map(|name| std::iter::repeat_n(*name, if *name == "c" { 3 } else { 2 })).collect();
    assert_eq!(walk("b2_list_file_versions", "", None), versions);
    assert_eq!(walk("b2_list_file_names", "", Some("/")), ["a", "a-b/", "a/", "b", "b/", "d/"]);
    assert_eq!(walk("b2_list_file_names", "a/", Some("/")), ["a/1", "a/2", "a/b/"]);
    let folded = walk("b2_list_file_versions", "", Some("/"));
    assert_eq!(folded, ["a", "a", "a-b/", "a/", "b", "b", "b/", "c", "c", "c", "d/"]);
    // A thousand names a call.
    let many = FakeB2::start();
    many.bucket(BUCKET, json!({}));
    (0..2_001).for_each(|n| many.shadow(BUCKET, &format!("{n:04}"), b""));
    let all = authorize(&many, &many.key(&KeySpec::everything(BUCKET)));
    let before = many.counts().class(crate::fake_b2::Class::C);
    let params = json!({ "bucketId": many.bucket_id(BUCKET), "maxFileCount": 10_000 });
    assert_eq!(call(&many, &all, "b2_list_file_names", &params).1["files"].as_array().unwrap().len(), 2_001);
    assert_eq!(many.counts().class(crate::fake_b2::Class::C) - before, 3);
    assert_eq!(call(&many, &all, "b2_list_file_names", &json!({ "bucketId": "nothing" })).1["code"], "bad_bucket_id");
}

#[test]
fn keys_are_held_to_their_bucket_and_prefix() {
    let fake = fake();
    fake.bucket("another-bucket", json!({}));
    for name in ["w/a/x", "w/b/x"] {
        fake.shadow(BUCKET, name, b"data");
    }
    let writer = authorize(&fake, &fake.key(&KeySpec::new(BUCKET, &WRITER_CAPABILITIES).within("w/a/")));
    let allowed = &writer["apiInfo"]["storageApi"]["allowed"];
    assert_eq!(allowed["buckets"], json!([{ "id": fake.bucket_id(BUCKET), "name": BUCKET }]));
    assert_eq!(allowed["namePrefix"], "w/a/");
    let id = fake.bucket_id(BUCKET);
    let account = writer["accountId"].clone();
    let of = |name: &str| fake.versions(BUCKET).into_iter().find(|version| version.name == name).unwrap().id;
    for (api, params, status) in [
        ("b2_list_buckets", json!({ "accountId": account }), 401),
        ("b2_list_buckets", json!({ "accountId": account, "bucketName": "another-bucket" }), 401),
        ("b2_list_buckets", json!({ "accountId": account, "bucketName": BUCKET }), 200),
        ("b2_list_file_names", json!({ "bucketId": id }), 401),
        ("b2_list_file_names", json!({ "bucketId": id, "prefix": "w/" }), 401),
        ("b2_list_file_names", json!({ "bucketId": id, "prefix": "w/a/" }), 200),
        ("b2_list_file_versions", json!({ "bucketId": id, "prefix": "w/b/" }), 401),
        ("b2_get_file_info", json!({ "fileId": of("w/a/x") }), 200),
        ("b2_get_file_info", json!({ "fileId": of("w/b/x") }), 401),
        ("b2_get_upload_url", json!({ "bucketId": id }), 200),
        ("b2_get_upload_url", json!({ "bucketId": fake.bucket_id("another-bucket") }), 401),
        ("b2_delete_file_version", json!({ "fileName": "w/a/x", "fileId": of("w/a/x") }), 401),
        ("b2_hide_file", json!({ "bucketId": id, "fileName": "w/b/x" }), 401),
        // The trap: hiding is writing.
        ("b2_hide_file", json!({ "bucketId": id, "fileName": "w/a/x" }), 200),
        ("b2_hide_file", json!({ "bucketId": id, "fileName": "w/a/x" }), 400),
        ("b2_hide_file", json!({ "bucketId": id, "fileName": "w/a/none" }), 400),
        ("b2_create_key", json!({ "accountId": account, "keyName": "k", "capabilities": ["listFiles"] }), 401),
        ("b2_nothing", json!({}), 404),
    ] {
        let answer = call(&fake, &writer, api, &params);
        assert_eq!(answer.0, status, "{api} {params}: {}", answer.1);
        assert!(status == 200 || answer.1["status"] == status, "{}", answer.1);
    }
    fake.expire_tokens();
    let late = call(&fake, &writer, "b2_get_upload_url", &json!({ "bucketId": id }));
    assert_eq!((late.0, &late.1["code"]), (401, &json!("expired_auth_token")));
}

#[test]
fn caps_are_reached_and_days_begin() {
    let fake = fake();
    let key = fake.key(&KeySpec::everything(BUCKET));
    fake.shadow(BUCKET, "f", &[7; 1_000]);
    let all = authorize(&fake, &key);
    let token = all["authorizationToken"].as_str().unwrap();
    let get = |range: &str| {
        let head = format!("GET /file/{BUCKET}/f HTTP/1.1\r\nAuthorization: {token}\r\nRange: bytes={range}");
        let answer = request(&fake, &head, b"");
        (answer.status, answer.body)
    };
    assert_eq!(get("0-9"), (206, vec![7; 10]));
    assert_eq!(get("990-2000"), (206, vec![7; 10]));
    assert_eq!(get("-5").1.len(), 5);
    assert_eq!((get("1000-1001").0, get("5-4").0), (416, 416));
    fake.caps(Caps { download_bytes: Some(40), ..Caps::default() });
    assert_eq!(get("0-9").0, 206);
    let (status, body) = get("0-9");
    assert_eq!(status, 403);
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["code"], "download_cap_exceeded");
    fake.caps(Caps { class_c_calls: Some(0), ..Caps::default() });
    let list = json!({ "bucketId": fake.bucket_id(BUCKET) });
    assert_eq!(call(&fake, &all, "b2_list_file_names", &list).1["code"], "transaction_cap_exceeded");
    fake.caps(Caps { class_c_calls: Some(5), ..Caps::default() });
    fake.advance(Duration::from_secs(3_600));
    assert_eq!(call(&fake, &all, "b2_list_file_names", &list).0, 200);
}

#[test]
fn bytes_on_the_wire_break_where_they_are_told_to() {
    let fake = fake();
    fake.shadow(BUCKET, "f", &[7; 100_000]);
    let all = authorize(&fake, &fake.key(&KeySpec::everything(BUCKET)));
    let token = all["authorizationToken"].as_str().unwrap().to_owned();
    let get = format!("GET /file/{BUCKET}/f HTTP/1.1\r\nAuthorization: {token}\r\nHost: x\r\n");
    let once = |fault: Fault| {
        let mut fault = Some(fault);
        fake.plan(move |call| if call.kind == Kind::DownloadByName { fault.take() } else { None });
    };
    let ask = || raw(&fake, format!("{get}Connection: close\r\n\r\n").as_bytes());
    let len = |answer: &[u8]| answer.len() - answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() - 4;

    once(Fault::Truncate);
    let cut = ask().unwrap();
    assert!(len(&cut) == 50_000 && String::from_utf8_lossy(&cut).contains("Content-Length: 100000"));
    for fault in [Fault::ResetBefore, Fault::ResetAfter, Fault::LostAnswer, Fault::ResetMidBody] {
        once(fault.clone());
        let error = ask().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{fault:?}");
    }
    once(Fault::Status(429, "too_many_requests", Some("7")));
    assert!(String::from_utf8(ask().unwrap()).unwrap().contains("Retry-After: 7\r\n"));
    once(Fault::Trickle(10_000, Duration::from_millis(1)));
    assert_eq!(len(&ask().unwrap()), 100_000);

    // Wrong over one connection for good, right over the next.
    once(Fault::Corrupt);
    let mut stream = TcpStream::connect(fake.endpoint().trim_start_matches("http://")).unwrap();
    for _ in 0..2 {
        stream.write_all(format!("{get}\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        while answer.windows(4).all(|w| w != b"\r\n\r\n") || len(&answer) < 100_000 {
            let mut part = [0; 10_000];
            let read = stream.read(&mut part).unwrap();
            answer.extend_from_slice(&part[..read]);
        }
        let body = &answer[answer.len() - 100_000..];
        assert_eq!(body.iter().filter(|byte| **byte != 7).count(), 1);
    }
    assert!(ask().unwrap().ends_with(&[7; 100_000]));

    // Silence until the other side has enough of it.
    once(Fault::Stall);
    let mut stream = TcpStream::connect(fake.endpoint().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream.write_all(format!("{get}\r\n").as_bytes()).unwrap();
    assert!(stream.read(&mut [0]).is_err());

    // An upload without a length, and one in chunks.
    let (_, url) = call(&fake, &all, "b2_get_upload_url", &json!({ "bucketId": fake.bucket_id(BUCKET) }));
    let to = url["uploadUrl"].as_str().unwrap().trim_start_matches(&fake.endpoint()).to_owned();
    let head = format!(
        "POST {to} HTTP/1.1\r\nAuthorization: {}\r\nX-Bz-File-Name: f\r\nContent-Type: b2/x-auto\r\nX-Bz-Content-Sha1: x",
        url["authorizationToken"].as_str().unwrap()
    );
    for (more, body) in [("", &b""[..]), ("\r\nTransfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n")] {
        let answer = request(&fake, &format!("{head}{more}"), body);
        assert_eq!(answer.status, 400, "{}", answer.head);
    }
}
