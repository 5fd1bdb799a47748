//! A connection in brief says what the engine says: whatever passes, the replay is the connection
//! that saw every segment, field by field.

use proptest::prelude::*;

use super::handshake::Announced;
use super::transcript::{Said, behind_syn};
use super::*;
use crate::decode::Decoded;
use crate::decode::segment::Options;
use crate::decode::tuple::FourTuple;
use crate::history::History;
use crate::infer::fact::FactKind;
use crate::limits::ANNOUNCEMENTS_MAX;
use crate::pipeline::Pipeline;
use crate::seq::SeqNum;
use crate::testkit::Trace;
use crate::time::Span;

/// Hands the segments to both, as long as the brief takes them, and compares after each. Returns
/// how many were taken.
fn check(segments: &[(End, Segment)]) -> usize {
    let params = Params::default();
    let mut blocks = Blocks::default();
    let Some((from, first)) = segments.first() else { return 0 };
    let Some(mut brief) = Brief::begin(*from, first) else { return 0 };
    let mut engine = Connection::default();
    let mut replayed = Connection::default();
    for (count, (from, segment)) in segments.iter().enumerate() {
        let before = brief;
        if count > 0 && !brief.take(*from, segment, &mut blocks) {
            assert_eq!(format!("{before:?}"), format!("{brief:?}"), "refused, and changed");
            brief.replay(&blocks, &params, &mut replayed);
            assert_eq!(replayed, engine, "refused {segment:?}, and changed what is in blocks");
            return count;
        }
        engine.on_segment(*from, segment, &params);
        brief.replay(&blocks, &params, &mut replayed);
        assert_eq!(replayed, engine, "after {} of {segments:#?}", count + 1);
    }
    segments.len()
}

/// One segment of an exchange, told as what a TCP would send and a fault here and there.
#[derive(Clone, Debug)]
struct Move {
    from_client: bool,
    kind: u8,
    payload: u32,
    nanos: u64,
    window: u16,
    fault: u8,
}

/// Any first number; one in three near where numbers wrap round, or where half of them are behind.
fn an_isn() -> impl Strategy<Value = u32> {
    let near = (prop::sample::select(vec![0_u32, 1 << 31]), 0..20_000_u32);
    prop_oneof![2 => any::<u32>(), 1 => near.prop_map(|(at, less)| at.wrapping_sub(less))]
}

fn a_move() -> impl Strategy<Value = Move> {
    let kind =
        prop_oneof![20 => Just(0_u8), 3 => Just(1), 1 => Just(2), 1 => Just(3), 1 => Just(4)];
    let payload = prop_oneof![4 => Just(0_u32), 4 => 1..3000_u32, 1 => 0..200_000_u32];
    let nanos = prop_oneof![
        6 => (0..400_u64).prop_map(|it| it * 1_000_000),
        1 => Just(0),
        1 => 0..100_000_000_000_u64,
        1 => Just(2_000_000_000_000_000),
    ];
    let window = prop_oneof![20 => 1..u16::MAX, 1 => Just(0)];
    let fault = prop_oneof![30 => Just(0_u8), 1 => 1..10_u8];
    (any::<bool>(), kind, payload, nanos, window, fault).prop_map(
        |(from_client, kind, payload, nanos, window, fault)| Move {
            from_client,
            kind,
            payload,
            nanos,
            window,
            fault,
        },
    )
}

/// What a SYN says of its sender, which its first number chooses.
fn announce(isn: u32, syn: &mut Segment) {
    let is = |bit: u32| isn >> bit & 1 > 0;
    let choice = isn >> 6 & 0x3f;
    syn.ttl += 64 * u8::from(is(0));
    syn.window = syn.window.wrapping_add(choice as u16);
    syn.wrong_checksum = is(1);
    syn.options.mss = is(2).then_some(1440 + choice as u16);
    syn.options.window_scale = is(3).then_some(choice as u8 % 15);
    syn.options.sack_permitted = is(4);
}

