//! find, history, diff, dump and cat, through the real binary.

use crate::cli_common::{Sandbox, document, run};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(document).collect()
}

fn id(made: &Value) -> String {
    made["snapshot"].as_str().unwrap().to_owned()
}

/// Three snapshots: as it was; much changed; put back.
fn history() -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::new();
    let source = sandbox.path("source");
    sandbox.write("source/a/one.txt", "1");
    sandbox.write("source/a/big.bin", vec![7; 300_000]);
    sandbox.write("source/gone/x", "x");
    sandbox.write("source/moved/in/deep", "a file that keeps what it has");
    sandbox.write("source/same/s", "same");
    sandbox.write("source/mode", "mode");
    let mut ids = vec![id(&sandbox.json(&["backup", "source"]))];
    crate::common::settle();
    sandbox.write("source/a/one.txt", "one more");
    sandbox.write("source/new.txt", "new");
    fs::remove_dir_all(source.join("gone")).unwrap();
    fs::create_dir(source.join("to")).unwrap();
    fs::rename(source.join("moved"), source.join("to/there")).unwrap();
    fs::set_permissions(source.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    ids.push(id(&sandbox.json(&["backup", "source"])));
    crate::common::settle();
    fs::remove_file(source.join("a/one.txt")).unwrap();
    ids.push(id(&sandbox.json(&["backup", "source"])));
    (sandbox, ids)
}

