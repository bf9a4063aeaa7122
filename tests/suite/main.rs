//! All integration tests in one program: linking is the slow part.
#![allow(clippy::unwrap_used)]

mod damage;
mod damage_check;
mod damage_world;
mod floors;
