//! What may stand behind a command's name, written as one line in its row and read here into a tree.
//!
//! ```text
//! name:type             an argument; types: string integer double key pattern unix-time
//! name:key#1            a key of the second key specification; without a number, of the first
//! TOKEN name:type       an argument behind a fixed word
//! TOKEN, name=TOKEN     a fixed word alone; its name is the word in lower case, unless given
//! name(a | b)           one of several
//! name{a b}             several together
//! [a]                   may be left out
//! a...                  once or more often; `a...*`: with its fixed word each time
//! a@6.2.0 a!2.8.12      since when, until when
//! ```
//!
//! COMMAND DOCS tells the tree to clients, and tests make arguments from it. Its form and the names in it are those of
//! Redis 7.0.
//!
//! Invariants:
//! 1. [`parse`] takes every row of the table: a test reads them all.

use std::borrow::Cow;

/// An argument, or a group of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arg {
    pub name: Cow<'static, str>,
    pub kind: Kind,
    /// The fixed word before it, or, of a [`Kind::PureToken`], the word itself.
    pub token: Option<&'static str>,
    pub optional: bool,
    /// May come several times.
    pub multiple: bool,
    /// Each time with its token.
    pub multiple_token: bool,
    pub since: Option<&'static str>,
    pub deprecated_since: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    String,
    Integer,
    Double,
    /// A key, with the number of its key specification.
    Key(u8),
    /// A pattern; a number if it stands for keys.
    Pattern(Option<u8>),
    UnixTime,
    PureToken,
    OneOf(Vec<Arg>),
    Block(Vec<Arg>),
}

/// Reads the syntax of a row.
///
/// # Errors
/// Says what is wrong and where the text went on.
pub fn parse(text: &'static str) -> Result<Vec<Arg>, String> {
    let mut parser = Parser { rest: text };
    let args = parser.sequence(' ')?;
    if parser.rest.is_empty() { Ok(args) } else { parser.fail("end expected") }
}

struct Parser {
    rest: &'static str,
}

/// What ends a word.
const DELIMITERS: &[char] = &[' ', '|', '(', ')', '{', '}', '[', ']', '@', '!'];

impl Parser {
    fn fail<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("{what} at '{}'", self.rest))
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.take(text) { Ok(()) } else { self.fail(&format!("'{text}' expected")) }
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// Up to a delimiter or the dots of a repetition.
    fn word(&mut self) -> Result<&'static str, String> {
        let end = self.rest.find(DELIMITERS).unwrap_or(self.rest.len());
        let end = self.rest[..end].find("...").unwrap_or(end);
        if end == 0 {
            return self.fail("a word expected");
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(word)
    }

    /// Arguments up to the closing bracket; `separator` stands between them.
    fn sequence(&mut self, separator: char) -> Result<Vec<Arg>, String> {
        let mut args = Vec::new();
        self.spaces();
        while !self.rest.is_empty() && !self.rest.starts_with([')', '}', ']']) {
            args.push(self.arg()?);
            self.spaces();
            if separator == '|' && !self.rest.starts_with(')') {
                self.expect("|")?;
                self.spaces();
            }
        }
        Ok(args)
    }

    fn arg(&mut self) -> Result<Arg, String> {
        if self.take("[") {
            let mut arg = self.arg()?;
            self.expect("]")?;
            arg.optional = true;
            return Ok(arg);
        }
        let word = self.word()?;
        let mut arg = match self.rest.chars().next() {
            Some('(' | '{') => self.group(word)?,
            _ if word.contains(':') => plain(word)?,
            Some(' ') if self.word_follows() => {
                self.spaces();
                let inner = self.word()?;
                let arg = if self.rest.starts_with(['(', '{']) { self.group(inner)? } else { plain(inner)? };
                Arg { token: Some(if word == "\"\"" { "" } else { word }), ..arg }
            }
            _ => pure_token(word),
        };
        self.repetition(&mut arg);
        if self.take("@") {
            arg.since = Some(self.word()?);
        }
        if self.take("!") {
            arg.deprecated_since = Some(self.word()?);
        }
        Ok(arg)
    }

    /// Whether the word behind a fixed word belongs to it: it has a type, or opens a group.
    fn word_follows(&self) -> bool {
        let rest = self.rest.trim_start_matches(' ');
        let end = rest.find(DELIMITERS).unwrap_or(rest.len());
        end > 0
            && (rest[..end].contains(':') || rest[end..].starts_with(['(', '{']))
            && !rest.starts_with('[')
    }

    /// `name(a | b)` or `name{a b}`, its name already read.
    fn group(&mut self, name: &'static str) -> Result<Arg, String> {
        let (separator, close) = if self.take("(") { ('|', ")") } else { (' ', "}") };
        if separator == ' ' {
            self.expect("{")?;
        }
        let args = self.sequence(separator)?;
        self.expect(close)?;
        Ok(new(name, if separator == '|' { Kind::OneOf(args) } else { Kind::Block(args) }))
    }

    fn repetition(&mut self, arg: &mut Arg) {
        arg.multiple = self.take("...");
        arg.multiple_token = arg.multiple && self.take("*");
    }
}

