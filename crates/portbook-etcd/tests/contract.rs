//! The promises of every store, kept by the book in an etcd cluster.

use portbook_etcd::testing::Cluster;

portbook_store::store_contract!(|| Cluster::shared().book(true));

mod without_turns {
    use portbook_etcd::testing::Cluster;

    portbook_store::store_contract!(without turns, || Cluster::shared().book(false));
}
