#![allow(clippy::unwrap_used)]

use super::*;
use crate::backend::conformance;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

fn new_store() -> (TempDir, LocalBackend) {
    let dir = TempDir::new().unwrap();
    let store = LocalBackend::create(&dir.path().join("a/repo")).unwrap();
    (dir, store)
}

fn names(store: &LocalBackend) -> Vec<String> {
    let mut names = Vec::new();
    store.list("", &mut |object| names.push(object.name)).unwrap();
    names
}

fn staged(store: &LocalBackend) -> usize {
    store.entries(STAGING).unwrap().len()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn is_invalid<T>(done: Result<T, StoreError>) -> bool {
    matches!(done, Err(StoreError::Io(e)) if e.kind() == ErrorKind::InvalidInput)
}

#[test]
fn keeps_the_contract() {
    let dir = TempDir::new().unwrap();
    let next = std::cell::Cell::new(0);
    conformance::check(&|| {
        next.set(next.get() + 1);
        let root = dir.path().join(next.get().to_string());
        Box::new(LocalBackend::create(&root).unwrap())
    })
    .unwrap();
}

#[test]
fn opening_makes_nothing_and_creating_keeps_everything() {
    let dir = TempDir::new().unwrap();
    let root = dir.path().join("x/y");
    assert!(matches!(LocalBackend::open(&root), Err(StoreError::NotFound)));
    assert!(!dir.path().join("x").exists());
    let store = LocalBackend::create(&root).unwrap();
    store.put("a", Body::Bytes(b"1")).unwrap();
    LocalBackend::create(&root).unwrap();
    let again = LocalBackend::open(&root).unwrap();
    assert_eq!(again.get("a", 1).unwrap(), b"1");
    assert_eq!(again.location(), root.display().to_string());
    assert!(matches!(LocalBackend::open(&root.join("a")), Err(StoreError::Io(_))));
    assert!(LocalBackend::create(&root.join("a")).is_err());
}

#[test]
fn only_the_owner_may_look() {
    let (_dir, store) = new_store();
    let file = store.staging().unwrap().unwrap().join("f");
    fs::write(&file, b"1").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    store.put("w/p/1", Body::File(&file)).unwrap();
    store.put("w/p/2", Body::Bytes(b"2")).unwrap();
    for folder in ["..", "", "w", "w/p", "tmp"] {
        assert_eq!(mode(&store.root.join(folder)), 0o700, "{folder}");
    }
    assert_eq!(mode(&store.root.join("w/p/1")), 0o600);
    assert_eq!(mode(&store.root.join("w/p/2")), 0o600);
}

#[test]
fn what_a_crash_leaves_is_no_object_and_is_cleaned_up() {
    let (_dir, store) = new_store();
    store.put("a", Body::Bytes(b"1")).unwrap();
    assert_eq!(store.clean_staging(Duration::ZERO).unwrap(), 0);
    let mut temp = Temp::new(&store.root.join(STAGING), 7).unwrap();
    temp.file.write_all(b"half").unwrap();
    let left = temp.path.clone();
    std::mem::forget(temp);
    assert!(left.exists());
    assert_eq!(names(&store), ["a"]);
    assert_eq!(store.list_folders("").unwrap(), Vec::<String>::new());
    store.list("tmp/", &mut |_| panic!("listed")).unwrap();
    assert_eq!(store.clean_staging(Duration::from_secs(3600)).unwrap(), 0);
    let old = SystemTime::now() - Duration::from_secs(7200);
    File::options().write(true).open(&left).unwrap().set_modified(old).unwrap();
    assert_eq!(store.clean_staging(Duration::from_secs(3600)).unwrap(), 1);
    assert!(!left.exists());
}

#[test]
fn a_put_that_fails_leaves_nothing() {
    let (dir, store) = new_store();
    store.put("a/b", Body::Bytes(b"1")).unwrap();
    let file = dir.path().join("f");
    fs::write(&file, b"2").unwrap();
    for body in [Body::Bytes(b"2"), Body::File(&file)] {
        assert!(store.put("a", body).is_err());
        assert!(store.put("a/b/c", body).is_err());
    }
    assert!(file.exists());
    assert_eq!(names(&store), ["a/b"]);
    assert_eq!(staged(&store), 0);
}

#[test]
fn a_second_put_heals_damage_for_everybody() {
    let (_dir, store) = new_store();
    let other = LocalBackend::open(&store.root).unwrap();
    let path = store.root.join("p/1");
    for damage in [&b"good bytEs"[..], b"go", b"", b"good bytes and more"] {
        store.put("p/1", Body::Bytes(b"good bytes")).unwrap();
        fs::write(&path, damage).unwrap();
        assert_eq!(other.get("p/1", 99).unwrap(), damage);
        let _ = other.get_range("p/1", 0, 1);
        store.put("p/1", Body::Bytes(b"good bytes")).unwrap();
        assert_eq!(other.get("p/1", 10).unwrap(), b"good bytes");
        assert_eq!(other.get_range("p/1", 5, 5).unwrap(), b"bytes");
    }
    assert_eq!(mode(&path), 0o600);
    store.delete("p/1").unwrap();
    assert!(matches!(other.get_range("p/1", 0, 1), Err(StoreError::NotFound)));
}

#[test]
fn an_intact_copy_is_not_replaced() {
    let (dir, store) = new_store();
    let bytes = vec![5; 200_000];
    store.put("p/1", Body::Bytes(&bytes)).unwrap();
    let inode = || fs::metadata(store.root.join("p/1")).unwrap().ino();
    let before = inode();
    let file = dir.path().join("f");
    fs::write(&file, &bytes).unwrap();
    store.put("p/1", Body::Bytes(&bytes)).unwrap();
    store.put("p/1", Body::File(&file)).unwrap();
    assert_eq!(inode(), before);
    // Damage in the last part, healed by a file that must be copied.
    fs::hard_link(&file, dir.path().join("link")).unwrap();
    fs::write(store.root.join("p/1"), [&bytes[1..], b"x"].concat()).unwrap();
    store.put("p/1", Body::File(&file)).unwrap();
    assert_eq!(store.get("p/1", 200_000).unwrap(), bytes);
    assert_ne!(inode(), before);
}

#[test]
fn a_listing_bears_objects_that_vanish() {
    let (_dir, store) = new_store();
    fs::create_dir(store.root.join("p")).unwrap();
    for i in 0..3000 {
        fs::write(store.root.join(format!("p/{i}")), b"1").unwrap();
    }
    std::thread::scope(|scope| {
        let deletes = scope.spawn(|| {
            for i in 0..3000 {
                store.delete(&format!("p/{i}")).unwrap();
            }
        });
        while !deletes.is_finished() {
            names(&store);
        }
    });
    assert!(names(&store).is_empty());
}

#[test]
fn a_file_of_the_store_is_moved_and_one_from_elsewhere_copied() {
    let (dir, store) = new_store();
    let near = store.staging().unwrap().unwrap().join("near");
    fs::write(&near, b"near").unwrap();
    let inode = fs::metadata(&near).unwrap().ino();
    store.put("near", Body::File(&near)).unwrap();
    assert!(!near.exists());
    assert_eq!(fs::metadata(store.root.join("near")).unwrap().ino(), inode);

    // One that can be written to under another name.
    let (linked, link) = (dir.path().join("linked"), dir.path().join("link"));
    fs::write(&linked, b"linked").unwrap();
    fs::hard_link(&linked, &link).unwrap();
    store.put("linked", Body::File(&linked)).unwrap();
    fs::write(&link, b"changed").unwrap();
    assert_eq!(store.get("linked", 99).unwrap(), b"linked");

    let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
    let shm = Path::new("/dev/shm");
    if device(shm).is_some_and(|there| Some(there) != device(&store.root))
        && let Ok(far_dir) = TempDir::new_in(shm)
    {
        let far = far_dir.path().join("far");
        fs::write(&far, vec![7; 3 << 20]).unwrap();
        store.put("far", Body::File(&far)).unwrap();
        assert!(far.exists());
        assert_eq!(store.get("far", u64::MAX).unwrap(), vec![7; 3 << 20]);
        assert_eq!(staged(&store), 0);
    }
}

#[test]
fn names_cannot_leave_the_store() {
    let (_dir, store) = new_store();
    for name in ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/.", "a\0", "tmp/a"] {
        assert!(is_invalid(store.put(name, Body::Bytes(b"1"))), "{name:?}");
        assert!(is_invalid(store.get(name, 9)), "{name:?}");
        assert!(is_invalid(store.get_range(name, 0, 1)), "{name:?}");
        assert!(is_invalid(store.size(name)), "{name:?}");
        assert!(is_invalid(store.delete(name)), "{name:?}");
    }
    for prefix in ["a", "/", "../", "a/../", "a//"] {
        assert!(is_invalid(store.list(prefix, &mut |_| ())), "{prefix:?}");
        assert!(is_invalid(store.list_folders(prefix)), "{prefix:?}");
    }
    for name in ["...", ".a", "a..b", "tmpx/a", "a/tmp/b"] {
        store.put(name, Body::Bytes(b"1")).unwrap();
    }
    assert_eq!(names(&store).len(), 5);
}