/// Plays the moves after a handshake.
fn play(moves: &[Move], isn: [u32; 2], timestamps: bool, client: End) -> Vec<(End, Segment)> {
    let mut segments = Vec::new();
    let mut next = isn.map(SeqNum);
    let mut now = Timestamp::from_nanos(1_795_172_400_000_000_000);
    let mut newest = [0; 2];
    let opening = [(true, 0x02), (false, 0x12), (true, 0x10)];
    let opening = opening.map(|(from_client, flags)| {
        let play =
            Move { from_client, kind: 0, payload: 0, nanos: 7_000_000, window: 500, fault: 0 };
        (play, flags)
    });
    let kinds = |kind| match kind {
        0 => 0x10,
        1 => 0x11,
        2 => 0x14,
        3 => 0x04,
        _ => 0x02,
    };
    let moves = moves.iter().map(|it| (it.clone(), kinds(it.kind)));
    for (play, flags) in opening.into_iter().chain(moves) {
        now = now.after(Span::from_nanos(play.nanos));
        let (own, peer) = if play.from_client { (0, 1) } else { (1, 0) };
        let tsval = now.as_nanos() as u32 >> 5;
        let mut segment = Segment {
            ts: now,
            frame: 3 * segments.len() as u64 + 11,
            seq: next[own],
            ack: next[peer],
            payload: play.payload,
            window: play.window,
            flags: Flags::from_bits(flags),
            ip_id: segments.len() as u16,
            ttl: 64 - 3 * (segments.len() % 7 == 6) as u8,
            wrong_checksum: false,
            checksum: 0,
            options: Options {
                timestamps: timestamps.then_some((tsval, newest[peer])),
                ..Options::default()
            },
        };
        if segment.has(Flags::SYN) {
            announce(isn[own], &mut segment);
        }
        match play.fault {
            1 => segment.seq = segment.seq.sub(play.payload + 1),
            2 => segment.ack = segment.ack.sub(5),
            3 => segment.ack = segment.ack.add(1),
            4 => segment.seq = segment.seq.add(1),
            5 => segment.options.timestamps = None,
            6 => segment.seq = segment.seq.add(1 << 24),
            8 => {
                // As far as a close may bear, and a little further.
                segment.seq = segment.seq.sub((1 << 18) + 7 - play.payload % 15);
                segment.ack = segment.ack.sub(1 << 18);
            }
            9 => segment.seq = segment.seq.add(1 << 18),
            7 => segment.flags = Flags::from_bits(0),
            _ => {}
        }
        if segment.has(Flags::SYN) && segment.flags.bits() == 2 {
            segment.ack = SeqNum(0);
        }
        newest[own] = tsval;
        next[own] = if play.fault == 0 { segment.seq_end() } else { next[own] };
        let end = if play.from_client { client } else { client.peer() };
        segments.push((end, segment));
    }
    segments
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_replay_is_what_the_engine_saw(
        moves in prop::collection::vec(a_move(), 0..25),
        isn in [an_isn(), an_isn()],
        timestamps in any::<bool>(),
        client in prop_oneof![Just(End::A), Just(End::B)],
        skipped in prop_oneof![Just(0_usize), 1..8_usize],
        dropped in prop::option::of(0..6_usize),
    ) {
        let mut segments = play(&moves, isn, timestamps, client);
        if let Some(place) = dropped.filter(|place| *place < segments.len()) {
            segments.remove(place);
        }
        check(segments.get(skipped..).unwrap_or_default());
    }
}

/// All histories of one four-tuple's segments.
fn told(segments: &[(End, Segment)], following_all: bool) -> Vec<History> {
    let tuple = FourTuple::new(4, ([1; 16], 1), ([2; 16], 2)).0;
    let mut pipeline = Pipeline::new(Params::default(), 1_000, ());
    if following_all {
        pipeline = pipeline.following_all();
    }
    for (sender, segment) in segments {
        pipeline.decoded(&Decoded { tuple, sender: *sender, segment: *segment });
    }
    pipeline.close().1.iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Whether a segment belongs to the life before it, the engine decides; a brief must not take
    /// what it would not.
    #[test]
    fn lives_are_told_apart_as_where_all_is_followed(
        moves in prop::collection::vec(a_move(), 0..25),
        isn in [an_isn(), an_isn()],
        timestamps in any::<bool>(),
        client in prop_oneof![Just(End::A), Just(End::B)],
        skipped in prop_oneof![Just(0_usize), 1..8_usize],
    ) {
        let segments = play(&moves, isn, timestamps, client);
        let segments = segments.get(skipped..).unwrap_or_default();
        prop_assert_eq!(told(segments, false), told(segments, true));
    }
}

