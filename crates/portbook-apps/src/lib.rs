//! The files in which apps' ports are written: read into values, and written from them.
//!
//! Bytes in, values out. Nothing here knows a book; only [`template`], [`compose`], [`written`],
//! [`replacement`] and [`keeping`] open files.
//!
//! | question | module |
//! | --- | --- |
//! | which apps and ports does a file list, and what is wrong with it | [`port_config`] |
//! | how are the apps of a book written to a file | [`export`] |
//! | what is an app called in short | [`ProjectNames`] |
//! | which variables tell an app its ports | [`variables`] |
//! | how is a template filled in | [`template`] |
//! | which ports does a compose project publish, and where is it written | [`compose`] |
//! | which variables does an `.env` file set, and where; how is one brought up to date | [`dot_env`] |
//! | how does a file get a new content in one step | [`replacement`] |
//! | how is a file replaced whose old content is to be kept | [`keeping`] |
//! | how is an edited file filled in anew | [`refilling`] |
//! | what becomes of `${NAME:-default}` | [`interpolation`] |
//! | what are coding agents told in a project's files | [`agents`] |
//! | where in a file does a text come from | [`written`] |

pub mod agents;
pub mod compose;
pub mod dot_env;
pub mod export;
pub mod interpolation;
pub mod keeping;
pub mod port_config;
mod project_name;
pub mod refilling;
pub mod replacement;
pub mod template;
pub mod variables;
pub mod written;

pub use port_config::{Fault, Format, LARGEST_FILE, ListedApp, Listing, Problem, Unreadable, read};
pub use project_name::{ProjectNames, short_names, slug};
