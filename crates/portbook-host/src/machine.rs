use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// What names the time since this machine was last started; `None` where the kernel does not say.
pub fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// The machine's name in its network, empty where it has none.
pub fn host_name() -> String {
    #[cfg(unix)]
    return rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    return std::env::var("COMPUTERNAME").unwrap_or_default();
}

/// How many files this process may have open: what holds now, and how far it may raise that
/// itself. `u64::MAX` is without limit.
pub fn open_file_limit() -> (u64, u64) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit};
        let limit = getrlimit(Resource::Nofile);
        let number = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        (number(limit.current), number(limit.maximum))
    }
    #[cfg(not(unix))]
    (u64::MAX, u64::MAX)
}

/// Whether the machine's clock can be trusted with the times and leases of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum ClockState {
    /// systemd-timesyncd has set it by a time server since the machine started.
    Synchronised,
    /// Its year can be right; whether anything keeps it so is not known.
    Plausible,
    /// Its year cannot be right: it was never set.
    Implausible {
        /// The year that it shows.
        year: i64,
    },
}

/// What the machine's clock is worth.
pub fn clock() -> ClockState {
    // Before the epoch is as wrong as at it.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |time| time.as_secs());
    worth(
        seconds,
        Path::new("/run/systemd/timesync/synchronized").exists(),
    )
}

/// No machine that runs this was made before.
const EARLIEST_YEAR: i64 = 2024;
const YEAR_SECONDS: u64 = 31_556_952;

fn worth(seconds: u64, synchronised: bool) -> ClockState {
    let year = 1970 + (seconds / YEAR_SECONDS).cast_signed();
    if year < EARLIEST_YEAR {
        ClockState::Implausible { year }
    } else if synchronised {
        ClockState::Synchronised
    } else {
        ClockState::Plausible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_seen() {
        assert_eq!(worth(0, true), ClockState::Implausible { year: 1970 });
        assert_eq!(worth(1_800_000_000, false), ClockState::Plausible);
        assert_eq!(worth(1_800_000_000, true), ClockState::Synchronised);
    }
}
