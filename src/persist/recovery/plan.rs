//! What to do with what was found: a pure function from facts to cuts, or to a refusal.
//!
//! Invariants:
//! 1. A log that ends below what a later frame or its seal vouches for is damaged: a refusal, never a cut.
//! 2. A transaction that any log of its epoch says was complete is never cut: a refusal.
//! 3. After the cuts every transaction is whole: each participant's log has it before that shard's cut.
//! 4. Where a limit is asked for, nothing behind it is applied, on any shard, nor any later epoch.
//! 5. No more is cut than that needs: a shard is cut at its log's end or before the first transaction that
//!    lacks a participant, again and again until nothing changes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use formats::log::manifest::Seal;
use formats::log::{Epoch, FrameNo, Gsn, LogId, Manifest, Position, ShardId};

use crate::persist::error::Refusal;
use crate::persist::file_names;

/// What a scan found out about one log.
#[derive(Clone, Copy)]
pub struct LogFacts<'a> {
    pub log: LogId,
    pub epoch: Epoch,
    pub seal: Option<&'a Seal>,
    /// Frames that are sound and follow each other.
    pub frames: FrameNo,
    /// Where each shard's frames end.
    pub ends: &'a [(ShardId, Position)],
    /// Where shards pass the limit of a recovery to a point in time.
    pub limits: &'a [(ShardId, Position)],
    /// Parts of transactions; not needed if all logs of the epoch are sealed.
    pub transactions: &'a [TransactionFact],
    /// One of its frames says that all transactions up to this one were durable on all their participants.
    pub complete: Option<Gsn>,
    /// Where its frames end.
    pub end: Option<(&'a Path, u64)>,
    pub tail: Option<&'a TailFact>,
}

/// One shard's part of a transaction.
#[derive(Clone, Debug)]
pub struct TransactionFact {
    pub shard: ShardId,
    pub gsn: Gsn,
    /// Position of its MULTI.
    pub first: Position,
    pub participants: Box<[ShardId]>,
}

/// What is missing, or lies behind a log's end.
#[derive(Clone, Debug)]
pub struct TailFact {
    pub file: PathBuf,
    pub offset: u64,
    /// Frames that something else says were durable.
    pub vouched: FrameNo,
    /// What says so.
    pub voucher: String,
    /// Bytes that look like frames of this log.
    pub bytes: u64,
    pub why: String,
}

/// What is applied and what is cut.
#[derive(Debug, Default)]
pub struct Plan {
    /// Effects from this position on are not applied.
    pub cuts: BTreeMap<(Epoch, ShardId), Position>,
    pub transactions_cut: Vec<Gsn>,
    pub effects_cut: u64,
    /// Effects in sound frames that lie behind the limit.
    pub effects_beyond_limit: u64,
}

impl Plan {
    pub fn cut(&self, epoch: Epoch, shard: ShardId) -> Position {
        self.cuts.get(&(epoch, shard)).copied().unwrap_or_default()
    }
}

