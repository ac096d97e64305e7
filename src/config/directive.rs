//! What a directive is: its name, its kind, and how its value goes from text into [`Config`] and back.
//!
//! Invariants:
//! 1. Parsing either sets the value or leaves the configuration as it was.
//! 2. What formatting gives parses back to the same value (a test goes over every row of the table).

use super::Config;
use super::line::quote;
use super::value::{bytes_with_unit, parse_bytes, parse_choice, parse_integer, parse_yes_no, yes_no};

/// One row of the table.
pub struct Directive {
    /// As in the file, as a flag (behind `--`) and for CONFIG GET.
    pub name: &'static str,
    /// Under which heading `--help` shows it.
    pub group: Group,
    /// Whether CONFIG SET may change it.
    pub change: Change,
    /// What its value is counted in or looks like: the placeholder in `--help`.
    pub unit: &'static str,
    pub kind: Kind,
    /// What it means, in one line.
    pub meaning: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    AtStart,
    AtRuntime,
    /// A flag of one start: no file has it, CONFIG SET does not change it, CONFIG REWRITE does not keep it.
    ThisStart,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    General,
    Network,
    Clients,
    Monitoring,
    Durability,
    Snapshots,
    Memory,
    /// Accepted with one value only, so that the files of Redis users start.
    Fixed,
}

impl Group {
    pub const fn heading(self) -> &'static str {
        match self {
            Group::General => "General",
            Group::Network => "Network",
            Group::Clients => "Clients",
            Group::Monitoring => "Monitoring",
            Group::Durability => "Durability",
            Group::Snapshots => "Snapshots",
            Group::Memory => "Memory",
            Group::Fixed => "Fixed",
        }
    }
}

/// How a value is read, checked and written.
pub enum Kind {
    YesNo {
        get: fn(&Config) -> bool,
        set: fn(&mut Config, bool),
    },
    Integer {
        min: i64,
        max: i64,
        get: fn(&Config) -> i64,
        set: fn(&mut Config, i64),
    },
    Bytes {
        min: u64,
        max: u64,
        get: fn(&Config) -> u64,
        set: fn(&mut Config, u64),
    },
    /// One of `words`; the value is the word's index.
    Choice {
        words: &'static [&'static str],
        get: fn(&Config) -> usize,
        set: fn(&mut Config, usize),
    },
    /// Only this one value is possible here; `why` tells someone who wants another.
    Only {
        word: &'static str,
        why: &'static str,
    },
    /// One argument with rules of its own.
    Text {
        parse: fn(&mut Config, &[u8]) -> Result<(), String>,
        format: fn(&Config) -> Vec<u8>,
    },
    /// Any number of arguments. In the file they may be spread over several lines, as `lines` writes them; with
    /// `gathers` such lines add up (an empty one starts anew), else each is parsed for itself.
    List {
        parse: fn(&mut Config, &[Vec<u8>]) -> Result<(), String>,
        lines: fn(&Config) -> Vec<String>,
        gathers: bool,
    },
}

impl Directive {
    /// Sets the value from the arguments behind the name, checking them.
    pub fn parse(&self, config: &mut Config, args: &[Vec<u8>]) -> Result<(), String> {
        if let Kind::List { parse, .. } = self.kind {
            return parse(config, args);
        }
        if let Kind::Only { word, why } = self.kind {
            return if is_only(args, word) { Ok(()) } else { Err(unsupported(word, why)) };
        }
        let [arg] = args else { return Err(wrong_count(args)) };
        match self.kind {
            Kind::YesNo { set, .. } => set(config, parse_yes_no(arg)?),
            Kind::Integer { min, max, set, .. } => set(config, parse_integer(arg, min, max)?),
            Kind::Bytes { min, max, set, .. } => set(config, parse_bytes(arg, min, max)?),
            Kind::Choice { words, set, .. } => set(config, parse_choice(arg, words)?),
            Kind::Text { parse, .. } => parse(config, arg)?,
            Kind::Only { .. } | Kind::List { .. } => {}
        }
        Ok(())
    }

