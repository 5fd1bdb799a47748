//! What holds of every input, random segments and recordings alike: no panic; histories that are
//! chains in the order of time and frames; the same answer whichever end is called which, and
//! however often a packet was captured; and a past that changes by recorded refutations only. That
//! a capture in several files is one capture stands in `halves.rs`.

use finwait::decode::Decoded;
use finwait::decode::segment::{Flags, Options, Segment};
use finwait::decode::tuple::FourTuple;
use finwait::history::archive::Archive;
use finwait::history::{History, Role};
use finwait::infer::event::Event;
use finwait::infer::state::{Basis, State};
use finwait::infer::trail::{Moment, Transition};
use finwait::seq::SeqNum;
use finwait::time::{Span, Timestamp};
use proptest::prelude::*;

use crate::replay;

/// What holds of every history, whatever the capture.
pub fn assert_consistent(name: &str, history: &History) {
    let context = || format!("{name} connection {}: {:#?}", history.id, history.transitions);
    let times = history.transitions.windows(2).all(|pair| pair[0].at.ts <= pair[1].at.ts);
    assert!(times, "in time order: {}", context());
    for role in Role::BOTH {
        let own: Vec<_> = history.transitions_of(role).collect();
        assert!(own.windows(2).all(|pair| pair[0].to == pair[1].from), "a chain: {}", context());
        let frames: Vec<u64> = own.iter().map(|it| it.at.frame).filter(|it| *it > 0).collect();
        assert!(frames.is_sorted(), "in the order of the frames: {}", context());
        let Some((first, last)) = own.first().zip(own.last()) else { continue };
        let begins = [State::Closed, State::Listen, State::Unknown].contains(&first.from);
        assert!(begins && last.to == history.last_state(role), "whole: {}", context());
    }
    let mut archive = Archive::default();
    let mut renumbered = history.clone();
    renumbered.id = 0;
    archive.push(&renumbered);
    assert_eq!(archive.get(0).as_ref(), Some(&renumbered), "packed and unpacked");
}

/// One segment of a random exchange: direction, flags, numbers near each other, payload, and the
/// milliseconds since the one before.
#[derive(Clone, Debug)]
pub struct Step {
    forth: bool,
    flags: u16,
    seq: u32,
    ack: u32,
    payload: u32,
    window: u16,
    millis: u64,
    tsval: Option<u32>,
}

pub fn step() -> impl Strategy<Value = Step> {
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
        },
    )
}

/// A SYN that waits for its answer when the capture ends begins a life that may turn out stale.
fn waits_for_answer(history: &History) -> bool {
    let only_syns =
        history.sides.iter().all(|side| side.tally.segments == u64::from(side.tally.syns));
    only_syns && history.predecessor.is_some()
}

/// Whether a SYN that waits for its answer may have ended this life, or not.
fn is_disputed(history: &History, all: &[History]) -> bool {
    all.iter().any(|other| waits_for_answer(other) && other.tuple == history.tuple)
}

/// The same step at the same moment, however firm.
fn is_same(one: &Transition, other: &Transition) -> bool {
    (one.end, one.to, one.event, one.at) == (other.end, other.to, other.event, other.at)
}

fn stands_in(transition: &Transition, history: &History) -> bool {
    history.transitions.iter().any(|other| is_same(transition, other))
}

/// A transition stays, as firm as it was or firmer, or is refuted on the record.
fn assert_kept(name: &str, transition: &Transition, history: &History, shorter: &[History]) {
    let kept = history.transitions.iter().find(|other| is_same(transition, other));
    // The end of an old life goes with a new one that waits for its answer.
    let undecided = transition.event == Event::Superseded && is_disputed(history, shorter);
    let refuted = history.refuted.iter().any(|refuted| {
        let same = (refuted.end, refuted.state, refuted.at);
        same == (transition.end, transition.to, transition.at)
    });
    if undecided || refuted || history.dropped > 0 {
        return;
    }
    let Some(kept) = kept else { panic!("{name}: {transition:#?} left no trace in {history:#?}") };
    let firmness = |basis| Basis::ALL.iter().position(|other| *other == basis);
    let firmer = firmness(kept.basis) <= firmness(transition.basis);
    let confirmed = transition.confirmed.frame == 0 || kept.confirmed == transition.confirmed;
    assert!(firmer && confirmed, "{name}: {transition:#?} became {kept:#?}");
}