/// Data as far ahead as a close may bear, and then an ACK as far behind: the engine, which has gone
/// on, must not take it for another life's.
#[test]
fn what_a_close_may_bear_is_of_the_same_life() {
    for far in (16..22).map(|bit| 1 << bit) {
        let mut segments = life_of(8);
        segments.truncate(11);
        let (last, data) = segments[10];
        let (client, server) = (End::B, End::A);
        let [a, b] =
            if last == client { [data.seq_end(), data.ack] } else { [data.ack, data.seq_end()] };
        let bears = |from: End, flags: u16, seq: SeqNum, ack: SeqNum, payload: u32| {
            let flags = Flags::from_bits(flags);
            (from, Segment { seq, ack, payload, flags, ..data })
        };
        segments.extend([
            bears(client, 0x10, a.add(far), b, 65_535),
            bears(server, 0x10, b.add(far), a, 65_535),
            bears(client, 0x11, a, b, 0),
            bears(client, 0x10, a.sub(far), b.sub(far), 0),
        ]);
        for (at, (_, segment)) in (0_u64..).zip(&mut segments).skip(11) {
            segment.frame = data.frame + at;
            segment.ts = data.ts.after(Span::from_millis(at));
        }
        assert_eq!(told(&segments, false), told(&segments, true), "{far}");
    }
}

#[test]
fn whole_microseconds_are_told_from_others() {
    let clock = Clock { first: Timestamp::from_nanos(5_000), in_micros: true };
    let micros = [0, 1, 7, 999, 1_000_000, 1 << 39, (1 << 40) - 2, (1 << 40) - 1, 1 << 53];
    for nanos in micros.iter().flat_map(|it| it * 1_000..it * 1_000 + 1_001) {
        let expected = (nanos % 1_000 == 0).then_some(nanos / 1_000);
        let ts = Timestamp::from_nanos(5_000 + nanos as i64);
        assert_eq!(clock.units(ts), expected.filter(|it| *it < (1 << 40) - 1), "{nanos}");
    }
    assert_eq!(clock.units(Timestamp::from_nanos(4_000)), None);
}

/// A SYN with what may differ between them, a bit each.
fn a_syn(bits: u32) -> (End, Segment) {
    let is = |bit: u32| bits >> bit & 1 > 0;
    let options = Options {
        timestamps: is(0).then_some((77, if is(1) { 9 } else { 0 })),
        mss: is(2).then_some(1460),
        window_scale: is(3).then_some(7),
        sack_permitted: is(4),
        incomplete: is(10),
        ..Options::default()
    };
    let segment = Segment {
        seq: SeqNum(if is(5) { 0x1234_5678 } else { 0 }),
        ack: SeqNum(if is(6) { 5 } else { 0 }),
        payload: if is(7) { 300 } else { 0 },
        wrong_checksum: is(8),
        flags: Flags::SYN,
        window: 500,
        options,
        ..Segment::default()
    };
    (if is(9) { End::B } else { End::A }, segment)
}

#[test]
fn a_syn_is_stepped_over_as_it_is_read() {
    for bits in 0..1 << 11 {
        let (from, syn) = a_syn(bits);
        let brief = Brief::begin(from, &syn).unwrap();
        let (mut near, mut reader) = (Near::default(), Reader::new(brief.written()));
        reader.line(&mut near, true).unwrap();
        match behind_syn(brief.written()) {
            Some((_, quickly, rest)) => assert!(quickly == near && rest.is_at_end(), "{syn:?}"),
            None => assert!(syn.payload > 0, "{syn:?}"),
        }
        // What its answer said.
        let flags = Flags::SYN | Flags::ACK;
        let answer = Segment { seq: SeqNum(!bits), ttl: 7, flags, ..syn };
        let line = Line::of(from.peer(), &answer, (40, 3), &near, true);
        let said = Reader::new(line.bytes()).syn(&mut near.clone());
        let seen = Said {
            with_ack: true,
            moment: (40, 3),
            announced: Announced::by(&answer),
            seq: answer.seq,
            ack: answer.ack,
            timestamps: answer.options.timestamps,
        };
        assert_eq!(said, Some(seen).filter(|_| answer.payload == 0), "{answer:?}");
        // The same SYN a while later, with data or without.
        let again = Segment { ts: syn.ts.after(Span::from_secs(3)), frame: syn.frame + 200, ..syn };
        let line = Line::of(from, &again, (3_000_000, 200), &near, true);
        let (_, read, moment) = Reader::new(line.bytes()).line(&mut near, true).unwrap();
        let quickly = Reader::new(line.bytes()).syn_again((0, 0));
        let is_plain = read.payload == 0 && !read.wrong_checksum;
        assert_eq!(quickly, Some(moment).filter(|_| is_plain), "{again:?}");
    }
}

