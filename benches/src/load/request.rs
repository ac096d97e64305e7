//! What a connection sends: one command, repeated for the depth of the pipeline, encoded once. Each batch only has its keys'
//! digits and its random values written anew.

use formats::resp::encode_command;

use super::control::Control;
use super::random::Random;

/// `key:` and twelve digits: 16 bytes.
const KEY_PREFIX: &str = "key:";
const KEY_DIGITS: usize = 12;
const KEY_LIMIT: u64 = 1_000_000_000_000;

/// Order in which keys are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    Random,
    /// 0, 1, 2 … across all connections of a run: each key once, to fill a server.
    Ascending,
}

/// The command cannot be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the command is empty")]
    Empty,
    #[error("keys must be 1 to {KEY_LIMIT}, not {0}")]
    Keys(u64),
    #[error("a batch must hold at least one command")]
    Pipeline,
}

/// A batch of equal commands and the source of its keys.
pub struct Requests {
    batch: Vec<u8>,
    /// Where each key's digits begin, in order.
    digits_at: Vec<usize>,
    /// Where each random value begins, in order.
    values_at: Vec<usize>,
    value_bytes: usize,
    command_bytes: usize,
    keys_per_command: usize,
    values_per_command: usize,
    pipeline: usize,
    keys: u64,
    order: KeyOrder,
    random: Random,
}

impl Requests {
    pub fn new(
        command: &str,
        pipeline: usize,
        keys: u64,
        order: KeyOrder,
        value_bytes: usize,
        seed: u64,
    ) -> Result<Self, TemplateError> {
        if keys == 0 || keys > KEY_LIMIT {
            return Err(TemplateError::Keys(keys));
        }
        if pipeline == 0 {
            return Err(TemplateError::Pipeline);
        }
        let value = value_of(value_bytes);
        let key = format!("{KEY_PREFIX}{}", "0".repeat(KEY_DIGITS));
        let words: Vec<&str> = command.split_whitespace().collect();
        if words.is_empty() {
            return Err(TemplateError::Empty);
        }
        let args: Vec<&str> = words
            .iter()
            .map(|&word| match word {
                "{key}" => key.as_str(),
                "{value}" | "{random}" => value.as_str(),
                literal => literal,
            })
            .collect();
        let mut one = Vec::new();
        encode_command(&mut one, &args);
        let keys_at: Vec<usize> =
            offsets(&words, &args, "{key}").iter().map(|at| at + KEY_PREFIX.len()).collect();
        let values_at = offsets(&words, &args, "{random}");
        let length = one.len();
        let repeated = |offsets: &[usize]| -> Vec<usize> {
            (0..pipeline).flat_map(|n| offsets.iter().map(move |at| at + n * length)).collect()
        };
        Ok(Requests {
            digits_at: repeated(&keys_at),
            values_at: repeated(&values_at),
            value_bytes,
            command_bytes: length,
            keys_per_command: keys_at.len(),
            values_per_command: values_at.len(),
            pipeline,
            keys,
            order,
            random: Random::new(seed),
            batch: one.repeat(pipeline),
        })
    }

    /// Commands in a full batch.
    pub fn pipeline(&self) -> usize {
        self.pipeline
    }

    /// The bytes of the first `commands` of the batch, with the keys that were drawn last.
    pub fn bytes(&self, commands: usize) -> &[u8] {
        &self.batch[..commands * self.command_bytes]
    }

    pub(super) fn whole(&self) -> &[u8] {
        &self.batch
    }

    /// Draws new keys and random values for the first `commands` of the batch.
    pub(super) fn draw(&mut self, commands: usize, control: &Control) {
        let count = commands * self.keys_per_command;
        let mut ascending = match self.order {
            KeyOrder::Ascending if count > 0 => control.take_keys(count as u64),
            _ => 0,
        };
        for index in 0..count {
            let key = match self.order {
                KeyOrder::Random => self.random.below(self.keys),
                KeyOrder::Ascending => {
                    ascending += 1;
                    (ascending - 1) % self.keys
                }
            };
            let at = self.digits_at[index];
            write_digits(&mut self.batch[at..at + KEY_DIGITS], key, self.keys);
        }
        for &at in &self.values_at[..commands * self.values_per_command] {
            self.random.fill_text(&mut self.batch[at..at + self.value_bytes]);
        }
    }
}

