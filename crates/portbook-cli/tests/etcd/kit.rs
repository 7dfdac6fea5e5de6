//! A book in the tests' own cluster.

use portbook_etcd::testing::Cluster;

pub(crate) use crate::desk::Desk;

impl Desk {
    /// A new, empty book in the tests' own cluster.
    pub(crate) fn new() -> Self {
        Self::at(Cluster::shared().place())
    }
}
