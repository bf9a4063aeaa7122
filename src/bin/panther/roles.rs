//! Application keys of B2 for each role: how to make them, and whether the one at hand fits.

use crate::context::Context;
use crate::open::{self, Place};
use panther::backend::b2::Which;
use panther::backend::b2::roles::{Danger, Purpose, Recipe};
use panther::format::keyfile::Role;
use panther::id::WriterName;
use panther::ops::Progress as _;
use panther::repo::Repository;

/// How to make the application keys for these purposes; nothing where there are none.
pub fn recipes(place: &Place, context: &Context, purposes: &[Purpose]) -> Vec<Recipe> {
    let Place::B2(location) = place else { return Vec::new() };
    let writer = context.globals.writer.clone().unwrap_or_else(|| WriterName::from_host(&open::host()));
    let with_lock = context.globals.b2.object_lock_days.is_some();
    purposes.iter().map(|purpose| Recipe::new(*purpose, location, Some(&writer), with_lock)).collect()
}

/// What a holder of this role needs.
pub fn purposes(role: Role) -> &'static [Purpose] {
    match role {
        Role::Writer => &[Purpose::Writing, Purpose::Reading],
        Role::Reader => &[Purpose::Reading],
        Role::Admin => &[Purpose::Admin],
    }
}

/// For people; empty if there are none.
pub fn text(recipes: &[Recipe]) -> String {
    if recipes.is_empty() {
        return String::new();
    }
    let mut out = "Application keys, each for its role (docs/b2.md); `panther doctor` tests them:\n".to_owned();
    for recipe in recipes {
        out += match recipe.purpose {
            Purpose::Writing => "  a machine that backs up, with panther's role `writer`; it cannot delete:\n",
            Purpose::Reading => "  the second key of such a machine (--b2-read-key-file), and that of a reader:\n",
            Purpose::Admin => "  the admin:\n",
        };
        out += &format!("    {}\n", recipe.command);
        if let Some(web) = &recipe.web {
            out += &format!("    or in the web console: {web}\n");
        }
    }
    out
}

/// Says it if the application key of a machine that only backs up could destroy what it stored. No call is made.
pub fn warn_of_power(context: &Context, repo: &Repository) {
    let Some(b2) = context.b2.get().filter(|_| repo.keys().role() == Role::Writer) else { return };
    let Ok(account) = b2.account(Which::Own) else { return };
    for (capability, danger, what) in Purpose::Writing.dangers(&account.allowed) {
        if danger == Danger::Grave {
            context.ui.warn(&format!(
                "this machine's application key has {capability} ({what}): whoever steals it can destroy the backups; `panther doctor` says how to make another"
            ));
        }
    }
}
