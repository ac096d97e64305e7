//! Where every choice of a simulated run comes from: a seed, or the choices of an earlier run.
//!
//! A run is its list of choices. A list that was made shorter or smaller is a run too, a simpler one: whatever is missing
//! counts as 0, and each choice is made so that 0 is the simplest. That is how a failing run is shrunk (MacIver and
//! Donaldson, "Test-Case Reduction via Test-Case Generation", ECOOP 2020).

use crate::random::Random;

/// See the module.
pub struct Choices {
    source: Source,
    made: Vec<u64>,
}

enum Source {
    Seed(Random),
    Earlier(std::vec::IntoIter<u64>),
}

impl Choices {
    pub fn of_seed(seed: u64) -> Choices {
        Choices { source: Source::Seed(Random::new(seed)), made: Vec::new() }
    }

    pub fn again(made: Vec<u64>) -> Choices {
        Choices { source: Source::Earlier(made.into_iter()), made: Vec::new() }
    }

    /// A number below `limit`, which is not 0; 0 stands for what is simplest.
    pub fn below(&mut self, limit: u64) -> u64 {
        let choice = match &mut self.source {
            Source::Seed(random) => random.below(limit),
            Source::Earlier(made) => made.next().unwrap_or(0) % limit,
        };
        self.made.push(choice);
        choice
    }

    /// True once in `times`, where that is not the simplest.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == times - 1
    }

    /// One of these; the first is the simplest.
    pub fn of<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len() as u64) as usize]
    }

    /// All choices so far.
    pub fn made(&self) -> &[u64] {
        &self.made
    }
}