#[test]
fn find_and_history() {
    let (sandbox, ids) = history();
    let root = sandbox.path("source").canonicalize().unwrap();
    let found = lines(&sandbox.ok(&["find", "*.txt", "--json"]));
    let brief = |line: &Value| {
        let at = |key: &str| ids.iter().position(|id| line[key]["id"].as_str() == Some(id));
        let path = line["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (path, line["size_bytes"].as_u64().unwrap(), at("first"), at("last"), at("gone"))
    };
    let versions: Vec<_> = found.iter().filter(|line| line["kind"] == "version").map(brief).collect();
    let want = [
        ("one.txt".to_owned(), 1, Some(0), Some(0), Some(1)),
        ("one.txt".to_owned(), 8, Some(1), Some(1), Some(2)),
        ("new.txt".to_owned(), 3, Some(1), Some(2), None),
    ];
    assert_eq!(versions, want);
    let end = found.last().unwrap();
    assert_eq!((end["versions"].as_u64(), end["snapshots"].as_u64()), (Some(3), Some(3)));

    let named = |arguments: &[&str]| -> Vec<String> {
        let found = lines(&sandbox.ok(&[&["find"], arguments, &["--json"]].concat()));
        let name = |line: &Value| Some(line["path"].as_str()?.rsplit('/').next()?.to_owned());
        found.iter().filter(|line| line["kind"] == "version").filter_map(name).collect()
    };
    assert_eq!(named(&["--size", "100K.."]), ["big.bin"]);
    assert_eq!(named(&["--regex", "/(x|s)$"]), ["x", "s"]);
    assert_eq!(named(&["--type", "dir", "gone", "TO", "-i"]), ["gone", "to"]);
    assert_eq!(named(&["*.txt", "--snapshot", &ids[2]]), ["new.txt"]);
    let below = root.join("a");
    assert_eq!(
        named(&["*", "--below", below.to_str().unwrap(), "--type", "file", "--snapshot", "latest"]),
        ["big.bin"]
    );
    assert_eq!(named(&["*.bin", "--newer", "1h"]), ["big.bin"]);
    assert!(named(&["*.bin", "--older", "2020-01-01"]).is_empty());
    assert_eq!(sandbox.ok(&["find", "no-such-name"]), "nothing was found\n");
    let table = sandbox.ok(&["find", "one.txt"]);
    assert!(table.starts_with("First ") && table.contains("/a/one.txt") && !table.contains("still there"), "{table}");
    for bad in
        [&["find", "[a"][..], &["find", "--regex", "("], &["find", "--size", "2..1"], &["find", "--newer", "soon"]]
    {
        assert_eq!(sandbox.run(bad).code, 2, "{bad:?}");
    }
    assert_eq!(sandbox.run(&["find", "x", "--host", "nobody"]).code, 2);

    let versions = lines(&sandbox.ok(&["history", "source/a/one.txt", "--json"]));
    assert_eq!(versions.len(), 3);
    assert_eq!(versions[0]["changed"], serde_json::json!([]));
    assert_eq!(versions[1]["changed"], serde_json::json!(["content", "time"]));
    assert_eq!(versions[1]["gone"]["id"].as_str(), Some(&*ids[2]));
    let folder = sandbox.ok(&["history", "source/mode"]);
    assert!(folder.contains("mode") && folder.contains("still there"), "{folder}");
    assert_eq!(sandbox.run(&["history", "source/never"]).code, 2);
}

#[test]
fn differences_of_snapshots() {
    let (sandbox, ids) = history();
    let root = sandbox.path("source").canonicalize().unwrap();
    let root = root.to_str().unwrap();
    let text = sandbox.ok(&["diff", &ids[0], &ids[1], "-q"]);
    let short: Vec<String> = text.lines().map(|line| line.replace(root, "")).collect();
    let want = [
        "U / (time)",
        "U /a/ (time)",
        "M /a/one.txt (content, time)",
        "- /gone/",
        "- /gone/x",
        "U /mode (mode)",
        "+ /new.txt",
        "+ /to/",
        "R /moved/ -> /to/there/",
    ];
    // Writing to a file that is there does not touch its folder.
    let want: Vec<&str> = want.into_iter().filter(|line| *line != "U /a/ (time)").collect();
    assert_eq!(short, want);
    let json = lines(&sandbox.ok(&["diff", &ids[0], &ids[1], "--json"]));
    let end = json.last().unwrap();
    assert_eq!(
        (end["added"].as_u64(), end["removed"].as_u64(), end["changed"].as_u64(), end["moved"].as_u64()),
        (Some(2), Some(2), Some(3), Some(1))
    );
    assert_eq!(json[0]["new"].as_str(), Some(&*ids[1]));
    assert_eq!(sandbox.ok(&["diff", "latest", "latest", "-q"]), "");
    let below = format!("latest:{root}/same");
    assert_eq!(sandbox.ok(&["diff", &format!("{}:{root}/same", ids[0]), &below, "-q"]), "");
    for bad in [
        &["diff", "latest"][..],
        &["diff", "latest", &below],
        &["diff", "latest", "latest", "--live"],
        &["diff", "latest:/no", "latest:/no"],
    ] {
        assert_eq!(sandbox.run(bad).code, 2, "{bad:?}");
    }
    // A file that goes deeper is still the same file.
    fs::create_dir_all(sandbox.path("source/x/y")).unwrap();
    fs::rename(sandbox.path("source/same/s"), sandbox.path("source/x/y/s")).unwrap();
    let last = id(&sandbox.json(&["backup", "source"]));
    let text = sandbox.ok(&["diff", &ids[2], &last, "-q"]).replace(root, "");
    assert!(text.contains("R /same/s -> /x/y/s\n") && text.contains("+ /x/y/\n"), "{text}");
}

#[test]
fn differences_of_live_files() {
    let sandbox = Sandbox::new();
    let source = sandbox.path("source");
    sandbox.write("source/a", vec![1; 200_000]);
    sandbox.write("source/b", "bb");
    sandbox.write("source/d/c", "c");
    sandbox.write("source/skip/this.o", "object");
    std::os::unix::fs::symlink("b", source.join("l")).unwrap();
    sandbox.ok(&["backup", "source", "--exclude", "*.o"]);
    let live = |more: &[&str]| {
        let root = source.canonicalize().unwrap();
        let text = sandbox.ok(&[&["diff", "latest", "--live", "-q"], more].concat());
        text.replace(root.to_str().unwrap(), "").lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(live(&[]).is_empty());
    let (size, time) = (200_000, fs::metadata(source.join("a")).unwrap().modified().unwrap());
    let mut changed = vec![1; size];
    changed[150_000] = 2;
    fs::write(source.join("a"), changed).unwrap();
    fs::File::options().write(true).open(source.join("a")).unwrap().set_modified(time).unwrap();
    assert!(live(&[]).is_empty(), "size and time are as they were");
    assert_eq!(live(&["--read-data"]), ["M /a (content)"]);
    fs::write(source.join("b"), "b").unwrap();
    fs::remove_dir_all(source.join("d")).unwrap();
    fs::create_dir(source.join("n")).unwrap();
    fs::write(source.join("n/m"), "new").unwrap();
    fs::write(source.join("n/m.o"), "left out").unwrap();
    fs::remove_file(source.join("l")).unwrap();
    std::os::unix::fs::symlink("a", source.join("l")).unwrap();
    let found = live(&[]);
    let want = ["U / (time)", "M /b (content, time)", "- /d/", "- /d/c", "M /l (time, target)", "+ /n/", "+ /n/m"];
    assert_eq!(found, want);
    assert_eq!(sandbox.run(&["diff", "latest", "--read-data", "latest"]).code, 2);
}

/// What rsync says differs between two folders.
fn rsync(from: &Path, to: &Path) -> String {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXn", "--numeric-ids", "--checksum", "--delete", "--itemize-changes"]);
    let output = rsync.arg(format!("{}/", from.display())).arg(to).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn dump() {
    let sandbox = Sandbox::new();
    let source = sandbox.path("source");
    let long = format!("source/{}/{}", "d".repeat(120), "f".repeat(200));
    sandbox.write(&long, "long");
    sandbox.write("source/plain", vec![9; 3_000_000]);
    fs::hard_link(source.join("plain"), source.join("second name")).unwrap();
    std::os::unix::fs::symlink("t".repeat(150), source.join("link")).unwrap();
    let holes = fs::File::create(source.join("holes")).unwrap();
    holes.set_len(5 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&holes, b"in the middle", 2 << 20).unwrap();
    holes.set_modified(std::time::UNIX_EPOCH - std::time::Duration::new(77, 250_000_000)).unwrap();
    fs::set_permissions(source.join("plain"), fs::Permissions::from_mode(0o4711)).unwrap();
    sandbox.ok(&["backup", "source"]);
    let at = |path: &str| format!("latest:{}/{path}", source.canonicalize().unwrap().display());

    let output = sandbox.command(&["dump", &at("plain")]).output().unwrap();
    assert_eq!(output.stdout, vec![9; 3_000_000]);
    let out = sandbox.path("out");
    fs::create_dir(&out).unwrap();
    let mut child = sandbox.command(&["dump", &at("")]).stdout(Stdio::piped()).spawn().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-x", "-p", "--xattrs", "-C"]).arg(&out).stdin(child.stdout.take().unwrap());
    assert!(tar.status().unwrap().success() && child.wait().unwrap().success());
    assert_eq!(rsync(&source, &out), "");

    let made = sandbox.json(&["dump", &at(""), "--archive", "zip", "--output", "all.zip"]);
    assert_eq!((made["objects"].as_u64(), made["problem_count"].as_u64()), (Some(7), Some(0)));
    let unzipped = sandbox.path("unzipped");
    let unzip = Command::new("unzip").arg("-q").arg(sandbox.path("all.zip")).arg("-d").arg(&unzipped).status();
    assert!(unzip.unwrap().success());
    for name in [&long["source/".len()..], "plain", "second name", "holes"] {
        assert!(fs::read(unzipped.join(name)).unwrap() == fs::read(source.join(name)).unwrap(), "{name}");
    }
    // What is there stays.
    assert_eq!(sandbox.run(&["dump", &at("plain"), "--output", "all.zip"]).code, 1);
    for bad in [&["dump", "latest:/no/such"][..], &["dump", &at("link")], &["dump", &at("plain"), "--json"]] {
        assert_eq!(sandbox.run(bad).code, 2, "{bad:?}");
    }
    // Sockets do not fit into tar.
    let _socket = std::os::unix::net::UnixListener::bind(source.join("socket")).unwrap();
    sandbox.ok(&["backup", "source"]);
    let partly = sandbox.run(&["dump", &at(""), "--output", "all.tar", "--json"]);
    assert_eq!((partly.code, document(&partly.out)["problem_count"].as_u64()), (3, Some(1)));
    // Everything, from the top.
    let top = run(sandbox.command(&["dump", "latest", "--output", "top.tar", "-q"]).current_dir(sandbox.temp.path()));
    assert_eq!((top.code, top.out.as_str()), (3, ""));
    let listed = Command::new("tar").arg("-tf").arg(sandbox.path("top.tar")).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let want = format!("{}/plain", source.canonicalize().unwrap().display());
    assert!(listed.lines().any(|line| line == &want[1..]), "{listed}");
}

#[test]
fn cat() {
    let sandbox = Sandbox::new();
    sandbox.write("source/a", crate::common::noise(1, 100_000));
    let made = sandbox.json(&["backup", "source", "--tag", "t"]);
    let root = sandbox.path("source").canonicalize().unwrap();
    let config = sandbox.json(&["cat", "config"]);
    assert_eq!(config["body"]["repository"].as_str().unwrap().len(), 64);
    let snapshot = sandbox.json(&["cat", "snapshot", "latest"]);
    assert_eq!((&snapshot["body"]["id"], &snapshot["body"]["tags"][0]), (&made["snapshot"], &Value::from("t")));
    let tree = sandbox.json(&["cat", "tree", &format!("latest:{}", root.display())]);
    let entry = &tree["body"]["entries"][0];
    assert_eq!((entry["name"]["path"].as_str(), entry["size_bytes"].as_u64()), (Some("a"), Some(100_000)));
    let first = &entry["content"][0];
    let blob = first["blob"].as_str().unwrap();
    let facts = sandbox.json(&["cat", "blob", blob]);
    assert_eq!((&facts["body"]["len_bytes"], facts["body"]["kind"].as_str()), (&first["len_bytes"], Some("data")));
    let raw = sandbox.command(&["cat", "blob", blob, "--raw"]).output().unwrap().stdout;
    assert!(
        raw == crate::common::noise(1, 100_000)[..raw.len()]
            && raw.len() as u64 == first["len_bytes"].as_u64().unwrap()
    );
    let pack = sandbox.json(&["cat", "pack", &facts["body"]["pack"].as_str().unwrap()[..8]]);
    let named = pack["body"]["segments"].as_array().unwrap().iter().flat_map(|s| s["blobs"].as_array().unwrap());
    assert!(named.into_iter().any(|found| found["id"] == first["blob"]));
    let folder = fs::read_dir(sandbox.path("repo/writers")).unwrap().next().unwrap().unwrap().path().join("index");
    let index = fs::read_dir(folder).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let index = sandbox.json(&["cat", "index", &index[..10]]);
    assert!(!index["body"]["index"]["packs"].as_array().unwrap().is_empty());
    assert!(sandbox.ok(&["cat", "config"]).starts_with("{\n"));
    let zeros = "0".repeat(64);
    for bad in [
        &["cat", "blob", "12"][..],
        &["cat", "blob", &zeros],
        &["cat", "pack", "abc"],
        &["cat", "pack", "00000000"],
        &["cat", "index", "00000000"],
        &["cat", "tree", "latest:/no"],
        &["cat", "snapshot", "00000000"],
        &["cat"],
    ] {
        assert_eq!(sandbox.run(bad).code, 2, "{bad:?}");
    }
}
