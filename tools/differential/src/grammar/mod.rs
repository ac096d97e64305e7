//! Command lines from the command table: what stands behind a name follows from the row's syntax, how replies are compared
//! from its tips; [`rules`] says more where that does not suffice.
//!
//! Invariants:
//! 1. Every row is made, or left out with a reason: [`Grammar::new`] fails otherwise.

mod lines;
mod rules;
mod values;

use everfast::command::table::syntax::{self, Arg, Kind};
use everfast::command::{Command, Run, table};

use crate::client::Words;
use crate::compare::How;
use crate::random::Random;
use rules::{Made, Rule};

/// How often a command is drawn that no rule gives a weight: one with keys, any other.
const KEY_WEIGHT: usize = 10;
const OTHER_WEIGHT: usize = 2;

/// What is made of a row.
pub struct Plan {
    row: &'static Command,
    made: Made,
    /// The ways to go on behind the name; one of them is drawn.
    forms: Vec<Vec<Arg>>,
    how: How,
}

impl Plan {
    pub fn name(&self) -> &'static str {
        self.row.name
    }

    fn weight(&self) -> usize {
        match self.made.weight {
            0 if self.row.keys.first > 0 => KEY_WEIGHT,
            0 => OTHER_WEIGHT,
            weight => weight,
        }
    }
}

/// A command line, and how its replies are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub words: Words,
    pub how: How,
}

/// What can be made.
pub struct Grammar {
    plans: Vec<Plan>,
    /// For each plan, the sum of the weights up to it.
    weights: Vec<usize>,
    /// Rows that are left out, with the reason.
    pub left: Vec<(&'static str, &'static str)>,
}

impl Grammar {
    /// From the whole table.
    ///
    /// # Errors
    /// Names the rows that are neither made nor left out with a reason.
    pub fn new() -> Result<Grammar, String> {
        Grammar::of(table().iter().copied())
    }

    fn of(rows: impl Iterator<Item = &'static Command>) -> Result<Grammar, String> {
        let mut grammar = Grammar { plans: Vec::new(), weights: Vec::new(), left: Vec::new() };
        let mut wrong = Vec::new();
        for row in rows {
            match decide(row) {
                Ok(Rule::Made(made)) => match plan(row, made) {
                    Ok(plan) => grammar.add(plan),
                    Err(error) => wrong.push(format!("{}: {error}", row.name)),
                },
                Ok(Rule::Left(reason)) => grammar.left.push((row.name, reason)),
                Err(error) => wrong.push(format!("{}: {error}", row.name)),
            }
        }
        if wrong.is_empty() { Ok(grammar) } else { Err(wrong.join("\n")) }
    }

    /// Only these commands.
    ///
    /// # Errors
    /// Names those that are not made, with the reason.
    pub fn only(mut self, names: &[String]) -> Result<Grammar, String> {
        let plans = std::mem::take(&mut self.plans);
        let is_made = |name: &String| plans.iter().any(|plan| plan.name() == name);
        let wrong: Vec<String> =
            names.iter().filter(|name| !is_made(name)).map(|name| self.why_not(name)).collect();
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        self.weights.clear();
        plans
            .into_iter()
            .filter(|plan| names.iter().any(|name| name == plan.name()))
            .for_each(|plan| self.add(plan));
        Ok(self)
    }

    fn why_not(&self, name: &str) -> String {
        match self.left.iter().find(|(left, _)| *left == name) {
            Some((_, reason)) => format!("{name} is not made: {reason}"),
            None => format!("there is no command {name}"),
        }
    }

    fn add(&mut self, plan: Plan) {
        self.weights.push(self.weights.last().copied().unwrap_or(0) + plan.weight());
        self.plans.push(plan);
    }

    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    fn draw(&self, random: &mut Random) -> &Plan {
        let at = random.below(self.weights.last().copied().expect("some command is made"));
        &self.plans[self.weights.partition_point(|&sum| sum <= at)]
    }
}

