//! One thread of the generator: an epoll loop over its connections, with one send and one receive per batch.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::control::{Control, Phase};
use super::{LoadError, Outcome, ReplyCounter, Requests, Workload, new_histogram};

const READ_BUFFER_BYTES: usize = 64 * 1024;
/// How late a thread that hears nothing sees a change of phase.
const TICK: Duration = Duration::from_millis(20);
/// A server that says nothing for so long has hung.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// A workload with a rate makes up for what it missed in this time.
const CATCH_UP: Duration = Duration::from_secs(1);

struct Connection {
    token: usize,
    stream: TcpStream,
    requests: Requests,
    replies: ReplyCounter,
    /// Commands of the batch at hand whose reply has not come.
    awaited: u64,
    /// Bytes of the batch at hand that the kernel has not taken.
    unsent: usize,
    batch_bytes: usize,
    sent_at: Instant,
    /// When the next batch may be sent, where there is a rate.
    due: Instant,
}

/// Runs `clients` connections until the phase is over or no commands are left.
pub(super) fn work(
    workload: &Workload,
    clients: usize,
    seed: u64,
    control: &Control,
) -> Result<Outcome, LoadError> {
    let poll = Poll::new().map_err(LoadError::io("epoll"))?;
    let mut connections = Vec::with_capacity(clients);
    for index in 0..clients {
        connections.push(connect(workload, index, seed.wrapping_add(index as u64), &poll)?);
    }
    let worker = Worker {
        control,
        phase: control.phase(),
        measured_from: Instant::now(),
        outcome: Outcome::new(),
        read_buffer: vec![0; READ_BUFFER_BYTES],
        busy: 0,
        interval: workload.interval(),
        put_off: VecDeque::new(),
    };
    worker.run(poll, connections)
}

fn connect(workload: &Workload, index: usize, seed: u64, poll: &Poll) -> Result<Connection, LoadError> {
    let stream = std::net::TcpStream::connect(workload.address).map_err(LoadError::io("connect"))?;
    stream.set_nodelay(true).map_err(LoadError::io("TCP_NODELAY"))?;
    stream.set_nonblocking(true).map_err(LoadError::io("O_NONBLOCK"))?;
    let mut stream = TcpStream::from_std(stream);
    poll.registry()
        .register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)
        .map_err(LoadError::io("epoll"))?;
    let requests = Requests::new(
        &workload.command,
        workload.pipeline,
        workload.keys,
        workload.key_order,
        workload.value_bytes,
        // Neighbouring seeds must not give neighbouring keys.
        seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ workload.seed.rotate_left(32),
    )?;
    let replies = ReplyCounter::default();
    let now = Instant::now();
    // Connections that would all be due at once are spread over the interval.
    let share = index as f64 / workload.clients.max(1) as f64;
    let due = now + workload.interval().unwrap_or_default().mul_f64(share);
    Ok(Connection {
        token: index,
        stream,
        requests,
        replies,
        awaited: 0,
        unsent: 0,
        batch_bytes: 0,
        sent_at: now,
        due,
    })
}

struct Worker<'a> {
    control: &'a Control,
    /// As this thread has seen it.
    phase: Phase,
    measured_from: Instant,
    outcome: Outcome,
    read_buffer: Vec<u8>,
    /// Connections that await replies.
    busy: usize,
    interval: Option<Duration>,
    /// Connections whose next batch is not due yet.
    put_off: VecDeque<usize>,
}