/// A whole life of one kind of end, in which nothing happens.
fn quiet_life() -> Vec<(End, Segment)> {
    life_of(200)
}

/// The same with so many segments between its opening and its close.
fn life_of(length: usize) -> Vec<(End, Segment)> {
    let quiet = |from_client, kind, payload| Move {
        from_client,
        kind,
        payload,
        nanos: 1_000_000,
        window: 500,
        fault: 0,
    };
    let talk = [(true, 300), (false, 0), (false, 1448), (false, 1448), (true, 0)];
    let talk = talk.map(|(from_client, payload)| quiet(from_client, 0, payload));
    let close = [(true, 1), (false, 0), (false, 1), (true, 0)];
    let close = close.map(|(from_client, kind)| quiet(from_client, kind, 0));
    let moves: Vec<Move> = talk.iter().cycle().take(length).chain(&close).cloned().collect();
    play(&moves, [u32::MAX - 100, 7], true, End::B)
}

#[test]
fn an_ordinary_life_stays_brief_to_its_end() {
    let segments = quiet_life();
    assert_eq!(check(&segments), segments.len());
}

/// Wherever the capture begins: with one end's segments or the other's, data or not, or in the
/// middle of the close.
#[test]
fn a_life_that_was_found_open_stays_brief_to_its_end() {
    for length in [0, 5, 11, 60] {
        let life = life_of(length);
        for skipped in 2..life.len() {
            let segments = &life[skipped..];
            // Of a close that begins before both have spoken, four segments have room.
            let room = if skipped < length { segments.len() } else { 4 };
            assert!(check(segments) >= room.min(segments.len()), "{length} {skipped}");
        }
    }
}

/// The flood of ACKs that hosts without such a connection answer.
#[test]
fn an_ack_that_a_rst_answers_is_brief() {
    let (from, ack) = life_of(5)[2];
    let ack = Segment { seq: SeqNum(1 << 30), ack: SeqNum(1 << 29), ..ack };
    for flags in [Flags::RST, Flags::RST | Flags::ACK] {
        let acks = if flags.has(Flags::ACK) { ack.seq } else { SeqNum(0) };
        let rst = Segment { seq: ack.ack, ack: acks, frame: ack.frame + 1, flags, ..ack };
        assert_eq!(check(&[(from, ack), (from.peer(), rst)]), 2);
    }
}

/// A transcript has no word for a clock that runs backwards, nor for two segments in one frame.
#[test]
fn what_was_found_open_is_followed_where_time_or_frames_stand_still() {
    let life = life_of(11);
    for skipped in 3..8 {
        let mut segments = life[skipped..].to_vec();
        segments[2].1.ts = segments[0].1.ts.after(Span::from_micros(1));
        assert_eq!(check(&segments), 2, "{skipped}");
        for at in 1..3 {
            let mut segments = life[skipped..].to_vec();
            segments[at].1.frame = segments[at - 1].1.frame;
            assert_eq!(check(&segments), at, "{skipped} {at}");
        }
    }
}

/// No line of a close passed before the one in front of it, nor before the lanes stood still.
#[test]
fn a_close_goes_on_in_time_and_in_frames() {
    let life = quiet_life();
    let fin = life.len() - 4;
    for at in fin..life.len() {
        for earlier in fin - 1..at {
            let mut segments = life.clone();
            segments[at].1.ts = segments[earlier].1.ts.before(Span::from_micros(1));
            assert_eq!(check(&segments), at, "{earlier}");
            let mut segments = life.clone();
            segments[at].1.frame = segments[earlier].1.frame;
            assert_eq!(check(&segments), at, "{earlier}");
        }
        let mut segments = life.clone();
        segments[at].1.ts = segments[at - 1].1.ts;
        assert!(check(&segments) > at, "at once");
    }
}

