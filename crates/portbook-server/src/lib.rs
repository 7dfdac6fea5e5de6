//! portbook as a service for every program on the machine and, where its owner allows, on others.

pub mod dashboard;
pub mod portserver;
