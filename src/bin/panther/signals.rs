//! SIGINT and SIGTERM: the first asks to stop where nothing is lost, the second ends the program at once.

use panther::{Error, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// A flag that is set by the first signal. If there are things to clear away that a second signal must not keep from it, `patient`.
///
/// # Errors
/// [`Error::Io`] when the system refuses.
pub fn flag(patient: bool) -> Result<Arc<AtomicBool>> {
    let asked = Arc::new(AtomicBool::new(false));
    let install = || -> std::io::Result<()> {
        for signal in [SIGINT, SIGTERM] {
            if !patient {
                // In this order: the first signal finds the flag unset here and sets it below.
                flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&asked))?;
            }
            flag::register(signal, Arc::clone(&asked))?;
        }
        if patient {
            flag::register(SIGHUP, Arc::clone(&asked))?;
        }
        Ok(())
    };
    install().map_err(|e| Error::io("listen to", "signals", e))?;
    Ok(asked)
}
