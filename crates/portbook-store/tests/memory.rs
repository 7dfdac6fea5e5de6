//! The store in memory keeps every store's promises, and all but those about turns without turns.

#![cfg(feature = "contract")]

use portbook_store::MemoryStore;

portbook_store::store_contract!(MemoryStore::new);

mod without_turns {
    use super::MemoryStore;

    portbook_store::store_contract!(without turns, MemoryStore::without_turns);
}
