//! One client's socket: reads requests, writes replies.
//!
//! Invariants:
//! 1. An idle connection holds no buffers: it reads into its shard's buffer, and keeps only what is not yet a whole request.
//! 2. Reading goes on while replies wait for other shards or for the log, within `MAX_ROUNDS`.
//! 3. What a client has sent and what waits for it are bounded by `client-query-buffer-limit` and
//!    `client-output-buffer-limit`: beyond them the connection is closed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use formats::resp::{Limits, Parsed, RequestParser};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::Buffers;
use super::dispatch::{Dispatcher, Next};
use crate::clock;
use crate::shard::Shard;
use crate::shard::client::Client;
use crate::shard::pause::Paused;

/// How long a connection whose writes meet a full log queue waits before it looks again.
const LOG_FULL_WAIT: Duration = Duration::from_millis(2);
/// A pause may last longer than a timer can: then it looks again.
const LONGEST_TIMER_MS: u64 = 24 * 3600 * 1000;
/// How long the replies of a client that has closed its side may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// From this size on the rest of an argument is read into its final place.
const LARGE_BYTES: usize = 32 * 1024;
const LARGE_STEP_BYTES: usize = 256 * 1024;

/// Why no further request is taken now.
enum Pause {
    None,
    /// Until all rounds are through.
    Drain,
    /// Until the timer fires.
    Timer(Pin<Box<Sleep>>),
    /// Until clients are not paused any more; the timer fires then, unless that is put off.
    Unpaused(Pin<Box<Sleep>>),
    /// For good: the connection closes when its replies are sent.
    Closing,
}

/// See the module.
pub struct Connection {
    stream: TcpStream,
    dispatcher: Dispatcher,
    parser: RequestParser,
    /// Bytes that are not yet a whole request, or that wait for their turn.
    input: BytesMut,
    /// Whole requests may stand in `input`.
    unparsed: bool,
    /// At least so many bytes are missing.
    wanted: usize,
    pause: Pause,
    /// The client has closed its side, and how long its replies are still waited for.
    has_left: bool,
    farewell: Option<Pin<Box<Sleep>>>,
    sent: usize,
    /// Since when the output is over the soft limit, Unix ms.
    over_soft_limit_since: Option<u64>,
    shard: Rc<Shard>,
    client: Rc<Client>,
    buffers: Rc<Buffers>,
}

impl Connection {
    pub fn new(
        stream: TcpStream,
        shard: Rc<Shard>,
        client: Rc<Client>,
        slot: usize,
        buffers: Rc<Buffers>,
    ) -> Self {
        Self {
            stream,
            dispatcher: Dispatcher::new(Rc::clone(&shard), Rc::clone(&client), slot, Rc::clone(&buffers)),
            parser: RequestParser::new(),
            input: BytesMut::new(),
            unparsed: false,
            wanted: 0,
            pause: Pause::None,
            has_left: false,
            farewell: None,
            sent: 0,
            over_soft_limit_since: None,
            shard,
            client,
            buffers,
        }
    }

    /// Serves the client until one of the two sides ends it.
    pub async fn serve(mut self) {
        std::future::poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.remember_waker(context);
        loop {
            self.dispatcher.collect();
            if self.client.closing.get() {
                self.pause = Pause::Closing;
            }
            if self.client.killed.get()
                || self.is_over_hard_limit()
                || self.flush(context).is_err()
                || self.is_over_limits()
            {
                return Poll::Ready(());
            }
            if !self.may_parse(context) {
                let finished = matches!(self.pause, Pause::Closing)
                    && self.dispatcher.is_drained()
                    && self.dispatcher.out.is_empty();
                return if finished || self.gives_up(context) { Poll::Ready(()) } else { Poll::Pending };
            }
            if self.unparsed {
                self.parse_input();
                continue;
            }
            match ready!(self.read(context)) {
                Ok(true) => {}
                Ok(false) => {
                    self.has_left = true;
                    self.pause = Pause::Closing;
                }
                Err(_) => return Poll::Ready(()), // the client has gone
            }
        }
    }

