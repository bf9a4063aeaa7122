//! Whether the store can be reached, and whether the application keys are good.

use super::report::Line;
use crate::backend::Backend;
use crate::backend::b2::{B2Backend, Which};
use crate::error::{Error, StoreError};

pub(super) fn lines(store: &dyn Backend, b2: Option<&B2Backend>) -> Vec<Line> {
    let Some(b2) = b2 else {
        // Any look at it will do.
        return vec![match store.list_folders("") {
            Ok(_) => Line::ok("store", format!("{} is there", store.location())),
            Err(error) => Line::failed("store", &Error::store("look into", store.location(), error)),
        }];
    };
    let mut lines = Vec::new();
    match b2.account(Which::Own) {
        Ok(account) => {
            lines.push(Line::ok("store", format!("{} answers", store.location())));
            lines.push(Line::ok(
                "credentials",
                format!("the application key is good, of account {}", account.account_id),
            ));
        }
        Err(error) => lines.push(failed(store, "the application key", error)),
    }
    if b2.has_reading_key() {
        lines.push(match b2.account(Which::Reading) {
            Ok(_) => Line::ok("credentials", "the reading application key is good"),
            Err(error) => failed(store, "the reading application key", error),
        });
    }
    lines
}

fn failed(store: &dyn Backend, which: &str, error: StoreError) -> Line {
    let check = if matches!(error, StoreError::Credentials(_)) { "credentials" } else { "store" };
    let mut line = Line::failed(check, &Error::store("reach", store.location(), error));
    if check == "credentials" {
        line.what = format!("{which} is refused: {}", line.what);
    }
    line
}
