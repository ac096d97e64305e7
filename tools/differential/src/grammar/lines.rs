//! Words from a syntax tree, some of them spoiled.

use everfast::command::table::syntax::{Arg, Kind};

use super::values::Pool;
use super::{Grammar, Line, Plan, rules};
use crate::client::Words;
use crate::compare::How;
use crate::random::Random;

/// Of a hundred lines so many are spoiled.
const SPOILED: usize = 9;
/// Of a hundred optional arguments so many are there.
const OPTIONAL: usize = 35;
/// Words that belong nowhere; none of them is a short time.
const STRAY: &[&str] =
    &["", "foo", "-1", "9223372036854775807", "NX", "xx", "GET", "KEEPTTL", "WITHSCORES", "*", "\r\n"];
/// Lines that name no command.
const UNKNOWN: &[&[&str]] = &[
    &["NOSUCH"],
    &["nosuch", "a", "b c", "\r\n"],
    &[""],
    &["GETX", "a"],
    &["\u{1}\u{2}"],
    &["CLIENT", "NOSUCH"],
    &["COMMAND", "nosuch", "x"],
    &["CONFIG", ""],
    &["get"],
    &["CLIENT"],
];

impl Grammar {
    pub fn line(&self, random: &mut Random) -> Line {
        if random.below(300) == 0 {
            let words = random.pick(UNKNOWN).iter().map(|word| word.as_bytes().to_vec()).collect();
            return Line { words, how: How::Exact };
        }
        let plan = self.draw(random);
        let mut words = Maker { plan, random }.line();
        if plan.made.nested {
            words.extend(self.inner(plan, random));
        }
        if !plan.made.whole && random.percent(SPOILED) {
            spoil(&mut words, random);
        }
        Line { how: how(plan.how, &words), words }
    }

    /// A line that is the argument of another one.
    fn inner(&self, outer: &Plan, random: &mut Random) -> Words {
        loop {
            let plan = self.draw(random);
            if !plan.made.nested && !outer.made.without.contains(&plan.name()) {
                return Maker { plan, random }.line();
            }
        }
    }
}

/// Only a walk from the beginning sees everything.
fn how(how: How, words: &Words) -> How {
    match how {
        How::Walk { cursor, .. } if words.get(cursor).is_none_or(|word| word != b"0") => How::Kind,
        how => how,
    }
}

/// Takes away, doubles, adds or changes a word behind the name.
fn spoil(words: &mut Words, random: &mut Random) {
    let stray = random.pick(STRAY).as_bytes().to_vec();
    let at = 1 + random.below(words.len());
    match random.below(5) {
        0 if at < words.len() => drop(words.remove(at)),
        1 if at < words.len() => words.insert(at, words[at].clone()),
        2 if at < words.len() => words[at] = stray,
        3 => drop(words.pop().filter(|_| words.len() > 1)),
        _ => words.insert(at, stray),
    }
    if words.is_empty() {
        words.push(b"GET".to_vec());
    }
}

struct Maker<'a> {
    plan: &'a Plan,
    random: &'a mut Random,
}

impl Maker<'_> {
    fn line(&mut self) -> Words {
        let mut words: Words = self.plan.name().split('|').map(|word| self.in_some_case(word)).collect();
        let form = &self.plan.forms[self.random.below(self.plan.forms.len())];
        self.sequence(form, &mut words);
        words
    }

    fn in_some_case(&mut self, word: &str) -> Vec<u8> {
        match self.random.below(20) {
            0..3 => word.to_lowercase().into_bytes(),
            3 => word
                .bytes()
                .map(|byte| if self.random.percent(50) { byte.to_ascii_lowercase() } else { byte })
                .collect(),
            _ => word.to_uppercase().into_bytes(),
        }
    }

    /// Arguments one behind the other; options, which a fixed word begins, in any order among themselves.
    fn sequence(&mut self, args: &[Arg], words: &mut Words) {
        let mut options: Vec<Words> = Vec::new();
        let mut forced = None;
        for arg in args {
            if arg.optional && !self.random.percent(OPTIONAL) {
                continue;
            }
            if !(arg.optional && begins_with_token(arg)) {
                self.flush(&mut options, words);
                if arg.name == "numkeys" {
                    forced = Some(self.number_of_keys(words));
                } else {
                    self.argument(arg, forced.take_if(|_| arg.multiple), words);
                }
                continue;
            }
            let mut option = Words::new();
            self.argument(arg, None, &mut option);
            if self.random.below(40) == 0 {
                options.push(option.clone());
            }
            options.push(option);
        }
        self.flush(&mut options, words);
    }

    fn flush(&mut self, options: &mut Vec<Words>, words: &mut Words) {
        while !options.is_empty() {
            let next = if self.random.percent(30) { self.random.below(options.len()) } else { 0 };
            words.extend(options.remove(next));
        }
    }

    /// Writes how many keys follow, and answers how many shall; seldom they differ.
    fn number_of_keys(&mut self, words: &mut Words) -> usize {
        let count = self.random.several(50, 4);
        words.push(match self.random.below(12) {
            0 => Pool::Integer.draw(self.random),
            _ => count.to_string().into_bytes(),
        });
        count
    }

    fn argument(&mut self, arg: &Arg, times: Option<usize>, words: &mut Words) {
        let times = match times {
            Some(times) => times,
            None if arg.multiple => self.random.several(55, 6),
            None => 1,
        };
        for time in 0..times {
            if let Some(token) = arg.token.filter(|_| time == 0 || arg.multiple_token) {
                words.push(self.in_some_case(token));
            }
            match &arg.kind {
                Kind::PureToken => {}
                Kind::OneOf(ways) => {
                    let way = &ways[self.random.below(ways.len())];
                    self.argument(way, None, words);
                }
                Kind::Block(args) => self.sequence(args, words),
                kind => words.push(self.pool(&arg.name, kind).draw(self.random)),
            }
        }
    }

    /// By the command and the argument's name, by the name, or by the type.
    fn pool(&self, name: &str, kind: &Kind) -> Pool {
        let own = self.plan.made.pools.iter().find(|(of, _)| *of == name).map(|(_, pool)| *pool);
        own.or_else(|| rules::pool(name).filter(|_| !matches!(kind, Kind::Key(_)))).unwrap_or(match kind {
            Kind::Key(_) => Pool::Key,
            Kind::Integer => Pool::Integer,
            Kind::Double => Pool::Double,
            Kind::Pattern(_) => Pool::Pattern,
            Kind::UnixTime => Pool::Moment,
            _ => Pool::Value,
        })
    }
}

/// Whether a fixed word says where it begins, so that its place among others is free.
fn begins_with_token(arg: &Arg) -> bool {
    arg.token.is_some()
        || match &arg.kind {
            Kind::OneOf(args) => args.iter().all(begins_with_token),
            Kind::Block(args) => args.first().is_some_and(begins_with_token),
            _ => false,
        }
}
