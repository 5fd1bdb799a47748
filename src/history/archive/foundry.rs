//! Where histories are made of records.

use super::shelf::{Form, Shelf};
use crate::decode::tuple::FourTuple;
use crate::history::mold::Molds;
use crate::history::{History, Identity, pack};
use crate::infer::Connection;
use crate::infer::brief::{Brief, Kind, Shape};
use crate::limits::LONE_KINDS_MAX;

/// What making one history after the other takes: room that is used again, and what was learnt of
/// those before.
#[derive(Debug, Default)]
pub struct Foundry {
    connection: Connection,
    shape: Shape,
    molds: Molds,
    lone: Lone,
}

/// A history for each kind of SYN to which nothing came, as far as there is room.
#[derive(Debug, Default)]
struct Lone(Vec<(Kind, History)>);

impl Lone {
    /// Makes a history that of a SYN of that kind, if there is one.
    fn put(&self, kind: Kind, history: &mut History) -> bool {
        let known = self.0.iter().find(|(known, _)| *known == kind);
        known.map(|(_, known)| history.copy(known)).is_some()
    }

    fn learn(&mut self, kind: Kind, history: &History) {
        if self.0.len() < LONE_KINDS_MAX {
            self.0.push((kind, history.clone()));
        }
    }
}

/// Room for one history after the other.
#[derive(Debug)]
pub struct Room {
    history: History,
    /// Set if the history is that of a SYN to which nothing came: the kind of that SYN.
    lone: Option<Kind>,
}

impl Default for Room {
    fn default() -> Self {
        let nobody = FourTuple::new(4, ([0; 16], 0), ([0; 16], 0)).0;
        Room { history: History::empty(nobody), lone: None }
    }
}

impl Room {
    /// The history that was read last.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The same, taken out.
    pub fn into_history(self) -> History {
        self.history
    }
}

