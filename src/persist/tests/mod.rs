//! Whole data directories on simulated and real disks.

mod cycle;
mod helpers;
