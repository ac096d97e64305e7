//! WAITAOF: when is what was written on stable storage? WAIT: when do replicas have it?

use std::future::Future;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::command::args::integer;
use crate::command::connection::pause::timeout_ms;
use crate::command::{Invocation, TaskFuture};
use crate::shard::client::Unblock;
use crate::shard::context::CommandError;
use crate::shard::{NoLog, Shard};

/// WAIT numreplicas timeout-ms: answers how many replicas have what was written before. There are none yet: whoever wants one
/// waits until the time is over, or for ever with a timeout of 0.
pub fn wait(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        let request = invocation.request();
        let wanted =
            match integer(request.arg(1)).and_then(|wanted| Ok((wanted, timeout_ms(request.arg(2))?))) {
                Ok((replicas, _)) if replicas <= 0 => return invocation.reply(|reply| reply.integer(0)),
                Ok((_, timeout_ms)) => timeout_ms,
                Err(error) => return invocation.error(&error.0),
            };
        match blocked(&invocation, timeout_of(wanted), client_leaves(&invocation)).await {
            Err(Unblock::Error) => invocation.error(UNBLOCKED),
            _ => invocation.reply(|reply| reply.integer(0)),
        }
    })
}

const UNBLOCKED: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

/// 0: none.
fn timeout_of(millis: u64) -> Option<Duration> {
    (millis > 0).then(|| Duration::from_millis(millis).min(LONGEST_TIMER))
}

/// A timer that no client outlives.
const LONGEST_TIMER: Duration = Duration::from_secs(1 << 32);

/// Waits for `enough` as a client does that CLIENT UNBLOCK can set free.
///
/// # Errors
/// It was set free, or its time was over, which is the same as [`Unblock::Timeout`].
async fn blocked(
    invocation: &Invocation,
    timeout: Option<Duration>,
    enough: impl Future<Output = ()>,
) -> Result<(), Unblock> {
    let (sender, mut unblock) = oneshot::channel();
    *invocation.client.unblock.borrow_mut() = Some(sender);
    let time_is_over = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        biased;
        () = enough => Ok(()),
        how = &mut unblock => Err(how.unwrap_or(Unblock::Timeout)),
        () = time_is_over => Err(Unblock::Timeout),
    };
    invocation.client.unblock.borrow_mut().take();
    result
}

/// Nobody waits any more for a client that has gone.
async fn client_leaves(invocation: &Invocation) {
    while !invocation.client.killed.get() {
        tokio::time::sleep(CLIENT_CHECK).await;
    }
}

/// WAITAOF numlocal numreplicas timeout-ms: answers how many logs here (0 or 1) and on replicas (there are none yet) have
/// everything on stable storage that was appended before.
///
/// What the connection wrote may be on every shard, so all of them must be through. With a timeout of 0 it waits for as long
/// as it takes.
pub fn wait_aof(invocation: Invocation) -> TaskFuture {
    Box::pin(async move {
        match wait_for_log(&invocation).await {
            Ok((local, replicas)) => invocation.reply(|reply| {
                reply.array(2);
                reply.integer(local);
                reply.integer(replicas);
            }),
            Err(error) => invocation.error(&error.0),
        }
    })
}

/// How often a wait that only its client can end looks whether the client is still there.
const CLIENT_CHECK: Duration = Duration::from_secs(1);

/// The arguments, in their order.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    local: bool,
    replicas: u64,
    /// Nothing: for ever.
    timeout: Option<Duration>,
}

impl Wanted {
    fn parse(local: &[u8], replicas: &[u8], timeout: &[u8]) -> Result<Wanted, CommandError> {
        const OUT_OF_RANGE: &str = "ERR value is out of range, must be between 0 and 1";
        const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";
        let in_range = |arg, otherwise: &'static str, limit| match integer(arg)? {
            number if (0..=limit).contains(&number) => Ok(number.unsigned_abs()),
            _ => Err(CommandError::from(otherwise)),
        };
        let local = in_range(local, OUT_OF_RANGE, 1)? == 1;
        let replicas = in_range(replicas, NOT_POSITIVE, i64::MAX)?;
        Ok(Wanted { local, replicas, timeout: timeout_of(timeout_ms(timeout)?) })
    }
}

async fn wait_for_log(invocation: &Invocation) -> Result<(i64, i64), CommandError> {
    let request = invocation.request();
    let wanted = Wanted::parse(request.arg(1), request.arg(2), request.arg(3))?;
    let shared = &invocation.shard.shared;
    let has_log = shared.logs.iter().all(|log| log.get().is_some());
    if wanted.local && !has_log {
        return Err("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.".into());
    }
    let durable = async {
        for wait in shared.call_all(Shard::when_durable).await {
            let known = match wait {
                Ok(Some(wait)) => wait.await.is_ok(),
                Ok(None) => true,
                Err(NoLog) => false,
            };
            if !known {
                std::future::pending::<()>().await; // the server is ending: nobody can say any more
            }
        }
    };
    // Replicas that do not exist never answer: then only the timeout ends the wait.
    let enough = async {
        if wanted.replicas > 0 {
            durable.await;
            client_leaves(invocation).await;
        } else if wanted.local {
            durable.await;
        }
    };
    let in_time = match blocked(invocation, wanted.timeout, enough).await {
        Ok(()) => true,
        Err(Unblock::Timeout) => false,
        Err(Unblock::Error) => return Err(UNBLOCKED.into()),
    };
    let local =
        in_time && wanted.local || has_log && shared.call_all(is_durable).await.into_iter().all(|is| is);
    Ok((i64::from(local), 0))
}

/// Whether the shard's log has nothing that is not durable.
fn is_durable(shard: &Shard) -> bool {
    shard.engine.borrow().log.as_ref().is_some_and(|log| log.is_idle())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_their_ranges() {
        let parse = |local: &str, replicas: &str, timeout: &str| {
            Wanted::parse(local.as_bytes(), replicas.as_bytes(), timeout.as_bytes()).map_err(|error| error.0)
        };
        let timeout = Some(Duration::from_millis(5));
        assert_eq!(parse("1", "0", "5"), Ok(Wanted { local: true, replicas: 0, timeout }));
        assert_eq!(parse("0", "2", "0"), Ok(Wanted { local: false, replicas: 2, timeout: None }));
        for (local, replicas, timeout, error) in [
            ("2", "0", "0", "ERR value is out of range, must be between 0 and 1"),
            ("x", "0", "0", "ERR value is not an integer or out of range"),
            ("1", "-1", "0", "ERR value is out of range, must be positive"),
            ("1", "0", "-1", "ERR timeout is negative"),
            ("1", "0", "x", "ERR timeout is not an integer or out of range"),
        ] {
            assert_eq!(parse(local, replicas, timeout), Err(error.into()));
        }
    }
}
