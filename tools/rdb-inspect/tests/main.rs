//! `rdb-inspect` as a program: arguments in, output and exit code out.
