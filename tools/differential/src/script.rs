//! Command lines on several connections, all from a seed.

use std::fmt::{self, Display, Write};

use crate::compare::How;
use crate::grammar::{Grammar, Line};
use crate::random::Random;

/// Most connections of a script.
pub const MAX_CONNECTIONS: usize = 3;
/// Of a hundred lines so many change the connection.
const CHANGES: usize = 12;
/// Of a hundred lines so many are sent together with the one before.
const JOINED: usize = 88;

#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub connection: usize,
    pub line: Line,
    /// Sent in one piece with the step before, if that is on the same connection.
    pub joined: bool,
}

impl Step {
    /// Whether it must be sent alone: it asks again by what it is answered.
    pub fn is_alone(&self) -> bool {
        matches!(self.line.how, How::Walk { .. })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    pub steps: Vec<Step>,
}

impl Script {
    /// The script of a number within a campaign.
    pub fn new(grammar: &Grammar, seed: u64, number: u64, length: usize) -> Script {
        let mut random = Random::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number);
        random.next();
        let connections = 1 + random.below(MAX_CONNECTIONS);
        let mut steps = Vec::with_capacity(length + connections);
        for connection in 0..connections {
            if random.percent(50) {
                let words = vec![b"HELLO".to_vec(), b"3".to_vec()];
                steps.push(Step { connection, line: Line { words, how: How::Kind }, joined: false });
            }
        }
        // Scripts differ in how much they put into one piece.
        let joined = *random.pick(&[0, JOINED, JOINED, 97]);
        let mut connection = 0;
        for _ in 0..length {
            if random.percent(CHANGES) {
                connection = random.below(connections);
            }
            steps.push(Step { connection, line: grammar.line(&mut random), joined: random.percent(joined) });
        }
        Script { steps }
    }

    /// Ranges of steps that are sent in one piece.
    pub fn pieces(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let mut start = 0;
        std::iter::from_fn(move || {
            let first = self.steps.get(start)?;
            let mut end = start + 1;
            while !first.is_alone()
                && self.steps.get(end).is_some_and(|step| {
                    step.joined && step.connection == first.connection && !step.is_alone()
                })
            {
                end += 1;
            }
            let piece = start..end;
            start = end;
            Some(piece)
        })
    }
}

/// As one types it; a line that is sent together with the one before begins with `+`.
impl Display for Script {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = self.steps.iter().any(|step| step.connection > 0);
        for piece in self.pieces() {
            for index in piece.clone() {
                let step = &self.steps[index];
                out.write_char(if index > piece.start { '+' } else { ' ' })?;
                if several {
                    write!(out, "{}> ", step.connection)?;
                }
                writeln!(out, "{}", typed(&step.line))?;
            }
        }
        Ok(())
    }
}

/// A line with quotes where they are needed.
pub fn typed(line: &Line) -> String {
    let word = |word: &Vec<u8>| {
        let is_plain =
            !word.is_empty() && word.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(byte));
        if is_plain {
            return String::from_utf8_lossy(word).into_owned();
        }
        let mut text = String::from("\"");
        for &byte in word {
            match byte {
                b'"' | b'\\' => text.extend(['\\', char::from(byte)]),
                b'\r' => text += "\\r",
                b'\n' => text += "\\n",
                0x20..=0x7e => text.push(char::from(byte)),
                byte => text += &format!("\\x{byte:02x}"),
            }
        }
        text + "\""
    };
    line.words.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(connection: usize, joined: bool, how: How) -> Step {
        Step { connection, joined, line: Line { words: vec![b"GET".to_vec(), b"a\r \"\xff".to_vec()], how } }
    }

    #[test]
    fn a_seed_repeats_its_script_and_another_one_does_not() {
        let grammar = Grammar::new().unwrap();
        assert_eq!(Script::new(&grammar, 7, 3, 50), Script::new(&grammar, 7, 3, 50));
        assert_ne!(Script::new(&grammar, 7, 3, 50), Script::new(&grammar, 7, 4, 50));
        assert_ne!(Script::new(&grammar, 7, 3, 50), Script::new(&grammar, 8, 3, 50));
    }

    #[test]
    fn pieces_end_where_the_connection_changes_and_around_walks() {
        let walk = How::Walk { cursor: 1, group: 1 };
        let steps = vec![
            step(0, true, How::Exact),
            step(0, true, How::Exact),
            step(1, true, How::Exact),
            step(1, true, walk),
            step(1, true, How::Exact),
            step(1, false, How::Exact),
        ];
        let script = Script { steps };
        assert_eq!(script.pieces().collect::<Vec<_>>(), [0..2, 2..3, 3..4, 4..5, 5..6]);
        assert!(script.to_string().starts_with(" 0> GET \"a\\r \\\"\\xff\"\n+0> GET"), "{script}");
    }
}
