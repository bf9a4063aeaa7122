//! What the process gives up and takes before it reads any secret.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Keys stay out of core dumps and away from debuggers of the same user; as many files may be open as the system allows.
///
/// `PANTHER_ALLOW_DUMP=1` leaves dumps and debuggers as they are. Nothing here is worth failing for: what the system refuses is left.
pub fn process() {
    if std::env::var_os("PANTHER_ALLOW_DUMP").is_none_or(|value| value != "1") {
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
}
