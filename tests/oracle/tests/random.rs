//! Random connections between two smoltcp stacks: finwait's histories against the sockets' own
//! states.
//!
//! `FINWAIT_ORACLE_COUNT` sets how many connections of each kind are played, and
//! `FINWAIT_ORACLE_SEED` which. `FINWAIT_ORACLE_SHOW` prints that many kinds of miss, each with
//! the smallest scenario found for it.

use std::collections::BTreeMap;

use finwait_oracle::scenario::Scenario;
use finwait_oracle::score::{Score, score};
use finwait_oracle::show::show;
use finwait_oracle::strategy::{Kind, scenarios};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Connections of each kind in the normal run.
const COUNT: u64 = 4_000;
/// Steps for making one scenario smaller.
const SHRINKS_MAX: u32 = 3_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn runner(kind: Kind, nth: u64) -> TestRunner {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number("FINWAIT_ORACLE_SEED").unwrap_or(1).to_le_bytes());
    seed[8..16].copy_from_slice(&nth.to_le_bytes());
    seed[16] = kind as u8;
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

/// How often each kind of miss came up, and in which scenarios first.
type Misses = BTreeMap<String, (u64, u64)>;

fn play(kind: Kind, misses: &mut Misses) -> Score {
    let strategy = scenarios(kind);
    let mut total = Score::default();
    for nth in 0..number("FINWAIT_ORACLE_COUNT").unwrap_or(COUNT) {
        let scenario = strategy.new_tree(&mut runner(kind, nth)).expect("a scenario").current();
        let (one, ..) = score(&scenario);
        for miss in &one.misses {
            misses.entry(miss.kind.clone()).or_insert((0, nth)).0 += 1;
        }
        total.add(&one);
    }
    total
}

/// The smallest scenario that still has a miss of that kind.
fn shrink(kind: Kind, nth: u64, miss: &str) -> Scenario {
    let mut tree = scenarios(kind).new_tree(&mut runner(kind, nth)).expect("a scenario");
    let fails = |scenario: &Scenario| {
        score(scenario).0.misses.iter().any(|found| found.kind == miss)
    };
    let mut smallest = tree.current();
    let mut smaller = tree.simplify();
    for _ in 0..SHRINKS_MAX {
        if !smaller {
            break;
        }
        let scenario = tree.current();
        smaller = match fails(&scenario) {
            true => {
                smallest = scenario;
                tree.simplify()
            }
            false => tree.complicate(),
        };
    }
    smallest
}

#[test]
fn histories_equal_the_sockets_own() {
    let mut totals = Vec::new();
    for kind in Kind::ALL {
        let mut misses = Misses::new();
        let total = play(kind, &mut misses);
        let mut ranked: Vec<_> = misses.into_iter().collect();
        ranked.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        println!("\n{}: {} kinds of miss", kind.name(), ranked.len());
        for (miss, (count, nth)) in ranked.iter().take(40) {
            println!("{count:6}  {miss}  [{nth}]");
        }
        let shown = number("FINWAIT_ORACLE_SHOW").unwrap_or(0) as usize;
        let only = std::env::var("FINWAIT_ORACLE_ONLY").unwrap_or_default();
        let known = std::env::var("FINWAIT_ORACLE_SKIP").unwrap_or_default();
        let known: Vec<_> = known.split(';').filter(|part| !part.is_empty()).collect();
        let new = ranked.iter().filter(|(miss, _)| miss.contains(&only) && !known.iter().any(|part| miss.contains(part)));
        for (miss, (count, nth)) in new.take(shown) {
            let smallest = shrink(kind, *nth, miss);
            let (_, run, testimony) = score(&smallest);
            println!("\n== {count} times: {miss}\n{smallest:?}\n{}", show(&run, &testimony));
        }
        totals.push((kind, total));
    }
    println!("\n{:12}{:>8}{:>10}{:>11}{:>10}{:>11}{:>17}{:>11}", "", "conns", "finals", "sequences", "time", "confirmed", "confident wrong", "(open)");
    for (kind, total) in &totals {
        let [finals, sequences, time, confirmed] = total.shares();
        println!(
            "{:12}{:>8}{finals:>9.3}%{sequences:>10.3}%{time:>9.3}%{confirmed:>10.3}%{:>17}{:>10.3}%",
            kind.name(), total.connections, total.confident_wrong,
            total.time_open as f64 * 100.0 / total.time.max(1) as f64,
        );
    }
}
