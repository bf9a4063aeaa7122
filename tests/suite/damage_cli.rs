//! Some rows of the damage matrix through the program: exit codes and messages.

use crate::cli_common::{Run, Sandbox, document, run};
use crate::damage_world::{Objects, World, renamed};
use panther::format::header::BlobKind;
use std::fs;

/// Runs panther on a folder with these objects.
fn panther(world: &World, objects: &Objects, arguments: &[&str]) -> Run {
    let sandbox = Sandbox::empty();
    let identity = sandbox.path("identity");
    fs::write(&identity, format!("{}\n", world.admin)).unwrap();
    fs::create_dir(sandbox.path("repo")).unwrap();
    for (name, bytes) in objects {
        let path = sandbox.path("repo").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    run(sandbox.bare().args(arguments).arg("--identity-file").arg(identity))
}

#[test]
fn damage_has_its_exit_code_and_is_named() {
    let world = World::new();
    let id = |name: &str| name.rsplit('/').next().unwrap().trim_end_matches(".age").to_owned();
    let snapshot = world.names("alpha/snapshots/")[0].clone();
    let gc = world.names("gc/")[0].clone();
    let key = world.admin_key.clone();
    let cut = |name: &str| world.objects[name][..100].to_vec();
    let newer = |name: &str, at: usize| {
        let mut bytes = world.objects[name].clone();
        bytes[at] = 2;
        bytes
    };
    let config = "panther.cbor".to_owned();
    // Which object gives way to which bytes; under which name; exit code; what the message names.
    let rows = [
        ("configuration missing", &config, None, 10, "no panther repository".to_owned()),
        ("configuration cut", &config, Some((config.clone(), cut(&config))), 4, config.clone()),
        ("configuration empty", &config, Some((config.clone(), Vec::new())), 4, config.clone()),
        ("configuration newer", &config, Some((config.clone(), newer(&config, 9))), 14, config.clone()),
        ("key file cut", &key, Some((key.clone(), cut(&key))), 4, id(&key)),
        ("key file missing", &key, None, 12, "no key of the repository".to_owned()),
        // Readers say so and go on (spec 10); what writes stops.
        ("gc object cut", &gc, Some((gc.clone(), cut(&gc))), 0, id(&gc)),
        ("gc object newer", &gc, Some((renamed(&gc, &newer(&gc, 9)), newer(&gc, 9))), 0, ObjectHex::of(&newer(&gc, 9))),
        ("snapshot cut", &snapshot, Some((snapshot.clone(), cut(&snapshot))), 4, id(&snapshot)),
    ];
    for (what, old, new, code, named) in rows {
        let mut objects = world.objects.clone();
        objects.remove(old);
        objects.extend(new);
        let run = panther(&world, &objects, &["snapshots"]);
        assert_eq!(run.code, code, "{what}: {}", run.err);
        assert!(run.err.contains(&named), "{what}: {}", run.err);
        assert!(!run.err.contains("panicked"), "{what}: {}", run.err);
    }
    // What is not hit is still listed.
    let mut objects = world.objects.clone();
    objects.insert(snapshot.clone(), cut(&snapshot));
    let run = panther(&world, &objects, &["snapshots"]);
    for other in world.names("/snapshots/").iter().filter(|name| **name != snapshot) {
        assert!(run.out.contains(&id(other)[..8]), "{}", run.out);
    }
    assert_eq!(panther(&world, &world.objects, &["snapshots"]).code, 0);
}

#[test]
fn check_and_restore_say_what_is_hit() {
    let world = World::new();
    let pack = world.packs(BlobKind::Data)[1].clone();
    let mut objects = world.objects.clone();
    let bytes = objects.get_mut(&pack).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    let id = pack.rsplit('/').next().unwrap();

    let run = panther(&world, &objects, &["check", "--read-data"]);
    assert_eq!(run.code, 4, "{}", run.err);
    assert!(format!("{}{}", run.out, run.err).contains(id), "{} {}", run.out, run.err);
    // Without reading the data it is not to be seen.
    assert_eq!(panther(&world, &objects, &["check"]).code, 0);
    let run = panther(&world, &objects, &["check", "--read-data", "--json"]);
    let report = document(&run.out);
    assert_eq!(run.code, 4);
    let paths = report["affected"].as_array().unwrap();
    assert!(!paths.is_empty(), "{report}");
    for hit in paths {
        let (snapshot, path) = (hit["snapshot"].as_str().unwrap(), hit["path"].as_str().unwrap());
        let run = panther(&world, &objects, &["restore", snapshot, "--target", "restored"]);
        assert_eq!(run.code, 3, "{}", run.err);
        assert!(run.err.contains(path) && !run.err.contains("panicked"), "{}", run.err);
    }
    assert_eq!(panther(&world, &world.objects, &["check", "--read-data"]).code, 0);
}

/// The id of an object with these bytes, as text.
struct ObjectHex;

impl ObjectHex {
    fn of(bytes: &[u8]) -> String {
        panther::id::ObjectId::of(bytes).to_hex()
    }
}
