//! Clients of a whole server that each write keys of their own, and so know what every reply must be, and what may be there
//! after a crash.
//!
//! - [`workload`]: one client's stream of commands.
//! - [`model`]: what was issued, acknowledged and shown, and so what may be there.
//! - [`checker`]: compares what is there with what may be.
//!
//! [`crate::sim`] has a model and a checker of its own, for clients that share keys; [`crate::linear`] judges histories.

pub mod checker;
pub mod model;
pub mod workload;
