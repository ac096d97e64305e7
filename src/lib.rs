//! Server.
pub mod store;
