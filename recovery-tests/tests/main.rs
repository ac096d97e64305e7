//! The crash suite's tests: one module per kind of fault.

mod power_cut;