    /// Sets the value from one text, as CONFIG SET and a flag give it: a list's arguments stand in it between blanks.
    pub fn parse_text(&self, config: &mut Config, text: &[u8]) -> Result<(), String> {
        self.parse(config, &self.split(text))
    }

    pub(super) fn split(&self, text: &[u8]) -> Vec<Vec<u8>> {
        match self.kind {
            Kind::List { .. } => {
                let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                words.map(<[u8]>::to_vec).collect()
            }
            _ => vec![text.to_vec()],
        }
    }

    /// The value as CONFIG GET shows it: sizes as plain numbers, lists between blanks.
    pub fn format(&self, config: &Config) -> Vec<u8> {
        match self.kind {
            Kind::YesNo { get, .. } => yes_no(get(config)).into(),
            Kind::Integer { get, .. } => get(config).to_string().into(),
            Kind::Bytes { get, .. } => get(config).to_string().into(),
            Kind::Choice { words, get, .. } => words[get(config)].into(),
            Kind::Only { word, .. } => word.into(),
            Kind::Text { format, .. } => format(config),
            Kind::List { lines, .. } => lines(config).join(" ").into(),
        }
    }

    /// The value as lines of a file, sizes with units. At least one.
    pub fn file_lines(&self, config: &Config) -> Vec<Vec<u8>> {
        let values: Vec<Vec<u8>> = match self.kind {
            Kind::Bytes { get, .. } => vec![bytes_with_unit(get(config)).into()],
            Kind::List { lines, .. } => lines(config).into_iter().map(String::into_bytes).collect(),
            _ => vec![quote(&self.format(config))],
        };
        let values = if values.is_empty() { vec![quote(b"")] } else { values };
        values.iter().map(|value| [self.name.as_bytes(), b" ", value].concat()).collect()
    }

    /// The default as a person would write it: sizes with units, `dir` as it is given, nothing as `""`.
    pub fn default_text(&self) -> String {
        let config = Config::default();
        let text = match self.kind {
            Kind::Bytes { get, .. } => bytes_with_unit(get(&config)).into(),
            Kind::List { .. } if !self.format(&config).is_empty() => self.format(&config),
            // CONFIG GET shows the absolute path, which differs from directory to directory.
            Kind::Text { .. } if self.name == "dir" => config.dir.into_os_string().into_encoded_bytes(),
            _ => quote(&self.format(&config)),
        };
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Whether its lines in a file add up.
    pub fn gathers(&self) -> bool {
        matches!(self.kind, Kind::List { gathers: true, .. })
    }

    pub fn takes_many(&self) -> bool {
        matches!(self.kind, Kind::List { .. })
    }
}

fn unsupported(word: &str, why: &str) -> String {
    match word {
        "" => format!("known to Redis, not supported by Everfast: {why}"),
        word => format!("known to Redis, only '{word}' is supported by Everfast: {why}"),
    }
}

/// Whether these arguments mean the one value that is possible: the same words, or the same size.
fn is_only(args: &[Vec<u8>], word: &str) -> bool {
    let text = args.join(&b' ');
    let size = |text: &[u8]| parse_bytes(text, 0, u64::MAX).ok();
    text.eq_ignore_ascii_case(word.as_bytes())
        || size(&text).is_some_and(|bytes| size(word.as_bytes()) == Some(bytes))
}

fn wrong_count(args: &[Vec<u8>]) -> String {
    let comment = args.iter().any(|arg| arg.starts_with(b"#"));
    let hint = if comment { " (a comment needs a line of its own)" } else { "" };
    format!("wrong number of arguments{hint}")
}

#[cfg(test)]
mod tests {
    use super::is_only;

    fn words(text: &str) -> Vec<Vec<u8>> {
        text.split(' ').map(|word| word.into()).collect()
    }

    #[test]
    fn the_one_value_may_be_written_in_several_ways() {
        assert!(is_only(&words("YES"), "yes") && is_only(&words("0 200 800"), "0 200 800"));
        assert!(is_only(&words("1mb"), "1048576") && is_only(&words(""), ""));
        assert!(!is_only(&words("no"), "yes") && !is_only(&words("2mb"), "1048576"));
        assert!(!is_only(&words("0 200"), "0 200 800") && !is_only(&words("x"), ""));
    }
}