fn new(name: impl Into<Cow<'static, str>>, kind: Kind) -> Arg {
    Arg {
        name: name.into(),
        kind,
        token: None,
        optional: false,
        multiple: false,
        multiple_token: false,
        since: None,
        deprecated_since: None,
    }
}

/// `name:type`, or `name:key#2`. A name may have colons itself.
fn plain(word: &'static str) -> Result<Arg, String> {
    let wrong = || format!("no argument: '{word}'");
    let (name, kind) = word.rsplit_once(':').ok_or_else(wrong)?;
    let (kind, spec) = match kind.split_once('#') {
        Some((kind, number)) => (kind, Some(number.parse::<u8>().map_err(|_| wrong())?)),
        None => (kind, None),
    };
    let kind = match (kind, spec) {
        ("key", spec) => Kind::Key(spec.unwrap_or(0)),
        ("pattern", spec) => Kind::Pattern(spec),
        ("string", None) => Kind::String,
        ("integer", None) => Kind::Integer,
        ("double", None) => Kind::Double,
        ("unix-time", None) => Kind::UnixTime,
        _ => return Err(wrong()),
    };
    Ok(new(name, kind))
}

/// `TOKEN` or `name=TOKEN`.
fn pure_token(word: &'static str) -> Arg {
    let (name, token) = match word.split_once('=') {
        Some(("", _)) | None => (Cow::from(word.to_lowercase()), word),
        Some((name, token)) => (name.into(), token),
    };
    Arg { token: Some(token), ..new(name, Kind::PureToken) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_read() {
        for row in crate::command::table() {
            assert!(parse(row.syntax).is_ok(), "{}: {:?}", row.name, parse(row.syntax));
        }
    }

    #[test]
    fn arguments_have_a_name_a_type_and_a_token() {
        let args =
            parse("ip:port:string [EX seconds:integer@2.6.12] unit(M | longer=KM) key:key#1...* NX").unwrap();
        assert_eq!(args[0], new("ip:port", Kind::String));
        let seconds =
            Arg { token: Some("EX"), since: Some("2.6.12"), optional: true, ..new("seconds", Kind::Integer) };
        assert_eq!(args[1], seconds);
        let units = vec![
            Arg { token: Some("M"), ..new("m", Kind::PureToken) },
            Arg { token: Some("KM"), ..new("longer", Kind::PureToken) },
        ];
        assert_eq!(args[2], new("unit", Kind::OneOf(units)));
        assert_eq!(args[3], Arg { multiple: true, multiple_token: true, ..new("key", Kind::Key(1)) });
        assert_eq!(args[4], Arg { token: Some("NX"), ..new("nx", Kind::PureToken) });
        assert_eq!(args.len(), 5);
    }

    #[test]
    fn groups_stand_in_groups() {
        let args = parse("[set{SET where{a:string} [by(X | Y)]}...!5.0.0]").unwrap();
        let Kind::Block(inner) = &args[0].kind else { panic!("{args:?}") };
        assert!(args[0].optional && args[0].multiple && args[0].deprecated_since == Some("5.0.0"));
        assert_eq!(inner[0].token, Some("SET"));
        assert!(matches!(&inner[0].kind, Kind::Block(args) if args[0].name == "a"));
        assert!(inner[1].optional && matches!(&inner[1].kind, Kind::OneOf(args) if args.len() == 2));
    }

    #[test]
    fn mistakes_are_told() {
        for text in
            ["key:kee", "[a:string", "a(b | c", "a{b:string)", "a:string]", "a:integer#1", "(a)", "a(x y)"]
        {
            assert!(parse(text).is_err(), "{text}: {:?}", parse(text));
        }
    }
}