/// What acknowledges less than all that came may be the answer to any of it.
#[test]
fn an_acknowledgement_of_a_part_times_no_answer() {
    let mut segments = life_of(5);
    let (before, ack) = (segments[6].1, &mut segments[7].1);
    assert_eq!((before.payload, ack.payload), (1448, 0));
    (ack.ack, ack.ts) = (ack.ack.sub(1448), before.ts.after(Span::from_micros(10)));
    assert_eq!(check(&segments), segments.len());
}

/// With a handshake in brief, and in a transcript where there are too many for that.
#[test]
fn it_stays_brief_among_millions_of_others() {
    for (others, is_shaken) in [(3_000_000, true), ((1 << 24) - 4, true), ((1 << 24) - 3, false)] {
        let mut segments = quiet_life();
        for (at, (_, segment)) in (0..).zip(&mut segments) {
            segment.frame += others * at.min(2);
        }
        // The SYN waits for its answer, as all others do.
        for (_, segment) in segments.iter_mut().skip(1) {
            segment.ts = segment.ts.after(Span::from_millis(2_500));
        }
        assert_eq!(check(&segments), segments.len());
        let brief = opened(&segments, &mut Blocks::default());
        assert_eq!((brief.phase, brief.is(SHAKEN)), (Phase::Running, is_shaken));
    }
}

/// The brief of the first three segments.
fn opened(segments: &[(End, Segment)], blocks: &mut Blocks) -> Brief {
    let mut brief = Brief::begin(segments[0].0, &segments[0].1).unwrap();
    assert!(segments[1..3].iter().all(|(from, segment)| brief.take(*from, segment, blocks)));
    brief
}

/// With what a handshake in brief has no room for, and what it has no use for.
#[test]
fn an_opening_that_is_not_like_others_is_brief() {
    type Change = fn(&mut Segment);
    let changes: [(usize, bool, Change); 3] = [
        (0, true, |syn| syn.options.timestamps = syn.options.timestamps.map(|(own, _)| (own, 9))),
        (1, false, |answer| answer.options.timestamps = Some((5, 9))),
        (2, false, |ack| ack.payload = 300),
    ];
    for (at, is_shaken, change) in changes {
        let mut segments = life_of(0);
        segments.truncate(3);
        change(&mut segments[at].1);
        assert_eq!(check(&segments), 3, "{at}");
        assert_eq!(opened(&segments, &mut Blocks::default()).is(SHAKEN), is_shaken, "{at}");
    }
}

/// With what is nearly a SYN and its answer.
#[test]
fn an_opening_that_is_not_answered_as_others_is_followed_as_it_is() {
    type Change = fn(&mut Vec<(End, Segment)>);
    let changes: [Change; 4] = [
        |segments| segments[1].1.ack = segments[1].1.ack.add(4),
        |segments| {
            let mut again = segments[1];
            again.1.frame += 1;
            (segments[2].1.frame, segments[2].1.ts) = (again.1.frame + 1, again.1.ts);
            segments.insert(2, again);
        },
        |segments| {
            let (from, syn_ack) = segments[1];
            let reset = Segment { frame: syn_ack.frame + 1, flags: Flags::RST, ..syn_ack };
            segments[2].1.frame = reset.frame + 1;
            segments.insert(2, (from, reset));
        },
        |segments| segments[1].1.options.timestamps = None,
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut segments = life_of(0);
        segments.truncate(3);
        change(&mut segments);
        let taken = check(&segments);
        assert!(taken >= 2, "{at}");
        let (mut blocks, (from, syn)) = (Blocks::default(), segments[0]);
        let mut brief = Brief::begin(from, &syn).unwrap();
        for (from, segment) in &segments[1..taken] {
            assert!(brief.take(*from, segment, &mut blocks), "{at}");
        }
        assert!(!brief.is(SHAKEN), "{at}");
    }
}

#[test]
fn a_first_word_may_come_as_late_as_there_is_room_to_say() {
    for (frames, room) in [(u32::MAX - 1, 4), (u32::MAX, 3)] {
        let mut segments = life_of(0);
        segments.truncate(3);
        segments[2].1.payload = 300;
        let (client, ack) = segments[2];
        let (seq, acked) = (ack.ack, ack.seq_end());
        let (ts, frame) =
            (ack.ts.after(Span::from_millis(1)), segments[0].1.frame + u64::from(frames));
        segments.push((client.peer(), Segment { ts, frame, seq, ack: acked, payload: 0, ..ack }));
        assert_eq!(check(&segments), room);
    }
}

