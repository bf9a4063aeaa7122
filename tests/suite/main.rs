//! All integration tests in one program: linking is the slow part.
#![allow(clippy::unwrap_used)]

mod backup;
mod cli_basics;
mod cli_common;
mod cli_config;
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
mod floors;
mod forget;
mod forget_cli;
mod format_laws;
mod generations;
mod golden;
mod interrupt;
mod restore;
mod restore_faults;
mod restore_in_place;
mod restore_kit;
mod trouble;
mod vanished;
mod vectors;
