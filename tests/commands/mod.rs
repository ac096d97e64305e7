//! One module per family of commands.
//!
//! Tables of lines hold no replies: what Redis answers to the same line at the same time is what is expected. What is
//! Everfast's own stands in tests with names.

mod concurrency;
mod connection;
mod expiry;
mod keys;
mod random;
mod restart;
mod server;
mod strings;
mod walks;
