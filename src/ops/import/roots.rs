//! What of a snapshot of restic's is which of the paths that were backed up.
//!
//! Of a path that was given as an absolute one, restic keeps all folders above; of a relative one only what was given, while the snapshot names it as an
//! absolute path all the same. So the end of each path is looked for in the tree, the longest first.

use crate::error::Result;
use crate::format::limits;
use crate::format::snapshot::{is_below, is_root_path};
use crate::import::restic::{Id, Kind, Node, as_go_text};

/// What a root is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// A node.
    Node(Node),
    /// All of the tree: of the folder itself nothing is known.
    Tree(Id),
}

/// The roots of a snapshot: path and what is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Roots {
    /// Strictly ascending, none below another.
    pub all: Vec<(Vec<u8>, What)>,
    /// Whether they are the paths that the snapshot names.
    pub as_named: bool,
}

/// Finds roots in trees that `read` reads.
///
/// # Errors
/// What `read` says.
pub(super) fn roots(paths: &[String], tree: Id, read: &mut dyn FnMut(&Id) -> Result<Vec<Node>>) -> Result<Roots> {
    let mut found: Vec<Place> = Vec::new();
    for path in paths {
        let parts = parts(path);
        for from in 0..parts.len() {
            if let Some((real, node)) = find(&parts[from..], tree, read)? {
                let root = join(parts[..from].iter().map(|part| part.as_bytes()).chain(real.iter().map(Vec::as_slice)));
                found.push(Place { real, root, node });
                break;
            }
        }
    }
    found.sort_by(|a, b| a.real.cmp(&b.real));
    found.dedup_by(|below, above| below.real.starts_with(&above.real));
    found.sort_by(|a, b| a.root.cmp(&b.root));
    let proper = found.iter().all(|place| is_root_path(&place.root))
        && found
            .iter()
            .all(|a| found.iter().all(|b| std::ptr::eq(a, b) || (a.root != b.root && !is_below(&b.root, &a.root))));
    let fits = (1..=limits::ROOTS as usize).contains(&found.len());
    if fits && proper && covers(&found, &mut Vec::new(), tree, read)? {
        let all = found.into_iter().map(|place| (place.root, What::Node(place.node))).collect();
        return Ok(Roots { all, as_named: true });
    }
    // `restic backup .`: the tree is the folder.
    let only = match paths {
        [path] => Some(join(parts(path).iter().map(|part| part.as_bytes()))).filter(|path| is_root_path(path)),
        _ => None,
    };
    let as_named = only.is_some();
    Ok(Roots { all: vec![(only.unwrap_or_else(|| b"/".to_vec()), What::Tree(tree))], as_named })
}

/// A path that was found.
struct Place {
    /// Its names in the tree.
    real: Vec<Vec<u8>>,
    /// Where it was in the file system.
    root: Vec<u8>,
    node: Node,
}

