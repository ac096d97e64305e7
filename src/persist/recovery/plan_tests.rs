//! The decisions of a recovery, on facts made by hand.

use formats::log::manifest::{EpochEntry, Seal};
use formats::log::{Epoch, FrameNo, Gsn, LogId, Manifest, Position, SegmentNo, ShardId};
use proptest::prelude::*;

use super::plan::{LogFacts, Plan, TailFact, TransactionFact, plan};

/// A log of one shard: its end and its transactions `(gsn, first, participants)`.
struct ShardLog {
    ends: Vec<(ShardId, Position)>,
    transactions: Vec<TransactionFact>,
}

fn shard_log(shard: u16, end: u64, transactions: &[(u64, u64, &[u16])]) -> ShardLog {
    let part = |&(gsn, first, participants): &(u64, u64, &[u16])| TransactionFact {
        shard: ShardId(shard),
        gsn: Gsn(gsn),
        first: Position(first),
        participants: participants.iter().copied().map(ShardId).collect(),
    };
    ShardLog {
        ends: vec![(ShardId(shard), Position(end))],
        transactions: transactions.iter().map(part).collect(),
    }
}

fn manifest(shards: u16) -> Manifest {
    let mut manifest = Manifest::new(0);
    manifest.epochs.push(EpochEntry { number: Epoch(1), shards, first_gsn: Gsn(1) });
    manifest
}

fn facts<'a>(log: &'a ShardLog, seal: Option<&'a Seal>, tail: Option<&'a TailFact>) -> LogFacts<'a> {
    let (log_id, epoch, frames) = (LogId(1), Epoch(1), FrameNo(10));
    LogFacts {
        log: log_id,
        epoch,
        seal,
        frames,
        ends: &log.ends,
        limits: &[],
        transactions: &log.transactions,
        complete: None,
        end: None,
        tail,
    }
}

fn plan_of(logs: &[ShardLog]) -> Plan {
    let facts: Vec<_> = logs.iter().map(|log| facts(log, None, None)).collect();
    plan(&manifest(logs.len() as u16), &facts).unwrap()
}

fn cuts(plan: &Plan, shards: u16) -> Vec<u64> {
    (0..shards).map(|shard| plan.cut(Epoch(1), ShardId(shard)).0).collect()
}

#[test]
fn whole_transactions_stay() {
    let plan = plan_of(&[shard_log(0, 20, &[(1, 4, &[0, 1])]), shard_log(1, 30, &[(1, 9, &[0, 1])])]);
    assert_eq!(cuts(&plan, 2), [20, 30]);
    assert!(plan.transactions_cut.is_empty() && plan.effects_cut == 0);
}

#[test]
fn a_transaction_without_all_participants_is_cut_on_each() {
    let plan = plan_of(&[shard_log(0, 20, &[(1, 4, &[0, 1])]), shard_log(1, 30, &[])]);
    assert_eq!(cuts(&plan, 2), [4, 30]);
    assert_eq!(plan.transactions_cut, [Gsn(1)]);
    assert_eq!(plan.effects_cut, 16);
}

#[test]
fn cuts_cascade_to_a_fixpoint() {
    // 3 lacks shard 2; cutting it on shard 1 takes 4, which takes 5 on shard 0.
    let logs = [
        shard_log(0, 50, &[(4, 10, &[0, 1]), (5, 20, &[0, 2])]),
        shard_log(1, 50, &[(3, 10, &[1, 2]), (4, 20, &[0, 1])]),
        shard_log(2, 50, &[(5, 40, &[0, 2])]),
    ];
    let plan = plan_of(&logs);
    assert_eq!(cuts(&plan, 3), [10, 10, 40]);
    assert_eq!(plan.transactions_cut, [Gsn(3), Gsn(4), Gsn(5)]);
}

#[test]
fn in_gsn_order_a_cut_before_nine_leaves_four_alone() {
    let logs = [
        shard_log(0, 50, &[(4, 10, &[0, 1]), (9, 30, &[0, 2])]),
        shard_log(1, 40, &[(4, 5, &[0, 1])]),
        shard_log(2, 7, &[]),
    ];
    assert_eq!(cuts(&plan_of(&logs), 3), [30, 40, 7]);
}

#[test]
fn out_of_gsn_order_the_cut_takes_a_whole_transaction_with_it_and_stays_consistent() {
    // What the order per shard prevents: 4 behind the incomplete 9. Recovery must still leave no half of it.
    let logs = [
        shard_log(0, 50, &[(9, 10, &[0, 2]), (4, 30, &[0, 1])]),
        shard_log(1, 40, &[(4, 5, &[0, 1])]),
        shard_log(2, 7, &[]),
    ];
    let plan = plan_of(&logs);
    assert_eq!(cuts(&plan, 3), [10, 5, 7]);
    assert_eq!(plan.transactions_cut, [Gsn(4), Gsn(9)]);
}