/// An end that was found open has said nothing before its first segment.
#[test]
fn a_first_word_that_says_nothing_new_ends_no_life_that_was_found_open() {
    let life = life_of(5);
    let (client, data) = life[3];
    let answer = |ms: u64, window| {
        let ts = data.ts.after(Span::from_millis(ms));
        let (seq, ack) = (data.ack, data.seq_end());
        (
            client.peer(),
            Segment { ts, seq, ack, window, payload: 0, frame: data.frame + ms, ..data },
        )
    };
    assert_eq!(check(&[(client, data), answer(1, 500), answer(2, 0)]), 3);
}

#[test]
fn what_is_announced_beyond_the_room_for_it_is_written_down() {
    let mut blocks = Blocks::default();
    let life = life_of(0);
    let with_window = |window: usize| {
        let mut segments = life.clone();
        segments[0].1.window = window as u16;
        segments
    };
    for window in 1..=ANNOUNCEMENTS_MAX {
        assert!(opened(&with_window(window), &mut blocks).is(SHAKEN));
    }
    let beyond = with_window(ANNOUNCEMENTS_MAX + 1);
    for (segments, is_shaken) in [(&with_window(7), true), (&beyond, false)] {
        let brief = opened(segments, &mut blocks);
        assert_eq!(brief.is(SHAKEN), is_shaken);
        let (mut replayed, mut engine) = (Connection::default(), Connection::default());
        brief.replay(&blocks, &Params::default(), &mut replayed);
        for (from, segment) in &segments[..3] {
            engine.on_segment(*from, segment, &Params::default());
        }
        assert_eq!(replayed, engine);
    }
}

/// From a repeat on every segment is written down: there is room for the rest of a short life.
#[test]
fn a_short_life_in_which_data_was_sent_again_stays_brief() {
    let life = life_of(8);
    let again = |at: usize, later: &Segment| {
        let (from, segment) = life[at];
        let ts = later.ts.after(Span::from_micros(500));
        (from, Segment { ts, frame: later.frame + 1, ..segment })
    };
    for at in (3..8).filter(|at| life[*at].1.payload > 0) {
        for behind in at..8 {
            let mut segments = life.clone();
            segments.insert(behind + 1, again(at, &life[behind].1));
            assert_eq!(check(&segments), segments.len(), "{at} after {behind}");
        }
    }
}

/// Whatever the lanes have no room for is written down, and what begins so has no shape.
#[test]
fn what_is_out_of_the_ordinary_stays_brief() {
    let life = life_of(8);
    type Change = fn(&mut Segment);
    let changes: [Change; 5] = [
        |closed| closed.window = 0,
        |probe| (probe.seq, probe.payload) = (probe.seq.sub(1), 0),
        |ahead| ahead.seq = ahead.seq.add(1448),
        |bare| bare.options.timestamps = None,
        |older| older.ack = older.ack.sub(5_000),
    ];
    for (at, change) in (5..8).flat_map(|at| changes.map(|change| (at, change))) {
        let mut segments = life[..=at].to_vec();
        change(&mut segments[at].1);
        assert_eq!(check(&segments), segments.len(), "{:?}", segments[at]);
        let (mut blocks, params) = (Blocks::default(), Params::default());
        let mut brief = Brief::begin(segments[0].0, &segments[0].1).unwrap();
        for (from, segment) in &segments[1..] {
            assert!(brief.take(*from, segment, &mut blocks));
        }
        assert_eq!(brief.phase, Phase::Closing);
        let mut shape = Shape::default();
        let found = brief.find_shape(&blocks, &params, segments[at].1.ts, &mut shape);
        assert!(found.is_none());
    }
}