/// A transition of the longer capture that lies in the time of the shorter one stood there already,
/// takes the place of what is refuted on the record, or is one that only later segments can show:
/// that a segment had come, that nothing came any more, or that the life was over. What an end did
/// send is known when it passes.
fn assert_known(name: &str, transition: &Transition, longer: &History, newest: &Moment) {
    const SENT: [Event; 6] = [
        Event::SentSyn,
        Event::SentSynAck,
        Event::SentFin,
        Event::SentUnseenFin,
        Event::SentRst,
        Event::SentRstWithoutSocket,
    ];
    let replaces = longer
        .refuted
        .iter()
        .any(|refuted| refuted.end == transition.end && refuted.by.frame > newest.frame);
    let is_known = !SENT.contains(&transition.event) || replaces || longer.dropped > 0;
    assert!(is_known, "{name}: {transition:#?} came into the past of {longer:#?}");
}

/// The steps as segments between two addresses, a unique IP id each.
pub fn segments(steps: &[Step]) -> Vec<Decoded> {
    let mut now = Timestamp::from_nanos(1_795_172_400_000_000_000);
    let (here, there) = (([1; 16], 40_000), ([2; 16], 40_001));
    let mut segments = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        now = now.after(Span::from_millis(step.millis));
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
            ip_id: at as u16 + 1,
            ttl: 64,
            wrong_checksum: false,
            checksum: 0,
            options: Options { timestamps, ..Options::default() },
        };
        segments.push(Decoded { tuple, sender, segment });
    }
    segments
}

/// When a capture ends ten seconds after its last segment.
fn later(segments: &[Decoded]) -> Timestamp {
    let last = segments.iter().map(|decoded| decoded.segment.ts).max();
    last.unwrap_or_default().after(Span::from_secs(10))
}

/// Exchanging the directions exchanges the results, and changes nothing else.
fn assert_mirrors(name: &str, segments: &[Decoded]) {
    let end = later(segments);
    let exchanged: Vec<_> = segments.iter().map(replay::mirrored).collect();
    let (one, other) = (replay::histories(segments, end), replay::histories(&exchanged, end));
    assert_eq!(one.len(), other.len(), "{name}");
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(replay::by_role(one), replay::unmirrored(other, one.tuple), "{name}");
    }
}

/// Each packet twice gives the same histories.
fn assert_copies_change_nothing(name: &str, segments: &[Decoded]) {
    let end = later(segments);
    let twice = replay::histories(&replay::twice(segments), end);
    let twice: Vec<_> = twice.iter().map(replay::once).collect();
    assert_eq!(replay::histories(segments, end), twice, "{name}");
}

/// A shorter capture makes no earlier claim firmer, and what comes later changes the past by
/// recorded refutations only. `prefixes` is how many lengths are tried.
fn assert_the_past_stays(name: &str, segments: &[Decoded], prefixes: usize) {
    let stride = segments.len().div_ceil(prefixes).max(1);
    let mut shorter = replay::histories_at_once(&segments[..1.min(segments.len())]);
    for length in (1..=segments.len()).step_by(stride).skip(1) {
        let longer = replay::histories_at_once(&segments[..length]);
        for history in &shorter {
            let same = longer.iter().find(|other| other.first.frame == history.first.frame);
            let Some(same) = same else {
                assert!(waits_for_answer(history), "{name}: connection {} is gone", history.id);
                continue;
            };
            for transition in &history.transitions {
                assert_kept(name, transition, same, &shorter);
            }
            if is_disputed(history, &shorter) {
                continue;
            }
            let past = same.transitions.iter().filter(|it| it.at.frame <= history.last.frame);
            for transition in past.filter(|it| !stands_in(it, history)) {
                assert_known(name, transition, same, &history.last);
            }
        }
        shorter = longer;
    }
}

#[test]
fn recordings_mirror() {
    replay::recordings().iter().for_each(|(name, segments)| assert_mirrors(name, segments));
}

#[test]
fn recordings_twice_say_the_same() {
    for (name, segments) in replay::recordings() {
        assert_copies_change_nothing(&name, &segments);
    }
}

#[test]
fn the_past_of_recordings_stays() {
    for (name, segments) in replay::recordings() {
        assert_the_past_stays(&name, &segments, 40);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_exchange_gives_chains(steps in prop::collection::vec(step(), 1..40)) {
        let segments = segments(&steps);
        for history in replay::histories(&segments, later(&segments)) {
            assert_consistent("random steps", &history);
        }
    }

    #[test]
    fn the_past_changes_only_by_a_recorded_refutation(
        steps in prop::collection::vec(step(), 2..30),
    ) {
        assert_the_past_stays("random steps", &segments(&steps), steps.len());
    }

    #[test]
    fn each_packet_twice_gives_the_same(steps in prop::collection::vec(step(), 1..30)) {
        assert_copies_change_nothing("random steps", &segments(&steps));
    }

    #[test]
    fn exchanging_the_ends_exchanges_the_results(steps in prop::collection::vec(step(), 1..30)) {
        assert_mirrors("random steps", &segments(&steps));
    }
}
