//! INFO: which sections, and putting them together. [`figures`] collects, [`sections`] and [`persistence`] write, [`system`] asks the
//! operating system and the allocator.
//!
//! Fields have Redis' names where they mean here what they mean there; what has no meaning here is left out. The section
//! `log` is Everfast's own.

pub(super) mod figures;
mod persistence;
mod sections;
pub(super) mod system;

use figures::Figures;

use crate::command::args::is;
use crate::command::{Invocation, TaskFuture};

/// A section: its name, how it is written, and whether it comes without being asked for.
struct Section {
    name: &'static str,
    title: &'static str,
    write: fn(&mut Text, &Figures),
    by_default: bool,
}

const LATENCY_STATS: &str = "latencystats";

/// In the order in which they are told.
const SECTIONS: &[Section] = &[
    Section { name: "server", title: "Server", write: sections::server, by_default: true },
    Section { name: "clients", title: "Clients", write: sections::clients, by_default: true },
    Section { name: "memory", title: "Memory", write: sections::memory, by_default: true },
    Section { name: "persistence", title: "Persistence", write: persistence::write, by_default: true },
    Section { name: "log", title: "Log", write: sections::log, by_default: true },
    Section { name: "stats", title: "Stats", write: sections::stats, by_default: true },
    Section { name: "replication", title: "Replication", write: sections::replication, by_default: true },
    Section { name: "cpu", title: "CPU", write: sections::cpu, by_default: true },
    Section { name: "modules", title: "Modules", write: |_, _| {}, by_default: true },
    Section {
        name: "commandstats",
        title: "Commandstats",
        write: sections::command_stats,
        by_default: false,
    },
    Section { name: LATENCY_STATS, title: "Latencystats", write: sections::latency_stats, by_default: false },
    Section { name: "errorstats", title: "Errorstats", write: sections::error_stats, by_default: true },
    Section { name: "cluster", title: "Cluster", write: sections::cluster, by_default: true },
    Section { name: "keyspace", title: "Keyspace", write: sections::keyspace, by_default: true },
];

/// Lines of `name:value`.
#[derive(Default)]
struct Text(String);

impl Text {
    fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        self.0 += &format!("{name}:{value}\r\n");
    }
}

/// INFO [section [section ...]]
pub fn info(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let wanted: Vec<&[u8]> = invocation.request().skip(1).iter().collect();
        let with_latencies = SECTIONS.iter().any(|row| row.name == LATENCY_STATS && is_wanted(row, &wanted));
        let figures = Figures::collect(&invocation, with_latencies).await;
        let mut text = Text::default();
        for section in SECTIONS.iter().filter(|section| is_wanted(section, &wanted)) {
            if !text.0.is_empty() {
                text.0 += "\r\n";
            }
            text.0 += &format!("# {}\r\n", section.title);
            (section.write)(&mut text, &figures);
        }
        invocation.reply(|reply| reply.verbatim("txt", text.0.as_bytes()))
    })
}

fn is_wanted(section: &Section, wanted: &[&[u8]]) -> bool {
    wanted.is_empty() && section.by_default
        || wanted.iter().any(|word| {
            is(word, section.name)
                || is(word, "all")
                || is(word, "everything")
                || is(word, "default") && section.by_default
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(words: &[&[u8]]) -> Vec<&'static str> {
        SECTIONS.iter().filter(|section| is_wanted(section, words)).map(|section| section.name).collect()
    }

    #[test]
    fn sections_are_chosen_by_name_and_group() {
        assert_eq!(wanted(&[b"Memory", b"server", b"nosuch"]), ["server", "memory"]);
        assert_eq!(wanted(&[]), wanted(&[b"DEFAULT"]));
        assert!(!wanted(&[]).contains(&"commandstats"));
        assert_eq!(wanted(&[b"default", b"commandstats"]).len(), wanted(&[]).len() + 1);
        assert_eq!(wanted(&[b"all"]).len(), SECTIONS.len());
        assert_eq!(wanted(&[b"nosuch"]), [""; 0]);
    }
}
