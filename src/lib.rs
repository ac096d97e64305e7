//! Server.

pub mod config;
