//! Templates: trees of files in which an app's ports are filled in.
//!
//! | question | file |
//! | --- | --- |
//! | what may stand in a template | `placeholders.rs` |
//! | what becomes of a text, and what is one | `fill.rs` |
//! | which templates come with the program | `shipped.rs` |
//! | which files does a template have, and are they safe | `survey.rs`, opened by `source.rs` |
//! | where may a copy go | `destination.rs` |
//! | how is the tree written | `scaffold.rs`, in `staging.rs`, file by file in `copy.rs` |
//! | what becomes of files that are in the way | `merge.rs` |
//! | which texts does it have, to be filled in again | `texts.rs` |

mod copy;
mod destination;
mod error;
mod fill;
mod merge;
mod placeholders;
mod scaffold;
mod shipped;
mod source;
mod staging;
mod survey;
mod texts;

pub use destination::{Destination, Existing};
pub use error::TemplateError;
pub use fill::{fill, is_binary};
pub(crate) use merge::name_beside;
pub use placeholders::Placeholders;
pub use scaffold::{Scaffolded, scaffold};
pub use shipped::{SHIPPED, ShippedTemplate, Template};
pub use survey::{Progress, Step, Survey};
pub use texts::TemplateText;
