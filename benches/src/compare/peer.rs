//! A server that takes part: its name and how it is started.

use std::path::Path;

use super::scenario::Policy;

/// What a peer is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    OneShard,
    TwoShards,
    Baseline,
    /// Measured where the baseline is, and shown beside it.
    Other,
}

/// A server's name and its command line, one template per argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub name: String,
    pub role: Role,
    arguments: Vec<String>,
}

/// What all that understand Redis' options are started with. No rewrites and no save points: they would come at another time
/// in each server.
const REDIS_OPTIONS: &str = "--port {port} --dir {dir} --bind 127.0.0.1 --appendonly yes --appendfsync {appendfsync} \
    --save '' --auto-aof-rewrite-percentage 0";

impl Peer {
    pub fn redis(program: &str) -> Peer {
        Peer::new("redis", program, REDIS_OPTIONS)
    }

    pub fn everfast(program: &Path, shards: usize) -> Peer {
        let name = format!("everfast, {shards} shard{}", if shards == 1 { "" } else { "s" });
        Peer::new(&name, &program.to_string_lossy(), &format!("{REDIS_OPTIONS} --shards {shards}"))
    }

    fn new(name: &str, program: &str, options: &str) -> Peer {
        let arguments = std::iter::once(program.to_owned()).chain(split_words(options)).collect();
        Peer { name: name.to_owned(), role: Role::Other, arguments }
    }

    /// From `name=command line`.
    pub fn parse(text: &str) -> Result<Peer, String> {
        let (name, command) =
            text.split_once('=').ok_or_else(|| format!("--peer {text}: not NAME=COMMAND"))?;
        let arguments = split_words(command);
        if name.is_empty() || arguments.is_empty() {
            return Err(format!("--peer {text}: not NAME=COMMAND"));
        }
        if !command.contains("{port}") {
            return Err(format!("--peer {text}: the command does not say {{port}}"));
        }
        Ok(Peer { name: name.to_owned(), role: Role::Other, arguments })
    }

    pub fn playing(self, role: Role) -> Peer {
        Peer { role, ..self }
    }

    pub fn named(self, name: String) -> Peer {
        Peer { name, ..self }
    }

    /// Whether this is our server.
    pub fn is_ours(&self) -> bool {
        matches!(self.role, Role::OneShard | Role::TwoShards)
    }

    /// The command line with its placeholders, for people to read.
    pub fn template(&self) -> String {
        let quoted = |word: &String| if word.is_empty() { "''".to_owned() } else { word.clone() };
        self.arguments.iter().map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// Program and arguments with the placeholders filled in.
    pub fn command_line(&self, port: u16, dir: &Path, policy: Policy) -> Vec<String> {
        let fill = |argument: &String| {
            argument
                .replace("{port}", &port.to_string())
                .replace("{dir}", &dir.to_string_lossy())
                .replace("{appendfsync}", policy.appendfsync())
        };
        self.arguments.iter().map(fill).collect()
    }
}

/// Splits at blanks, except within single or double quotes.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_in_a_shell() {
        assert_eq!(split_words("a  'b c' d\"e f\" ''"), ["a", "b c", "de f", ""]);
        assert!(split_words("  ").is_empty());
    }

    #[test]
    fn a_peer_is_a_name_and_a_template() {
        let peer = Peer::parse("other=server -p {port} -d={dir} --sync {appendfsync}").unwrap();
        let line = peer.command_line(7000, Path::new("/a b"), Policy::Always);
        assert_eq!(line, ["server", "-p", "7000", "-d=/a b", "--sync", "always"]);
        for text in ["server {port}", "=server {port}", "a=", "a=server"] {
            assert!(Peer::parse(text).is_err(), "{text}");
        }
    }
}
