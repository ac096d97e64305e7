//! Seeds, shares and what counts as a violation.

use super::*;
use crate::family::Place;

fn passes(seed: u64, place: &Place) -> Result<Counts, String> {
    assert!(place.scratch.is_dir());
    let mut counts = Counts::default();
    counts.add("sum", seed % 7);
    Ok(counts)
}

fn fails_at_odd_seeds(seed: u64, _place: &Place) -> Result<Counts, String> {
    if seed % 2 == 1 { Err(format!("{seed} is odd")) } else { Ok(Counts::default()) }
}

fn panics(_seed: u64, _place: &Place) -> Result<Counts, String> {
    panic!("as it does")
}

fn family(name: &'static str, share: u32, round: crate::family::Round) -> Family {
    Family { name, about: "", share, round }
}

fn campaign(families: Vec<Family>, length: Length) -> (tempfile::TempDir, Campaign) {
    let dir = tempfile::tempdir().expect("a directory");
    let scratch = dir.path().to_owned();
    let server = PathBuf::new();
    let (seed, seeds, jobs, keeps_going) = (8, Vec::new(), 2, true);
    (dir, Campaign { families, seed, length, seeds, jobs, keeps_going, shrinks: false, server, scratch })
}

#[test]
fn every_family_runs_its_rounds_and_a_panic_is_a_violation() {
    let families = vec![family("a", 1, passes), family("b", 1, fails_at_odd_seeds), family("c", 1, panics)];
    let (_dir, campaign) = campaign(families, Length::Rounds(20));
    let (rows, violations) = run(&campaign);
    assert!(rows.iter().all(|row| row.rounds == 20));
    assert_eq!(rows[0].violations, 0);
    assert!((1..20).contains(&rows[1].violations));
    assert_eq!(rows[2].violations, 20);
    assert!(
        violations
            .iter()
            .filter(|violation| violation.family == "b")
            .all(|violation| violation.seed % 2 == 1)
    );
    assert!(violations.iter().any(|violation| violation.what == "panicked: as it does"));
}

#[test]
fn a_violation_ends_the_campaign_and_its_seed_replays_it() {
    let (_dir, mut campaign) = campaign(vec![family("b", 1, fails_at_odd_seeds)], Length::Rounds(1000));
    (campaign.keeps_going, campaign.jobs) = (false, 1);
    let (rows, violations) = run(&campaign);
    assert_eq!((violations.len(), rows[0].violations), (1, 1));
    (campaign.seed, campaign.length) = (violations[0].seed, Length::Rounds(1));
    let (rows, again) = run(&campaign);
    assert_eq!((rows[0].rounds, &again[0].what), (1, &violations[0].what));
    assert!(again[0].report().contains(&format!("--only b --seed {} --rounds 1", violations[0].seed)));
}

#[test]
fn what_once_failed_comes_first() {
    let (_dir, mut campaign) = campaign(vec![family("b", 1, fails_at_odd_seeds)], Length::Rounds(1000));
    (campaign.keeps_going, campaign.jobs) = (false, 1);
    campaign.seeds = vec![Seed { family: "b".into(), seed: 4711 }];
    let (rows, violations) = run(&campaign);
    assert_eq!((violations[0].seed, rows[0].rounds), (4711, 1));
}

#[test]
fn time_is_shared_as_the_shares_say() {
    let mut rows: Vec<Row> = [3, 1].map(|share| row(&family("a", share, passes))).into_iter().collect();
    for _ in 0..400 {
        let place = next_family(&rows, &[0, 0], Length::Time(Duration::ZERO)).expect("one");
        rows[place].rounds += 1;
        rows[place].started += 1;
        rows[place].spent += Duration::from_millis(10);
    }
    assert_eq!(rows.iter().map(|row| row.rounds).collect::<Vec<_>>(), [300, 100]);
}

#[test]
fn seeds_are_read_and_wrong_lines_are_named() {
    let text = "# comment\n\na 1 # found this\nb 18446744073709551615\n";
    let seeds = parse_seeds(text, &["a", "b"]).expect("seeds");
    assert_eq!(seeds[1], Seed { family: "b".into(), seed: u64::MAX });
    assert_eq!(seeds.len(), 2);
    for wrong in ["a", "a 1 2", "a x", "c 1"] {
        let error = parse_seeds(&format!("a 1\n{wrong}"), &["a", "b"]).expect_err("wrong");
        assert!(error.contains("line 2"), "{error}");
    }
}

#[test]
fn the_seeds_on_file_are_those_of_families() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/seeds.txt")).expect("seeds.txt");
    let names: Vec<&str> = families().iter().map(|family| family.name).collect();
    parse_seeds(&text, &names).expect("seeds of families");
}
