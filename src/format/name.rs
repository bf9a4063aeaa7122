//! Names of objects (spec 1.4).

use super::header::Kind;
use crate::id::{ObjectId, WriterName};
use std::fmt;

/// The name of an object of the repository.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Name {
    /// `panther.cbor`.
    Config,
    /// `keys/<id>.age`.
    Key(ObjectId),
    /// `writers/<writer>/packs/<hh>/<id>`.
    Pack(WriterName, ObjectId),
    /// `writers/<writer>/index/<id>`.
    Index(WriterName, ObjectId),
    /// `writers/<writer>/snapshots/<id>`.
    Snapshot(WriterName, ObjectId),
    /// `gc/<id>`.
    Gc(ObjectId),
}

impl Name {
    /// The name that `text` is, or nothing: such a name is to be ignored.
    pub fn parse(text: &str) -> Option<Self> {
        let id =
            |hex: &str| if hex.bytes().any(|b| b.is_ascii_uppercase()) { None } else { hex.parse::<ObjectId>().ok() };
        let parts: Vec<&str> = text.split('/').collect();
        match parts[..] {
            ["panther.cbor"] => Some(Self::Config),
            ["keys", file] => Some(Self::Key(id(file.strip_suffix(".age")?)?)),
            ["gc", hex] => Some(Self::Gc(id(hex)?)),
            ["writers", writer, "packs", hh, hex] if hex.starts_with(hh) && hh.len() == 2 => {
                Some(Self::Pack(WriterName::new(writer).ok()?, id(hex)?))
            }
            ["writers", writer, "index", hex] => Some(Self::Index(WriterName::new(writer).ok()?, id(hex)?)),
            ["writers", writer, "snapshots", hex] => Some(Self::Snapshot(WriterName::new(writer).ok()?, id(hex)?)),
            _ => None,
        }
    }

    /// The object's id, which all names but that of the configuration have.
    pub fn id(&self) -> Option<ObjectId> {
        match self {
            Self::Config => None,
            Self::Key(id) | Self::Gc(id) | Self::Pack(_, id) | Self::Index(_, id) | Self::Snapshot(_, id) => Some(*id),
        }
    }

    /// The kinds that an object of this name may have in its header; none if it has no header.
    pub fn kinds(&self) -> &'static [Kind] {
        match self {
            Self::Config | Self::Key(_) => &[],
            Self::Pack(..) => &[Kind::DataPack, Kind::TreePack],
            Self::Index(..) => &[Kind::Index],
            Self::Snapshot(..) => &[Kind::Snapshot],
            Self::Gc(_) => &[Kind::Gc],
        }
    }

    /// The prefix of a writer's packs, index objects or snapshots, and of keys and gc objects.
    pub fn folder(&self) -> String {
        match self {
            Self::Config => String::new(),
            Self::Key(_) => "keys/".to_owned(),
            Self::Gc(_) => "gc/".to_owned(),
            Self::Pack(w, _) => format!("writers/{w}/packs/"),
            Self::Index(w, _) => format!("writers/{w}/index/"),
            Self::Snapshot(w, _) => format!("writers/{w}/snapshots/"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => f.write_str("panther.cbor"),
            Self::Key(id) => write!(f, "keys/{id}.age"),
            Self::Pack(w, id) => {
                let hex = id.to_hex();
                write!(f, "writers/{w}/packs/{}/{hex}", &hex[..2])
            }
            Self::Index(w, id) => write!(f, "writers/{w}/index/{id}"),
            Self::Snapshot(w, id) => write!(f, "writers/{w}/snapshots/{id}"),
            Self::Gc(id) => write!(f, "gc/{id}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_others_are_ignored() {
        let (w, id) = (WriterName::new("yoga").unwrap(), ObjectId::of(b"x"));
        for name in [
            Name::Config,
            Name::Key(id),
            Name::Pack(w.clone(), id),
            Name::Index(w.clone(), id),
            Name::Snapshot(w, id),
            Name::Gc(id),
        ] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
        let hex = id.to_hex();
        for bad in [
            String::new(),
            "panther.cbor/".into(),
            format!("keys/{hex}"),
            format!("gc/{}", hex.to_uppercase()),
            format!("writers/yoga/packs/zz/{hex}"),
            format!("writers/yoga/packs//{hex}"),
            format!("writers/Yoga/index/{hex}"),
            format!("writers/../index/{hex}"),
            format!("tmp/{hex}"),
            "writers/yoga/index/abc".into(),
        ] {
            assert_eq!(Name::parse(&bad), None, "{bad}");
        }
    }
}