    /// A client that has closed its side gets the replies that come soon; nobody waits for ever for one that has gone.
    fn gives_up(&mut self, context: &mut Context<'_>) -> bool {
        if !self.has_left {
            let mut byte = [0];
            let peeked = self.stream.poll_peek(context, &mut ReadBuf::new(&mut byte));
            self.has_left = matches!(peeked, Poll::Ready(Ok(0) | Err(_)));
        }
        if !self.has_left {
            return false;
        }
        let farewell = self.farewell.get_or_insert_with(|| Box::pin(tokio::time::sleep(FAREWELL)));
        farewell.as_mut().poll(context).is_ready()
    }

    fn remember_waker(&self, context: &Context<'_>) {
        let mut waker = self.client.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    fn may_parse(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.pause {
            Pause::None => {}
            Pause::Closing => return false,
            Pause::Unpaused(timer) => {
                if self.shard.shared.pause.now() != Paused::Nothing
                    && timer.as_mut().poll(context).is_pending()
                {
                    return false;
                }
                self.client.paused.set(false);
                self.pause = Pause::None;
            }
            Pause::Drain if !self.dispatcher.is_drained() => return false,
            Pause::Drain => self.pause = Pause::None,
            Pause::Timer(timer) => {
                if timer.as_mut().poll(context).is_pending() {
                    return false;
                }
                self.pause = Pause::None;
            }
        }
        !self.dispatcher.is_blocked()
    }

    /// Reads once and runs what came. `false`: the client has closed.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.wanted >= LARGE_BYTES {
            return self.read_large(context);
        }
        let buffers = Rc::clone(&self.buffers);
        let mut scratch = buffers.read.borrow_mut();
        let mut buffer = ReadBuf::new(&mut scratch);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        let count = buffer.filled().len();
        if count == 0 {
            return Poll::Ready(Ok(false));
        }
        self.count_input(count);
        if self.input.is_empty() {
            let consumed = self.parse(buffer.filled());
            self.input.extend_from_slice(&buffer.filled()[consumed..]);
        } else {
            self.input.extend_from_slice(buffer.filled());
            drop(scratch);
            self.parse_input();
        }
        Poll::Ready(Ok(true))
    }

    /// The rest of a large argument goes where it stays.
    fn read_large(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // What is announced is taken step by step: an announcement alone takes no memory.
        let before = self.input.len();
        self.input.resize(before + self.wanted.min(LARGE_STEP_BYTES), 0);
        let mut buffer = ReadBuf::new(&mut self.input[before..]);
        let result = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
        let count = buffer.filled().len();
        self.input.truncate(before + count);
        ready!(result)?;
        if count == 0 {
            return Poll::Ready(Ok(false));
        }
        self.count_input(count);
        self.wanted = self.wanted.saturating_sub(count);
        if self.wanted == 0 {
            self.parse_input();
        }
        Poll::Ready(Ok(true))
    }

    fn count_input(&self, count: usize) {
        self.client.active_unix_ms.set(clock::unix_ms());
        self.shard.shared.counters.net_input_bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn parse_input(&mut self) {
        let input = std::mem::take(&mut self.input);
        let consumed = self.parse(&input);
        self.input = input;
        self.input.advance(consumed);
        if self.input.is_empty() {
            self.input = BytesMut::new(); // an idle connection holds no buffer
            self.parser.shrink();
        }
    }

    /// Runs the requests in `bytes`; returns how many bytes are done with.
    fn parse(&mut self, bytes: &[u8]) -> usize {
        let max_bulk_bytes = self.shard.config.borrow().proto_max_bulk_len_bytes;
        let max_bulk_bytes = usize::try_from(max_bulk_bytes).unwrap_or(usize::MAX);
        self.unparsed = false;
        self.wanted = 0;
        self.dispatcher.begin();
        let (mut consumed, mut running) = (0, 0);
        loop {
            if self.dispatcher.is_round_full() {
                self.unparsed = true;
                break;
            }
            // The request before this one may have told the password.
            let limits = Limits { max_bulk_bytes, unauthenticated: !self.client.authenticated.get() };
            match self.parser.parse(&bytes[consumed..], &limits) {
                Ok(Parsed::NeedMore { wanted }) => {
                    self.wanted = wanted;
                    break;
                }
                Ok(Parsed::Nothing { consumed: count }) => consumed += count,
                Ok(Parsed::Request { consumed: count }) => {
                    // What runs now is still in the buffer, as CLIENT LIST tells it.
                    self.client.query_buffer_bytes.set(bytes.len() - consumed);
                    let next = self.dispatcher.dispatch(self.parser.request(&bytes[consumed..]));
                    let begin = consumed;
                    if !self.follow(next, &mut consumed, count) {
                        running = consumed - begin;
                        break;
                    }
                }
                Err(error) => {
                    self.dispatcher.write_here(|reply| reply.error(&format!("ERR {error}")));
                    self.pause = Pause::Closing;
                    consumed = bytes.len();
                    break;
                }
            }
        }
        self.dispatcher.end();
        self.client.query_buffer_bytes.set(bytes.len() - consumed + running);
        consumed
    }

    /// Acts on what a request led to; `false`: no more requests now.
    fn follow(&mut self, next: Next, consumed: &mut usize, count: usize) -> bool {
        match next {
            Next::Continue => {
                *consumed += count;
                return true;
            }
            Next::Wait => *consumed += count,
            Next::RetryDrained => self.pause = Pause::Drain,
            Next::RetryLogFull => self.pause = Pause::Timer(Box::pin(tokio::time::sleep(LOG_FULL_WAIT))),
            Next::RetryUnpaused => {
                let pause = &self.shard.shared.pause;
                let rest_ms = (pause.until_ms() + 1).saturating_sub(clock::unix_ms()).min(LONGEST_TIMER_MS);
                self.client.paused.set(true);
                self.pause = Pause::Unpaused(Box::pin(tokio::time::sleep(Duration::from_millis(rest_ms))));
            }
            Next::Close => {
                *consumed += count;
                self.pause = Pause::Closing;
            }
        }
        self.unparsed = true;
        false
    }

    /// Writes what is ready. An error means that the client has gone.
    fn flush(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.sent < self.dispatcher.out.len() {
            match Pin::new(&mut self.stream).poll_write(context, &self.dispatcher.out[self.sent..]) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.sent += count;
                    self.drop_sent();
                    self.shard.shared.counters.net_output_bytes.fetch_add(count as u64, Ordering::Relaxed);
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        if self.dispatcher.out.capacity() > 0 {
            self.sent = 0;
            let mut out = std::mem::take(&mut self.dispatcher.out);
            out.clear();
            self.buffers.give(out);
        }
        Ok(())
    }

    /// A client that reads slowly and for ever must not keep what it has read in memory.
    fn drop_sent(&mut self) {
        if self.sent >= LARGE_STEP_BYTES && self.sent * 2 >= self.dispatcher.out.len() {
            self.dispatcher.out.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Looked at before anything is sent, as Redis does: replies that are too large do not begin to leave.
    fn is_over_hard_limit(&self) -> bool {
        let output = self.dispatcher.reply_bytes() - self.sent;
        let limit = self.shard.config.borrow().client_output_buffer_limits.normal.hard_bytes;
        let is_over = limit > 0 && output as u64 > limit;
        if is_over {
            tracing::warn!(client = self.client.id, bytes = output, "closed: output buffer over its limit");
        }
        is_over
    }

    fn is_over_limits(&mut self) -> bool {
        let output = self.dispatcher.reply_bytes() - self.sent;
        self.client.output_bytes.set(output);
        let config = self.shard.config.borrow();
        if self.input.len() as u64 > config.client_query_buffer_limit_bytes {
            tracing::warn!(
                client = self.client.id,
                bytes = self.input.len(),
                "closed: query buffer over its limit"
            );
            return true;
        }
        let limit = &config.client_output_buffer_limits.normal;
        if limit.soft_bytes == 0 || output as u64 <= limit.soft_bytes {
            self.over_soft_limit_since = None;
            return false;
        }
        let now_ms = clock::unix_ms();
        let since = *self.over_soft_limit_since.get_or_insert(now_ms);
        now_ms.saturating_sub(since) > u64::from(limit.soft_seconds) * 1000
    }
}

impl Drop for Connection {
    /// Tells the connection's task, if it has one, that nobody waits any more.
    fn drop(&mut self) {
        self.client.killed.set(true);
    }
}
