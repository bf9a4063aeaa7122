//! What a backup leaves out.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::meta::{Kind, open_file_at, stat_fd};
use crate::{Error, Result};

/// The name of the file that marks a directory as a cache (<https://bford.info/cachedir/>).
pub const CACHE_TAG_NAME: &str = "CACHEDIR.TAG";

/// What that file begins with.
const CACHE_TAG_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// The options that say what to leave out, as the command line has them.
#[derive(Debug, Clone, Default)]
pub struct ExcludeOptions {
    /// `--exclude`: patterns.
    pub patterns: Vec<String>,
    /// `--iexclude`: patterns for which the case of ASCII letters does not matter.
    pub case_insensitive_patterns: Vec<String>,
    /// `--exclude-file`: files of patterns.
    pub files: Vec<PathBuf>,
    /// `--exclude-caches`: the content of cache directories.
    pub caches: bool,
    /// `--exclude-larger-than`: regular files of more bytes than this.
    pub larger_than_bytes: Option<u64>,
    /// `--one-file-system`: the content of directories on which another file system is mounted.
    pub one_file_system: bool,
}

impl ExcludeOptions {
    /// The same for two runs that leave out the same: a hash of all options and of the files that they name.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read.
    pub fn id(&self) -> Result<[u8; 32]> {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        for list in [&self.patterns, &self.case_insensitive_patterns] {
            add(&(list.len() as u64).to_le_bytes());
            list.iter().for_each(|pattern| add(pattern.as_bytes()));
        }
        for file in &self.files {
            add(&std::fs::read(file).map_err(|e| Error::io("read", file, e))?);
        }
        add(&[self.caches.into(), self.one_file_system.into(), self.larger_than_bytes.is_some().into()]);
        add(&self.larger_than_bytes.unwrap_or(0).to_le_bytes());
        Ok(*hasher.finalize().as_bytes())
    }
}

/// [`ExcludeOptions`], made ready.
///
/// Patterns are those of gitignore, except that one with a slash in its middle matches at any depth too, as one
/// without does; only one that begins with `/` is anchored, at the root of the file system. A `/` at the end
/// matches directories only; `*` and `?` do not match `/`; `**` does; `?` and `[]` match one byte; `{a,b}` matches
/// either; `!` at the beginning takes back what an earlier pattern has left out; `\` makes the next character an
/// ordinary one. Of the patterns that match, the last one decides; the files' come first, then the command line's,
/// then those that ignore case.
#[derive(Debug, Clone)]
pub struct Excludes {
    patterns: Gitignore,
    caches: bool,
    larger_than_bytes: Option<u64>,
    one_file_system: bool,
}

impl Default for Excludes {
    fn default() -> Self {
        Self { patterns: Gitignore::empty(), caches: false, larger_than_bytes: None, one_file_system: false }
    }
}

impl Excludes {
    /// Makes `options` ready, reading the files they name.
    ///
    /// # Errors
    /// [`Error::Usage`] for a malformed pattern, [`Error::Io`] for a file that cannot be read.
    pub fn new(options: &ExcludeOptions) -> Result<Self> {
        let mut builder = GitignoreBuilder::new("/");
        // An unclosed `[` is more often a mistake than a name.
        builder.allow_unclosed_class(false);
        for file in &options.files {
            add_file(&mut builder, file)?;
        }
        for pattern in &options.patterns {
            add_argument(&mut builder, pattern, "--exclude")?;
        }
        let usage = |error: ignore::Error| Error::Usage(format!("the exclude patterns: {error}"));
        builder.case_insensitive(true).map_err(usage)?;
        for pattern in &options.case_insensitive_patterns {
            add_argument(&mut builder, pattern, "--iexclude")?;
        }
        Ok(Self {
            patterns: builder.build().map_err(usage)?,
            caches: options.caches,
            larger_than_bytes: options.larger_than_bytes,
            one_file_system: options.one_file_system,
        })
    }

