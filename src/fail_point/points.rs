//! The list of points: a test compares it with the source.

/// A place in the source.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub name: &'static str,
    /// What is done and what is not when it is reached.
    pub between: &'static str,
    /// When a server gets there.
    pub when: When,
}

/// When a server gets to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// With each batch of writes.
    Writing,
    /// With each checkpoint, or segment, or change of MANIFEST: also at a start.
    Saving,
    /// At a start on a directory with data.
    Starting,
    /// At a clean end.
    Ending,
}

const fn point(name: &'static str, when: When, between: &'static str) -> Point {
    Point { name, between, when }
}

use When::{Ending, Saving, Starting, Writing};

/// All points, in the order in which a life passes them.
pub const POINTS: &[Point] = &[
    point("recovery-after-scan", Starting, "the logs are read and the cuts planned; nothing is changed yet"),
    point(
        "recovery-before-seal",
        Starting,
        "un-vouched frames are written again and synced; MANIFEST seals nothing yet",
    ),
    point(
        "recovery-after-seal",
        Starting,
        "MANIFEST seals the logs; their tails are not truncated, nothing is replayed",
    ),
    point("recovery-before-sweep", Starting, "everything is replayed; leftovers are still there"),
    point(
        "logs-before-name-epoch",
        Starting,
        "the first segments of the new logs are there; MANIFEST does not name them",
    ),
    point(
        "logs-after-name-epoch",
        Starting,
        "MANIFEST names the new epoch; nothing was written to its logs, nobody is served",
    ),
    point("log-after-append", Writing, "a shard has gathered effects; its writer does not have them"),
    point("log-before-write", Writing, "the writer has made frames; none is in the file"),
    point("log-after-write", Writing, "the frames are in the file; they are not synced, nobody was told"),
    point("log-before-sync", Writing, "everything due is written; the segment is about to be synced"),
    point("log-after-sync", Writing, "the segment is synced; nobody was told"),
    point(
        "log-before-next-segment",
        Saving,
        "a segment is full, or cut, and synced; the next one is not taken yet",
    ),
    point("log-after-next-segment", Saving, "the log goes on in the next segment, which is empty"),
    point("log-at-cut", Saving, "a log is behind its cut; the checkpoint was not told"),
    point(
        "segment-after-create",
        Saving,
        "a segment file is there, with its size and no header, synced by nobody",
    ),
    point("segment-before-manifest", Saving, "a segment is prepared and synced; MANIFEST does not name it"),
    point("checkpoint-after-cut", Saving, "every shard has frozen its view; no snapshot is begun"),
    point("checkpoint-between-snapshots", Saving, "a snapshot is written and synced; others may not be"),
    point(
        "checkpoint-before-manifest",
        Saving,
        "all snapshots and their names are durable; MANIFEST does not name them",
    ),
    point("checkpoint-after-manifest", Saving, "MANIFEST names the checkpoint; nothing is given back"),
    point(
        "manifest-before-write",
        Saving,
        "a change of MANIFEST is decided; the temporary file is not begun",
    ),
    point("manifest-after-write", Saving, "the temporary file is written and not synced"),
    point("manifest-after-sync", Saving, "the temporary file is synced and not renamed"),
    point("manifest-after-rename", Saving, "MANIFEST is replaced; its name is not synced"),
    point("manifest-after-dir-sync", Saving, "MANIFEST is replaced durably; in memory it is the old one"),
    point(
        "release-before-recycle",
        Saving,
        "some superfluous files are given back, the good segments not yet",
    ),
    point("pool-after-rename", Saving, "a segment is renamed to the pool; the directory is not synced"),
    point("dump-before-rename", Saving, "the dump is written and synced under its temporary name"),
    point("dump-after-rename", Saving, "the dump is in its place, durably"),
    point("close-before-seal", Ending, "everything is written and synced; the logs are not sealed"),
    point("close-after-seal", Ending, "MANIFEST seals the logs; their tails are not truncated"),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn collect(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder of the source").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, found);
            } else {
                let text = fs::read_to_string(&path).expect("source");
                let uses = text.split(concat!("crash_point!", "(\"")).skip(1);
                found.extend(uses.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }

    #[test]
    fn the_list_and_the_source_name_the_same_points() {
        let mut found = Vec::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        found.sort();
        let mut listed: Vec<&str> = POINTS.iter().map(|point| point.name).collect();
        listed.sort_unstable();
        assert_eq!(found, listed);
        listed.dedup();
        assert_eq!(listed.len(), POINTS.len(), "a name stands twice");
    }

    #[test]
    fn each_point_is_in_the_documentation() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/crash-suite.md");
        let text = fs::read_to_string(path).expect("documentation");
        for Point { name, between, .. } in POINTS {
            assert!(text.contains(&format!("| `{name}` | {between} |")), "{name}: docs/crash-suite.md");
        }
    }
}
