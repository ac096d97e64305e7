//! The name that was probably meant.

/// That of `known` which is nearest to `name`, if one is near enough to be worth a hint.
///
/// Nearness is the number of single-letter insertions, deletions, replacements and swaps of neighbours (optimal string
/// alignment, a restricted Damerau–Levenshtein distance). Up to a third of the letters may be wrong. Failing that, a
/// name that starts as this one does. The work is the product of the lengths: cut off what nobody would type.
pub fn nearest_name<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let allowed = (name.len() / 3).max(1);
    let rank = |candidate: &'a str| {
        let distance = distance(name.as_bytes(), candidate.as_bytes());
        let begins = name.len() >= 4 && candidate.starts_with(&name);
        (distance <= allowed || begins).then_some((distance, candidate))
    };
    known.filter_map(rank).min().map(|(_, candidate)| candidate)
}

fn distance(a: &[u8], b: &[u8]) -> usize {
    // Three rows of the usual table: two rows back (for swaps), one row back, and the one being filled.
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = last.clone();
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "abd", 1), ("abc", "acb", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        }
    }

    #[test]
    fn finds_what_was_meant() {
        let known = ["appendfsync", "appendonly", "maxmemory", "maxclients", "dir", "port"];
        let cases = [
            ("appendfsnc", Some("appendfsync")),
            ("APPENDFSYNK", Some("appendfsync")),
            ("max-clients", Some("maxclients")),
            ("maxmem", Some("maxmemory")),
            ("prot", Some("port")),
            ("frobnicate", None),
            ("x", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest_name(name, known.into_iter()), expected, "{name}");
        }
    }
}