/// When one line's TIME_WAIT would be over and the next one's not, the engine has more to say.
#[test]
fn a_shape_tells_of_each_line_whether_a_time_wait_since_is_over() {
    let trace = Trace::parse(
        "0.000 > S  0:0(0) <mss 1460,wscale 7>
         0.010 < S. 0:0(0) ack 1 <mss 1460,wscale 7>
         0.011 > .  1:1(0) ack 1
         0.500 > F. 1:1(0) ack 1
         0.511 < .  1:1(0) ack 2
         0.600 < F. 1:1(0) ack 2
         0.610 > .  2:2(0) ack 2
         9 end",
    );
    let (mut blocks, params) = (Blocks::default(), Params::default());
    let segments: Vec<_> = trace.segments.iter().map(|it| (it.sender, it.segment)).collect();
    let mut brief = Brief::begin(segments[0].0, &segments[0].1).unwrap();
    assert!(segments[1..].iter().all(|(from, it)| brief.take(*from, it, &mut blocks)));
    let key = |nanos: i64| {
        let mut shape = Shape::default();
        let end = Timestamp::from_nanos(nanos);
        brief.find_shape(&blocks, &params, end, &mut shape).map(|()| shape.key)
    };
    let close = segments.iter().skip_while(|(_, it)| !it.has(Flags::FIN));
    assert!(close.clone().count() > 2);
    for (_, line) in close {
        let over = line.ts.after(params.msl.times(2)).as_nanos();
        assert!(key(over).is_some() && key(over) != key(over - 1), "{line:?}");
    }
}

/// The server answers the last data only: the client has spoken meanwhile, so nobody was silent.
#[test]
fn a_late_first_word_tells_of_no_silence() {
    let mut segments = life_of(0);
    let (client, ack) = segments[2];
    segments.truncate(3);
    let after = |from: End, seconds: u64, segment: Segment| {
        let ts = ack.ts.after(Span::from_secs(seconds));
        (from, Segment { ts, frame: ack.frame + seconds, ..segment })
    };
    segments.push(after(client, 6, Segment { payload: 300, ..ack }));
    let answer = Segment { seq: ack.ack, ack: ack.seq.add(300), ..ack };
    segments.push(after(client.peer(), 12, answer));
    assert_eq!(check(&segments), segments.len());
}

/// A farewell before a close, and what only looks like one, is kept segment by segment.
#[test]
fn a_farewell_is_brief() {
    let answered = "0.000 > S  0:0(0) <mss 1460,wscale 7>
         0.010 < S. 0:0(0) ack 1 <mss 1460,wscale 7>
         0.011 > .  1:1(0) ack 1
         0.020 > P. 1:101(100) ack 1
         0.030 < P. 1:901(900) ack 101
         0.040 > .  101:101(0) ack 901";
    for (rest, told) in [
        ("5.030 < P. 901:932(31) ack 101\n5.031 < F. 932:932(0) ack 101", true),
        (
            "5.030 < P. 901:932(31) ack 101\n5.031 > . 101:101(0) ack 932
          5.050 < F. 932:932(0) ack 101\n5.060 > . 101:101(0) ack 933",
            true,
        ),
        (
            "5.029 > P. 101:501(400) ack 901\n5.030 < P. 901:932(31) ack 101
          5.031 < F. 932:932(0) ack 101",
            true,
        ),
        ("5.030 > P. 101:132(31) ack 901\n5.031 > F. 132:132(0) ack 901", true),
        (
            "5.030 > P. 101:132(31) ack 901\n5.031 < P. 901:1801(900) ack 132
          5.040 > F. 132:132(0) ack 1801",
            false,
        ),
        (
            "5.030 < P. 901:932(31) ack 101\n5.031 > P. 101:132(31) ack 932
          5.040 < F. 932:932(0) ack 132",
            false,
        ),
        (
            "5.030 < P. 901:932(31) ack 101\n8.031 > P. 101:1132(1031) ack 932
          8.040 < P. 932:1932(1000) ack 1132",
            false,
        ),
    ] {
        let trace = Trace::parse(&format!("{answered}\n{rest}"));
        let segments: Vec<_> = trace.segments.iter().map(|it| (it.sender, it.segment)).collect();
        assert_eq!(check(&segments), segments.len(), "{rest}");
        let mut engine = Connection::default();
        let params = Params::default();
        segments.iter().for_each(|(from, it)| engine.on_segment(*from, it, &params));
        let is_told = engine.facts().iter().any(|it| it.kind == FactKind::ClosedAfterIdle);
        assert_eq!(is_told, told, "{rest}");
    }
}

