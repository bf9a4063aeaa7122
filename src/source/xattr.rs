//! Extended attributes of one object, POSIX ACLs and file capabilities among them.

use std::cell::RefCell;
use std::ffi::CStr;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// Name and value of an extended attribute, raw as Linux gives them.
pub type Xattr = (Vec<u8>, Vec<u8>);

/// The kernel's limit for a value and for a list of names (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const LARGE_BYTES: usize = 65_536;

/// What nearly all lists and values fit in. The kernel allocates as much as it is offered, so start small.
const SMALL_BYTES: usize = 1024;

/// Buffers that a thread keeps.
struct Scratch {
    list: Vec<u8>,
    value: Vec<u8>,
    path: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = const {
        RefCell::new(Scratch { list: Vec::new(), value: Vec::new(), path: Vec::new() })
    };
}

/// How an object is reached.
enum Place<'a> {
    Fd(BorrowedFd<'a>),
    /// By a path whose last step is not followed.
    Path(&'a CStr),
    /// By a path in /proc whose last step leads to the object.
    Proc(&'a CStr),
}

impl Place<'_> {
    fn list(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Fd(fd) => rustix::fs::flistxattr(fd, buffer),
            Self::Path(path) => rustix::fs::llistxattr(*path, buffer),
            Self::Proc(path) => rustix::fs::listxattr(*path, buffer),
        }
    }

    fn get(&self, name: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Fd(fd) => rustix::fs::fgetxattr(fd, name, buffer),
            Self::Path(path) => rustix::fs::lgetxattr(*path, name, buffer),
            Self::Proc(path) => rustix::fs::getxattr(*path, name, buffer),
        }
    }
}

/// The attributes of an open file or directory, strictly ascending by name as unsigned bytes.
///
/// Empty where the file system has none. An attribute that vanishes meanwhile is left out.
///
/// # Errors
/// Those of listxattr(2) and getxattr(2); `EBADF` for a handle opened with `O_PATH`: see [`xattrs_pinned`].
pub fn xattrs_fd(fd: BorrowedFd<'_>) -> io::Result<Vec<Xattr>> {
    SCRATCH.with_borrow_mut(|scratch| read(&Place::Fd(fd), &mut scratch.list, &mut scratch.value))
}