impl Worker<'_> {
    fn run(mut self, mut poll: Poll, mut connections: Vec<Connection>) -> Result<Outcome, LoadError> {
        let mut events = Events::with_capacity(connections.len().clamp(16, 1024));
        for connection in &mut connections {
            self.next_batch(connection)?;
        }
        let mut heard_at = Instant::now();
        while self.busy > 0 || !self.put_off.is_empty() {
            match poll.poll(&mut events, Some(self.patience(&connections))) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Err(LoadError::io("epoll")(error));
                }
                _ => {}
            }
            let now = Instant::now();
            self.follow_phase(now);
            if !events.is_empty() {
                heard_at = now;
            } else if self.busy > 0 && now - heard_at > STALL_LIMIT {
                return Err(LoadError::Stalled(STALL_LIMIT));
            }
            for event in &events {
                let connection = &mut connections[event.token().0];
                if connection.unsent > 0 && event.is_writable() {
                    send(connection)?;
                }
                if event.is_readable() || event.is_read_closed() {
                    self.receive(connection)?;
                }
            }
            self.send_due(&mut connections)?;
        }
        self.follow_phase(Instant::now());
        if self.phase != Phase::Over {
            self.outcome.elapsed = self.measured_from.elapsed(); // the commands ran out before the time did
        }
        for connection in connections {
            self.outcome.errors += connection.replies.errors;
            self.outcome.nulls += connection.replies.nulls;
            self.outcome.first_error = self.outcome.first_error.or(connection.replies.first_error);
        }
        Ok(self.outcome)
    }

    fn follow_phase(&mut self, now: Instant) {
        let phase = self.control.phase();
        if phase == self.phase {
            return;
        }
        match phase {
            Phase::Measured => {
                self.measured_from = now;
                self.outcome.replies = 0;
                self.outcome.latencies = new_histogram();
            }
            Phase::Over => self.outcome.elapsed = now - self.measured_from,
            Phase::WarmUp => {}
        }
        self.phase = phase;
    }

    /// How long to wait for replies: until the next batch is due.
    fn patience(&self, connections: &[Connection]) -> Duration {
        let due = self.put_off.iter().map(|&token| connections[token].due).min();
        due.map_or(TICK, |due| due.saturating_duration_since(Instant::now()).min(TICK))
    }

    /// Takes up the connections whose time has come.
    fn send_due(&mut self, connections: &mut [Connection]) -> Result<(), LoadError> {
        for _ in 0..self.put_off.len() {
            if let Some(token) = self.put_off.pop_front() {
                self.next_batch(&mut connections[token])?; // puts itself off again where it is too early
            }
        }
        Ok(())
    }

    /// Sends what a connection does next, if anything is left to do and its time has come.
    fn next_batch(&mut self, connection: &mut Connection) -> Result<(), LoadError> {
        if self.phase == Phase::Over {
            return Ok(());
        }
        if let Some(interval) = self.interval {
            let now = Instant::now();
            if connection.due > now {
                self.put_off.push_back(connection.token);
                return Ok(());
            }
            // After a pause of the server no flood: what was missed by more than a second is not made up for.
            connection.due = (connection.due + interval).max(now.checked_sub(CATCH_UP).unwrap_or(now));
        }
        let commands = self.control.take_commands(connection.requests.pipeline() as u64) as usize;
        if commands == 0 {
            return Ok(());
        }
        connection.requests.draw(commands, self.control);
        connection.awaited = commands as u64;
        connection.batch_bytes = connection.requests.bytes(commands).len();
        connection.unsent = connection.batch_bytes;
        connection.sent_at = Instant::now();
        self.busy += 1;
        send(connection)
    }

    /// Reads what is there, to the end: the edge is told only once.
    fn receive(&mut self, connection: &mut Connection) -> Result<(), LoadError> {
        loop {
            let count = match connection.stream.read(&mut self.read_buffer) {
                Ok(0) => return Err(LoadError::Closed),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(LoadError::io("receive")(error)),
            };
            let replies = connection.replies.feed(&self.read_buffer[..count]).map_err(LoadError::NotResp)?;
            if replies > 0 {
                self.count(connection, replies)?;
            }
            // A short read has emptied the socket: what comes later raises an edge of its own.
            if count < self.read_buffer.len() {
                return Ok(());
            }
        }
    }

    fn count(&mut self, connection: &mut Connection, replies: u64) -> Result<(), LoadError> {
        let awaited = connection.awaited.checked_sub(replies).ok_or(LoadError::Surplus)?;
        connection.awaited = awaited;
        self.control.count_replies(replies);
        if self.phase != Phase::Over {
            let nanoseconds = connection.sent_at.elapsed().as_nanos() as u64;
            self.outcome.replies += replies;
            let latencies = &mut self.outcome.latencies;
            let longest = latencies.high();
            latencies.saturating_record_n(nanoseconds.clamp(1, longest), replies);
        }
        if awaited == 0 {
            self.busy -= 1;
            self.next_batch(connection)?;
        }
        Ok(())
    }
}

/// Hands the kernel what it takes; the rest goes when the socket is writable again.
fn send(connection: &mut Connection) -> Result<(), LoadError> {
    while connection.unsent > 0 {
        let from = connection.batch_bytes - connection.unsent;
        let batch = connection.requests.whole();
        match connection.stream.write(&batch[from..connection.batch_bytes]) {
            Ok(count) => connection.unsent -= count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(LoadError::io("send")(error)),
        }
    }
    Ok(())
}
