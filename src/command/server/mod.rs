//! Commands about the server: [`database`] (whole databases), [`introspection`] (COMMAND), [`config`], [`info`],
//! [`durability`] (WAITAOF), [`lifetime`] (SHUTDOWN, TIME).

pub mod config;
pub mod database;
pub mod durability;
pub mod info;
pub mod introspection;
pub mod lifetime;