#[test]
fn links_and_pipes_are_no_objects() {
    let (_dir, store) = new_store();
    store.put("a/b", Body::Bytes(b"1")).unwrap();
    symlink(store.root.join("a/b"), store.root.join("link")).unwrap();
    symlink(store.root.join("a"), store.root.join("way")).unwrap();
    let pipe = store.root.join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(names(&store), ["a/b"]);
    assert_eq!(store.list_folders("").unwrap(), ["a"]);
    for name in ["link", "pipe", "a", "way"] {
        assert!(matches!(store.get(name, 9), Err(StoreError::NotFound)), "{name}");
        assert!(matches!(store.size(name), Err(StoreError::NotFound)), "{name}");
    }
    // It could be read but not listed.
    assert!(store.put("way/c", Body::Bytes(b"1")).is_err());
}

#[test]
fn folders_that_vanish_are_made_again_but_never_the_root() {
    let (_dir, store) = new_store();
    store.put("a/b/c", Body::Bytes(b"1")).unwrap();
    fs::remove_dir_all(store.root.join("a")).unwrap();
    fs::remove_dir_all(store.root.join(STAGING)).unwrap();
    store.put("a/b/c", Body::Bytes(b"1")).unwrap();
    assert_eq!(names(&store), ["a/b/c"]);

    fs::remove_dir_all(&store.root).unwrap();
    assert!(matches!(store.put("a", Body::Bytes(b"1")), Err(StoreError::Io(_))));
    assert!(matches!(store.get("a", 9), Err(StoreError::Io(_))));
    assert!(matches!(store.list("", &mut |_| ()), Err(StoreError::Io(_))));
    assert!(store.staging().is_err());
    assert!(!store.root.exists());
}

