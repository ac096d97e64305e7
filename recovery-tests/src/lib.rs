//! The crash-recovery test suite.
