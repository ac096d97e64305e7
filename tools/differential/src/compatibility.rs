//! `docs/compatibility.md`, from the command table, what Redis 7.0 has, and what differs.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use everfast::command::table::deviations::DEVIATIONS;
use everfast::command::table::reference::{self, GROUPS, Reference};
use everfast::command::{index_of, table};

const HEAD: &str = "\
# Compatibility

The commands, their options, replies and error texts are those of Redis 7.0.15, byte by byte, in RESP2 and RESP3, but for
what stands under [What differs](#what-differs). Two suites run the same commands on a Redis server and on Everfast and compare
what comes back: tables of lines under `tests/commands`, and random ones, by the million, of
[the differential tester](testing.md#beside-redis). `HELLO` and INFO tell `redis` and `7.0.15`, because clients decide by them
what they may use; INFO also tells `everfast_version`.

This page is made from the command table by `cargo xtask compatibility`.
";

/// How the page calls the groups of COMMAND DOCS.
const TITLES: [(&str, &str); 16] = [
    ("string", "Strings"),
    ("bitmap", "Bitmaps"),
    ("generic", "Keys of any type"),
    ("list", "Lists"),
    ("set", "Sets"),
    ("sorted-set", "Sorted sets"),
    ("hash", "Hashes"),
    ("hyperloglog", "HyperLogLog"),
    ("geo", "Geospatial"),
    ("stream", "Streams"),
    ("pubsub", "Publish and subscribe"),
    ("transactions", "Transactions"),
    ("scripting", "Scripts and functions"),
    ("connection", "Connections"),
    ("server", "The server"),
    ("cluster", "Cluster"),
];

/// Where the page stands in this repository.
pub fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/compatibility.md")
}

/// The page as it should be.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page += &counts();
    for (group, commands) in GROUPS {
        let title = TITLES.iter().find(|(of, _)| of == group).map_or(*group, |(_, title)| title);
        let _ = write!(page, "\n## {title}\n\n| command | since | here |\n|---|---|---|\n"); // a string takes all
        for command in commands.iter().filter(|command| !command.name.contains('|')) {
            page += &row(command);
        }
    }
    page += &newer();
    page += &differences();
    page
}

fn is_here(name: &str) -> bool {
    index_of(name.as_bytes()).is_some()
}

fn counts() -> String {
    let all = || GROUPS.iter().flat_map(|(_, commands)| *commands);
    let subcommands = |wanted: bool| move |command: &&Reference| command.name.contains('|') == wanted;
    let here = |wanted| all().filter(subcommands(wanted)).filter(|command| is_here(command.name)).count();
    let [commands, subs] =
        [false, true].map(|wanted| (here(wanted), all().filter(subcommands(wanted)).count()));
    format!(
        "\nHere are {} of the {} commands of Redis 7.0, and {} of its {} subcommands.\n",
        commands.0, commands.1, subs.0, subs.1
    )
}

/// A command as one types it.
fn typed(name: &str) -> String {
    name.replace('|', " ").to_uppercase()
}

fn row(command: &Reference) -> String {
    let prefix = format!("{}|", command.name);
    let subcommands: Vec<&str> = GROUPS
        .iter()
        .flat_map(|(_, commands)| *commands)
        .filter_map(|command| command.name.strip_prefix(&prefix))
        .collect();
    let missing: Vec<String> = subcommands
        .iter()
        .filter(|sub| !is_here(&format!("{prefix}{sub}")))
        .map(|sub| sub.to_uppercase())
        .collect();
    let here = if !is_here(command.name) {
        "not yet".to_owned()
    } else if missing.is_empty() {
        "yes".to_owned()
    } else {
        format!("yes, not yet: {}", missing.join(" "))
    };
    let differs = DEVIATIONS
        .iter()
        .any(|deviation| deviation.command == command.name || deviation.command.starts_with(&prefix));
    let link = if differs { ", [differs](#what-differs)" } else { "" };
    format!("| {} | {} | {here}{link} |\n", typed(command.name), command.since)
}

/// What is here and not in Redis 7.0.
fn newer() -> String {
    let rows = table().iter().filter(|row| reference::find(row.name).is_none());
    let lines: String = rows.map(|row| format!("| {} | {} |\n", typed(row.name), row.docs.since)).collect();
    format!(
        "\n## From later versions\n\n| command | since Redis |\n|---|---|\n{lines}\n\
         Also from 7.2: the fields `lib-name` and `lib-ver` of CLIENT LIST; from 7.4: MAXAGE of CLIENT KILL.\n"
    )
}

fn differences() -> String {
    let mut text =
        "\n## What differs\n\n| command | here | in Redis 7.0 | why |\n|---|---|---|---|\n".to_owned();
    let mut by_command: Vec<_> =
        DEVIATIONS.iter().filter(|deviation| !deviation.command.is_empty()).collect();
    by_command.sort_by_key(|deviation| deviation.command);
    for deviation in by_command {
        let (name, here) = (typed(deviation.command), deviation.here);
        let _ = writeln!(text, "| {name} | {here} | {} | {} |", deviation.redis, deviation.reason);
    }
    text += "\nIn general:\n\n| here | in Redis 7.0 | why |\n|---|---|---|\n";
    for deviation in DEVIATIONS.iter().filter(|deviation| deviation.command.is_empty()) {
        let _ = writeln!(text, "| {} | {} | {} |", deviation.here, deviation.redis, deviation.reason);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_current() {
        let written = std::fs::read_to_string(place()).unwrap();
        assert!(
            written == page(),
            "docs/compatibility.md is not what the table says: run `cargo xtask compatibility`"
        );
    }

    #[test]
    fn every_command_of_redis_has_a_row() {
        let page = page();
        for (_, commands) in GROUPS {
            for command in *commands {
                let name = typed(command.name.split('|').next().unwrap());
                assert!(page.contains(&format!("\n| {name} | ")), "{name}");
            }
        }
        for (group, _) in GROUPS {
            assert!(TITLES.iter().any(|(of, _)| of == group), "{group}");
        }
    }
}