/// The names of a path; of one of Windows (`C:\a`), too.
fn parts(path: &str) -> Vec<String> {
    let is_windows = path.as_bytes().get(1) == Some(&b':') || path.starts_with(r"\\");
    let path = if is_windows { path.replace('\\', "/").replacen(':', "", 1) } else { path.to_owned() };
    path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

fn join<'p>(parts: impl Iterator<Item = &'p [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    if out.is_empty() { b"/".to_vec() } else { out }
}

fn find(
    parts: &[String],
    tree: Id,
    read: &mut dyn FnMut(&Id) -> Result<Vec<Node>>,
) -> Result<Option<(Vec<Vec<u8>>, Node)>> {
    let (mut real, mut at) = (Vec::new(), tree);
    for (n, part) in parts.iter().enumerate() {
        let Some(node) = read(&at)?.into_iter().find(|node| as_go_text(&node.name) == *part) else { return Ok(None) };
        real.push(node.name.clone());
        match &node.kind {
            _ if n + 1 == parts.len() => return Ok(Some((real, node))),
            Kind::Dir(below) => at = *below,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// Whether all that is in the tree is at or below one of the places, or on the way to one.
fn covers(
    places: &[Place],
    above: &mut Vec<Vec<u8>>,
    tree: Id,
    read: &mut dyn FnMut(&Id) -> Result<Vec<Node>>,
) -> Result<bool> {
    for node in read(&tree)? {
        above.push(node.name);
        let is_place = places.iter().any(|place| place.real == *above);
        let is_on_the_way = places.iter().any(|place| place.real.starts_with(above));
        let is_covered = match &node.kind {
            _ if is_place => true,
            Kind::Dir(below) if is_on_the_way => covers(places, above, *below, read)?,
            _ => false,
        };
        above.pop();
        if !is_covered {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::format::time::Time;
    use std::collections::BTreeMap;

    fn node(name: &[u8], kind: Kind) -> Node {
        Node {
            name: name.to_vec(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            mtime: Time::default(),
            xattrs: Vec::new(),
            links: 1,
            inode: 1,
            device_id: 1,
        }
    }

    /// Trees with these files, and the id of the topmost.
    fn trees(files: &[&[u8]]) -> (BTreeMap<Id, Vec<Node>>, Id) {
        fn make(files: &[Vec<&[u8]>], all: &mut BTreeMap<Id, Vec<Node>>) -> Id {
            let mut by_name: BTreeMap<&[u8], Vec<Vec<&[u8]>>> = BTreeMap::new();
            for parts in files {
                by_name.entry(parts[0]).or_default().push(parts[1..].to_vec());
            }
            let mut nodes = Vec::new();
            for (name, below) in by_name {
                let kind = if below[0].is_empty() { Kind::Fifo } else { Kind::Dir(make(&below, all)) };
                nodes.push(node(name, kind));
            }
            let id = Id([all.len() as u8 + 1; 32]);
            all.insert(id, nodes);
            id
        }
        let mut all = BTreeMap::new();
        let files: Vec<Vec<&[u8]>> = files.iter().map(|file| file.split(|b| *b == b'/').collect()).collect();
        let top = make(&files, &mut all);
        (all, top)
    }

    fn check(paths: &[&str], files: &[&[u8]], want: &[&[u8]], named: bool) {
        let (all, top) = trees(files);
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let found = roots(&paths, top, &mut |id| Ok(all[id].clone())).unwrap();
        let have: Vec<&[u8]> = found.all.iter().map(|(path, _)| &path[..]).collect();
        assert_eq!((have, found.as_named), (want.to_vec(), named), "{paths:?}");
        // Every file is below exactly one.
        let whole = found.all.iter().any(|(_, what)| matches!(what, What::Tree(_)));
        assert_eq!(whole, found.all.len() == 1 && matches!(found.all[0].1, What::Tree(_)));
    }

    #[test]
    fn paths_are_found_however_they_were_given() {
        check(&["/home/me"], &[b"home/me/a", b"home/me/b"], &[b"/home/me"], true);
        check(&["/home/me", "/etc"], &[b"home/me/a", b"etc/x"], &[b"/etc", b"/home/me"], true);
        check(&["/home/me/a", "/home/me"], &[b"home/me/a", b"home/me/b"], &[b"/home/me"], true);
        // Relative: `cd /home/me; restic backup a b/c`, `restic backup .`, also where something in it is called the same.
        check(&["/home/me/a", "/home/me/b/c"], &[b"a/x", b"b/c/y"], &[b"/home/me/a", b"/home/me/b/c"], true);
        check(&["/home/me"], &[b"x", b"y/z"], &[b"/home/me"], true);
        check(&["/home/me"], &[b"me/x", b"y"], &[b"/home/me"], true);
        check(&["/"], &[b"x", b"y/z"], &[b"/"], true);
        check(&["/stdin"], &[b"stdin"], &[b"/stdin"], true);
        // One that was excluded since, or was never there.
        check(&["/a", "/gone"], &[b"a/x"], &[b"/a"], true);
        // rustic's, and those of Windows.
        check(&["home/me"], &[b"home/me/x"], &[b"/home/me"], true);
        check(&[r"C:\Users\me"], &[b"C/Users/me/x"], &[b"/C/Users/me"], true);
        // Bytes that JSON has lost are found again.
        check(&["/a/\u{fffd}\u{fffd}"], &[b"a/\xff\xfe/x"], &[b"/a/\xff\xfe"], true);
    }

    #[test]
    fn nothing_is_lost_where_paths_do_not_fit() {
        check(&["/a/x", "/b/x"], &[b"x/1", b"x-1/2"], &[b"/"], false);
        check(&["/home/me", "/etc"], &[b"x", b"etc/y"], &[b"/"], false);
        check(&["/.."], &[b"x"], &[b"/"], false);
        check(&[], &[b"x"], &[b"/"], false);
        check(&["/a"], &[b"a/x", b"b"], &[b"/a"], true);
    }
}
