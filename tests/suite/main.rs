//! All integration tests in one program: linking is the slow part.
#![allow(clippy::unwrap_used)]

mod b2_cli;
mod b2_effort;
mod b2_keys;
mod b2_kit;
mod b2_runs;
mod b2_store;
mod backup;
mod cli_basics;
mod cli_common;
mod cli_keys;
mod cli_restore;
mod cli_secrets;
mod cli_try;
mod common;
mod crash;
mod damage;
mod damage_check;
mod damage_cli;
mod damage_packs;
mod damage_restore;
mod damage_world;
#[path = "../fake_b2/mod.rs"]
mod fake_b2;
mod floors;
mod format_laws;
mod generations;
mod golden;
mod interrupt;
mod restore;
mod restore_faults;
mod restore_in_place;
mod restore_kit;
mod trouble;
mod vectors;