    /// Whether a pattern leaves out the object at the absolute `path`.
    ///
    /// The directories above it are not looked at: a walker asks for each on its way down and does not enter what
    /// is left out. So nothing below can be taken back with `!`.
    pub fn matches(&self, path: &Path, is_dir: bool) -> bool {
        !self.patterns.is_empty() && self.patterns.matched(path, is_dir).is_ignore()
    }

    /// Whether there are patterns at all; if not, [`Excludes::matches`] need not be asked, nor paths be made.
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether a regular file of `size_bytes` bytes is left out for its size.
    pub fn is_too_large(&self, size_bytes: u64) -> bool {
        self.larger_than_bytes.is_some_and(|limit_bytes| size_bytes > limit_bytes)
    }

    /// Whether the content of cache directories is left out: of those of which [`is_cache_dir`] is true, all but
    /// [`CACHE_TAG_NAME`].
    pub fn leaves_out_caches(&self) -> bool {
        self.caches
    }

    /// Whether other file systems are left out.
    pub fn one_file_system(&self) -> bool {
        self.one_file_system
    }
}

/// Whether the open directory `dir` is marked as a cache: it has a regular file [`CACHE_TAG_NAME`] with the
/// signature. What cannot be read is no mark.
pub fn is_cache_dir(dir: BorrowedFd<'_>) -> bool {
    let Ok(tag) = open_file_at(dir, c"CACHEDIR.TAG") else {
        return false;
    };
    let mut start = [0; CACHE_TAG_SIGNATURE.len()];
    stat_fd(tag.as_fd()).is_ok_and(|stat| stat.kind == Kind::File)
        && tag.read_exact_at(&mut start, 0).is_ok()
        && start == *CACHE_TAG_SIGNATURE
}

fn add_file(builder: &mut GitignoreBuilder, file: &Path) -> Result<()> {
    let content = std::fs::read(file).map_err(|error| Error::io("read", file, error))?;
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content);
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let place = || format!("line {} of {}", index + 1, file.display());
        let line = str::from_utf8(line).map_err(|_| Error::Usage(format!("{} is not UTF-8", place())))?;
        // Spaces at the end do not count, unless escaped; nor does the CR of other systems.
        let trimmed = line.trim_end();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        add(builder, line, place)?;
    }
    Ok(())
}

fn add_argument(builder: &mut GitignoreBuilder, pattern: &str, option: &str) -> Result<()> {
    if pattern.trim().is_empty() {
        // Most likely a variable of the shell that is not set.
        return Err(Error::Usage(format!("{option} has an empty pattern")));
    }
    // There are no comments on a command line.
    match pattern.strip_prefix('#') {
        Some(rest) => add(builder, &format!("\\#{rest}"), || option.to_owned()),
        None => add(builder, pattern, || option.to_owned()),
    }
}

