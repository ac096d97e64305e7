//! Makes a failing run as short as it gets: tries runs with fewer and smaller choices, and keeps those that fail too.

/// Most runs that are tried.
const TRIES: usize = 1000;

/// `fails` runs a list of choices, and answers those that it made if it failed. Answers the simplest failing one found.
pub fn shrink(choices: Vec<u64>, fails: impl Fn(&[u64]) -> Option<Vec<u64>>) -> Vec<u64> {
    let mut shrinker = Shrinker { best: choices, tries: 0, fails };
    loop {
        let before = shrinker.best.clone();
        shrinker.cut_the_end();
        shrinker.leave_out();
        shrinker.simplify();
        if shrinker.best == before || shrinker.is_over() {
            return shrinker.best;
        }
    }
}

struct Shrinker<F> {
    best: Vec<u64>,
    tries: usize,
    fails: F,
}

impl<F: Fn(&[u64]) -> Option<Vec<u64>>> Shrinker<F> {
    fn is_over(&self) -> bool {
        self.tries >= TRIES
    }

    fn try_it(&mut self, mut candidate: Vec<u64>) -> bool {
        while candidate.last() == Some(&0) {
            candidate.pop(); // what is missing is 0
        }
        let is_simpler = (candidate.len(), &candidate) < (self.best.len(), &self.best);
        if !is_simpler || self.is_over() {
            return false;
        }
        self.tries += 1;
        let Some(mut made) = (self.fails)(&candidate) else { return false };
        made.truncate(candidate.len()); // what it made beyond them were zeros
        self.best = made;
        true
    }

    fn cut_the_end(&mut self) {
        let mut cut = self.best.len() / 2;
        while cut > 0 {
            let keep = self.best.len().saturating_sub(cut);
            if !self.try_it(self.best[..keep].to_vec()) {
                cut /= 2;
            }
        }
    }

    fn leave_out(&mut self) {
        let mut length = 64;
        while length > 0 {
            let mut start = 0;
            while start + length <= self.best.len() {
                let mut candidate = self.best.clone();
                candidate.drain(start..start + length);
                if !self.try_it(candidate) {
                    start += length;
                }
            }
            length /= 2;
        }
    }

    fn simplify(&mut self) {
        for index in 0..self.best.len() {
            for smaller in [0, 1, self.best.get(index).map_or(0, |value| value / 2)] {
                if self.best.get(index).is_some_and(|value| smaller < *value) {
                    let mut candidate = self.best.clone();
                    candidate[index] = smaller;
                    if self.try_it(candidate) {
                        break;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shrink;

    #[test]
    fn what_does_not_matter_goes_and_what_matters_stays() {
        let noisy: Vec<u64> = (0..200).map(|index| if index == 90 { 77 } else { index % 5 }).collect();
        let fails = |choices: &[u64]| choices.iter().any(|choice| *choice >= 50).then(|| choices.to_vec());
        let shrunk = shrink(noisy, fails);
        assert_eq!(shrunk.len(), 1);
        assert!((50..=77).contains(&shrunk[0]));
    }
}