#[test]
fn a_participant_that_no_log_serves_is_a_missing_one() {
    assert_eq!(cuts(&plan_of(&[shard_log(0, 9, &[(1, 2, &[0, 5])])]), 1), [2]);
}

#[test]
fn sealed_logs_keep_their_cuts() {
    let log = shard_log(0, 20, &[(1, 4, &[0, 1])]);
    let ends = vec![(ShardId(0), Position(12))];
    let seal = Seal { segment: SegmentNo(0), offset: 0, frames: FrameNo(10), ends };
    let plan = plan(&manifest(1), &[facts(&log, Some(&seal), None)]).unwrap();
    assert_eq!(cuts(&plan, 1), [12]);
}

#[test]
fn an_end_below_what_is_vouched_for_is_refused() {
    let log = shard_log(0, 20, &[]);
    let mut tail = TailFact {
        file: "log-1-0.seg".into(),
        offset: 4711,
        vouched: FrameNo(10),
        voucher: "the frame at byte 5000".to_owned(),
        bytes: 100,
        why: "torn".to_owned(),
    };
    assert!(plan(&manifest(1), &[facts(&log, None, Some(&tail))]).is_ok(), "frames 0 to 9 are there");
    tail.vouched = FrameNo(12);
    let refusal = plan(&manifest(1), &[facts(&log, None, Some(&tail))]).unwrap_err();
    assert_eq!(refusal.offset, Some(4711));
    assert!(refusal.lost.contains("frames 10 to 11"), "{refusal}");
    assert!(refusal.to_string().contains("byte 5000"), "{refusal}");
}

/// Transactions over four shards, each written to its participants in order, and where each shard's log broke
/// off.
fn history() -> impl Strategy<Value = (Vec<Vec<u16>>, Vec<usize>)> {
    let participants = prop::sample::subsequence(vec![0u16, 1, 2, 3], 1..=4);
    (prop::collection::vec(participants, 0..30), prop::collection::vec(0usize..30, 4))
}

proptest! {
    #[test]
    fn after_the_cuts_every_transaction_is_whole((transactions, lengths) in history()) {
        let mut parts: Vec<Vec<(u64, u64, Vec<u16>)>> = vec![Vec::new(); 4];
        for (index, participants) in transactions.iter().enumerate() {
            for &shard in participants {
                let shard = &mut parts[usize::from(shard)];
                shard.push((index as u64, shard.len() as u64 * 10, participants.clone()));
            }
        }
        let mut logs = Vec::new();
        for (shard, (mut parts, &length)) in parts.into_iter().zip(&lengths).enumerate() {
            parts.truncate(length);
            let borrowed: Vec<(u64, u64, &[u16])> =
                parts.iter().map(|(gsn, first, participants)| (*gsn, *first, participants.as_slice())).collect();
            logs.push(shard_log(shard as u16, parts.len() as u64 * 10, &borrowed));
        }
        let plan = plan_of(&logs);
        let cut = |shard| plan.cut(Epoch(1), shard);
        let kept = |gsn: Gsn, shard: ShardId| {
            let log = &logs[usize::from(shard.0)];
            log.transactions.iter().any(|part| part.gsn == gsn && part.first < cut(shard))
        };
        for part in logs.iter().flat_map(|log| &log.transactions) {
            if part.first < cut(part.shard) {
                prop_assert!(part.participants.iter().all(|&other| kept(part.gsn, other)), "{:?} is torn", part);
            }
        }
        // No more than needed: the transactions below the first incomplete one are all there.
        let whole = |index: usize| {
            transactions[index].iter().all(|&shard| {
                logs[usize::from(shard)].transactions.iter().any(|part| part.gsn == Gsn(index as u64))
            })
        };
        let bound = (0..transactions.len()).find(|&index| !whole(index)).unwrap_or(transactions.len());
        for (index, participants) in transactions.iter().enumerate().take(bound) {
            for &shard in participants {
                prop_assert!(kept(Gsn(index as u64), ShardId(shard)), "{} was cut for nothing", index);
            }
        }
    }
}

#[test]
fn a_transaction_that_was_complete_and_lacks_a_part_is_refused() {
    let logs = [shard_log(0, 20, &[(1, 4, &[0, 1])]), shard_log(1, 30, &[]), shard_log(2, 5, &[])];
    let manifest = manifest(3);
    let with = |complete| {
        let mut facts: Vec<_> = logs.iter().map(|log| facts(log, None, None)).collect();
        facts[2].complete = complete;
        facts[1].end = Some((std::path::Path::new("quiet"), 77));
        plan(&manifest, &facts)
    };
    assert_eq!(with(Some(Gsn(0))).unwrap().transactions_cut, [Gsn(1)], "it may never have been acknowledged");
    let refusal = with(Some(Gsn(1))).unwrap_err();
    assert_eq!((refusal.file.to_str(), refusal.offset), (Some("quiet"), Some(77)));
    assert!(refusal.lost.contains("shard 1's part of transaction 1"), "{refusal}");
}
