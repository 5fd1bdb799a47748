//! The judge itself: testimony that is wrong is found out, so that a good score means something.

use finwait::infer::state::{Basis, State};
use finwait_oracle::cases::all;
use finwait_oracle::judge::spelled;
use finwait_oracle::score::hold_against;
use finwait_oracle::strategy::{Kind, scenarios};
use finwait_oracle::witness::watch;
use finwait_oracle::world::{Run, play};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Cases that finwait gets right and in which the moment of everything can be named: nothing is lost
/// that is repeated a second later, and no two things happen at once.
const PLAIN: [&str; 4] =
    ["four-segment-close", "half-close-with-data", "reset-instead-of-fin", "refused"];

fn right_runs() -> Vec<(&'static str, Run)> {
    let plain = all().into_iter().filter(|case| PLAIN.contains(&case.name));
    let runs: Vec<_> = plain.map(|case| (case.name, play(&case.scenario))).collect();
    assert_eq!(runs.len(), PLAIN.len());
    runs
}

#[test]
fn a_state_left_out_is_missed() {
    for (name, run) in right_runs() {
        let testimony = watch(&run);
        for end in [0, 1] {
            for nth in 0..testimony.claims[end].len() {
                let mut wrong = testimony.clone();
                let left_out = wrong.claims[end].remove(nth).transition;
                let score = hold_against(&wrong, &run);
                assert!(!score.misses.is_empty(), "{name}: without {}", left_out.to);
            }
        }
    }
}

#[test]
fn a_state_told_late_or_early_costs_time() {
    for (name, run) in right_runs() {
        let testimony = watch(&run);
        for end in [0, 1] {
            for nth in 0..testimony.claims[end].len() {
                let begin = testimony.claims[end][nth].at;
                for moved in [begin.saturating_sub(200_000), begin + 200_000] {
                    let mut wrong = testimony.clone();
                    wrong.claims[end][nth].at = moved;
                    wrong.claims[end].sort_by_key(|claim| claim.at);
                    let score = hold_against(&wrong, &run);
                    let to = testimony.claims[end][nth].transition.to;
                    let before_all = nth == 0 && moved < begin;
                    assert!(before_all || !score.misses.is_empty(), "{name}: {to} at {moved}");
                }
            }
        }
    }
}

#[test]
fn a_state_that_never_was_is_confident_and_wrong() {
    for (name, run) in right_runs() {
        for end in [0, 1] {
            let mut wrong = watch(&run);
            let Some(last) = wrong.claims[end].last().copied() else { continue };
            let never = [State::SynRcvd, State::SynSent][end];
            let is_true = run.changes[end].iter().any(|change| spelled(change.to) == never);
            if is_true {
                continue;
            }
            let mut invented = last;
            invented.at += 1_000_000;
            invented.transition.to = never;
            invented.transition.basis = Basis::Observed;
            wrong.claims[end].push(invented);
            assert!(hold_against(&wrong, &run).confident_wrong > 0, "{name}");
        }
    }
}

#[test]
fn a_scenario_plays_the_same_way_every_time() {
    let strategy = scenarios(Kind::Abusive);
    let mut runner = TestRunner::deterministic();
    for _ in 0..50 {
        let scenario = strategy.new_tree(&mut runner).expect("a scenario").current();
        let [one, other] = [play(&scenario), play(&scenario)];
        let packets = |run: &Run| run.sent.iter().map(|sent| sent.packet.clone()).collect();
        let (one, other): (Vec<_>, Vec<_>) = (packets(&one), packets(&other));
        assert_eq!(one, other);
    }
}
