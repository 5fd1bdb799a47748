//! What holds of every input: no panic, histories that are chains in time order, and the same
//! answer whichever end is called which.

use finwait::decode::Decoded;
use finwait::decode::segment::{Flags, Options, Segment};
use finwait::decode::tuple::FourTuple;
use finwait::history::archive::Archive;
use finwait::history::{History, Role};
use finwait::infer::Params;
use finwait::infer::event::Event;
use finwait::infer::state::{Basis, State};
use finwait::infer::trail::Transition;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::{Pipeline, Sink};
use finwait::seq::SeqNum;
use finwait::time::{Span, Timestamp};
use proptest::prelude::*;

/// What holds of every history, whatever the capture.
pub fn assert_consistent(name: &str, history: &History) {
    let context = || format!("{name} connection {}: {:#?}", history.id, history.transitions);
    let times = history.transitions.windows(2).all(|pair| pair[0].at.ts <= pair[1].at.ts);
    assert!(times, "in time order: {}", context());
    for role in Role::BOTH {
        let own: Vec<_> = history.transitions_of(role).collect();
        assert!(own.windows(2).all(|pair| pair[0].to == pair[1].from), "a chain: {}", context());
        let Some((first, last)) = own.first().zip(own.last()) else { continue };
        let begins = [State::Closed, State::Listen, State::Unknown].contains(&first.from);
        assert!(begins && last.to == history.last_state(role), "whole: {}", context());
    }
    let mut archive = Archive::default();
    let renumbered = History { id: 0, ..history.clone() };
    archive.push(&renumbered);
    assert_eq!(archive.get(0).as_ref(), Some(&renumbered), "packed and unpacked");
}

/// One segment of a random exchange: direction, flags, numbers near each other, payload, and the
/// milliseconds since the one before.
#[derive(Clone, Debug)]
struct Step {
    forth: bool,
    flags: u16,
    seq: u32,
    ack: u32,
    payload: u32,
    window: u16,
    millis: u64,
    tsval: Option<u32>,
    /// The packet before it, captured once more.
    copy: bool,
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly what TCPs send, sometimes anything.
    let flags = prop_oneof![
        4 => Just(0x10u16), 3 => Just(0x11), 2 => Just(0x02), 2 => Just(0x12), 1 => Just(0x04),
        1 => Just(0x14), 1 => Just(0x18), 1 => 0u16..0x200,
    ];
    let number = prop_oneof![8 => 0u32..6, 1 => Just(u32::MAX), 1 => any::<u32>()];
    let payload = prop_oneof![4 => Just(0u32), 2 => 1u32..4, 1 => 0u32..100_000];
    let millis = prop_oneof![6 => 0u64..300, 1 => 0u64..200_000];
    let tsval = prop_oneof![2 => Just(None), 1 => (0u32..50).prop_map(Some)];
    (any::<bool>(), flags, number.clone(), number, payload, 0u16..3, millis, tsval).prop_map(
        |(forth, flags, seq, ack, payload, window, millis, tsval)| Step {
            forth,
            flags,
            seq,
            ack,
            payload,
            window,
            millis,
            tsval,
            copy: false,
        },
    )
}

#[derive(Default)]
struct Keep(Vec<History>);

impl Sink for Keep {
    fn finished(&mut self, history: History) {
        self.0.push(history);
    }
}

/// A transition stays, as firm as it was or firmer, or is refuted on the record.
fn assert_kept(transition: &Transition, history: &History) {
    let kept = history.transitions.iter().find(|other| {
        let same = (other.end, other.to, other.event, other.at);
        same == (transition.end, transition.to, transition.event, transition.at)
    });
    // A held SYN that is accepted after all ends what went on beside it.
    let superseded = history.transitions.iter().any(|other| {
        let own = (other.end, other.event) == (transition.end, Event::Superseded);
        own && other.at.ts <= transition.at.ts
    });
    if superseded || transition.event == Event::Superseded {
        return;
    }
    let refuted = history.refuted.iter().any(|refuted| {
        let same = (refuted.end, refuted.state, refuted.at);
        same == (transition.end, transition.to, transition.at)
    });
    if refuted || history.dropped > 0 {
        return;
    }
    let Some(kept) = kept else { panic!("{transition:#?} left no trace in {history:#?}") };
    let firmness = |basis| Basis::ALL.iter().position(|other| *other == basis);
    let firmer = firmness(kept.basis) <= firmness(transition.basis);
    let confirmed = transition.confirmed.frame == 0 || kept.confirmed == transition.confirmed;
    assert!(firmer && confirmed, "{transition:#?} became {kept:#?}");
}

