//! One module per family of commands.
//!
//! Tables of lines hold no replies: what Redis answers to the same line at the same time is what is expected. What is
//! Everfast's own stands in tests with names.

mod bitmaps;
mod concurrency;
mod connection;
mod expiry;
mod insides;
mod keys;
mod monitoring;
mod offline;
mod payloads;
mod random;
mod restart;
mod saves;
mod server;
mod strings;
mod table;
mod walks;

/// The sources of the tables.
const TABLES: [&str; 11] = [
    include_str!("bitmaps.rs"),
    include_str!("connection.rs"),
    include_str!("expiry.rs"),
    include_str!("insides.rs"),
    include_str!("keys.rs"),
    include_str!("monitoring.rs"),
    include_str!("payloads.rs"),
    include_str!("saves.rs"),
    include_str!("server.rs"),
    include_str!("strings.rs"),
    include_str!("walks.rs"),
];

#[test]
fn every_command_has_a_test() {
    for row in everfast::command::table() {
        let call = row.name.replace('|', " ").to_uppercase();
        let is_tested = if row.docs.since.starts_with("7.0") || row.docs.since < "7.0" {
            TABLES.iter().flat_map(|table| table.lines()).any(|line| is_line_of(line, &call))
        } else {
            // Redis 7.0 does not know it: it stands in a test with a name.
            let quoted: Vec<String> = call.split(' ').map(|word| format!("\"{word}\"")).collect();
            TABLES.iter().any(|table| table.contains(&quoted.join(", ")))
        };
        assert!(is_tested, "{call} has no test");
    }
}

/// Whether a line of a table's source calls this command, in whatever way it is compared.
fn is_line_of(source: &str, call: &str) -> bool {
    let Some(line) = source.split('"').nth(1) else { return false };
    let command = line.split_once(": ").map_or(line, |(_, command)| command);
    command.strip_prefix(call).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}
