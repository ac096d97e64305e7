//! `seeds.txt`: the seeds that once found something.
//!
//! ```text
//! # a comment
//! subsets 12345 # what it once found
//! ```

/// A round that once failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    pub family: String,
    pub seed: u64,
}

/// Reads `seeds.txt`.
///
/// # Errors
/// A line that is none, or a family that is none of `known`.
pub fn parse_seeds(text: &str, known: &[&str]) -> Result<Vec<Seed>, String> {
    let mut seeds = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        let wrong = |why: &str| format!("seeds.txt, line {}: {why}: {line}", index + 1);
        match words.as_slice() {
            [] => {}
            [family, seed] => {
                if !known.contains(family) {
                    return Err(wrong("no such family"));
                }
                let seed = seed.parse().map_err(|_| wrong("not a seed"))?;
                seeds.push(Seed { family: (*family).to_owned(), seed });
            }
            _ => return Err(wrong("expected a family and a seed")),
        }
    }
    Ok(seeds)
}