/// Adds one pattern; `place` says where it is from.
fn add(builder: &mut GitignoreBuilder, pattern: &str, place: impl Fn() -> String) -> Result<()> {
    let usage = |why: String| {
        let pattern = pattern.trim_end();
        Error::Usage(format!("the pattern `{pattern}` ({}) is malformed: {why}", place()))
    };
    let (not, glob) = match pattern.strip_prefix('!') {
        Some(glob) => ("!", glob),
        None => ("", pattern),
    };
    let trimmed = glob.trim_end();
    if trimmed.is_empty() {
        return Err(usage("nothing follows the `!`".to_owned()));
    }
    if trimmed.split('/').any(|part| part == "." || part == "..") {
        return Err(usage("`.` and `..` never match; begin it with a name or with `/`".to_owned()));
    }
    // gitignore anchors what has a slash in its middle; here only a slash at the beginning does that.
    let inner = trimmed.strip_suffix('/').unwrap_or(trimmed);
    let added = if inner.contains('/') && !trimmed.starts_with('/') {
        builder.add_line(None, &format!("{not}**/{glob}"))
    } else {
        builder.add_line(None, pattern)
    };
    match added {
        Ok(_) => Ok(()),
        Err(ignore::Error::Glob { err, .. }) => Err(usage(err)),
        Err(error) => Err(usage(error.to_string())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn excludes(patterns: &[&str]) -> Excludes {
        let patterns = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let options = ExcludeOptions { patterns, ..Default::default() };
        Excludes::new(&options).unwrap()
    }

    fn check(patterns: &[&str], out: &[&str], kept: &[&str]) {
        let excludes = excludes(patterns);
        for (paths, want) in [(out, true), (kept, false)] {
            for path in paths {
                let is_dir = path.len() > 1 && path.ends_with('/');
                let trimmed = path.strip_suffix('/').filter(|p| !p.is_empty()).unwrap_or(path);
                let found = excludes.matches(Path::new(trimmed), is_dir);
                assert_eq!(found, want, "{patterns:?} on {path}");
            }
        }
    }

    #[test]
    fn patterns() {
        check(&[], &[], &["/", "/a", "/a/"]);
        check(&["*.o"], &["/x.o", "/home/a/x.o", "/x.o/"], &["/x.os", "/x.o/y", "/"]);
        check(&["/tmp"], &["/tmp", "/tmp/"], &["/home/tmp", "/tmp/x", "/tmpx"]);
        check(&["/home/*/.cache"], &["/home/a/.cache"], &["/home/a/b/.cache", "/x/home/a/.cache"]);
        check(&["target/"], &["/a/target/"], &["/a/target"]);
        check(&["a/b"], &["/a/b", "/x/y/a/b"], &["/a/xb", "/b", "/xa/b", "/a/x/b"]);
        check(&["a/b/"], &["/x/a/b/"], &["/x/a/b"]);
        check(&["a/**/b"], &["/a/b", "/x/a/y/z/b"], &["/a", "/b"]);
        check(&["/a/**"], &["/a/b", "/a/b/c"], &["/a", "/a/", "/x/a/b"]);
        check(&["/**/b"], &["/b", "/a/x/b"], &["/b/c"]);
        check(&["x?z"], &["/xyz"], &["/xz", "/xyyz"]);
        check(&["[a-c]1", "[!x]9"], &["/b1", "/y9"], &["/d1", "/x9"]);
        check(&["*.log", "!keep.log"], &["/a.log"], &["/keep.log", "/d/keep.log"]);
        check(&["*.log", "!logs/k.log"], &["/k.log"], &["/x/logs/k.log"]);
        check(&["!keep.log", "*.log"], &["/keep.log"], &[]);
        check(&["\\!important"], &["/!important"], &["/important"]);
        check(&["#*#"], &["/a/#x#"], &["/a/x"]);
        check(&["a\\*b"], &["/a*b"], &["/axb"]);
        check(&["with space/x"], &["/with space/x"], &["/with/x"]);
        check(&["*.{jpg,png}"], &["/a.jpg", "/a.png"], &["/a.gif"]);
        check(&["/"], &[], &["/a", "/a/b"]);
    }

    #[test]
    fn names_that_are_not_utf8() {
        let excludes = excludes(&["*.bin", "/d\u{e9}/x", "f?"]);
        let matches = |path: &[u8]| excludes.matches(Path::new(OsStr::from_bytes(path)), false);
        assert!(matches(b"/a/\xff\xfe.bin"));
        assert!(matches(b"/f\xff"));
        assert!(matches("/d\u{e9}/x".as_bytes()));
        assert!(!matches(b"/d\xe9/x"));
        assert!(!matches(b"/\xff\xfe"));
    }

    #[test]
    fn case() {
        let options = ExcludeOptions {
            patterns: vec!["*.Tmp".to_owned()],
            case_insensitive_patterns: vec!["*.JPG".to_owned(), "!Keep.jpg".to_owned()],
            ..Default::default()
        };
        let excludes = Excludes::new(&options).unwrap();
        for (path, want) in
            [("/a.jpg", true), ("/a.JpG", true), ("/KEEP.JPG", false), ("/a.Tmp", true), ("/a.tmp", false)]
        {
            assert_eq!(excludes.matches(Path::new(path), false), want, "{path}");
        }
    }

    #[test]
    fn files() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("patterns");
        let text = "\u{feff}# comment\r\n\r\n*.o  \n  \n!keep.o\n\\#x\nlast/one";
        std::fs::write(&file, text).unwrap();
        let mut options = ExcludeOptions { files: vec![file.clone()], ..Default::default() };
        let excludes = Excludes::new(&options).unwrap();
        for (path, want) in
            [("/a.o", true), ("/keep.o", false), ("/#x", true), ("/d/last/one", true), ("/# comment", false)]
        {
            assert_eq!(excludes.matches(Path::new(path), false), want, "{path}");
        }
        // The command line has the last word.
        options.patterns.push("keep.*".to_owned());
        assert!(Excludes::new(&options).unwrap().matches(Path::new("/keep.o"), false));

        for (text, line) in [(&b"ok\n[z-a]\n"[..], "line 2"), (b"ok\nok\n\xff", "line 3")] {
            std::fs::write(&file, text).unwrap();
            let error = Excludes::new(&options).unwrap_err();
            assert!(matches!(error, Error::Usage(_)));
            let text = error.to_string();
            assert!(text.contains(line) && text.contains("patterns"), "{text}");
        }
        options.files[0] = temp.path().join("nothing");
        assert!(matches!(Excludes::new(&options).unwrap_err(), Error::Io { .. }));
    }

    #[test]
    fn malformed_patterns_are_named() {
        for pattern in ["[a", "[z-a]", "a/[b", "!", "! ", "", " ", "./a", "a/../b", "!..", "{a"] {
            for ignore_case in [false, true] {
                let mut options = ExcludeOptions::default();
                let (list, option) = if ignore_case {
                    (&mut options.case_insensitive_patterns, "--iexclude")
                } else {
                    (&mut options.patterns, "--exclude")
                };
                list.push(pattern.to_owned());
                let error = Excludes::new(&options).unwrap_err();
                assert!(matches!(error, Error::Usage(_)), "{pattern}");
                let text = error.to_string();
                assert!(text.contains(option) && text.contains(pattern.trim()), "{text}");
            }
        }
    }

    #[test]
    fn sizes_and_flags() {
        let none = Excludes::new(&ExcludeOptions::default()).unwrap();
        assert!(!none.has_patterns() && !none.leaves_out_caches() && !none.one_file_system());
        assert!(!none.is_too_large(u64::MAX));
        let options =
            ExcludeOptions { caches: true, larger_than_bytes: Some(10), one_file_system: true, ..Default::default() };
        let some = Excludes::new(&options).unwrap();
        assert!(some.leaves_out_caches() && some.one_file_system());
        assert!(some.is_too_large(11) && !some.is_too_large(10));
    }

    #[test]
    fn cache_directories() {
        let temp = tempfile::tempdir().unwrap();
        let dir = File::open(temp.path()).unwrap();
        let tag = temp.path().join(CACHE_TAG_NAME);
        assert!(!is_cache_dir(dir.as_fd()));
        let mut text = CACHE_TAG_SIGNATURE.to_vec();
        for (content, want) in [(&text.clone()[..], true), (&text.clone()[..42], false), (b"", false)] {
            std::fs::write(&tag, content).unwrap();
            assert_eq!(is_cache_dir(dir.as_fd()), want);
        }
        text.extend(b"\n# made by something\n");
        std::fs::write(&tag, &text).unwrap();
        assert!(is_cache_dir(dir.as_fd()));
        std::fs::rename(&tag, temp.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real", &tag).unwrap();
        assert!(!is_cache_dir(dir.as_fd()), "a symlink is no tag");
        std::fs::remove_file(&tag).unwrap();
        std::fs::create_dir(&tag).unwrap();
        assert!(!is_cache_dir(dir.as_fd()), "a directory is no tag");
    }
}
