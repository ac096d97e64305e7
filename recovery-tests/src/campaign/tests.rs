//! Seeds, shares, what counts as a violation, what is skipped and what is summed.

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
    let (shrinks, interrupted) = (false, Arc::default());
    let campaign =
        Campaign { families, seed, length, seeds, jobs, keeps_going, shrinks, server, scratch, interrupted };
    (dir, campaign)
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
            .all(|violation| violation.seed.is_some_and(|seed| seed % 2 == 1))
    );
    assert!(violations.iter().any(|violation| violation.what == "panicked: as it does"));
}

#[test]
fn a_violation_ends_the_campaign_and_its_seed_replays_it() {
    let (_dir, mut campaign) = campaign(vec![family("b", 1, fails_at_odd_seeds)], Length::Rounds(1000));
    (campaign.keeps_going, campaign.jobs) = (false, 1);
    let (rows, violations) = run(&campaign);
    assert_eq!((violations.len(), rows[0].violations), (1, 1));
    let seed = violations[0].seed.expect("of the round");
    (campaign.seed, campaign.length) = (seed, Length::Rounds(1));
    let (rows, again) = run(&campaign);
    assert_eq!((rows[0].rounds, &again[0].what), (1, &violations[0].what));
    assert!(again[0].report().contains(&format!("--only b --seed {seed} --rounds 1")));
}

#[test]
fn what_once_failed_comes_first() {
    let (_dir, mut campaign) = campaign(vec![family("b", 1, fails_at_odd_seeds)], Length::Rounds(1000));
    (campaign.keeps_going, campaign.jobs) = (false, 1);
    campaign.seeds = vec![Seed { family: "b".into(), seed: 4711 }];
    let (rows, violations) = run(&campaign);
    assert_eq!((violations[0].seed, rows[0].rounds), (Some(4711), 1));
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

fn cannot(_seed: u64, _place: &Place) -> Result<Counts, String> {
    let mut counts = Counts::default();
    counts.add("skipped, no such file system", 1);
    Ok(counts)
}

#[test]
fn what_cannot_be_done_is_told_once_and_takes_no_share() {
    let families = vec![family("a", 1, cannot), family("b", 1, passes)];
    let (_dir, mut campaign) = campaign(families, Length::Time(Duration::from_millis(100)));
    campaign.jobs = 1;
    let (rows, violations) = run(&campaign);
    assert_eq!((rows[0].rounds, rows[0].started, violations.len()), (0, 1, 0));
    assert!(rows[1].rounds > 1);
    let table = text(&rows);
    assert!(
        table.lines().any(|line| line.starts_with("a ") && line.ends_with("  skipped: no such file system"))
    );
    // Where nothing can be done, a campaign ends.
    campaign.families.truncate(1);
    campaign.length = Length::Rounds(1000);
    assert_eq!(run(&campaign).0[0].started, 1);
}

#[test]
fn once_interrupted_no_round_begins() {
    let (_dir, campaign) = campaign(vec![family("a", 1, passes)], Length::Rounds(1_000_000));
    let interrupted = Arc::clone(&campaign.interrupted);
    let signal = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        interrupted.store(true, Ordering::Relaxed);
    });
    let (rows, violations) = run(&campaign);
    signal.join().expect("no panic");
    assert!(rows[0].rounds < 1_000_000 && violations.is_empty());
    assert_eq!((rows[0].running, rows[0].rounds), (0, rows[0].started));
    // A round of servers that a signal may have reached proves nothing.
    let (_dir, mut campaign) =
        self::campaign(vec![family("kill", 1, fails_and_is_interrupted)], Length::Rounds(1));
    (campaign.jobs, campaign.interrupted) = (1, Arc::clone(&INTERRUPTED));
    let (rows, violations) = run(&campaign);
    assert_eq!((rows[0].rounds, violations.len()), (1, 0));
}

static INTERRUPTED: std::sync::LazyLock<Arc<AtomicBool>> = std::sync::LazyLock::new(Arc::default);

fn fails_and_is_interrupted(_seed: u64, _place: &Place) -> Result<Counts, String> {
    INTERRUPTED.store(true, Ordering::Relaxed);
    Err("the server ended by itself".into())
}

#[test]
fn a_hung_round_is_found_while_others_end() {
    let (_dir, mut campaign) =
        campaign(vec![family("a", 1, hangs_once)], Length::Time(Duration::from_secs(20)));
    campaign.keeps_going = false;
    let (rows, violations) = run_with(&campaign, Duration::from_millis(50));
    assert!(violations[0].what.starts_with("it does not end"), "{}", violations[0].what);
    assert!(violations[0].after < Duration::from_secs(10) && rows[0].rounds > 1);
}

fn hangs_once(_seed: u64, _place: &Place) -> Result<Counts, String> {
    static HANGS: AtomicBool = AtomicBool::new(true);
    let is_first = HANGS.swap(false, Ordering::Relaxed);
    std::thread::sleep(if is_first { Duration::from_secs(3600) } else { Duration::from_millis(5) });
    Ok(Counts::default())
}

#[test]
fn the_line_for_the_seeds_has_first_words_and_no_paths() {
    let what =
        "(a) no start: /data/log-0-1: it begins wrong; and so on and on and on and on and on\nrun: Setup";
    let words = first_words(what);
    assert_eq!(words, "(a) no start: it begins wrong; and so on and on and on and on and on");
    assert!(first_words(&"x".repeat(500)).len() <= FIRST_WORDS_CHARS);
    assert_eq!(first_words(""), "");
}

#[test]
fn totals_sum_what_families_call_differently() {
    let mut rows: Vec<Row> =
        ["subsets", "fail-point", "sim"].map(|name| row(&family(name, 1, passes))).into();
    rows[0].counts.add("crashes", 100);
    rows[0].counts.add("crash points", 1);
    rows[1].counts.add("log-after-write", 7);
    rows[1].counts.add("ends in a start", 3); // part of those
    rows[1].counts.add("commands acknowledged", 20);
    rows[2].counts.add("power cuts", 1000);
    rows[2].counts.add("acknowledged", 5);
    rows.iter_mut().for_each(|row| row.rounds = 2);
    let line = text(&rows).lines().last().unwrap_or_default().to_owned();
    assert!(line.starts_with("total"), "{line}");
    assert!(line.ends_with("  1107 crashes, 25 commands acknowledged"), "{line}");
    assert!(markdown(&rows).ends_with("| total | 6 | 0.0 | 0 | 1107 crashes, 25 commands acknowledged |\n"));
}

#[test]
fn a_program_without_fail_points_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    for (program, why) in [("/nowhere/everfast", "cannot be run"), ("true", "has no fail points")] {
        let error = check_server(std::path::Path::new(program), dir.path()).expect_err("no such server");
        assert!(error.contains(why), "{error}");
    }
    if let Ok(server) = crate::server_process::fail_point_binary() {
        check_server(&server, dir.path()).expect("it has fail points");
    }
}

#[test]
fn families_with_processes_need_the_server() {
    let names: Vec<&str> =
        families().iter().filter(|family| needs_server(family)).map(|it| it.name).collect();
    assert_eq!(names, ["linear-kill", "kill", "fail-point", "disk-error", "full-disk", "strace"]);
}
