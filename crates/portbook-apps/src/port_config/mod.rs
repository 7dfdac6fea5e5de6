//! Files that list apps with their ports: `port_config.json`, and portbook's own exports.
//!
//! ```
//! use portbook_apps::port_config;
//! let listing = port_config::read(
//!     br#"[{"model": "openai/gpt-4", "app_num": 1, "backend_port": 5001, "frontend_port": 5001},
//!         {"model": "openai/gpt-4", "app_num": 2, "backend_port": 5003, "frontend_port": 8003}]"#,
//! )?;
//! assert_eq!(listing.entries[0].entry.app.to_string(), "openai/gpt-4/app2");
//! let problem = &listing.problems[0];
//! assert_eq!(problem.line, 1);
//! assert_eq!(problem.to_string(), "port 5001 is given for two roles of one app, backend and frontend");
//! # Ok::<(), port_config::Unreadable>(())
//! ```

mod comma_separated;
mod draft;
mod encoding;
mod json;
mod ledger;
mod lines;
mod listing;
mod problem;
mod unreadable;

pub(crate) use listing::CSV_HEADER;
pub use listing::{Format, ListedApp, Listing};
pub use problem::{Fault, MOST_PROBLEMS, Problem};
pub use unreadable::{LARGEST_FILE, Unreadable};

/// Whether these bytes begin as an SQLite database does: such a file is opened, not read here.
pub fn is_sqlite(bytes: &[u8]) -> bool {
    bytes.starts_with(b"SQLite format 3\0")
}

/// Reads a file that lists apps with their ports, in whichever of the [formats](Format) it is.
///
/// A file that can be read at all gives a listing, in which every entry is either sound or has its
/// [problems](Problem); whether a listing with problems is of use is the caller's to say.
pub fn read(bytes: &[u8]) -> Result<Listing, Unreadable> {
    if is_sqlite(bytes) {
        return Err(Unreadable::Sqlite);
    }
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Unreadable::TooLarge);
    }
    let text = encoding::text(bytes)?;
    match text.bytes().find(|byte| !byte.is_ascii_whitespace()) {
        None => Err(Unreadable::Empty),
        Some(b'[') => json::read(text),
        Some(b'{') => Err(Unreadable::Object),
        Some(_) if comma_separated::has_header(text) => comma_separated::read(text),
        Some(_) => Err(json::scalar(text).map_or(Unreadable::Unknown, Unreadable::NotAnArray)),
    }
}
