//! A book in the tests' own server.

use portbook_postgres::testing::Server;

pub(crate) use crate::desk::Desk;

impl Desk {
    /// A new, empty book in the tests' own server.
    pub(crate) fn new() -> Self {
        Self::at(Server::shared().place())
    }
}
