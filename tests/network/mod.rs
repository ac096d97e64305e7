//! What clients do to a socket.

mod crowds;
mod pieces;
mod pipelines;
