//! Whether two encodings differ in nothing but keys that a decoder ignores.

use minicbor::data::Type;
use minicbor::{Decoder, decode::Error};

/// An item as far as it matters here. The bytes of the embedded bodies of configurations and certificates are items again.
#[derive(PartialEq, Debug)]
enum Item {
    Plain(Vec<u8>),
    Array(Vec<Item>),
    Map(Vec<(i128, Item)>),
}

/// The key of inode flags in an entry, of which unknown bits are ignored too.
const FLAGS: i128 = 14;

/// Whether `kept` is `whole` without keys of maps of 0 or more (and is not the same).
pub fn is_without_unknown_keys(kept: &[u8], whole: &[u8]) -> bool {
    match (items(kept), items(whole)) {
        (Some(kept), Some(whole)) => {
            kept != whole && kept.len() == whole.len() && kept.iter().zip(&whole).all(|(a, b)| fits(a, b))
        }
        _ => false,
    }
}

fn fits(kept: &Item, whole: &Item) -> bool {
    match (kept, whole) {
        (Item::Array(a), Item::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| fits(a, b)),
        (Item::Map(a), Item::Map(b)) => {
            let missing = b.iter().filter(|(key, _)| !a.iter().any(|(k, _)| k == key)).all(|(key, _)| *key >= 0);
            missing
                && a.iter()
                    .all(|(key, item)| b.iter().any(|(k, other)| k == key && (*key == FLAGS || fits(item, other))))
        }
        (a, b) => a == b,
    }
}

fn items(bytes: &[u8]) -> Option<Vec<Item>> {
    let mut d = Decoder::new(bytes);
    let mut items = Vec::new();
    while d.position() < bytes.len() {
        items.push(item(&mut d).ok()?);
    }
    Some(items)
}

fn item(d: &mut Decoder<'_>) -> Result<Item, Error> {
    let start = d.position();
    match d.datatype()? {
        Type::Array => {
            let count = d.array()?.ok_or_else(|| Error::message("indefinite"))?;
            (0..count).map(|_| item(d)).collect::<Result<_, _>>().map(Item::Array)
        }
        Type::Map => {
            let count = d.map()?.ok_or_else(|| Error::message("indefinite"))?;
            (0..count).map(|_| Ok((d.int()?.into(), item(d)?))).collect::<Result<_, _>>().map(Item::Map)
        }
        Type::Bytes => {
            let bytes = d.bytes()?;
            match items(bytes) {
                Some(inner) if matches!(inner[..], [Item::Map(_)]) => Ok(Item::Array(inner)),
                _ => Ok(Item::Plain(bytes.to_vec())),
            }
        }
        _ => {
            d.skip()?;
            Ok(Item::Plain(d.input()[start..d.position()].to_vec()))
        }
    }
}
