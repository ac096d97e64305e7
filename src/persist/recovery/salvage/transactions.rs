//! Transactions of which some parts are missing.

use std::collections::{BTreeMap, BTreeSet};

use formats::log::{Epoch, Gsn, Manifest, Position, ShardId};

use super::IncompleteTransaction;
use super::logs::WalkedLog;
use super::snapshots::Base;
use crate::persist::recovery::plan::{TransactionFact, cut_incomplete};

/// Where shards are cut, and what is incomplete.
pub fn settle(
    manifest: Option<&Manifest>,
    logs: &[WalkedLog],
    base: &Base,
) -> (BTreeMap<(Epoch, ShardId), Position>, Vec<IncompleteTransaction>) {
    let (mut cuts, mut incomplete) = (BTreeMap::new(), Vec::new());
    let epochs: BTreeSet<Epoch> = logs.iter().map(|log| log.epoch).collect();
    for epoch in epochs {
        let ours = || logs.iter().filter(move |log| log.epoch == epoch);
        let ends: Vec<(ShardId, Position)> = ours().flat_map(|log| &log.ends).copied().collect();
        let is_open = |part: &&TransactionFact| {
            let end = ends.iter().find(|(shard, _)| *shard == part.shard).map(|(_, end)| *end);
            part.first >= base.start(epoch, part.shard) && end.is_some_and(|end| part.first < end)
        };
        let parts: Vec<&TransactionFact> = ours().flat_map(|log| &log.transactions).filter(is_open).collect();
        let is_whole = manifest.is_some_and(|manifest| is_whole(manifest, epoch, ours()));
        let is_cut = |gsn: Gsn, cut: &[Gsn]| cut.contains(&gsn);
        let mut gone = Vec::new();
        if is_whole {
            let cut = cut_incomplete(&ends, &parts, &mut gone);
            cuts.extend(cut.into_iter().map(|(shard, position)| ((epoch, shard), position)));
        }
        incomplete.extend(list(epoch, &parts).into_iter().map(|mut transaction| {
            transaction.is_kept = !is_cut(transaction.gsn, &gone);
            transaction
        }));
    }
    (cuts, incomplete)
}

/// Whether nothing of an epoch can be missing: then what a transaction lacks was never written.
fn is_whole<'a>(manifest: &Manifest, epoch: Epoch, logs: impl Iterator<Item = &'a WalkedLog>) -> bool {
    let shards = manifest.epochs.iter().find(|entry| entry.number == epoch).map(|entry| entry.shards);
    let (mut served, mut are_whole) = (BTreeSet::new(), true);
    for log in logs {
        served.extend(log.shards.iter().copied());
        are_whole &= log.is_whole;
    }
    are_whole && shards.is_some_and(|shards| (0..shards).all(|shard| served.contains(&ShardId(shard))))
}

fn list(epoch: Epoch, parts: &[&TransactionFact]) -> Vec<IncompleteTransaction> {
    let mut by_gsn: BTreeMap<Gsn, (BTreeSet<ShardId>, BTreeSet<ShardId>)> = BTreeMap::new();
    for part in parts {
        let (present, wanted) = by_gsn.entry(part.gsn).or_default();
        present.insert(part.shard);
        wanted.extend(part.participants.iter().copied());
    }
    let lacking = by_gsn.into_iter().filter(|(_, (present, wanted))| present != wanted);
    lacking
        .map(|(gsn, (present, wanted))| IncompleteTransaction {
            gsn,
            epoch,
            missing: wanted.difference(&present).copied().collect(),
            present: present.into_iter().collect(),
            is_kept: true,
        })
        .collect()
}
