//! Load generator, micro-benchmarks and comparison with other servers.
