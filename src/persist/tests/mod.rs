//! Whole data directories on simulated and real disks.

mod checkpoints;
mod crash_points;
mod cycle;
mod helpers;
mod refusals;
mod salvage;
mod tails;
mod threads;
