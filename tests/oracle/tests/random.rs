//! Random connections between two smoltcp stacks: finwait's histories against the sockets' own
//! states.
//!
//! `FINWAIT_ORACLE_COUNT` sets how many connections of each kind are played, and
//! `FINWAIT_ORACLE_SEED` which; then the shares are printed, and nothing is asserted.
//! `FINWAIT_ORACLE_SHOW` prints that many kinds of miss, each with the smallest scenario found for
//! it, and `FINWAIT_ORACLE_ONLY` limits them to those whose name contains it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use finwait_oracle::page::page;
use finwait_oracle::scenario::Scenario;
use finwait_oracle::score::{Score, score};
use finwait_oracle::show::show;
use finwait_oracle::strategy::{Kind, scenarios};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Connections of each kind in the normal run.
const COUNT: u64 = 10_000;
/// Steps for making one scenario smaller.
const SHRINKS_MAX: u32 = 3_000;
/// Kinds of miss that are named.
const NAMED_MAX: usize = 40;

/// The least shares in percent, and the most states that are claimed with confidence and wrong.
struct Least {
    finals: f64,
    sequences: f64,
    time: f64,
    confirmed: f64,
    confident_wrong: u64,
}

/// The goals without impairment and with it; a network that is abused is held to the same.
const fn least(kind: Kind) -> Least {
    match kind {
        Kind::Unimpaired => Least {
            finals: 100.0,
            sequences: 100.0,
            time: 99.9,
            confirmed: 100.0,
            confident_wrong: 0,
        },
        Kind::Impaired | Kind::Abusive => {
            Least { finals: 99.5, sequences: 99.0, time: 99.5, confirmed: 99.9, confident_wrong: 0 }
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// How often each kind of miss came up, and in which scenario first.
type Misses = BTreeMap<String, (u64, u64)>;

#[test]
fn histories_equal_the_sockets_own() {
    let mut totals = Vec::new();
    for kind in Kind::ALL {
        let (total, misses) = play(kind);
        name_misses(kind, misses);
        totals.push((kind, total));
    }
    print_table(&totals);
    let is_normal = number("FINWAIT_ORACLE_COUNT").is_none();
    if is_normal && number("FINWAIT_ORACLE_SEED").is_none() {
        for (kind, total) in &totals {
            assert_reached(*kind, total);
        }
        hold_page(&page(&totals));
    }
}

/// The page of the docs is what this run gives.
fn hold_page(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/second-stack.md");
    if std::env::var_os("FINWAIT_BLESS").is_some() {
        std::fs::write(&path, page).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/second-stack.md is stale: FINWAIT_BLESS=1 writes it anew");
}

fn play(kind: Kind) -> (Score, Misses) {
    let strategy = scenarios(kind);
    let (mut total, mut misses) = (Score::default(), Misses::new());
    for nth in 0..number("FINWAIT_ORACLE_COUNT").unwrap_or(COUNT) {
        let scenario = strategy.new_tree(&mut runner(kind, nth)).expect("a scenario").current();
        let (one, ..) = score(&scenario);
        for miss in &one.misses {
            misses.entry(miss.kind.clone()).or_insert((0, nth)).0 += 1;
        }
        total.add(&one);
    }
    (total, misses)
}

fn runner(kind: Kind, nth: u64) -> TestRunner {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("FINWAIT_ORACLE_SEED").unwrap_or(1).to_le_bytes());
    seed[8..16].copy_from_slice(&nth.to_le_bytes());
    seed[16] = kind as u8;
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

/// Prints the most frequent kinds of miss.
fn name_misses(kind: Kind, misses: Misses) {
    let only = std::env::var("FINWAIT_ORACLE_ONLY").unwrap_or_default();
    let mut ranked: Vec<_> = misses.into_iter().filter(|(miss, _)| miss.contains(&only)).collect();
    ranked.sort_by_key(|(_, (count, _))| Reverse(*count));
    println!("\n{}: {} kinds of miss", kind.name(), ranked.len());
    for (miss, (count, nth)) in ranked.iter().take(NAMED_MAX) {
        println!("{count:6}  {miss}  [{nth}]");
    }
    let shown = number("FINWAIT_ORACLE_SHOW").unwrap_or(0) as usize;
    for (miss, (count, nth)) in ranked.iter().take(shown) {
        let smallest = shrink(kind, *nth, miss);
        let (_, run, testimony) = score(&smallest);
        println!("\n== {count} times: {miss}\n{smallest:?}\n{}", show(&run, &testimony));
    }
}

/// The smallest scenario that still has a miss of that kind.
fn shrink(kind: Kind, nth: u64, miss: &str) -> Scenario {
    let mut tree = scenarios(kind).new_tree(&mut runner(kind, nth)).expect("a scenario");
    let misses =
        |scenario: &Scenario| score(scenario).0.misses.iter().any(|found| found.kind == miss);
    let mut smallest = tree.current();
    let mut is_smaller = tree.simplify();
    for _ in 0..SHRINKS_MAX {
        if !is_smaller {
            break;
        }
        let scenario = tree.current();
        is_smaller = if misses(&scenario) {
            smallest = scenario;
            tree.simplify()
        } else {
            tree.complicate()
        };
    }
    smallest
}

/// `open` is the share of time in which nobody who sees the packets can know the state.
fn print_table(totals: &[(Kind, Score)]) {
    let [conns, finals, sequences, time, confirmed, wrong, open] =
        ["conns", "finals", "sequences", "time", "confirmed", "confident wrong", "open"];
    println!(
        "\n{:12}{conns:>9}{finals:>10}{sequences:>11}{time:>10}{confirmed:>11}{wrong:>17}{open:>9}",
        ""
    );
    for (kind, total) in totals {
        let [finals, sequences, time, confirmed] = total.shares();
        let open = total.open_share();
        let shares = format!("{finals:>9.3}%{sequences:>10.3}%{time:>9.3}%{confirmed:>10.3}%");
        let (name, conns, wrong) = (kind.name(), total.connections, total.confident_wrong);
        println!("{name:12}{conns:>9}{shares}{wrong:>17}{open:>8.2}%");
    }
}

fn assert_reached(kind: Kind, total: &Score) {
    let least = least(kind);
    let [finals, sequences, time, confirmed] = total.shares();
    let name = kind.name();
    assert!(finals >= least.finals, "{name}: finals {finals} %");
    assert!(sequences >= least.sequences, "{name}: sequences {sequences} %");
    assert!(time >= least.time, "{name}: time {time} %");
    assert!(confirmed >= least.confirmed, "{name}: confirmed {confirmed} %");
    assert!(total.confident_wrong <= least.confident_wrong, "{name}: confident and wrong");
}