/// Text that neither repeats at short distance nor differs between runs.
fn value_of(bytes: usize) -> String {
    (0..bytes).map(|n| char::from(b'a' + (n * 7 + n / 26) as u8 % 26)).collect()
}

fn one_len(args: &[&str]) -> usize {
    let mut bytes = Vec::new();
    encode_command(&mut bytes, args);
    bytes.len()
}

/// Where the text of each argument that the template calls `wanted` begins in the encoded command.
fn offsets(words: &[&str], args: &[&str], wanted: &str) -> Vec<usize> {
    let mut offsets = Vec::new();
    for (index, &word) in words.iter().enumerate() {
        if word == wanted {
            // The array's head counts all arguments, so what precedes is measured as: everything, less the arguments from here.
            let rest: usize = args[index..].iter().map(|arg| one_len(&[arg]) - "*1\r\n".len()).sum();
            let bulk_head = format!("${}\r\n", args[index].len()).len();
            offsets.push(one_len(args) - rest + bulk_head);
        }
    }
    offsets
}

/// Writes the lower digits that keys below `keys` can have; the leading zeros stand there already.
fn write_digits(digits: &mut [u8], mut key: u64, keys: u64) {
    let mut largest = keys - 1;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (key % 10) as u8;
        key /= 10;
        largest /= 10;
        if largest == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::control::Phase;
    use super::*;

    fn text(requests: &Requests, commands: usize) -> String {
        String::from_utf8(requests.bytes(commands).to_vec()).unwrap()
    }

    #[test]
    fn keys_land_in_their_places() {
        let control = Control::new(Phase::Measured, u64::MAX);
        let mut requests =
            Requests::new("MSET {key} {value} {key} x", 2, 1000, KeyOrder::Ascending, 3, 1).unwrap();
        requests.draw(2, &control);
        let command = |a: u32, b: u32| {
            let value = value_of(3);
            format!(
                "*5\r\n$4\r\nMSET\r\n$16\r\nkey:{a:012}\r\n$3\r\n{value}\r\n$16\r\nkey:{b:012}\r\n$1\r\nx\r\n"
            )
        };
        assert_eq!(text(&requests, 2), command(0, 1) + &command(2, 3));
        requests.draw(1, &control);
        assert_eq!(text(&requests, 1), command(4, 5));
    }

    #[test]
    fn random_keys_stay_in_range_and_spread() {
        let control = Control::new(Phase::Measured, u64::MAX);
        let mut requests = Requests::new("GET {key}", 100, 50, KeyOrder::Random, 0, 7).unwrap();
        let mut seen = [false; 50];
        for _ in 0..20 {
            requests.draw(100, &control);
            for line in text(&requests, 100).lines().filter(|line| line.starts_with("key:")) {
                seen[line[4..].parse::<usize>().unwrap()] = true;
            }
        }
        assert!(seen.iter().all(|&seen| seen), "{seen:?}");
    }

    #[test]
    fn random_values_are_drawn_for_each_command() {
        let control = Control::new(Phase::Measured, u64::MAX);
        let mut requests =
            Requests::new("SET {key} {random} EX 9", 2, 1000, KeyOrder::Ascending, 24, 1).unwrap();
        let mut seen = Vec::new();
        for _ in 0..2 {
            requests.draw(2, &control);
            let text = text(&requests, 2);
            let lines: Vec<&str> = text.split("\r\n").collect();
            assert_eq!((lines[3], lines[5], lines[7], lines[9]), ("$16", "$24", "$2", "$1"), "{text}");
            seen.extend([lines[6].to_owned(), lines[17].to_owned()]);
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert!(seen.iter().all(|value| value.len() == 24));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let new =
            |command, pipeline, keys| Requests::new(command, pipeline, keys, KeyOrder::Random, 1, 1).err();
        assert_eq!(new(" ", 1, 1), Some(TemplateError::Empty));
        assert_eq!(new("GET {key}", 0, 1), Some(TemplateError::Pipeline));
        assert_eq!(new("GET {key}", 1, 0), Some(TemplateError::Keys(0)));
    }
}