/// What the rules say of a row, and what follows from it.
fn decide(row: &'static Command) -> Result<Rule, String> {
    if let Some(rule) = rules::of(row.name) {
        return Ok(rule);
    }
    if matches!(row.run, Run::Container) {
        return Ok(Rule::Left("its subcommands are made"));
    }
    if is_later_than_redis_7_0(row.docs.since) {
        return Ok(Rule::Left("Redis 7.0 does not know it"));
    }
    let made = rules::made();
    Ok(Rule::Made(if row.name.ends_with("|help") { made.how(How::Kind) } else { made }))
}

/// Of a version as `7.2.0`.
pub fn is_later_than_redis_7_0(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) > (Some(7), Some(0))
}

fn plan(row: &'static Command, made: Made) -> Result<Plan, String> {
    let texts = if made.forms.is_empty() { &[row.syntax][..] } else { made.forms };
    let forms = texts.iter().map(|text| syntax::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let name_words = row.name.split('|').count();
    let shortest = forms.iter().map(|form| shortest(form)).min().unwrap_or(0) + name_words;
    let wanted = row.arity.unsigned_abs() as usize;
    if made.forms.is_empty() && !made.nested && shortest != wanted {
        return Err(format!(
            "its arity is {}, but its syntax gives {shortest} words or more: give it a syntax or a rule",
            row.arity
        ));
    }
    let how = made.how.unwrap_or_else(|| match row.docs.tips {
        tips if tips.contains(&"nondeterministic_output_order") => How::AnyOrder(1),
        tips if tips.contains(&"nondeterministic_output") => How::Kind,
        _ => How::Exact,
    });
    Ok(Plan { row, made, forms, how })
}

/// Fewest words that these arguments can be.
fn shortest(args: &[Arg]) -> usize {
    args.iter()
        .filter(|arg| !arg.optional)
        .map(|arg| {
            let token = usize::from(arg.token.is_some());
            match &arg.kind {
                Kind::PureToken => 1,
                Kind::OneOf(args) => {
                    let ways = args.iter().map(|arg| shortest(std::slice::from_ref(arg)));
                    token + ways.min().unwrap_or(0)
                }
                Kind::Block(args) => token + shortest(args),
                _ => token + 1,
            }
        })
        .sum()
}

/// The name of a command that both servers know.
fn known_names(random: &mut Random) -> Vec<u8> {
    loop {
        let row = table()[random.below(table().len())];
        if !is_later_than_redis_7_0(row.docs.since) {
            return row.name.as_bytes().to_vec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use everfast::command::table::reference;

    #[test]
    fn every_command_is_made_or_left_out_with_a_reason() {
        let grammar = Grammar::new().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(grammar.plans.len() + grammar.left.len(), table().len());
        assert!(grammar.left.iter().all(|(_, reason)| reason.len() > 10));
    }

    #[test]
    fn a_row_without_a_syntax_is_noticed() {
        let row = table().iter().find(|row| row.name == "set").unwrap();
        let bare: &'static Command = Box::leak(Box::new(Command {
            name: "nosuch",
            syntax: "",
            subcommands: &[],
            docs: everfast::command::Docs { ..row.docs },
            ..**row
        }));
        let error = Grammar::of([bare].into_iter()).err().unwrap();
        assert!(error.contains("nosuch: its arity is -3"), "{error}");
    }

    #[test]
    fn names_that_are_not_made_are_told() {
        let only = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Grammar::new().unwrap().only(&names)
        };
        let made = only(&["get", "client|list"]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(made.plans.iter().map(Plan::name).collect::<Vec<_>>(), ["get", "client|list"]);
        assert_eq!(
            only(&["get", "nosuch", "client"]).err().as_deref(),
            Some("there is no command nosuch\nclient is not made: its subcommands are made")
        );
    }

    #[test]
    fn rules_are_about_commands_of_redis() {
        for (name, _) in rules::RULES {
            assert!(reference::find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn all_that_is_made_is_drawn() {
        let grammar = Grammar::new().unwrap();
        let mut random = Random::new(1);
        let mut drawn = std::collections::HashSet::new();
        for _ in 0..50_000 {
            drawn.insert(grammar.draw(&mut random).name());
        }
        for plan in &grammar.plans {
            assert!(drawn.contains(plan.name()), "{} is never drawn", plan.name());
        }
    }
}
