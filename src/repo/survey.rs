//! One look at what a repository has beside packs, and what is remembered of it, so that a night costs few calls.

use super::Repository;
use super::statements::Statements;
use crate::error::{Error, FormatError, Result};
use crate::format::gc::Gc;
use crate::format::name::Name;
use crate::id::{ObjectId, WriterName};
use crate::state::State;

/// The names of all objects beside packs, by one listing; statements come before what they are about (spec 11.3).
#[derive(Default, Debug)]
pub struct Survey {
    /// gc objects.
    pub gc: Vec<Name>,
    /// Index objects with their sizes.
    pub index: Vec<(Name, u64)>,
    /// Manifests.
    pub snapshots: Vec<Name>,
}

impl Survey {
    fn add(&mut self, name: Name, size_bytes: u64) {
        match name {
            Name::Gc(_) => self.gc.push(name),
            Name::Index(..) => self.index.push((name, size_bytes)),
            Name::Snapshot(..) => self.snapshots.push(name),
            Name::Config | Name::Key(_) | Name::Pack(..) => {}
        }
    }

    /// The manifests of one writer.
    pub fn snapshots_of(&self, writer: &WriterName) -> Vec<Name> {
        self.snapshots.iter().filter(|name| matches!(name, Name::Snapshot(of, _) if of == writer)).cloned().collect()
    }
}

impl Repository {
    /// Lists everything but packs.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn survey(&self) -> Result<Survey> {
        let mut survey = Survey::default();
        if self.backend().is_remote() {
            self.list_without_packs(&mut |name, size_bytes| survey.add(name, size_bytes))?;
        } else {
            // Where listing is cheap, but a folder for each two digits of all packs would have to be looked into.
            let mut prefixes = vec!["gc/".to_owned()];
            for writer in self.writers()? {
                prefixes.extend(["index", "snapshots"].map(|folder| format!("writers/{writer}/{folder}/")));
            }
            for prefix in prefixes {
                self.list(&prefix)?.into_iter().for_each(|(name, size_bytes)| survey.add(name, size_bytes));
            }
        }
        survey.gc.sort();
        survey.index.sort();
        survey.snapshots.sort();
        Ok(survey)
    }

    pub(super) fn list_without_packs(&self, visit: &mut dyn FnMut(Name, u64)) -> Result<()> {
        let listed = self.backend().list_without("packs", &mut |listed| {
            if let Some(name) = Name::parse(&listed.name) {
                visit(name, listed.size_bytes);
            }
        });
        listed.map_err(|e| Error::store("list", "the repository", e))
    }

    /// As [`Repository::statements`], of gc objects that were listed; those that were read before come from `state`.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::State`], or what is wrong with one of them: none may be passed over.
    pub fn statements_of(&self, names: &[Name], state: &State) -> Result<Statements> {
        let kept = Kept::decode(state.note(Kept::NOTE)?.as_deref().unwrap_or_default());
        let (mut all, mut keep) = (Statements::default(), Kept::default());
        for name in names {
            let Some(id) = name.id() else { continue };
            if let Some((bytes, gc)) = kept.find(&id).and_then(|bytes| Some((bytes, Gc::decode(bytes).ok()?))) {
                keep.add(id, bytes);
                all.add(gc);
                continue;
            }
            let read = self.signed(name, |opened| Ok((Gc::decode(&opened.plaintext)?, opened.plaintext.to_vec())));
            match read {
                Ok((gc, bytes)) => {
                    keep.add(id, &bytes);
                    all.add(gc);
                }
                // Removed since it was listed: no longer in force.
                Err(Error::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if keep.0 != kept.0 {
            state.set_notes(&[(Kept::NOTE.to_vec(), keep.encode())])?;
        }
        Ok(all)
    }
}

/// gc objects that were read and verified, each with its id.
#[derive(Default)]
struct Kept(Vec<(ObjectId, Vec<u8>)>);

impl Kept {
    const NOTE: &[u8] = b"gc objects";
    /// More are read anew each time: they would only make the state large.
    const MOST_BYTES: usize = 16 << 20;

    fn find(&self, id: &ObjectId) -> Option<&[u8]> {
        self.0.iter().find(|(have, _)| have == id).map(|(_, bytes)| &bytes[..])
    }

    fn add(&mut self, id: ObjectId, bytes: &[u8]) {
        if self.0.iter().map(|(_, have)| have.len()).sum::<usize>() + bytes.len() <= Self::MOST_BYTES {
            self.0.push((id, bytes.to_vec()));
        }
    }

    /// With a checksum before it: a disk may give back other bits, and what is condemned decides what is stored anew.
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; 32];
        for (id, bytes) in &self.0 {
            out.extend_from_slice(&id.0);
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(bytes);
        }
        let sum = *blake3::hash(&out[32..]).as_bytes();
        out[..32].copy_from_slice(&sum);
        out
    }

    /// Nothing if it is not what was written.
    fn decode(bytes: &[u8]) -> Self {
        Self::parse(bytes).unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let cut = FormatError::Truncated;
        let (sum, mut rest) = bytes.split_first_chunk::<32>().ok_or(cut.clone())?;
        if blake3::hash(rest) != *sum {
            return Err(FormatError::Hash);
        }
        let mut kept = Self::default();
        while !rest.is_empty() {
            let (id, after) = rest.split_first_chunk::<32>().ok_or(cut.clone())?;
            let (len, after) = after.split_first_chunk::<8>().ok_or(cut.clone())?;
            let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| cut.clone())?;
            let (bytes, after) = after.split_at_checked(len).ok_or(cut.clone())?;
            kept.0.push((ObjectId(*id), bytes.to_vec()));
            rest = after;
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_or_is_nothing() {
        let mut kept = Kept::default();
        kept.add(ObjectId([1; 32]), b"one");
        kept.add(ObjectId([2; 32]), b"");
        kept.add(ObjectId([3; 32]), &vec![0; Kept::MOST_BYTES]);
        let mut bytes = kept.encode();
        let back = Kept::decode(&bytes);
        assert_eq!((back.find(&ObjectId([1; 32])), back.find(&ObjectId([2; 32]))), (Some(&b"one"[..]), Some(&b""[..])));
        assert_eq!((back.0.len(), back.find(&ObjectId([3; 32]))), (2, None));
        bytes[80] ^= 1;
        assert!(Kept::decode(&bytes).0.is_empty() && Kept::decode(b"").0.is_empty() && Kept::decode(b"x").0.is_empty());
        assert!(Kept::decode(&Kept::default().encode()).0.is_empty());
    }
}
