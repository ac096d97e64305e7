//! Runs a script on both servers.

use formats::resp::Value;

use crate::client::{Answer, Client, Words};
use crate::compare::{How, same, show, sorted};
use crate::script::{MAX_CONNECTIONS, Script, Step};
use crate::server::Server;
use crate::state;

/// More calls than a walk over the keys of a script takes.
const MAX_WALK: usize = 10_000;

/// Sets back what scripts may have set.
const SETTINGS: &str = "CONFIG SET slowlog-max-len 128 slowlog-log-slower-than 10000 latency-tracking yes";

/// Changes what a server answers: to see that a fault is found.
pub type Distortion = fn(&[Vec<u8>], Answer) -> Answer;

/// One server with the connections of scripts, and one for all else.
pub struct Side {
    server: Server,
    pub control: Client,
    clients: Vec<Client>,
    distortion: Option<Distortion>,
}

/// Redis and ours.
pub struct Pair {
    pub redis: Side,
    pub ours: Side,
    /// Whether both tell a digest of all keys.
    has_digest: bool,
}

/// The first thing that is not the same.
#[derive(Debug)]
pub struct Difference {
    /// The step whose answers differ; none: what the servers hold at the end.
    pub step: Option<usize>,
    pub redis: String,
    pub ours: String,
}

impl Side {
    pub fn new(server: Server) -> Result<Side, String> {
        let control = server.client()?;
        let clients = (0..MAX_CONNECTIONS).map(|_| server.client()).collect::<Result<_, _>>()?;
        Ok(Side { server, control, clients, distortion: None })
    }

    pub fn distorted(self, distortion: Distortion) -> Side {
        Side { distortion: Some(distortion), ..self }
    }

    /// No keys, settings and connections as new.
    fn reset(&mut self) -> Result<(), String> {
        for client in &mut self.clients {
            let is_reset = !client.is_closed()
                && matches!(client.line("RESET").value(), Some(Value::Simple(text)) if text == "RESET");
            if !is_reset {
                *client = self.server.client()?;
            }
        }
        for line in ["FLUSHALL", SETTINGS] {
            match self.control.line(line) {
                Answer::Reply { value: Value::Simple(_), .. } => {}
                answer => return Err(format!("{line} is answered with {answer:?}")),
            }
        }
        Ok(())
    }

    fn client(&mut self, connection: usize) -> Result<&mut Client, String> {
        if self.clients[connection].is_closed() {
            self.clients[connection] = self.server.client()?;
        }
        Ok(&mut self.clients[connection])
    }

    fn receive(&mut self, step: &Step) -> Answer {
        let answer = self.clients[step.connection].receive();
        match self.distortion {
            Some(distort) => distort(&step.line.words, answer),
            None => answer,
        }
    }

    /// Repeats a call with the cursors that it is answered; at the end stands an answer with all elements in order, or the one
    /// that ended the walk.
    fn walk(&mut self, step: &Step, cursor: usize, group: usize) -> Result<Answer, String> {
        let mut words = step.line.words.clone();
        let (mut bytes, mut elements) = (Vec::new(), Vec::new());
        for _ in 0..MAX_WALK {
            let client = self.client(step.connection)?;
            let answer = client.call(&words);
            let Some((next, found)) = answer.value().and_then(walked) else { return Ok(answer) };
            elements.extend(sorted(found, group));
            if next == b"0" {
                elements.sort_unstable();
                elements.dedup(); // a walk may meet a key twice
                bytes.extend_from_slice(format!("all: {elements:?}").as_bytes());
                return Ok(Answer::Reply { bytes, value: Value::Null });
            }
            words[cursor] = next.clone();
        }
        Ok(Answer::Broken("the walk has no end".to_owned()))
    }
}

/// The next cursor, and what was found.
fn walked(value: &Value) -> Option<(&Vec<u8>, &Value)> {
    match value {
        Value::Array(parts) => match &parts[..] {
            [Value::Bulk(cursor), found] => Some((cursor, found)),
            _ => None,
        },
        _ => None,
    }
}

impl Pair {
    pub fn new(redis: Side, ours: Side) -> Pair {
        let mut pair = Pair { redis, ours, has_digest: false };
        pair.has_digest = [&mut pair.redis, &mut pair.ours]
            .into_iter()
            .all(|side| matches!(side.control.line("DEBUG DIGEST").value(), Some(Value::Simple(_))));
        pair
    }

    /// The script on empty servers; what differs first.
    ///
    /// # Errors
    /// A server that cannot be reached.
    pub fn run(&mut self, script: &Script) -> Result<Option<Difference>, String> {
        self.redis.reset().map_err(|error| format!("redis-server: {error}"))?;
        self.ours.reset().map_err(|error| format!("everfast: {error}"))?;
        for piece in script.pieces() {
            let first = piece.start;
            let steps = &script.steps[piece];
            let found = match steps[0].line.how {
                How::Walk { cursor, group } => self.walk(&steps[0], cursor, group)?,
                _ => self.piece(steps)?,
            };
            if let Some(mut difference) = found {
                difference.step = difference.step.map(|step| step + first);
                return Ok(Some(difference));
            }
        }
        state::compare(&mut self.redis.control, &mut self.ours.control, self.has_digest)
    }

    fn piece(&mut self, steps: &[Step]) -> Result<Option<Difference>, String> {
        for side in [&mut self.redis, &mut self.ours] {
            side.client(steps[0].connection)?.send(steps.iter().map(|step| &step.line.words[..]));
        }
        for (index, step) in steps.iter().enumerate() {
            let (redis, ours) = (self.redis.receive(step), self.ours.receive(step));
            if !same(step.line.how, &redis, &ours) {
                return Ok(Some(Difference { step: Some(index), redis: show(&redis), ours: show(&ours) }));
            }
            if redis == Answer::Closed {
                break; // what stands behind is not answered
            }
        }
        Ok(None)
    }

    fn walk(&mut self, step: &Step, cursor: usize, group: usize) -> Result<Option<Difference>, String> {
        let redis = self.redis.walk(step, cursor, group)?;
        let ours = self.ours.walk(step, cursor, group)?;
        let is_same = same(How::Exact, &redis, &ours);
        Ok((!is_same).then(|| Difference { step: Some(0), redis: show(&redis), ours: show(&ours) }))
    }

    /// Whether one of the servers is gone, and which.
    pub fn ended(&mut self) -> Option<&'static str> {
        if self.ours.server.has_ended() {
            return Some("everfast has ended");
        }
        self.redis.server.has_ended().then_some("redis-server has ended")
    }
}

/// The words of a line without quotes.
pub fn words(line: &str) -> Words {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}