/// Runs the steps and ends the capture with the last of them.
fn run_quietly(steps: &[Step]) -> Vec<History> {
    run_until(steps, false, Span::ZERO)
}

/// Runs the steps between two addresses, and ends the capture ten seconds later; exchanged, the canonical order of the ends is the other.
fn run(steps: &[Step], exchanged: bool) -> Vec<History> {
    run_until(steps, exchanged, Span::from_secs(10))
}

fn run_until(steps: &[Step], exchanged: bool, silence: Span) -> Vec<History> {
    let mut ip_id = 0;
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Keep::default());
    let mut now = Timestamp::from_nanos(1_795_172_400_000_000_000);
    let (low, high) = (([1; 16], 40_000), ([2; 16], 40_001));
    let (here, there) = if exchanged { (high, low) } else { (low, high) };
    for (at, step) in steps.iter().enumerate() {
        if !step.copy {
            now = now.after(Span::from_millis(step.millis));
            ip_id += 1;
        }
        let (source, target) = if step.forth { (here, there) } else { (there, here) };
        let (tuple, sender) = FourTuple::new(6, source, target);
        let timestamps = step.tsval.map(|tsval| (tsval, 0));
        let segment = Segment {
            ts: now,
            frame: at as u64 + 1,
            seq: SeqNum(step.seq),
            ack: SeqNum(step.ack),
            payload: step.payload,
            window: step.window,
            flags: Flags::from_bits(step.flags),
            ip_id,
            ttl: 64,
            wrong_checksum: false,
            options: Options { timestamps, ..Options::default() },
        };
        pipeline.decoded(&Decoded { tuple, sender, segment });
    }
    pipeline.silence(now.after(silence));
    let mut histories = pipeline.finish().0.0;
    histories.sort_by_key(|history| history.id);
    histories
}

/// What a history says, without the names of its ends.
fn told(history: &History) -> Vec<(Role, State, u64, u64)> {
    let transitions = history.transitions.iter();
    transitions.map(|t| (history.role(t.end), t.to, t.at.frame, t.confirmed.frame)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_exchange_gives_chains(steps in prop::collection::vec(step(), 1..40)) {
        for history in run(&steps, false) {
            assert_consistent("random steps", &history);
        }
    }

    #[test]
    fn the_past_changes_only_by_a_recorded_refutation(
        steps in prop::collection::vec(step(), 2..30),
    ) {
        let mut shorter = run_quietly(&steps[..1]);
        for length in 2..=steps.len() {
            let longer = run_quietly(&steps[..length]);
            for history in &shorter {
                let same = longer.iter().find(|other| other.first.frame == history.first.frame);
                // A SYN that waits for its answer when the capture ends may turn out stale.
                let waits = |history: &History| {
                    history.sides.iter().all(|side| side.tally.segments == u64::from(side.tally.syns))
                        && history.predecessor.is_some()
                };
                let Some(same) = same else {
                    assert!(waits(history), "connection {} is gone", history.id);
                    continue;
                };
                for transition in &history.transitions {
                    assert_kept(transition, same);
                }
            }
            shorter = longer;
        }
    }

    #[test]
    fn each_packet_twice_gives_the_same(steps in prop::collection::vec(step(), 1..30)) {
        let twice: Vec<Step> =
            steps.iter().flat_map(|step| [step.clone(), Step { copy: true, ..step.clone() }]).collect();
        let (once, twice) = (run(&steps, false), run(&twice, false));
        let timed = |histories: &[History]| -> Vec<_> {
            let all = histories.iter().flat_map(|history| &history.transitions);
            all.map(|t| (t.end, t.to, t.basis, t.at.ts, t.confirmed.ts)).collect()
        };
        prop_assert_eq!(timed(&once), timed(&twice));
    }

    #[test]
    fn exchanging_the_ends_exchanges_the_results(steps in prop::collection::vec(step(), 1..30)) {
        let (one, other) = (run(&steps, false), run(&steps, true));
        prop_assert_eq!(one.len(), other.len());
        for (one, other) in one.iter().zip(&other) {
            let roles = Role::BOTH.map(|role| one.addr(role)) == Role::BOTH.map(|role| {
                let mirrored = other.addr(role).port();
                let port = if mirrored == 40_000 { 40_001 } else { 40_000 };
                one.addr(if one.addr(Role::Client).port() == port { Role::Client } else { Role::Server })
            });
            prop_assert!(roles, "the same end is the client");
            let sorted = |history: &History| {
                let mut told = told(history);
                told.sort();
                told
            };
            prop_assert_eq!(sorted(one), sorted(other));
        }
    }
}