#[test]
fn a_repeated_syn_and_a_refusal_are_brief() {
    let syn = quiet_life()[0];
    let again = |seconds: u64| {
        let ts = syn.1.ts.after(Span::from_secs(seconds));
        (syn.0, Segment { ts, frame: syn.1.frame + seconds, ..syn.1 })
    };
    assert_eq!(check(&[syn, again(1), again(3), again(7)]), 4);
    let refusal = Segment {
        seq: SeqNum(0),
        ack: syn.1.seq.add(1),
        flags: Flags::RST | Flags::ACK,
        window: 0,
        ..again(1).1
    };
    assert_eq!(check(&[syn, (syn.0.peer(), refusal)]), 2);
}

/// A close in which the server goes on for long. `stride` moves where in a block a line ends.
fn long_close(stride: u64) -> Vec<(End, Segment)> {
    let mut segments = quiet_life();
    segments.truncate(segments.len() - 2);
    let (server, mut newest) = *segments.last().unwrap();
    for at in 1..60 {
        newest.seq = newest.seq_end();
        newest.payload = (stride * at * 37 % 20_000) as u32;
        newest.frame += 1 + stride.pow((at % 3) as u32) * 5;
        newest.ts = newest.ts.after(Span::from_micros(1 + stride * at * at * 11));
        segments.push((server, newest));
    }
    segments
}

#[test]
fn a_long_close_goes_over_several_blocks() {
    for stride in 1..200 {
        let segments = long_close(stride);
        let (opened, taken) = (quiet_life().len() - 2, check(&segments));
        assert!((opened + 15..segments.len()).contains(&taken), "{stride} {taken}");
    }
}

/// Blocks are given back once each, and nothing that stood there before is read.
#[test]
fn what_a_close_takes_it_gives_back() {
    let mut blocks = Blocks::default();
    let stale: Vec<u32> =
        (0..1 + PARTS_MAX).map(|_| blocks.parts.put(Block([0xaa; BLOCK]))).collect();
    stale.iter().for_each(|place| blocks.parts.give_back(*place));
    let opening = blocks.handshakes.put([0xaa; HANDSHAKE]);
    blocks.handshakes.give_back(opening);
    let (mut long, mut clean) = (Connection::default(), Connection::default());
    for stride in 1..200 {
        let (mut segments, mut fresh) = (long_close(stride), Blocks::default());
        match stride % 3 {
            // Data in the handshake's ACK, and no handshake at all.
            0 => segments[2].1.payload = segments[3].1.payload,
            1 => drop(segments.drain(..3)),
            _ => {}
        }
        if stride % 3 == 0 {
            segments.remove(3);
        }
        let (from, first) = segments[0];
        let mut brief = Brief::begin(from, &first).unwrap();
        let mut other = brief;
        for (from, segment) in &segments[1..] {
            let took = brief.take(*from, segment, &mut blocks);
            assert_eq!(took, other.take(*from, segment, &mut fresh), "{stride}");
        }
        brief.replay(&blocks, &Params::default(), &mut long);
        other.replay(&fresh, &Params::default(), &mut clean);
        assert_eq!(long, clean, "{stride}");
        brief.give_back(&mut blocks);
        let parts = &mut blocks.parts;
        let mut again: Vec<u32> = stale.iter().map(|_| parts.put(Block([0xaa; BLOCK]))).collect();
        again.sort_unstable();
        assert_eq!(again, stale, "{stride}");
        again.iter().for_each(|place| parts.give_back(*place));
        assert_eq!(blocks.handshakes.put([0xaa; HANDSHAKE]), opening, "{stride}");
        blocks.handshakes.give_back(opening);
    }
}

#[test]
fn it_is_small() {
    assert!(size_of::<Brief>() <= 88, "{}", size_of::<Brief>());
}

/// What the network brings late, or a clock that was set.
#[test]
fn an_ack_from_before_its_syn_turns_no_clock_back() {
    let mut life = life_of(5);
    for (_, segment) in &mut life {
        segment.options.timestamps = Some((1_000, 0));
    }
    let (_, ack) = &mut life[2];
    ack.options.timestamps = Some((990, 1_000));
    assert_eq!(check(&life[..4]), 4);
}

/// Whoever learns that the window is open may send more, whatever was on its way.
#[test]
fn a_window_that_opens_after_the_handshake_is_no_ordinary_one() {
    let mut life = life_of(5);
    life[1].1.window = 0;
    for length in 3..=life.len() {
        check(&life[..length]);
    }
}