#[test]
fn errors_of_the_system_have_their_class() {
    let class = |errno: Errno| StoreError::from(io::Error::from(errno));
    for errno in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
        assert!(matches!(class(errno), StoreError::Full(_)), "{errno:?}");
    }
    for errno in [Errno::ACCESS, Errno::PERM, Errno::ROFS] {
        assert!(matches!(class(errno), StoreError::Denied(_)), "{errno:?}");
    }
    assert!(matches!(class(Errno::NOENT), StoreError::NotFound));
    assert!(matches!(class(Errno::IO), StoreError::Io(_)));
}

#[test]
fn a_store_without_write_permission_denies() {
    if rustix::process::geteuid().is_root() {
        return; // Root may write everywhere.
    }
    let (_dir, store) = new_store();
    store.put("a", Body::Bytes(b"1")).unwrap();
    let allow = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    let staging = store.root.join(STAGING);
    allow(&staging, 0o500).unwrap();
    allow(&store.root, 0o500).unwrap();
    assert!(matches!(store.put("b", Body::Bytes(b"1")), Err(StoreError::Denied(_))));
    assert!(matches!(store.delete("a"), Err(StoreError::Denied(_))));
    assert!(matches!(store.staging(), Err(StoreError::Denied(_))));
    assert_eq!(store.get("a", 1).unwrap(), b"1");
    allow(&store.root, 0o700).unwrap();
    allow(&staging, 0o700).unwrap();
}
