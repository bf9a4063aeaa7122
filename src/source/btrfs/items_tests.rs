//! Items from bytes: such as the kernel gives, and such as nobody should.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn item(kind: u8, offset: u64, data: &[u8]) -> Item<'_> {
    Item { key: Key { object: 300, kind, offset }, block_transid: 7, data }
}

/// A result of a search: header and bytes.
fn result(object: u64, kind: u32, offset: u64, len_bytes: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [7, object, offset] {
        out.extend(u64::to_ne_bytes(word));
    }
    out.extend(kind.to_ne_bytes());
    out.extend(len_bytes.to_ne_bytes());
    out.extend(data);
    out
}

fn extent(kind: u8, encryption: u8, words: [u64; 4]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(5_u64.to_le_bytes());
    out.extend(9_999_u64.to_le_bytes());
    out.extend([3, encryption, 0, 0, kind]);
    words.iter().for_each(|word| out.extend(word.to_le_bytes()));
    out
}

#[test]
fn search_results() {
    let bytes = [result(300, 1, 0, 3, b"abc"), result(301, 108, 4096, 0, b"")].concat();
    let (first, len) = Item::parse(&bytes).unwrap();
    assert_eq!((first.key, first.block_transid, first.data), (Key { object: 300, kind: 1, offset: 0 }, 7, &b"abc"[..]));
    let (second, end) = Item::parse(&bytes[len..]).unwrap();
    assert_eq!((second.key, second.data), (Key { object: 301, kind: 108, offset: 4096 }, &b""[..]));
    assert_eq!(len + end, bytes.len());
    for cut in 0..len {
        assert!(Item::parse(&bytes[..cut]).is_err());
    }
    assert!(Item::parse(&result(1, 256, 0, 0, b"")).is_err(), "a type has one byte");
    assert!(Item::parse(&result(1, 1, 0, u32::MAX, b"abc")).is_err());
}

#[test]
fn keys_in_order() {
    let key = |object, kind, offset| Key { object, kind, offset };
    assert_eq!(key(1, 2, 3).next(), Some(key(1, 2, 4)));
    assert_eq!(key(1, 2, u64::MAX).next(), Some(key(1, 3, 0)));
    assert_eq!(key(1, 255, u64::MAX).next(), Some(key(2, 0, 0)));
    assert_eq!(key(u64::MAX, 255, u64::MAX).next(), None);
    assert!(key(1, 2, 3) < key(1, 3, 0) && key(1, 255, 9) < key(2, 0, 0));
    assert_eq!(LAST_INO, u64::MAX - 255);
}

