//! The promises of every store, kept by the book in a PostgreSQL database, and those of this one alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test cannot have fails it"
)]

use portbook_postgres::testing::Server;

portbook_store::store_contract!(|| Server::shared().book(true));

mod without_turns {
    use portbook_postgres::testing::Server;

    portbook_store::store_contract!(without turns, || Server::shared().book(false));
}
