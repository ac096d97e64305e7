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

/// The sources of the tables.
const TABLES: [&str; 6] = [
    include_str!("connection.rs"),
    include_str!("expiry.rs"),
    include_str!("keys.rs"),
    include_str!("server.rs"),
    include_str!("strings.rs"),
    include_str!("walks.rs"),
];

#[test]
fn every_command_is_in_a_table() {
    for row in everfast::command::table() {
        let call = row.name.replace('|', " ").to_uppercase();
        let starts_a_line = |line: &str| line.split('"').nth(1).is_some_and(|line| is_call(line, &call));
        assert!(TABLES.iter().any(|table| table.lines().any(starts_a_line)), "{call} has no test");
    }
}

/// Whether a line of a table calls this command, in whatever way it is compared.
fn is_call(line: &str, call: &str) -> bool {
    let command = line.split_once(": ").map_or(line, |(_, command)| command);
    command.strip_prefix(call).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}