/// The attributes of `name` in `dir`, a symlink's own; for what cannot be opened: symlinks and special files.
///
/// As [`xattrs_fd`]. It goes through /proc, as Linux before 6.13 has no call relative to a directory.
///
/// # Errors
/// Those of listxattr(2) and getxattr(2); `ENOENT` also if /proc is not mounted.
pub fn xattrs_path(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<Vec<Xattr>> {
    SCRATCH.with_borrow_mut(|Scratch { list, value, path }| {
        path.clear();
        write!(path, "/proc/self/fd/{}/", dir.as_raw_fd())?;
        path.extend_from_slice(name.to_bytes_with_nul());
        read(&Place::Path(c_str(path)?), list, value)
    })
}

/// The attributes of an object that is held by an `O_PATH` handle, a symlink's own.
///
/// As [`xattrs_fd`]. It goes through /proc.
///
/// # Errors
/// Those of listxattr(2) and getxattr(2); `ENOENT` if /proc is not mounted.
pub fn xattrs_pinned(fd: BorrowedFd<'_>) -> io::Result<Vec<Xattr>> {
    SCRATCH.with_borrow_mut(|Scratch { list, value, path }| {
        path.clear();
        write!(path, "/proc/self/fd/{}\0", fd.as_raw_fd())?;
        read(&Place::Proc(c_str(path)?), list, value)
    })
}

fn c_str(path: &[u8]) -> io::Result<&CStr> {
    CStr::from_bytes_with_nul(path).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn read(place: &Place<'_>, list: &mut Vec<u8>, value: &mut Vec<u8>) -> io::Result<Vec<Xattr>> {
    let list_bytes = match fill(list, |buffer| place.list(buffer)) {
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for name in list[..list_bytes].split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        match fill(value, |buffer| place.get(name, buffer)) {
            // Gone meanwhile, or listed by a file system that does not give it away.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            other => found.push((name.to_bytes().to_vec(), value[..other?].to_vec())),
        }
    }
    found.sort_unstable();
    // Some file systems in user space list a name twice.
    found.dedup_by(|later, earlier| later.0 == earlier.0);
    Ok(found)
}

/// Calls `call` with a small buffer, then with one as large as the kernel allows: nothing can grow beyond that.
fn fill(buffer: &mut Vec<u8>, call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<usize, Errno> {
    if buffer.is_empty() {
        buffer.resize(LARGE_BYTES, 0);
    }
    match call(&mut buffer[..SMALL_BYTES]) {
        Err(Errno::RANGE) => call(buffer),
        other => other,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use rustix::fs::{Mode, OFlags, XattrFlags};

    use super::*;

    fn set(file: &File, name: &str, value: &[u8]) {
        rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()).unwrap();
    }

    #[test]
    fn values_of_all_sizes_in_order() {
        let temp = tempfile::tempdir().unwrap();
        let file = File::create(temp.path().join("file")).unwrap();
        assert!(xattrs_fd(file.as_fd()).unwrap().is_empty());
        set(&file, "user.z", b"last");
        set(&file, "user.empty", b"");
        set(&file, "user.binary", b"\x00\xff\x00");
        set(&file, "user.large", &[7; 2000]);
        let want: Vec<Xattr> = vec![
            (b"user.binary".to_vec(), b"\x00\xff\x00".to_vec()),
            (b"user.empty".to_vec(), Vec::new()),
            (b"user.large".to_vec(), vec![7; 2000]),
            (b"user.z".to_vec(), b"last".to_vec()),
        ];
        assert_eq!(xattrs_fd(file.as_fd()).unwrap(), want);
        let dir = File::open(temp.path()).unwrap();
        assert_eq!(xattrs_path(dir.as_fd(), c"file").unwrap(), want);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let pinned = rustix::fs::openat(&dir, c"file", flags, Mode::empty()).unwrap();
        assert_eq!(xattrs_pinned(pinned.as_fd()).unwrap(), want);
        assert!(xattrs_path(dir.as_fd(), c"nothing").is_err());
    }

    #[test]
    fn a_list_larger_than_the_first_buffer() {
        let temp = tempfile::tempdir().unwrap();
        let file = File::create(temp.path().join("file")).unwrap();
        let names: Vec<_> = (0..12).map(|i| format!("user.{i:0200}")).collect();
        for name in &names {
            set(&file, name, b"");
        }
        let found = xattrs_fd(file.as_fd()).unwrap();
        let found: Vec<_> = found.into_iter().map(|(name, _)| name).collect();
        let want: Vec<_> = names.into_iter().map(String::into_bytes).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn a_symlink_has_its_own() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root may give a symlink attributes");
            return;
        }
        let temp = tempfile::tempdir().unwrap();
        let file = File::create(temp.path().join("file")).unwrap();
        set(&file, "user.of", b"the target");
        let link = temp.path().join("link");
        std::os::unix::fs::symlink("file", &link).unwrap();
        let dir = File::open(temp.path()).unwrap();
        assert!(xattrs_path(dir.as_fd(), c"link").unwrap().is_empty());
        rustix::fs::lsetxattr(&link, "trusted.x", b"own", XattrFlags::empty()).unwrap();
        let want = vec![(b"trusted.x".to_vec(), b"own".to_vec())];
        assert_eq!(xattrs_path(dir.as_fd(), c"link").unwrap(), want);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let pinned = rustix::fs::openat(&dir, c"link", flags, Mode::empty()).unwrap();
        assert_eq!(xattrs_pinned(pinned.as_fd()).unwrap(), want);
    }

    #[test]
    fn acl_and_capability_are_attributes() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root may set capabilities");
            return;
        }
        let temp = tempfile::tempdir().unwrap();
        let file = File::create(temp.path().join("file")).unwrap();
        let acl = crate::source::test_acl(1234);
        let mut capability = vec![0; 20];
        capability[..8].copy_from_slice(&[1, 0, 0, 2, 0, 4, 0, 0]);
        set(&file, "system.posix_acl_access", &acl);
        set(&file, "security.capability", &capability);
        let want = vec![(b"security.capability".to_vec(), capability), (b"system.posix_acl_access".to_vec(), acl)];
        assert_eq!(xattrs_fd(file.as_fd()).unwrap(), want);
    }

    #[test]
    fn a_file_system_without_attributes_has_none() {
        let proc = File::open("/proc/self/status").unwrap();
        assert!(xattrs_fd(proc.as_fd()).unwrap().is_empty());
    }
}
