//! The files in which apps' ports are written: read into values, and written from them.
//!
//! Pure: bytes in, values out. Nothing here opens a file, and nothing here knows a book.
//!
//! | question | module |
//! | --- | --- |
//! | which apps and ports does a file list, and what is wrong with it | [`port_config`] |
//! | how are the apps of a book written to a file | [`export`] |

pub mod export;
pub mod port_config;

pub use port_config::{
    Fault, Format, LARGEST_FILE, ListedApp, Listing, Problem, Unreadable, Warning, read, warnings,
};
