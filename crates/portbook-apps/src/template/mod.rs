//! Templates: trees of files in which an app's ports are filled in.
//!
//! | question | file |
//! | --- | --- |
//! | what may stand in a template | `placeholders.rs` |
//! | what becomes of a text | `fill.rs` |
//! | which files does a template have, and are they safe | `survey.rs` |
//! | how is the tree written | `scaffold.rs` |

mod error;
mod fill;
mod placeholders;
mod scaffold;
mod survey;

pub use error::TemplateError;
pub use fill::{fill, is_binary};
pub use placeholders::Placeholders;
pub use scaffold::{Existing, Progress, Scaffolded, scaffold};
pub use survey::{Entry, EntryKind, Survey};