#[test]
fn inodes() {
    let mut bytes = Vec::new();
    // generation, transid, size, nbytes, block group
    for word in [11_u64, 12, 5_000, 8_192, 0] {
        bytes.extend(word.to_le_bytes());
    }
    // nlink, uid, gid, mode
    for half in [2_u32, 1000, 100, 0o100_644] {
        bytes.extend(half.to_le_bytes());
    }
    // rdev, flags, sequence, four reserved
    for word in [(259_u64 << 20) | 70_000, 0x10, 3, 0, 0, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    // atime, ctime, mtime, otime
    for (secs, nanos) in [(1_i64, 1_u32), (-5, 500), (1_700_000_000, 999), (4, 4)] {
        bytes.extend(secs.to_le_bytes());
        bytes.extend(nanos.to_le_bytes());
    }
    assert_eq!(bytes.len(), size_of::<raw::btrfs_inode_item>());
    let inode = InodeItem::parse(&bytes).unwrap();
    assert_eq!((inode.generation, inode.transid, inode.size_bytes, inode.extent_bytes), (11, 12, 5_000, 8_192));
    assert_eq!((inode.nlink, inode.uid, inode.gid, inode.mode), (2, 1000, 100, 0o100_644));
    assert_eq!((inode.rdev, inode.flags), ((259, 70_000), 0x10));
    assert_eq!(inode.ctime, Time { secs: -5, nanos: 500 });
    assert_eq!(inode.mtime, Time { secs: 1_700_000_000, nanos: 999 });
    assert!(InodeItem::parse(&bytes[..80]).is_err());
    assert!(InodeItem::parse(&[]).is_err());
}

#[test]
fn names() {
    let mut refs = Vec::new();
    for name in [&b"one"[..], b"\xff\xfe"] {
        refs.extend(8_u64.to_le_bytes());
        refs.extend((name.len() as u16).to_le_bytes());
        refs.extend(name);
    }
    let found = parse_names(&item(kind::INODE_REF, 256, &refs)).unwrap();
    let name = |dir_ino, name: &[u8]| InodeName { dir_ino, name: name.to_vec() };
    assert_eq!(found, [name(256, b"one"), name(256, b"\xff\xfe")]);
    let mut extref = Vec::new();
    extref.extend(999_u64.to_le_bytes());
    extref.extend(8_u64.to_le_bytes());
    extref.extend(4_u16.to_le_bytes());
    extref.extend(b"four");
    assert_eq!(parse_names(&item(kind::INODE_EXTREF, 0xabcd, &extref)).unwrap(), [name(999, b"four")]);
    assert_eq!(parse_names(&item(kind::INODE_ITEM, 0, &refs)).unwrap(), []);
    for cut in 1..refs.len() {
        let names = parse_names(&item(kind::INODE_REF, 256, &refs[..cut]));
        assert_eq!(names.ok(), (cut == 13).then(|| vec![name(256, b"one")]), "cut to {cut}");
    }
    assert!(parse_names(&item(kind::INODE_EXTREF, 1, &extref[..21])).is_err());
}

#[test]
fn extents() {
    let parse = |bytes: &[u8]| Extent::parse(&item(kind::EXTENT_DATA, 4096, bytes));
    let kind_of = |bytes: &[u8]| parse(bytes).unwrap().kind;
    let data = extent(1, 0, [1 << 30, 8192, 4096, 20_480]);
    let want = ExtentKind::Data { disk_bytenr: 1 << 30, disk_bytes: 8192, offset: 4096, compression: 3 };
    assert_eq!(parse(&data).unwrap(), Extent { start: 4096, len_bytes: 20_480, kind: want });
    assert_eq!(kind_of(&extent(1, 0, [0, 0, 0, 20_480])), ExtentKind::Hole);
    assert_eq!(kind_of(&extent(2, 0, [1 << 30, 8192, 0, 8192])), ExtentKind::Prealloc);
    assert_eq!(kind_of(&extent(1, 1, [1 << 30, 8192, 0, 8192])), ExtentKind::Unknown, "encrypted");
    assert_eq!(kind_of(&extent(3, 0, [1 << 30, 8192, 0, 8192])), ExtentKind::Unknown, "another type");
    let inline = &extent(0, 0, [0; 4])[..21];
    let inline = [inline, b"shorter than the file"].concat();
    let want = ExtentKind::Inline { compression: 3, bytes: b"shorter than the file".to_vec() };
    assert_eq!(parse(&inline).unwrap(), Extent { start: 4096, len_bytes: 9_999, kind: want });
    for cut in 0..data.len() {
        assert!(parse(&data[..cut]).is_err(), "cut to {cut}");
    }
    for reach in [u64::MAX, i64::MAX as u64, u64::MAX - 4096] {
        assert!(parse(&extent(1, 0, [1 << 30, 8192, 0, reach])).is_err(), "no file is as long as {reach}");
    }
}

#[test]
fn roots() {
    let mut bytes = vec![0; size_of::<raw::btrfs_root_item>()];
    bytes[247..263].fill(1);
    bytes[263..279].fill(2);
    bytes[303..311].copy_from_slice(&77_u64.to_le_bytes());
    let want = RootItem { uuid: [1; 16], parent_uuid: [2; 16], otransid: 77 };
    assert_eq!(RootItem::parse(&bytes).unwrap(), want);
    assert!(RootItem::parse(&bytes[..239]).is_err(), "as kernels before 3.6 wrote them");
    assert_eq!(parse_tree_ids(&[1, 0, 0, 0, 0, 0, 0, 0, 2]), [1]);
    assert_eq!(parse_tree_ids(&[]), [0; 0]);
}

proptest! {
    #[test]
    fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..700), kind in any::<u8>(), offset in any::<u64>()) {
        let item = item(kind, offset, &bytes);
        let _ = (Item::parse(&bytes), InodeItem::parse(&bytes), RootItem::parse(&bytes), parse_tree_ids(&bytes));
        for kind in [kind, kind::INODE_REF, kind::INODE_EXTREF] {
            let item = Item { key: Key { kind, ..item.key }, ..item };
            if let Ok(names) = parse_names(&item) {
                prop_assert!(names.iter().map(|name| name.name.len()).sum::<usize>() <= bytes.len());
            }
        }
        if let Ok(extent) = Extent::parse(&item) {
            prop_assert!(extent.end(4096) >= extent.start);
        }
    }
}
