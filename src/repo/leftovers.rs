//! Packs that killed runs of this machine have stored and no index object names yet.

use super::Repository;
use super::statements::Statements;
use crate::error::{Error, Result};
use crate::format::index::PackRecord;
use crate::format::name::Name;
use crate::id::{ObjectId, WriterName};
use crate::state::State;

impl Repository {
    /// The packs that killed runs as `writer` have stored, as far as they are there, whole and not condemned: the next run names them. What turns out to be
    /// lost is forgotten, and so is what was seen of the source, which may rest on it.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::State`].
    pub fn leftovers(&self, state: &State, writer: &WriterName, statements: &Statements) -> Result<Vec<PackRecord>> {
        let split = |packs: Vec<PackRecord>| -> Result<(Vec<PackRecord>, Vec<ObjectId>)> {
            let (mut there, mut lost) = (Vec::new(), Vec::new());
            let is_usable = |pack: &PackRecord| pack.writer == *writer && !statements.condemned.contains(&pack.id);
            let (usable, useless): (Vec<_>, Vec<_>) = packs.into_iter().partition(is_usable);
            lost.extend(useless.iter().map(|pack| pack.id));
            for (is_whole, pack) in self.are_stored(&usable)?.into_iter().zip(usable) {
                if is_whole {
                    there.push(pack);
                } else {
                    lost.push(pack.id);
                }
            }
            Ok((there, lost))
        };
        let in_flight = state.packs_in_flight()?;
        if !in_flight.is_empty() {
            state.settle_in_flight(&split(in_flight)?.0)?;
        }
        let (there, lost) = split(state.stored_packs()?)?;
        if !lost.is_empty() {
            // What was seen may rest on them.
            state.sweep_dirs(|_| false)?;
            state.forget_stored(&lost)?;
        }
        Ok(there)
    }

    /// Of each pack, whether the store has it, whole.
    fn are_stored(&self, packs: &[PackRecord]) -> Result<Vec<bool>> {
        let names: Vec<String> = packs.iter().map(|p| Name::Pack(p.writer.clone(), p.id).to_string()).collect();
        let sizes = self.backend().sizes(&names);
        let sizes = sizes.map_err(|e| Error::store("look for packs at", self.backend().location(), e))?;
        Ok(packs.iter().zip(sizes).map(|(pack, size)| size == Some(pack.size_bytes)).collect())
    }
}