/// Decides.
pub fn plan(manifest: &Manifest, logs: &[LogFacts<'_>]) -> Result<Plan, Refusal> {
    for log in logs {
        check_end(log)?;
    }
    let mut plan = Plan::default();
    let mut is_past_limit = false;
    for epoch in &manifest.epochs {
        let ours: Vec<LogFacts<'_>> = logs.iter().filter(|log| log.epoch == epoch.number).copied().collect();
        if is_past_limit {
            plan.effects_beyond_limit += ours.iter().flat_map(shard_ends).map(|(_, end)| end.0).sum::<u64>();
            continue; // without a cut nothing of it is applied
        }
        check_complete(&ours)?;
        plan_epoch(epoch.number, &ours, &mut plan);
        is_past_limit = ours.iter().any(|log| !log.limits.is_empty());
    }
    Ok(plan)
}

fn check_end(log: &LogFacts<'_>) -> Result<(), Refusal> {
    match log.tail {
        Some(tail) if tail.vouched > log.frames => Err(Refusal {
            file: tail.file.clone(),
            offset: Some(tail.offset),
            lost: format!(
                "frames {} to {} of log {}, which were durable",
                log.frames,
                tail.vouched.0 - 1,
                log.log
            ),
            why: format!("{}; but {} vouches for {} frames", tail.why, tail.voucher, tail.vouched),
        }),
        _ => Ok(()),
    }
}

/// A transaction that some frame says was complete, and that lacks a part, was acknowledged: what is missing is damaged.
/// To cut it would take what came behind it from every shard.
fn check_complete(logs: &[LogFacts<'_>]) -> Result<(), Refusal> {
    let Some((complete, voucher)) =
        logs.iter().filter_map(|log| Some((log.complete?, log.log))).max_by_key(|(gsn, _)| *gsn)
    else {
        return Ok(());
    };
    let ends: Vec<(ShardId, Position)> = logs.iter().flat_map(shard_ends).collect();
    let transactions: Vec<&TransactionFact> =
        logs.iter().flat_map(|log| log.transactions).filter(|part| part.gsn <= complete).collect();
    let Some((gsn, shard)) = Parts::collect(&ends, &transactions).first_missing() else { return Ok(()) };
    let log = logs.iter().find(|log| log.ends.iter().any(|(served, _)| *served == shard));
    let place = log.and_then(|log| match log.tail {
        Some(tail) => Some((tail.file.clone(), tail.offset)),
        None => log.end.map(|(file, offset)| (file.to_path_buf(), offset)),
    });
    let (file, offset) = place.map_or((file_names::MANIFEST.into(), None), |(file, at)| (file, Some(at)));
    Err(Refusal {
        file,
        offset,
        lost: format!("shard {shard}'s part of transaction {gsn}, and what is behind it"),
        why: format!(
            "it is not there; but log {voucher} says that all transactions up to {complete} were durable"
        ),
    })
}

fn plan_epoch(epoch: Epoch, logs: &[LogFacts<'_>], plan: &mut Plan) {
    let limits: BTreeMap<ShardId, Position> = logs.iter().flat_map(|log| log.limits).copied().collect();
    let mut ends: Vec<(ShardId, Position)> = logs.iter().flat_map(shard_ends).collect();
    for (shard, end) in &mut ends {
        if let Some(limit) = limits.get(shard).filter(|limit| *limit < end) {
            plan.effects_beyond_limit += end.0 - limit.0;
            *end = *limit;
        }
    }
    plan.cuts.extend(ends.iter().map(|&(shard, end)| ((epoch, shard), end)));
    if limits.is_empty() && logs.iter().all(|log| log.seal.is_some()) {
        return;
    }
    let transactions: Vec<&TransactionFact> = logs.iter().flat_map(|log| log.transactions).collect();
    for (shard, cut) in cut_incomplete(&ends, &transactions, &mut plan.transactions_cut) {
        let end = plan.cuts.insert((epoch, shard), cut).unwrap_or(cut);
        plan.effects_cut += end.0 - cut.0;
    }
}

/// Where a log's shards end before transactions are looked at.
fn shard_ends(log: &LogFacts<'_>) -> Vec<(ShardId, Position)> {
    match log.seal {
        Some(seal) => seal.ends.clone(),
        None => log.ends.to_vec(),
    }
}

/// Cuts each shard before its first transaction that lacks a participant, to the fixpoint. Answers the shards
/// whose cut lies before their end.
///
/// Every part of a transaction is looked at once when it is counted and once when it is cut, so this takes
/// time linear in the parts however the cuts cascade.
pub(super) fn cut_incomplete(
    ends: &[(ShardId, Position)],
    transactions: &[&TransactionFact],
    cut_gsns: &mut Vec<Gsn>,
) -> Vec<(ShardId, Position)> {
    let mut shards = Parts::collect(ends, transactions);
    let mut broken: Vec<Gsn> = shards.incomplete();
    let mut gone: HashSet<Gsn> = HashSet::new();
    while let Some(gsn) = broken.pop() {
        if gone.insert(gsn) {
            broken.extend(shards.cut_before(gsn));
        }
    }
    cut_gsns.extend(gone);
    cut_gsns.sort_unstable();
    shards.cuts()
}

/// Parts of transactions by shard, in the order of the log.
struct Parts<'a> {
    by_shard: BTreeMap<ShardId, ShardParts<'a>>,
    by_gsn: HashMap<Gsn, Vec<&'a TransactionFact>>,
}

/// A participant whose part is not there.
fn missing_in(parts: &[&TransactionFact]) -> Option<ShardId> {
    let has = |shard| parts.iter().any(|part| part.shard == shard);
    parts.iter().flat_map(|part| &part.participants).copied().find(|&shard| !has(shard))
}

struct ShardParts<'a> {
    end: Position,
    parts: Vec<&'a TransactionFact>,
    cut: Option<Position>,
}

impl<'a> Parts<'a> {
    fn collect(ends: &[(ShardId, Position)], transactions: &[&'a TransactionFact]) -> Parts<'a> {
        let empty = |end| ShardParts { end, parts: Vec::new(), cut: None };
        let mut by_shard: BTreeMap<_, _> = ends.iter().map(|&(shard, end)| (shard, empty(end))).collect();
        let mut by_gsn: HashMap<Gsn, Vec<&TransactionFact>> = HashMap::new();
        for &part in transactions {
            // Beyond a seal's cut there is nothing.
            if let Some(shard) = by_shard.get_mut(&part.shard)
                && part.first < shard.end
            {
                shard.parts.push(part);
                by_gsn.entry(part.gsn).or_default().push(part);
            }
        }
        by_shard.values_mut().for_each(|shard| shard.parts.sort_by_key(|part| part.first));
        Parts { by_shard, by_gsn }
    }

    fn incomplete(&self) -> Vec<Gsn> {
        self.by_gsn.iter().filter(|(_, parts)| missing_in(parts).is_some()).map(|(gsn, _)| *gsn).collect()
    }

    /// The first transaction that lacks a participant, and one that it lacks.
    fn first_missing(&self) -> Option<(Gsn, ShardId)> {
        self.by_gsn.iter().filter_map(|(gsn, parts)| Some((*gsn, missing_in(parts)?))).min()
    }

    /// Cuts every participant before its part of `gsn`; answers the transactions that lose a part by that.
    fn cut_before(&mut self, gsn: Gsn) -> Vec<Gsn> {
        let mut lost = Vec::new();
        for part in self.by_gsn.remove(&gsn).unwrap_or_default() {
            let Some(shard) = self.by_shard.get_mut(&part.shard) else { continue };
            while let Some(last) = shard.parts.pop_if(|last| last.first >= part.first) {
                shard.cut = Some(last.first);
                lost.push(last.gsn);
            }
        }
        lost
    }

    fn cuts(self) -> Vec<(ShardId, Position)> {
        self.by_shard.into_iter().filter_map(|(shard, parts)| Some((shard, parts.cut?))).collect()
    }
}
