//! Where histories are made of records.

use super::{Archive, Form};
use crate::decode::tuple::FourTuple;
use crate::history::mold::{Molds, Name};
use crate::history::{History, pack};
use crate::infer::Connection;
use crate::infer::brief::{Brief, Kind};

/// What making one history after the other takes: room that is used again, and what was learnt of
/// those before.
#[derive(Debug, Default)]
pub struct Foundry {
    connection: Connection,
    molds: Molds,
}

/// Room for one history after the other.
#[derive(Debug)]
pub struct Room {
    history: History,
    /// It is that of a SYN of this kind to which nothing came.
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
}

impl Archive {
    /// The history of that number.
    pub fn get(&self, id: u64) -> Option<History> {
        let mut room = Room::default();
        self.read(self.numbers.place(id)?.into(), &mut Foundry::default(), &mut room)?;
        Some(room.history)
    }

    /// All histories, by number.
    pub fn iter(&self) -> impl Iterator<Item = History> {
        let mut foundry = Foundry::default();
        (0..self.reach()).filter_map(move |place| {
            let mut room = Room::default();
            self.read(place, &mut foundry, &mut room)?;
            Some(room.history)
        })
    }

    /// The history at that place, of which there are [`Archive::reach`], in room that was used
    /// before.
    pub fn read<'a>(
        &self,
        place: u64,
        foundry: &mut Foundry,
        room: &'a mut Room,
    ) -> Option<&'a History> {
        let place = u32::try_from(place).ok()?;
        let record = self.records.get(place)?;
        match &record.form {
            Form::Brief(brief) => {
                self.read_brief(place, brief, foundry, room)?;
                return Some(&room.history);
            }
            Form::Followed(at) => {
                let followed = self.followed.get(u32::from_le_bytes(*at))?.as_ref()?;
                self.fill(place, &followed.connection, &mut room.history);
            }
            Form::Packed(at) => {
                room.history = pack::read(self.packed.get(u32::from_le_bytes(*at))?)?;
            }
            Form::Gone => return None,
        }
        room.lone = None;
        Some(&room.history)
    }

    /// The history of a brief: as another of its shape, or by the engine.
    fn read_brief(
        &self,
        place: u32,
        brief: &Brief,
        foundry: &mut Foundry,
        room: &mut Room,
    ) -> Option<()> {
        let is_first = self.before(place).is_none();
        let lone = brief.lone_syn(self.end).filter(|_| is_first);
        let before = core::mem::replace(&mut room.lone, lone.map(|syn| syn.kind));
        let (id, stream, tuple) = (self.number(place), self.stream(place), self.tuple(place)?);
        let history = &mut room.history;
        if let Some(syn) = lone.filter(|syn| before == Some(syn.kind)) {
            history.pass_to(id, stream, tuple, &syn, self.end);
            debug_assert_eq!(*history, self.replayed(place, brief), "{syn:?}");
            return Some(());
        }
        let shape = match is_first && lone.is_none() {
            true => brief.shape(&self.blocks, &self.params, self.end),
            false => None,
        };
        if let Some(shape) = &shape {
            let name = Name { id, stream, tuple, until: self.end };
            if foundry.molds.cast(shape, name, history) {
                debug_assert_eq!(*history, self.replayed(place, brief), "{shape:?}");
                return Some(());
            }
        }
        self.replay(place, brief, &mut foundry.connection, history);
        if let Some(shape) = &shape {
            foundry.molds.learn(shape, history);
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
        let Some(tuple) = self.tuple(place) else { return };
        let stream = self.stream(place);
        let before = self.predecessor(place);
        history.fill(self.number(place), stream, tuple, connection, self.end, before);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decode::Decoded;
    use crate::decode::segment::{Flags, Options, Segment};
    use crate::infer::Params;
    use crate::pipeline::{Pipeline, Sink};
    use crate::seq::SeqNum;
    use crate::time::{Span, Timestamp};

    struct Nobody;
    impl Sink for Nobody {}

    /// SYNs with what may differ between them, to each of which nothing came.
    #[test]
    fn a_lone_syn_is_read_the_same_after_any_other() {
        let mut pipeline = Pipeline::new(Params::default(), 1_000, Nobody);
        for n in 0..512_u32 {
            let is = |bit: u32| n >> bit & 1 > 0;
            let (own, peer) = (([1; 16], n as u16), ([if is(0) { 2 } else { 0 }; 16], 80));
            let (tuple, sender) = FourTuple::new(6, own, peer);
            let options = Options {
                timestamps: is(1).then_some((n, u32::from(is(2)))),
                mss: is(3).then_some(1_000 + n as u16 % 2),
                window_scale: is(4).then_some(7),
                sack_permitted: is(5),
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
                archive.read(*first, &mut foundry, &mut room);
                let before = room.lone;
                let read = archive.read(*second, &mut foundry, &mut room);
                assert_eq!(read, history.as_ref(), "{first} {second}");
                let same = room.lone.is_some() && room.lone == before;
                passed_on += u64::from(same && first != second);
            }
        }
        assert!(passed_on > 50, "{passed_on}");
    }
    /// One segment after the handshake.
    #[derive(Clone, Debug)]
    struct Move {
        from_client: bool,
        /// 0 data or ACK, 1 FIN, 2 RST, 3 RST with ACK.
        kind: u8,
        payload: u32,
        window: u16,
        pause: u64,
        fault: u8,
    }

    /// Times at which some rule changes its mind, and others, in microseconds.
    fn a_pause() -> impl Strategy<Value = u64> {
        let near = |at: u64| (at - 2..at + 3).boxed();
        let rules = [400, 500, 1_000, 10_000, 20_000, 40_000, 41_000, 1_000_000, 2_000_000];
        let late = [10_000_000, 60_000_000].map(near);
        let soon = prop::sample::select(rules.to_vec()).prop_flat_map(near);
        prop_oneof![6 => 1..900_u64, 3 => 1..90_000_u64, 3 => soon, 1 => late[0].clone(), 1 => late[1].clone(), 1 => Just(0)]
    }

    fn a_move() -> impl Strategy<Value = Move> {
        let kind = prop_oneof![6 => Just(0_u8), 5 => Just(1), 1 => Just(2), 1 => Just(3)];
        let payload = prop_oneof![4 => Just(0_u32), 3 => 1..1_000_u32, 1 => 9_000..20_000_u32];
        let window =
            prop_oneof![8 => Just(501_u16), 1 => Just(20), 1 => Just(u16::MAX), 1 => Just(0)];
        let fault = prop_oneof![30 => Just(0_u8), 1 => 1..6_u8];
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

    /// A connection: what its SYNs say, the pauses of its handshake, and the rest.
    type Play = ((u8, u8), [u64; 3], Vec<Move>);

    fn a_play() -> impl Strategy<Value = Play> {
        let pauses = [a_pause(), a_pause(), a_pause()];
        ((0..4_u8, 0..4_u8), pauses, prop::collection::vec(a_move(), 0..12))
    }

    fn play(number: u32, (looks, pauses, moves): &Play, take: &mut impl FnMut(Decoded)) {
        let mut ends = [(SeqNum(number.wrapping_mul(0x9e37_79b9)), 0), (SeqNum(77), 0)];
        let mut now = Timestamp::from_nanos(1_795_172_400_000_000_000);
        let refused = looks.1 == 3;
        let opening = [(true, 0x02), (false, if refused { 0x14 } else { 0x12 }), (true, 0x10)];
        let opening = opening.into_iter().zip(pauses).map(|((from_client, flags), pause)| {
            let pause = *pause;
            let (payload, fault) = match (flags, looks.0) {
                (0x10, 3) => (10, 0),
                (0x12, 1) if pause % 8 == 0 => (0, 6),
                _ => (0, 0),
            };
            (Move { from_client, kind: 0, payload, window: 501, pause, fault }, flags)
        });
        let flags = [0x10, 0x11, 0x04, 0x14];
        let rest = moves.iter().map(|it| (it.clone(), flags[usize::from(it.kind)]));
        let all = opening.chain(rest).take(if refused { 2 } else { 20 });
        for (place, (it, flags)) in all.enumerate() {
            now = now.after(Span::from_micros(it.pause));
            let (client, server) = (([10, 0, 0, 1], 1_024 + number as u16), ([10, 0, 0, 2], 80));
            let widen = |(addr, port)| (crate::decode::tuple::widen_v4(addr), port);
            let (source, target) = if it.from_client { (client, server) } else { (server, client) };
            let (tuple, sender) = FourTuple::new(4, widen(source), widen(target));
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
                ttl: if it.fault == 5 { 70 } else { 64 },
                options: Options {
                    timestamps: has_timestamps.then_some((tsval, ends[peer].1)),
                    window_scale: (is_syn && scales).then_some(7 * (looks.1 % 2)),
                    mss: (is_syn && looks.1 > 0).then_some(1_460),
                    sack_permitted: is_syn && looks.1 > 1,
                    ..Options::default()
                },
                ..Segment::default()
            };
            match it.fault {
                6 => segment.options.timestamps = has_timestamps.then_some((tsval, 1)),
                1 => segment.ack = segment.ack.sub(1),
                2 => segment.seq = segment.seq.sub(1),
                3 => segment.options.timestamps = has_timestamps.then_some((tsval - 90, 0)),
                4 => segment.seq = segment.seq.add(1),
                _ => {}
            }
            let moved = segment.seq_end().after(ends[own].0) || is_syn;
            if moved && !segment.has(Flags::RST) {
                ends[own].0 = segment.seq_end();
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
            plays in prop::collection::vec(a_play(), 300),
            until in prop::sample::select(vec![1_u64, 59, 60, 62, 200]),
        ) {
            let mut pipeline = Pipeline::new(Params::default(), 1_000, Nobody);
            let mut last = Timestamp::default();
            for (number, one) in (0..).zip(&plays) {
                play(number, one, &mut |decoded: Decoded| {
                    last = last.max(decoded.segment.ts);
                    pipeline.decoded(&decoded);
                });
            }
            pipeline.silence(last.after(Span::from_secs(until)));
            let (_, archive, _) = pipeline.close();
            let (mut foundry, mut room) = (Foundry::default(), Room::default());
            for place in 0..archive.reach() {
                let Form::Brief(brief) = archive.records.get(place as u32).unwrap().form else {
                    continue;
                };
                let read = archive.read(place, &mut foundry, &mut room);
                let made = archive.replayed(place as u32, &brief);
                prop_assert_eq!(read, Some(&made), "{:#?}", &plays[place as usize]);
            }
        }
    }
}