impl Shelf {
    /// The history at that place, in room that was used before.
    pub fn read<'a>(
        &self,
        place: u32,
        foundry: &mut Foundry,
        room: &'a mut Room,
    ) -> Option<&'a mut History> {
        let record = self.records.get(place)?;
        match &record.form {
            Form::Brief(brief) => {
                self.read_brief(place, brief, foundry, room)?;
                return Some(&mut room.history);
            }
            Form::Followed(at) => {
                self.fill(place, &self.followed_at(*at)?.connection, &mut room.history);
            }
            Form::Packed(at) => {
                room.history = pack::read(self.packed.get(at.get())?)?;
            }
            Form::Gone => return None,
        }
        room.lone = None;
        Some(&mut room.history)
    }

    /// The history of a brief: as another of its shape, or by the engine.
    fn read_brief(
        &self,
        place: u32,
        brief: &Brief,
        foundry: &mut Foundry,
        room: &mut Room,
    ) -> Option<()> {
        let is_first = !brief.succeeds();
        debug_assert_eq!(is_first, self.before(place).is_none(), "{brief:?}");
        let lone = brief.lone_syn(self.end).filter(|_| is_first);
        let before = core::mem::replace(&mut room.lone, lone.map(|syn| syn.kind));
        let identity = self.identity(place)?;
        let history = &mut room.history;
        if let Some(syn) = &lone
            && (before == Some(syn.kind) || foundry.lone.put(syn.kind, history))
        {
            history.pass_to(identity, syn);
            debug_assert!(history.is_wholly(&self.replayed(place, brief)), "{syn:?} {history:?}");
            return Some(());
        }
        let Foundry { shape, molds, connection, .. } = foundry;
        let has_shape = is_first
            && lone.is_none()
            && brief.find_shape(&self.blocks, &self.params, self.end, shape).is_some();
        if has_shape && molds.cast(shape, identity, history) {
            debug_assert!(history.is_wholly(&self.replayed(place, brief)), "{shape:?} {history:?}");
            return Some(());
        }
        self.replay(place, brief, connection, history);
        if has_shape {
            molds.learn(shape, history);
        }
        if let Some(syn) = &lone {
            foundry.lone.learn(syn.kind, history);
        }
        Some(())
    }

    /// The history of a brief, by the engine.
    fn replayed(&self, place: u32, brief: &Brief) -> History {
        let mut room = Room::default();
        self.replay(place, brief, &mut Connection::default(), &mut room.history);
        room.history
    }

    fn replay(
        &self,
        place: u32,
        brief: &Brief,
        connection: &mut Connection,
        history: &mut History,
    ) {
        brief.replay(&self.blocks, &self.params, connection);
        connection.on_silence(self.end, &self.params);
        self.fill(place, connection, history);
    }

    fn fill(&self, place: u32, connection: &Connection, history: &mut History) {
        let Some(identity) = self.identity(place) else { return };
        history.fill(identity, connection, self.predecessor(place));
    }

    #[inline(always)]
    fn identity(&self, place: u32) -> Option<Identity> {
        let (id, stream, tuple) = (self.number(place), self.stream(place), self.tuple(place)?);
        Some(Identity { id, stream, tuple, until: self.end })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::Decoded;
    use crate::decode::segment::{Flags, Options, Segment};
    use crate::history::Role;
    use crate::infer::Params;
    use crate::infer::endpoint::{Repeats, fastest_answer, in_flight};
    use crate::pipeline::Pipeline;
    use crate::seq::SeqNum;
    use crate::testkit::Trace;
    use crate::time::{Span, Timestamp};

    fn shape_of(shelf: &Shelf, brief: &Brief) -> Option<Shape> {
        let mut shape = Shape::default();
        brief.find_shape(&shelf.blocks, &shelf.params, shelf.end, &mut shape)?;
        Some(shape)
    }

    /// SYNs with what may differ between them, to each of which nothing came.
    #[test]
    fn a_lone_syn_is_read_the_same_after_any_other() {
        let mut pipeline = Pipeline::new(Params::default(), 1_000, ());
        for n in 0..512_u32 {
            let is = |bit: u32| n >> bit & 1 > 0;
            let (own, peer) = (([1; 16], n as u16), ([if is(0) { 2 } else { 0 }; 16], 80));
            let (tuple, sender) = FourTuple::new(6, own, peer);
            let options = Options {
                timestamps: is(1).then_some((n, u32::from(is(2)))),
                mss: is(3).then_some(1_000 + n as u16 % 2),
                window_scale: is(4).then_some(7),
                sack_permitted: is(5),
                incomplete: is(4) && is(5),
                ..Options::default()
            };
            let segment = Segment {
                ts: Timestamp::default().after(Span::from_millis(u64::from(n % 64) * 150)),
                frame: 1 + u64::from(n),
                seq: SeqNum(n.wrapping_mul(0x9e37_79b9)),
                payload: u32::from(is(6)),
                window: u16::from(!is(7)),
                flags: Flags::SYN,
                ttl: 64,
                wrong_checksum: is(8),
                options,
                ..Segment::default()
            };
            pipeline.decoded(&Decoded { tuple, sender, segment });
        }
        pipeline.silence(Timestamp::default().after(Span::from_secs(11)));
        let (_, archive, _) = pipeline.close();
        // All that may be plain, and some with each thing that is not.
        let ids: Vec<u64> = (0..64).chain([64, 128, 256, 511]).collect();
        let histories: Vec<_> = ids.iter().map(|id| archive.get(*id)).collect();
        let (mut foundry, mut room, mut passed_on) = (Foundry::default(), Room::default(), 0);
        for first in &ids {
            for (second, history) in ids.iter().zip(&histories) {
                archive.find(*first, &mut foundry, &mut room);
                let before = room.lone;
                let read = archive.find(*second, &mut foundry, &mut room);
                assert_eq!(read, history.as_ref(), "{first} {second}");
                let same = room.lone.is_some() && room.lone == before;
                passed_on += u64::from(same && first != second);
            }
        }
        assert!(passed_on > 50, "{passed_on}");
    }

    /// How long nothing passes before a SYN or a FIN is sent again, or before the capture ends.
    #[derive(Clone, Copy, Debug)]
    enum Wait {
        /// Microseconds, and units of the connection's clock.
        For(u64, i64),
        /// Until it shows that the sender has given up, and so many units longer.
        Long(i64),
        /// As long as the one before may be on its way, and so many units longer.
        OnWay(i64),
    }

    /// What the waits of one sender go by.
    #[derive(Clone, Copy, Debug)]
    struct Habit {
        /// The patience with one that is sent once.
        alone: Span,
        shortest: Span,
        round_trip: Span,
        on_way: Span,
    }

    impl Wait {
        /// When the next is due, in whole units.
        fn after(self, last: Timestamp, repeats: &Repeats, habit: Habit, unit: u64) -> Timestamp {
            let (span, more) = match self {
                Wait::For(micros, more) => (Span::from_micros(micros), more),
                Wait::OnWay(more) => (habit.on_way, more),
                Wait::Long(more) if repeats.count == 0 => (habit.alone, more),
                Wait::Long(more) => {
                    let longest = Span::from_secs(120);
                    let interval = repeats.gap.times(2).max(habit.shortest).min(longest);
                    let longest = interval.max(Span::from_secs(1).plus(habit.round_trip));
                    let patience = 200_000_000 + longest.as_nanos() / 8 + longest.as_nanos();
                    let passed = last.since(repeats.last).as_nanos();
                    (Span::from_nanos(interval.as_nanos() / 32 + patience - passed), more)
                }
            };
            let units = (span.as_nanos() / unit).saturating_add_signed(more);
            last.after(Span::from_nanos(units * unit))
        }
    }

    fn a_wait() -> impl Strategy<Value = Wait> {
        let sharp = vec![0, 2_000, 500_000, 710_000, 1_000_000, 3_000_000, 4_000_000, 10_000_000];
        let sharp = [sharp, vec![60_000_000, 64_000_000]].concat();
        let micros = prop_oneof![prop::sample::select(sharp), 3..4_000_000_u64];
        prop_oneof![
            6 => (micros, -2..3_i64).prop_map(|(micros, more)| Wait::For(micros, more)),
            2 => (-2..3_i64).prop_map(Wait::Long),
            1 => (-2..3_i64).prop_map(Wait::OnWay),
        ]
    }

    /// When something is sent that is sent again after each of these waits, the first at the epoch;
    /// and when the capture ends.
    fn times(waits: &[Wait], rest: Wait, habit: Habit, unit: u64) -> (Vec<Timestamp>, Timestamp) {
        let (first, mut repeats) = (Timestamp::default(), Repeats::default());
        let (mut last, mut all) = (first, vec![first]);
        for wait in waits {
            last = wait.after(last, &repeats, habit, unit);
            repeats.add(first, last);
            all.push(last);
        }
        (all, rest.after(last, &repeats, habit, unit))
    }

    /// A SYN, the waits before its repeats, the one before the end, and what is odd about it.
    type Calls = (u8, Vec<Wait>, Wait, u8);

    fn some_calls() -> impl Strategy<Value = Calls> {
        let odd = prop_oneof![12 => Just(0_u8), 1 => 1..6_u8];
        (0..32_u8, prop::collection::vec(a_wait(), 0..9), a_wait(), odd)
    }

    /// The SYNs of a caller up to `end`, as far as they fit in.
    fn call(
        number: u32,
        (looks, waits, rest, odd): &Calls,
        end: Timestamp,
        take: &mut dyn FnMut(Decoded),
    ) {
        let is = |bit: u8| looks >> bit & 1 > 0;
        let habit = Habit {
            alone: Span::from_secs(5),
            shortest: Span::from_secs(1),
            round_trip: Span::from_millis(420),
            on_way: Span::from_millis(210),
        };
        let (times, until) = times(waits, *rest, habit, if is(0) { 1 } else { 1_000 });
        let took = until.since(times[0]);
        let [client, server] = hosts(number, is(1), is(2));
        let (tuple, sender) = FourTuple::new(if is(1) { 6 } else { 4 }, client, server);
        for (place, at) in times.iter().enumerate() {
            let ts = end.before(took).after(at.since(times[0]));
            let is_odd = |kind: u8| *odd == kind && place + 1 == times.len();
            let options = Options {
                timestamps: is(3).then_some(((ts.as_nanos() / 1_000_000) as u32, 0)),
                mss: is(4).then_some(1_460),
                ..Options::default()
            };
            let segment = Segment {
                ts,
                frame: 1_000 * u64::from(number) + place as u64 + 1,
                seq: SeqNum(number.wrapping_mul(0x9e37_79b9) + u32::from(is_odd(1))),
                payload: u32::from(is_odd(2)),
                window: if is_odd(3) { 0 } else { 500 },
                flags: Flags::from_bits(if is_odd(4) { 0x04 } else { 0x02 }),
                wrong_checksum: is_odd(5),
                ip_id: place as u16,
                ttl: 64,
                options,
                ..Segment::default()
            };
            take(Decoded { tuple, sender, segment });
        }
    }

    /// Makes connections of all these up to one end, reads them one after the other, and has looked
    /// at what became of each: what the engine makes of it, which is what was read, and from which
    /// record, in which room.
    fn each_read<T: core::fmt::Debug>(
        params: Params,
        all: &[T],
        make: impl Fn(u32, &T, Timestamp, &mut dyn FnMut(Decoded)),
        mut look: impl FnMut(&T, &History, &Shelf, &Brief, &Room) -> Result<(), TestCaseError>,
    ) -> Result<(), TestCaseError> {
        let end = Timestamp::from_nanos(1_795_172_400_000_000_000);
        let mut pipeline = Pipeline::new(params, 1_000_000, ());
        for (number, one) in (0..).zip(all) {
            make(number, one, end, &mut |decoded| pipeline.decoded(&decoded));
        }
        pipeline.silence(end);
        let shelf = pipeline.close().1.into_one();
        let (mut foundry, mut room) = (Foundry::default(), Room::default());
        for place in 0..shelf.reach() as u32 {
            let Form::Brief(brief) = shelf.records.get(place).unwrap().form else { continue };
            let made = shelf.replayed(place, &brief);
            let read = shelf.read(place, &mut foundry, &mut room).map(|it| it.is_wholly(&made));
            let one = &all[usize::from(made.addr(Role::Client).port() - 1_024)];
            prop_assert_eq!(read, Some(true), "{:?} {:#?}", one, made);
            look(one, &made, &shelf, &brief, &room)?;
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// A SYN that nobody answers is told of as the engine would, however often it was sent; and
        /// the engine is asked only if something more can be told of it.
        #[test]
        fn a_syn_that_is_sent_again_is_told_of_as_by_the_engine(
            all in prop::collection::vec(some_calls(), 300),
        ) {
            let mut again = 0;
            each_read(Params::default(), &all, call, |calls, made, _, _, room| {
                if calls.3 == 0 {
                    let is_plain = made.refuted.is_empty() && made.facts.is_empty();
                    prop_assert_eq!(room.lone.is_some(), is_plain, "{:?} {:#?}", calls, made);
                    again += u32::from(is_plain && made.frames > 1);
                }
                Ok(())
            })?;
            prop_assert!(again > 30, "{}", again);
        }
    }

    /// Whose FIN is sent again; and what passes before, with the FIN: whether the client sends it,
    /// and its flags.
    const CLOSES: [(bool, &[(bool, u16)]); 10] = [
        (true, &[(true, 0x11)]),
        (false, &[(false, 0x11)]),
        (false, &[(true, 0x11), (false, 0x10), (false, 0x11)]),
        (true, &[(false, 0x11), (true, 0x10), (true, 0x11)]),
        (false, &[(true, 0x11), (false, 0x11)]),
        (true, &[(true, 0x19)]),
        // Something else came after it.
        (false, &[(true, 0x11), (false, 0x11), (true, 0x10)]),
        (true, &[(true, 0x11), (false, 0x04)]),
        (true, &[(true, 0x11), (true, 0x10)]),
        // So long that a shape has room for two repeats, and no more.
        (
            false,
            &[
                (true, 0x11),
                (false, 0x10),
                (false, 0x18),
                (true, 0x10),
                (false, 0x18),
                (true, 0x10),
                (false, 0x18),
                (true, 0x10),
                (false, 0x18),
                (true, 0x10),
                (false, 0x18),
                (true, 0x10),
                (false, 0x11),
            ],
        ),
    ];

    /// How the connection looks and closes, how fast its ends answer, the waits before the repeats
    /// of its last FIN and before the end, and what is odd about the last one.
    type Ends = (u8, usize, [u64; 2], Vec<Wait>, Wait, u8);

    fn some_ends() -> impl Strategy<Value = Ends> {
        let answer = || prop::sample::select(vec![300_u64, 40_000, 99_999, 200_000]);
        let brief = prop_oneof![
            4 => (30_000..900_000_u64).prop_map(|micros| Wait::For(micros, 0)),
            1 => (2_100_000..4_000_000_u64).prop_map(|micros| Wait::For(micros, 0)),
            1 => a_wait(),
        ];
        let odd = prop_oneof![20 => Just(0_u8), 11 => 1..12_u8];
        let waits = prop::collection::vec(brief, 0..6);
        (any::<u8>(), 0..CLOSES.len(), [answer(), answer()], waits, a_wait(), odd)
    }

    /// The segments of a connection up to `end`.
    fn close(
        number: u32,
        (looks, script, answers, waits, rest, odd): &Ends,
        end: Timestamp,
        take: &mut dyn FnMut(Decoded),
    ) {
        let is = |bit: u8| looks >> bit & 1 > 0;
        let unit = if is(0) { 1 } else { 1_000 };
        let (closer, script) = CLOSES[*script];
        // The server answers in the first of these times, the client in the second.
        let flights = answers.map(|micros| in_flight(Span::from_micros(micros)));
        let habit = Habit {
            alone: Span::from_secs(3),
            shortest: Span::from_millis(400),
            round_trip: flights[0].plus(flights[1]),
            on_way: flights[usize::from(!closer)],
        };
        let (times, until) = times(waits, *rest, habit, unit);
        let data: &[_] = if is(4) { &[(true, 0x18), (false, 0x10)] } else { &[] };
        let opening = [(true, 0x02), (false, 0x12), (true, 0x10)];
        let mut all: Vec<(bool, u16, Span)> = Vec::new();
        let mut passed = Span::ZERO;
        for (from_client, flags) in opening.iter().chain(data).chain(script) {
            passed = passed.plus(Span::from_micros(answers[usize::from(*from_client)]));
            all.push((*from_client, *flags, passed));
        }
        let begun = all.len();
        let again = times.iter().skip(1).map(|at| at.since(times[0]).plus(passed));
        all.extend(again.map(|at| (closer, 0x11, at)));
        let took = until.since(times[0]).plus(passed);
        let [client, server] = hosts(number, is(1), is(2));
        let mut nxt = [SeqNum(number.wrapping_mul(0x9e37_79b9)), SeqNum(77)];
        let mut tsvals = [0; 2];
        for (place, (from_client, flags, at)) in all.iter().enumerate() {
            let is_odd = |kind: u8| *odd == kind && place + 1 == all.len() && place >= begun;
            let from_client = *from_client ^ is_odd(1);
            let (source, target) = if from_client { (client, server) } else { (server, client) };
            let (tuple, sender) = FourTuple::new(if is(1) { 6 } else { 4 }, source, target);
            let [own, peer] = if from_client { [0, 1] } else { [1, 0] };
            let ts = end.before(took).after(*at);
            let tsval = (ts.as_nanos() / 1_000_000) as u32;
            let flags = match () {
                () if is_odd(2) => 0x10,
                () if is_odd(3) => 0x04,
                () => *flags,
            };
            let mut segment = Segment {
                ts,
                frame: 1_000 * u64::from(number) + place as u64 + 1,
                seq: nxt[own],
                ack: nxt[peer],
                payload: if flags & 8 > 0 { 10 } else { 0 },
                window: if is(6) && is(7) { 501 } else { 60_000 },
                flags: Flags::from_bits(flags),
                ip_id: if is_odd(10) { place as u16 - 1 } else { place as u16 },
                ttl: 64,
                options: Options {
                    timestamps: is(3).then_some((tsval, tsvals[peer])),
                    sack_permitted: is(5),
                    window_scale: is(6).then_some(7),
                    ..Options::default()
                },
                ..Segment::default()
            };
            if place >= begun && flags == 0x11 && from_client == closer {
                segment.seq = nxt[own].sub(1);
            }
            match () {
                () if is_odd(4) => segment.seq = segment.seq.sub(1),
                () if is_odd(5) => segment.payload = 1,
                () if is_odd(6) => segment.ack = segment.ack.sub(1),
                () if is_odd(7) => segment.window = 0,
                () if is_odd(8) => segment.ip_id = 0,
                () if is_odd(11) => segment.window = 20,
                () if is_odd(9) => segment.options.timestamps = is(3).then_some((tsval - 9_999, 0)),
                () => {}
            }
            if place < begun {
                (nxt[own], tsvals[own]) = (segment.seq_end(), tsval);
            }
            take(Decoded { tuple, sender, segment });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// A FIN that nobody answers is told of as the engine would, however often it was sent.
        #[test]
        fn a_fin_that_is_sent_again_is_told_of_as_by_the_engine(
            all in prop::collection::vec(some_ends(), 300),
            msl in prop::sample::select(vec![30_000_u64, 30_000, 0, 2_000, 4_125]),
        ) {
            let params = Params { msl: Span::from_millis(msl) };
            let mut again = 0;
            each_read(params, &all, close, |_, made, shelf, brief, _| {
                let is_repeated = made.sides.iter().any(|side| side.unanswered_at_end > 0);
                again += u32::from(is_repeated && shape_of(shelf, brief).is_some());
                Ok(())
            })?;
            prop_assert!(msl < 30_000 || again > 30, "{}", again);
        }
    }

    /// Half open connections, around the times at which one end after the other has given up; and
    /// with something odd about them.
    #[test]
    fn what_is_half_open_is_cast_by_who_has_given_up() {
        let mut pipeline = Pipeline::new(Params::default(), 10_000, ());
        let end = Timestamp::from_nanos(1_795_172_400_000_000_000);
        let mut frame = 0;
        let mut pass = |ts: Timestamp, from, to, segment: Segment| {
            let (tuple, sender) = FourTuple::new(4, from, to);
            frame += 1;
            pipeline.decoded(&Decoded { tuple, sender, segment: Segment { ts, frame, ..segment } });
        };
        const ODDS: u32 = 8;
        for n in 0..24 * 12 * u64::from(ODDS) {
            let (n, odd) = (n / u64::from(ODDS), n as u32 % ODDS);
            let sharp = 4_900_000 + n / 48 * 100_000 - 1;
            let opened = end.before(Span::from_micros(sharp + n % 3));
            let took = [300, 99_999, 100_000, 100_001][(n / 3 % 4) as usize];
            let has_timestamps = n / 12 % 2 > 0;
            let [client, server] = hosts(n as u32 * ODDS + odd, false, n / 24 % 2 > 0);
            let segment = |flags, ack, echo| Segment {
                seq: SeqNum(7),
                ack: SeqNum(ack),
                window: 500,
                flags: Flags::from_bits(flags),
                options: Options {
                    timestamps: has_timestamps.then_some((9, echo)),
                    ..Options::default()
                },
                ..Segment::default()
            };
            let (mut syn, mut syn_ack) = (segment(0x02, 0, 0), segment(0x12, 8, 9));
            match odd {
                1 => syn_ack = segment(0x12, 8, 5),
                2 => syn_ack.window = 0,
                3 => syn_ack.payload = 1,
                4 => (syn.payload, syn_ack.ack) = (1, SeqNum(9)),
                5 => syn.window = 0,
                _ => {}
            }
            pass(opened, client, server, syn);
            let answered = opened.after(Span::from_micros(took));
            pass(answered, server, client, syn_ack);
            let later = answered.after(Span::from_micros(50_000));
            match odd {
                6 => pass(later, server, client, Segment { ip_id: 2, ..syn_ack }),
                7 => pass(later, client, server, Segment { seq: SeqNum(8), ..segment(0x04, 0, 9) }),
                _ => {}
            }
        }
        pipeline.silence(end);
        let shelf = pipeline.close().1.into_one();
        let (mut foundry, mut room) = (Foundry::default(), Room::default());
        let mut keys = std::collections::BTreeSet::new();
        for place in 0..shelf.reach() as u32 {
            let Form::Brief(brief) = shelf.records.get(place).unwrap().form else { continue };
            let made = shelf.replayed(place, &brief);
            assert_eq!(shelf.read(place, &mut foundry, &mut room).as_deref(), Some(&made));
            let shape = shape_of(&shelf, &brief);
            match place % ODDS {
                0 => _ = keys.insert(shape.unwrap().key),
                // Without timestamps nothing is echoed.
                1 if (place / ODDS / 12).is_multiple_of(2) => assert!(shape.is_some()),
                odd => assert_eq!(shape.map(|it| it.key), None, "{odd}"),
            }
        }
        assert_eq!(keys.len(), 3 * 4, "nobody, the client, both; two kinds of either client");
    }

    /// One segment after the handshake.
    #[derive(Clone, Debug)]
    struct Move {
        from_client: bool,
        /// 0 data or ACK, 1 FIN, 2 RST, 3 RST with ACK, 4 the FIN again.
        kind: u8,
        payload: u32,
        window: u16,
        pause: Pause,
        fault: u8,
    }

    /// How long nothing passes before a segment, in units of the connection's clock beyond a time.
    #[derive(Clone, Copy, Debug)]
    struct Pause {
        of: Of,
        more: i64,
    }

    /// A time at which some rule may change its mind.
    #[derive(Clone, Copy, Debug)]
    enum Of {
        Micros(u64),
        /// Half of the answer in the handshake of one end or the other.
        Half(usize),
        /// The least that an answer takes, and so many microseconds.
        Fastest(usize, u64),
        /// The most that something is on its way, and so many microseconds.
        InFlight(usize, u64),
    }

    impl Pause {
        fn nanos(self, answers: [u64; 2], unit: u64) -> u64 {
            let answer = |end: usize| Span::from_nanos(answers[end]);
            let nanos = match self.of {
                Of::Micros(micros) => micros * 1_000,
                Of::Half(end) => answers[end] / 2,
                Of::Fastest(end, more) => fastest_answer(answer(end)).as_nanos() + more * 1_000,
                Of::InFlight(end, more) => in_flight(answer(end)).as_nanos() + more * 1_000,
            };
            (nanos / unit).saturating_add_signed(self.more) * unit
        }
    }

    fn a_pause() -> impl Strategy<Value = Pause> {
        let sharp = [400, 500, 1_000, 10_000, 20_000, 40_000, 41_000, 1_000_000, 2_000_000];
        let of = prop_oneof![
            12 => (3..900_u64).prop_map(Of::Micros),
            3 => (3..90_000_u64).prop_map(Of::Micros),
            3 => prop::sample::select(sharp.to_vec()).prop_map(Of::Micros),
            1 => prop::sample::select(vec![10_000_000, 60_000_000]).prop_map(Of::Micros),
            1 => (0..2_usize).prop_map(Of::Half),
            2 => (0..2_usize, prop::sample::select(vec![0, 40_000])).prop_map(|(end, more)| Of::Fastest(end, more)),
            2 => (0..2_usize, prop::sample::select(vec![0, 2_000_000])).prop_map(|(end, more)| Of::InFlight(end, more)),
            1 => Just(Of::Micros(2)),
        ];
        (of, -2..3_i64).prop_map(|(of, more)| Pause { of, more })
    }

    fn a_move() -> impl Strategy<Value = Move> {
        let kind =
            prop_oneof![12 => Just(0_u8), 10 => Just(1), 2 => Just(2), 2 => Just(3), 1 => Just(4)];
        let payload = prop_oneof![
            4 => Just(0_u32),
            3 => 1..1_000_u32,
            1 => 9_000..20_000_u32,
            1 => prop::sample::select(vec![1_023, 1_024, 1_460, 4_096, 14_335, 14_336, 65_535, 65_536])
        ];
        let window = prop_oneof![
            30 => Just(501_u16),
            3 => 15..30_u16,
            3 => 400..500_u16,
            3 => Just(u16::MAX),
            1 => Just(0)
        ];
        let fault = prop_oneof![60 => Just(0_u8), 1 => 1..13_u8, 1 => Just(13), 1 => Just(3)];
        (any::<bool>(), kind, payload, window, a_pause(), fault).prop_map(
            |(from_client, kind, payload, window, pause, fault)| Move {
                from_client,
                kind,
                payload,
                window,
                pause,
                fault,
            },
        )
    }

    /// What many connections do, so that they have the same shapes: whether the client sends it, the
    /// kind of its move, and whether there is data in it.
    const SCRIPTS: [&[(bool, u8, bool)]; 12] = [
        &[(true, 1, false), (false, 1, false), (true, 0, false)],
        &[
            (true, 0, true),
            (false, 0, true),
            (false, 1, false),
            (true, 1, false),
            (false, 0, false),
        ],
        &[
            (true, 0, true),
            (false, 1, true),
            (true, 0, false),
            (true, 0, true),
            (false, 0, false),
            (true, 1, true),
            (false, 0, false),
        ],
        &[
            (false, 0, true),
            (true, 1, false),
            (false, 0, false),
            (false, 0, true),
            (true, 0, false),
            (false, 0, true),
            (false, 1, false),
            (true, 0, false),
        ],
        &[
            (true, 0, true),
            (false, 0, true),
            (true, 0, false),
            (true, 1, false),
            (false, 0, false),
            (false, 2, false),
            (false, 2, false),
        ],
        &[(true, 0, true), (false, 0, true), (true, 3, false), (true, 2, false)],
        &[(true, 0, true), (false, 1, false), (true, 2, false), (false, 3, false)],
        &[(true, 1, true), (false, 1, true), (true, 0, false), (true, 2, false), (false, 2, false)],
        &[
            (true, 1, false),
            (false, 0, true),
            (false, 0, true),
            (false, 0, true),
            (true, 0, false),
            (true, 3, false),
        ],
        &[
            (true, 1, false),
            (false, 0, true),
            (true, 0, false),
            (false, 0, true),
            (true, 0, false),
            (false, 0, true),
            (true, 0, false),
            (false, 0, true),
            (true, 0, false),
            (false, 0, true),
            (true, 0, false),
            (false, 0, true),
            (true, 0, false),
            (false, 1, false),
            (true, 0, false),
            (true, 0, false),
        ],
        &[
            (true, 1, false),
            (false, 0, false),
            (false, 1, false),
            (false, 4, false),
            (true, 0, false),
        ],
        // One RST of the host, and one of the socket.
        &[
            (true, 1, false),
            (false, 0, false),
            (false, 0, true),
            (true, 2, false),
            (true, 3, false),
        ],
    ];

    /// One of these, with something else here and there.
    fn a_common_close() -> impl Strategy<Value = Vec<Move>> {
        let length = prop_oneof![3 => Just(20), 1 => 1..20_usize];
        let moves = length.prop_flat_map(|length| prop::collection::vec(a_move(), length));
        (prop::sample::select(SCRIPTS.to_vec()), moves).prop_map(|(script, moves)| {
            let both = script.iter().zip(moves);
            both.map(|((from_client, kind, speaks), it)| match it.window {
                // Rare windows mark the moves that leave the script, or only its word on data.
                15..30 => it,
                400..500 => Move { from_client: *from_client, kind: *kind, ..it },
                _ => Move {
                    from_client: *from_client,
                    kind: *kind,
                    payload: if *speaks { it.payload.max(1) } else { 0 },
                    ..it
                },
            })
            .collect()
        })
    }

    /// A connection: what its SYNs say, the pauses of its handshake, and the rest.
    type Play = ((u8, u8, u8), [Pause; 3], Vec<Move>);

    fn a_play() -> impl Strategy<Value = Play> {
        let brisk = || {
            (3..200_000_u64).prop_map(|it| Pause { of: Of::Micros(it), more: it as i64 % 3 - 1 })
        };
        let answer = || prop_oneof![6 => brisk(), 1 => a_pause()];
        let pauses = [a_pause().boxed(), answer().boxed(), answer().boxed()];
        let moves = prop_oneof![1 => prop::collection::vec(a_move(), 0..16), 2 => a_common_close()];
        ((0..4_u8, 0..4_u8, 0..80_u8), pauses, moves)
    }

    /// Eight that differ in a few pauses of what follows the handshake: most are of one shape.
    fn a_crowd() -> impl Strategy<Value = Vec<Play>> {
        let pauses = || prop::collection::vec(prop::option::weighted(0.2, a_pause()), 20);
        (a_play(), prop::collection::vec(pauses(), 8)).prop_map(|(play, crowd)| {
            let other = |pauses: Vec<Option<Pause>>| {
                let mut play = play.clone();
                let both = play.2.iter_mut().zip(pauses);
                both.for_each(|(it, pause)| it.pause = pause.unwrap_or(it.pause));
                play
            };
            crowd.into_iter().map(other).collect()
        })
    }

    fn plays() -> impl Strategy<Value = Vec<Play>> {
        let crowds = prop::collection::vec(a_crowd(), 40).prop_map(|it| it.concat());
        prop_oneof![prop::collection::vec(a_play(), 300), crowds]
    }

    /// Client and server, by IPv6 or not; the client with the higher address or not.
    fn hosts(number: u32, is_v6: bool, is_high: bool) -> [([u8; 16], u16); 2] {
        let host = |last| match is_v6 {
            true => [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last],
            false => crate::decode::tuple::widen_v4([10, 0, 0, last]),
        };
        let [own, peer] = if is_high { [3, 1] } else { [1, 3] };
        [(host(own), 1_024 + number as u16), (host(peer), 80)]
    }

    /// What one end sends next, its newest TSval, and the number of what it sent last.
    type Sender = (SeqNum, u32, SeqNum);

    /// Makes something about a segment odd.
    fn spoil(segment: &mut Segment, fault: u8, peer: &Sender) {
        let (flags, timestamps) = (segment.flags.bits(), segment.options.timestamps);
        let with = |change: fn(u32, u32) -> (u32, u32)| timestamps.map(|(a, b)| change(a, b));
        match fault {
            1 => segment.ack = segment.ack.sub(1),
            2 => segment.seq = segment.seq.sub(1),
            3 => segment.options.timestamps = with(|tsval, _| (tsval - 90, 0)),
            4 => segment.seq = segment.seq.add(1),
            5 => segment.ttl = 70,
            6 => segment.options.timestamps = with(|tsval, _| (tsval, 1)),
            7 => segment.options.timestamps = None,
            8 => segment.options.timestamps = Some((5, peer.1 + 1)),
            9 => segment.ip_id = 0,
            10 => segment.flags = Flags::from_bits(flags & !0x10),
            11 => segment.ttl = 61 + (segment.seq.0 % 7) as u8,
            12 => segment.flags = Flags::from_bits(flags | 0x01),
            // Only some of what came is acknowledged.
            13 if flags == 0x10 => segment.ack = peer.2,
            _ => {}
        }
    }

    fn play(number: u32, (looks, pauses, moves): &Play, take: &mut impl FnMut(Decoded)) {
        let isns = [SeqNum(number.wrapping_mul(0x9e37_79b9)), SeqNum(77)];
        let mut ends: [Sender; 2] = isns.map(|isn| (isn, 0, isn));
        let is = |bit: u8| looks.2 >> bit & 1 > 0;
        let unit = if is(0) { 1 } else { 1_000 };
        let mut now = Timestamp::from_nanos(1_795_172_400_000_000_000 + i64::from(is(0)));
        // What comes of the SYN: a refusal, a SYN+ACK that nothing follows, or a connection.
        let refused = looks.1 == 3;
        let is_half_open = looks.2 >> 4 == 4;
        let opening = [(true, 0x02), (false, if refused { 0x14 } else { 0x12 }), (true, 0x10)];
        let answers = [2, 1].map(|place: usize| pauses[place].nanos([1_000_000; 2], unit));
        let opening = opening.into_iter().zip(pauses).map(|((from_client, flags), pause)| {
            let pause = *pause;
            let (payload, fault) = match (flags, looks.0) {
                (0x10, 2 | 3) if pause.more == 1 => (10, 0),
                (0x12, 1) if pause.more == -1 => (0, 6),
                _ => (0, 0),
            };
            (Move { from_client, kind: 0, payload, window: 501, pause, fault }, flags)
        });
        let flags = [0x10, 0x11, 0x04, 0x14, 0x11];
        let rest = moves.iter().map(|it| (it.clone(), flags[usize::from(it.kind)]));
        let all = opening.chain(rest).take(if refused || is_half_open { 2 } else { 20 });
        for (place, (it, flags)) in all.enumerate() {
            let answers = if place < 3 { [1_000_000; 2] } else { answers };
            now = now.after(Span::from_nanos(it.pause.nanos(answers, unit)));
            let [client, server] = hosts(number, is(1), is(2));
            let (source, target) = if it.from_client { (client, server) } else { (server, client) };
            let (tuple, sender) = FourTuple::new(if is(1) { 6 } else { 4 }, source, target);
            let [own, peer] = if it.from_client { [0, 1] } else { [1, 0] };
            let (has_timestamps, scales) = (looks.0 & 1 > 0, looks.0 & 2 > 0 || own == 1);
            let is_syn = flags & 2 > 0;
            let tsval = (now.as_nanos() / 1_000_000) as u32;
            let mut segment = Segment {
                ts: now,
                frame: 1_000 * u64::from(number) + place as u64 + 1,
                seq: ends[own].0,
                ack: ends[peer].0,
                payload: if it.kind < 2 { it.payload } else { 0 },
                window: if is_syn { 64_000 } else { it.window },
                flags: Flags::from_bits(flags),
                ip_id: place as u16,
                ttl: 64,
                options: Options {
                    timestamps: has_timestamps.then_some((tsval, ends[peer].1)),
                    window_scale: (is_syn && scales).then_some(7 * (looks.1 % 2)),
                    mss: (is_syn && looks.1 > 0).then_some(if is(3) { 1_460 } else { 536 }),
                    sack_permitted: is_syn && looks.1 > 1,
                    incomplete: is_syn && looks.2 % 7 == 6,
                    ..Options::default()
                },
                ..Segment::default()
            };
            if it.kind == 4 {
                segment.seq = segment.seq.sub(1);
            }
            spoil(&mut segment, it.fault, &ends[peer]);
            let moved = segment.seq_end().after(ends[own].0) || is_syn;
            if moved && !segment.has(Flags::RST) {
                (ends[own].0, ends[own].2) = (segment.seq_end(), segment.seq);
            }
            ends[own].1 = tsval;
            take(Decoded { tuple, sender, segment });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever was cast for others of its shape, the engine would have made.
        #[test]
        fn what_is_cast_is_what_the_engine_makes(
            plays in plays(),
            until in prop::sample::select(vec![1_u64, 3, 5, 59, 60, 62, 200]),
            msl in prop::sample::select(vec![30_000_u64, 30_000, 30_000, 0, 1, 500, 120_000]),
        ) {
            let params = Params { msl: Span::from_millis(msl) };
            let mut pipeline = Pipeline::new(params, 1_000_000, ());
            let mut last = Timestamp::default();
            for (number, one) in (0..).zip(&plays) {
                // The capture begins in the middle of every fourth.
                let mut to_skip = if number % 4 == 0 { number / 4 % 7 } else { 0 };
                play(number, one, &mut |decoded: Decoded| {
                    last = last.max(decoded.segment.ts);
                    match to_skip {
                        0 => pipeline.decoded(&decoded),
                        _ => to_skip -= 1,
                    }
                });
            }
            pipeline.silence(last.after(Span::from_secs(until)));
            let shelf = pipeline.close().1.into_one();
            let (mut foundry, mut room) = (Foundry::default(), Room::default());
            for place in 0..shelf.reach() as u32 {
                let Form::Brief(brief) = shelf.records.get(place).unwrap().form else {
                    continue;
                };
                let read = shelf.read(place, &mut foundry, &mut room);
                let made = shelf.replayed(place, &brief);
                prop_assert_eq!(read.as_deref(), Some(&made), "{:#?}", &plays[place as usize]);
                let ends = (made.addr(Role::Client), made.addr(Role::Server));
                let at_a_glance = shelf.client_and_server(place);
                prop_assert_eq!(at_a_glance.unwrap_or(ends), ends, "{:?}", brief);
            }
        }
    }
    /// Connections that differ in one thing only, which some rule looks at. `C` stands for
    /// their clients.
    #[test]
    fn one_difference_that_a_rule_sees_makes_another_shape_or_none() {
        const HANDSHAKE: &str = "+1 C S 0:0(0) <ts 100:0> | \
                                 +.01 < S. 0:0(0) ack 1 <ts 900:100> | \
                                 +.01 C . 1:1(0) ack 1 <ts 101:900> | ";
        const DATA: &str = "+.01 C P. 1:11(10) ack 1 <ts 110:900> | \
                            +.01 < P. 1:11(10) ack 11 <ts 910:110> | ";
        let before_data = [
            // Whether a RST can be the answer to the handshake's ACK.
            ("+.001 < R 1:1(0)", "+.9 < R 1:1(0)"),
            (
                "+.001 C P. 1:11(10) ack 1 <ts 102:900> | +.001 < R 1:1(0)",
                "+.001 C P. 1:11(10) ack 1 <ts 102:900> | +.9 < R 1:1(0)",
            ),
        ];
        let after_data = [
            // Whether all that the sender of a RST had sent was acknowledged.
            (
                "+.01 C . 11:11(0) ack 11 <ts 111:910> | +.01 < . 11:11(0) ack 11 <ts 911:111> | \
                 +.01 < R 11:11(0)",
                "+.01 C . 11:11(0) ack 11 <ts 111:910> | +.01 < P. 11:16(5) ack 11 <ts 911:111> | \
                 +.01 < R 16:16(0)",
            ),
            // Whose silence a close follows.
            (
                "+.01 C . 11:11(0) ack 11 <ts 111:910> | +.01 < . 11:11(0) ack 11 <ts 911:111> | \
                 +3 C F. 11:11(0) ack 11 <ts 120:911>",
                "+.01 C . 11:11(0) ack 11 <ts 111:910> | +3 C F. 11:11(0) ack 11 <ts 120:910>",
            ),
            // Whether a segment is older than the newest of its sender.
            (
                "+.01 C F. 11:11(0) ack 11 win 60000 <ts 120:910> | \
                 +.01 < . 11:11(0) ack 12 <ts 920:120> | \
                 +.01 < F. 11:11(0) ack 12 win 60000 <ts 930:120>",
                "+.01 C F. 11:11(0) ack 11 win 60000 <ts 120:910> | \
                 +.01 < . 11:11(0) ack 12 <ts 909:120> | \
                 +.01 < F. 11:11(0) ack 12 win 60000 <ts 930:120>",
            ),
            // Whether a FIN that is sent again acknowledges all that came.
            (
                "+.01 C F. 11:11(0) ack 11 win 60000 id 7 <ts 120:910> | \
                 +.4 C F. 11:11(0) ack 11 win 60000 id 8 <ts 520:910>",
                "+.01 C F. 11:11(0) ack 11 win 60000 id 7 <ts 120:910> | \
                 +.4 C F. 11:11(0) ack 6 win 60000 id 8 <ts 520:910>",
            ),
            // Whether it is sent again, or another packet like the one before.
            (
                "+.01 C F. 11:11(0) ack 11 win 60000 id 7 <ts 120:910> | \
                 +.4 C F. 11:11(0) ack 11 win 60000 id 8 <ts 520:910> | \
                 +.8 C F. 11:11(0) ack 11 win 60000 id 9 <ts 1320:910>",
                "+.01 C F. 11:11(0) ack 11 win 60000 id 7 <ts 120:910> | \
                 +.4 C F. 11:11(0) ack 11 win 60000 id 8 <ts 520:910> | \
                 +.8 C F. 11:11(0) ack 11 win 60000 id 8 <ts 520:910>",
            ),
            // Whether a socket that had closed sends when nothing can be on its way any more.
            (
                "+.01 C F. 11:11(0) ack 11 win 60000 <ts 120:910> | \
                 +.01 < F. 11:11(0) ack 12 win 60000 <ts 920:120> | \
                 +.01 C . 12:12(0) ack 12 <ts 130:920> | +.01 < . 12:12(0) ack 12 <ts 930:130>",
                "+.01 C F. 11:11(0) ack 11 win 60000 <ts 120:910> | \
                 +.01 < F. 11:11(0) ack 12 win 60000 <ts 920:120> | \
                 +.01 C . 12:12(0) ack 12 <ts 130:920> | +.5 < . 12:12(0) ack 12 <ts 930:130>",
            ),
        ];
        const CLOSED: &str = "+.01 C F. 11:11(0) ack 11 win 60000 <ts 120:910> | \
                              +.01 < . 11:11(0) ack 12 <ts 920:120> | ";
        let after_fin = [
            // Whether data that comes after it acknowledges the FIN.
            ("+.01 < P. 11:16(5) ack 12 <ts 930:120>", "+.01 < P. 11:16(5) ack 11 <ts 930:120>"),
            // Whether the window of that data is closed.
            (
                "+.01 < P. 11:16(5) ack 12 win 500 <ts 930:120>",
                "+.01 < P. 11:16(5) ack 12 win 0 <ts 930:120>",
            ),
            // Whether a RST comes from as far as its sender's other segments.
            ("+.01 < R. 11:11(0) ack 12 ttl 64", "+.01 < R. 11:11(0) ack 12 ttl 255"),
            // Whether a RST with ACK can have been overtaken by one without.
            (
                "+.2 < P. 11:16(5) ack 12 <ts 930:120> | +.01 C R 12:12(0) | \
                 +.001 C R. 12:12(0) ack 16",
                "+.2 < P. 11:16(5) ack 12 <ts 930:120> | +.01 C R 12:12(0) | \
                 +.5 C R. 12:12(0) ack 16",
            ),
            // How long a close was silent.
            ("+4 < F. 11:11(0) ack 12 <ts 930:120>", "+40 < F. 11:11(0) ack 12 <ts 930:120>"),
        ];
        // Whether what was refused was a SYN.
        let whole = (
            "+1 C S 0:0(0) | +.01 < R. 0:0(0) ack 1",
            "+1 C . 1:1(0) ack 1 | +.01 < R. 1:1(0) ack 1",
        );
        // Whether a SYN is known whole: its window is compared to others.
        let syns = (
            "+1 C S 0:0(0) <mss 1460> | +.01 < S. 0:0(0) ack 1 | +.01 C . 1:1(0) ack 1 | \
             +.01 C R. 1:1(0) ack 1",
            "+1 C S 0:0(0) <mss 1460,cut> | +.01 < S. 0:0(0) ack 1 | +.01 C . 1:1(0) ack 1 | \
             +.01 C R. 1:1(0) ack 1",
        );
        let opened = HANDSHAKE.to_owned() + DATA;
        let closed = opened.clone() + CLOSED;
        let before_data = before_data.map(|pair| (HANDSHAKE, pair));
        let after_data = after_data.map(|pair| (opened.as_str(), pair));
        let after_fin = after_fin.map(|pair| (closed.as_str(), pair));
        let all = before_data.into_iter().chain(after_data).chain(after_fin);
        let all = all.chain([("", whole), ("", syns)]);
        for (opening, (one, other)) in all {
            let lines = |number: u8, rest: &str| {
                let own = |sign: char| format!(" {number}{sign} ");
                let text = format!("{opening}{rest}\n").replace(" C ", &own('>'));
                text.replace(" < ", &own('<')).replace(" | ", "\n")
            };
            let trace = Trace::parse(&(lines(0, one) + &lines(1, other) + "+9 end\n"));
            let mut pipeline = Pipeline::new(Params::default(), 1_000, ());
            trace.segments.iter().for_each(|segment| pipeline.decoded(segment));
            pipeline.silence(trace.end);
            let shelf = pipeline.close().1.into_one();
            let (mut foundry, mut room, mut keys) = (Foundry::default(), Room::default(), vec![]);
            for place in 0..2 {
                let Form::Brief(brief) = shelf.records.get(place).unwrap().form else {
                    panic!("{one} {other}: not in brief");
                };
                let made = shelf.replayed(place, &brief);
                let read = shelf.read(place, &mut foundry, &mut room);
                assert_eq!(read.as_deref(), Some(&made));
                let shape = shape_of(&shelf, &brief);
                keys.push(shape.map(|shape| shape.key));
            }
            assert!(keys[0] != keys[1] || keys[0].is_none(), "{one} {other}");
        }
    }
}
