//! The connections that one tracker follows, by the order in which they began.
//!
//! What is ordinary is kept in brief and becomes a [`History`] when somebody asks; what is not is
//! followed by the engine segment by segment; what a later life on the same four-tuple ended is
//! packed. One record of about a hundred bytes stands for each.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use prefetch_index::prefetch_index;

use crate::addr::HostPort;
use crate::decode::segment::Segment;
use crate::decode::tuple::{End, FourTuple, widen_v4};
use crate::flow::stream::Numbering;
use crate::flow::table::Hasher;
use crate::history::{History, Predecessor, pack, roles};
use crate::infer::brief::{Blocks, Brief};
use crate::infer::state::State;
use crate::infer::{Connection, Held, Params, RolesFrom};
use crate::slab::Slab;
use crate::time::Timestamp;

use super::numbers::Numbers;

/// Connections in the order of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(super) records: Slab<Record>,
    pub(super) blocks: Blocks,
    /// Four-tuples that are more than two IPv4 addresses and ports.
    pub(super) wide: Slab<FourTuple>,
    pub(super) followed: Slab<Option<Box<Followed>>>,
    pub(super) packed: Slab<Box<[u8]>>,
    /// Wireshark's streams: from that connection on, they are numbered from there.
    pub(super) streams: Vec<(u32, u32)>,
    /// Who had the four-tuple before; few have a predecessor.
    pub(super) before: HashMap<u32, Before, RandomState>,
    pub(super) numbers: Numbers,
    pub(super) params: Params,
    pub(super) end: Timestamp,
}

/// One connection. Bytes rather than numbers, so that it takes no more room than they do. In this
/// order, see [`Shelf::prefetch`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Record {
    pub key: Key,
    pub form: Form,
}

/// A four-tuple: both IPv4 addresses, the lower one first, and both ports; or, with `0.0.0.0` for
/// the higher one, where the whole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    addrs: [[u8; 4]; 2],
    ports: [[u8; 2]; 2],
}

/// The higher address of what has no place in a key.
const WIDE: [u8; 4] = [0; 4];

/// A place in a slab, in bytes, so that a record of any alignment has room for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct At([u8; 4]);

impl At {
    fn of(place: u32) -> At {
        At(place.to_le_bytes())
    }

    pub fn get(self) -> u32 {
        u32::from_le_bytes(self.0)
    }
}

/// In which form a connection is kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Brief(Brief),
    Followed(At),
    Packed(At),
    Gone,
}

/// A connection that the engine follows.
#[derive(Debug)]
pub(crate) struct Followed {
    /// The place of its record.
    pub place: u32,
    /// Wireshark's numbering of its four-tuple.
    pub numbering: Numbering,
    /// The engine's connection.
    pub connection: Connection,
    /// A SYN that waits for its answer.
    pub held: Option<Box<Held>>,
}

/// The connection that had the four-tuple before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    /// Its number.
    pub id: u64,
    /// In which states it left the two ends.
    pub states: [State; 2],
    /// The number of the first that had it.
    pub first: u64,
}

impl Shelf {
    /// Who is the client and who the server of the connection at that place, where that is known
    /// at a glance.
    pub fn client_and_server(&self, place: u32) -> Option<(HostPort, HostPort)> {
        let Record { key, form: Form::Brief(brief) } = self.records.get(place)? else {
            return None;
        };
        let client_by = brief.client_by()?;
        // Of nearly all no four-tuple need be put together.
        if let ((client, RolesFrom::Syn), Some([low, high])) = (client_by, key.ends()) {
            return Some(if client == End::A { (low, high) } else { (high, low) });
        }
        let tuple = self.tuple(place)?;
        let (client, _) = roles(&tuple, client_by);
        Some((tuple.endpoint(client), tuple.endpoint(client.peer())))
    }

    /// The place after the last.
    pub fn reach(&self) -> u64 {
        self.records.reach().into()
    }

    /// Whether there is a connection of that number.
    pub fn has(&self, id: u64) -> bool {
        self.place(id).is_some_and(|place| place < self.records.reach())
    }

    /// The place of the connection of that number, or where it will be.
    pub fn place(&self, id: u64) -> Option<u32> {
        self.numbers.place(id)
    }

    /// How many connections began: the number after the last.
    pub fn begun(&self) -> u64 {
        self.numbers.of(self.records.reach())
    }

    /// How many of them were forgotten while the capture grew.
    pub fn forgotten(&self) -> u64 {
        self.numbers.next - self.numbers.kept.len() as u64
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        let is_there = |place: &u32| {
            self.records.get(*place).is_some_and(|record| !matches!(record.form, Form::Gone))
        };
        (0..self.records.reach()).filter(is_there).count()
    }

    /// Keeps a finished history under its number.
    pub fn push(&mut self, history: &History) {
        let Some(place) = self.numbers.place(history.id) else { return };
        while self.records.reach() <= place {
            self.add(&history.tuple, history.stream, None);
        }
        self.pack(place, history);
    }

    /// An empty shelf for the same connections.
    pub(crate) fn like(other: &Shelf) -> Shelf {
        Shelf { numbers: other.numbers.clone(), ..Shelf::default() }
    }

    /// The number of the record at that place.
    #[inline]
    pub(crate) fn number(&self, place: u32) -> u64 {
        self.numbers.of(place)
    }

    /// An empty shelf, for hosts with these parameters.
    pub(crate) fn of(params: Params) -> Shelf {
        Shelf { params, ..Shelf::default() }
    }

    /// Begins a record and returns its place.
    pub(crate) fn add(&mut self, tuple: &FourTuple, stream: u32, before: Option<Before>) -> u32 {
        let key = self.key(tuple);
        let place = self.records.put(Record { key, form: Form::Gone });
        if self.stream(place) != stream {
            self.streams.push((place, stream));
        }
        if let Some(before) = before {
            self.before.insert(place, before);
        }
        place
    }

    /// Whether a record is that of the four-tuple.
    #[inline]
    pub(crate) fn is_of(&self, place: u32, tuple: &FourTuple) -> bool {
        self.records.get(place).is_some_and(|record| record.key.is_of(tuple, &self.wide))
    }

    fn key(&mut self, tuple: &FourTuple) -> Key {
        match tuple.plain_v4().map(Key::plain) {
            Some(plain) if plain.wide_place().is_none() => plain,
            _ => Key { addrs: [self.wide.put(*tuple).to_be_bytes(), WIDE], ports: [[0; 2]; 2] },
        }
    }

    /// The four-tuple of a record.
    pub(crate) fn tuple(&self, place: u32) -> Option<FourTuple> {
        let Record { key, .. } = self.records.get(place)?;
        if let Some(place) = key.wide_place() {
            return self.wide.get(place).copied();
        }
        let [low_port, high_port] = key.ports.map(u16::from_ne_bytes);
        let [low, high] = key.addrs.map(widen_v4);
        Some(FourTuple::new(4, (low, low_port), (high, high_port)).0)
    }

    /// The Wireshark stream of a record.
    pub(crate) fn stream(&self, place: u32) -> u32 {
        stream_at(&self.streams, place)
    }

    /// Who had the four-tuple before.
    pub(crate) fn before(&self, place: u32) -> Option<Before> {
        self.before.get(&place).copied()
    }

    /// The same, as a history tells it.
    pub(crate) fn predecessor(&self, place: u32) -> Option<Predecessor> {
        let Before { id, states, .. } = self.before(place)?;
        Some(Predecessor { id, states })
    }

    /// Has the memory of a record fetched, without waiting for it.
    #[inline]
    pub(crate) fn prefetch(&self, place: u32) {
        if let Some(record) = self.records.get(place) {
            // The key is in front. All cache lines of the record: none is shorter than a step, and
            // nothing is read, so that it does not matter where the slice ends.
            let bytes = record.key.addrs.as_flattened();
            [0, 60, size_of::<Record>() - 1].iter().for_each(|at| prefetch_index(bytes, *at));
        }
    }

    /// The same of the close of one, whose record is there.
    #[inline]
    pub(crate) fn prefetch_close(&self, place: u32) {
        if let Some(brief) = self.brief(place) {
            brief.prefetch_close(&self.blocks);
        }
    }

    /// The same of its opening, if its close is there.
    #[inline]
    pub(crate) fn prefetch_opening(&self, place: u32) {
        if let Some(brief) = self.brief(place) {
            brief.prefetch_opening(&self.blocks);
        }
    }

    #[inline]
    fn brief(&self, place: u32) -> Option<&Brief> {
        match &self.records.get(place)?.form {
            Form::Brief(brief) => Some(brief),
            _ => None,
        }
    }

    /// The connections to which segments still come: the hashes of their four-tuples, and their
    /// places.
    pub(crate) fn newest(&self, hasher: &Hasher) -> impl Iterator<Item = (u64, u32)> {
        let newest = (0..self.records.reach()).filter(|place| self.is_newest(*place));
        newest.filter_map(|place| Some((hasher.hash(&self.tuple(place)?), place)))
    }

    /// Takes the next segment into the brief of its connection, which is said to be at that place;
    /// whether that was possible.
    #[inline]
    pub(crate) fn take(
        &mut self,
        place: u32,
        tuple: &FourTuple,
        from: End,
        segment: &Segment,
    ) -> bool {
        match self.records.get_mut(place) {
            Some(Record { key, form: Form::Brief(brief) }) if key.is_of(tuple, &self.wide) => {
                brief.take(from, segment, &mut self.blocks)
            }
            _ => false,
        }
    }

    /// Whether the newest segment of a connection to which segments still come is of that end.
    pub(crate) fn has_spoken_last(&self, place: u32, end: End) -> bool {
        let spoke = |it: &Connection| it.end(end).last.frame > it.end(end.peer()).last.frame;
        match self.records.get(place).map(|record| record.form) {
            Some(Form::Followed(at)) => {
                self.followed_at(at).is_some_and(|it| spoke(&it.connection))
            }
            Some(Form::Brief(brief)) => {
                let mut connection = Connection::default();
                brief.replay(&self.blocks, &self.params, &mut connection);
                spoke(&connection)
            }
            Some(Form::Packed(_) | Form::Gone) | None => false,
        }
    }

    pub(super) fn followed_at(&self, at: At) -> Option<&Followed> {
        self.followed.get(at.get())?.as_deref()
    }

    /// Keeps a connection in brief.
    pub(crate) fn keep_brief(&mut self, place: u32, brief: Brief) {
        self.set(place, Form::Brief(brief));
    }

    /// Has a connection followed from now on.
    pub(crate) fn follow(&mut self, followed: Box<Followed>) {
        let place = followed.place;
        let at = self.followed.put(Some(followed));
        self.set(place, Form::Followed(At::of(at)));
    }

    /// Takes a followed connection out, to be changed and then followed on. One that was kept in
    /// brief until now is replayed first.
    pub(crate) fn take_out(&mut self, place: u32) -> Option<Box<Followed>> {
        match self.records.get(place)?.form {
            Form::Followed(at) => self.followed.remove(at.get()).flatten(),
            Form::Brief(brief) => {
                let mut connection = Connection::default();
                brief.replay(&self.blocks, &self.params, &mut connection);
                let (mut numbering, mut stream) = (Numbering::default(), self.stream(place));
                brief.opening_segments(&self.blocks, |from, segment| {
                    numbering.stream_of(from, segment, &mut stream);
                });
                brief.give_back(&mut self.blocks);
                Some(Box::new(Followed { place, numbering, connection, held: None }))
            }
            Form::Packed(_) | Form::Gone => None,
        }
    }

    /// Keeps a finished history, packed, at that place.
    pub(crate) fn pack(&mut self, place: u32, history: &History) {
        let mut bytes = Vec::new();
        pack::write(history, &mut bytes);
        let at = self.packed.put(bytes.into_boxed_slice());
        self.set(place, Form::Packed(At::of(at)));
    }

    fn set(&mut self, place: u32, form: Form) {
        if let Some(record) = self.records.get_mut(place) {
            record.form = form;
        }
    }

    /// The connections with a SYN that waits for its answer, by the first sight of the four-tuple.
    pub(crate) fn held(&self) -> Vec<u32> {
        let all = (0..self.followed.reach()).filter_map(|at| self.followed.get(at)?.as_ref());
        let held = all.filter(|followed| followed.held.is_some()).map(|followed| followed.place);
        let mut held: Vec<u32> = held.collect();
        held.sort_by_key(|place| {
            self.before(*place).map_or(self.number(*place), |before| before.first)
        });
        held
    }

    /// Whether a SYN waits for its answer at that place.
    pub(crate) fn is_holding(&self, place: u32) -> bool {
        let Some(Record { form: Form::Followed(at), .. }) = self.records.get(place) else {
            return false;
        };
        self.followed_at(*at).is_some_and(|followed| followed.held.is_some())
    }

    /// The capture is over, or taken to be, and every record ends.
    pub(crate) fn close(&mut self, end: Timestamp) {
        self.end = end;
        for at in 0..self.followed.reach() {
            if let Some(Some(followed)) = self.followed.get_mut(at) {
                followed.connection.on_silence(end, &self.params);
            }
        }
    }
}

/// Wireshark's stream of the record at a place.
pub(super) fn stream_at(streams: &[(u32, u32)], place: u32) -> u32 {
    let run = match streams.last() {
        Some(last) if last.0 <= place => Some(last),
        _ => {
            let after = streams.partition_point(|(from, _)| *from <= place);
            after.checked_sub(1).and_then(|at| streams.get(at))
        }
    };
    let (from, stream) = run.copied().unwrap_or_default();
    stream.wrapping_add(place - from)
}

impl Key {
    fn plain((addrs, ports): ([u32; 2], [u16; 2])) -> Key {
        Key { addrs: addrs.map(u32::to_be_bytes), ports: ports.map(u16::to_ne_bytes) }
    }

    #[inline(always)]
    fn is_of(&self, tuple: &FourTuple, wide: &Slab<FourTuple>) -> bool {
        match self.wide_place() {
            Some(place) => wide.get(place) == Some(tuple),
            None => tuple.is_v4(self.addrs, self.ports.map(u16::from_ne_bytes)),
        }
    }

    /// Both ends, the lower one first, if they are here.
    #[inline(always)]
    fn ends(&self) -> Option<[HostPort; 2]> {
        let ([low, high], [low_port, high_port]) = (self.addrs, self.ports.map(u16::from_ne_bytes));
        let ends = [(low, low_port), (high, high_port)].map(HostPort::from);
        self.wide_place().is_none().then_some(ends)
    }

    /// Where the whole four-tuple is, if it is not here.
    #[inline(always)]
    pub fn wide_place(&self) -> Option<u32> {
        let [place, high] = self.addrs;
        (high == WIDE).then_some(u32::from_be_bytes(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Record>() <= 100, "{}", size_of::<Record>());
    }

    #[test]
    fn each_four_tuple_is_found_again() {
        let v4 = |addr: u32, port| (widen_v4(addr.to_be_bytes()), port);
        let tuples = [
            FourTuple::new(4, v4(0, 0), v4(0, 0)).0,
            FourTuple::new(4, v4(0, 0), v4(0, 7)).0,
            FourTuple::new(4, v4(0, 7), v4(1, 0)).0,
            FourTuple::new(4, v4(1, 1), v4(u32::MAX, 1)).0,
            FourTuple::new(6, v4(1, 1), v4(2, 1)).0,
            FourTuple::new(6, ([0; 16], 0), ([9; 16], 0)).0,
        ];
        let mut shelf = Shelf::default();
        for (id, tuple) in (0..).zip(&tuples) {
            assert_eq!(shelf.add(tuple, id, None), id);
        }
        for (id, tuple) in (0..).zip(&tuples) {
            assert_eq!(shelf.tuple(id), Some(*tuple));
            assert!((0..6).all(|other| shelf.is_of(other, tuple) == (other == id)));
        }
    }

    #[test]
    fn streams_are_told_from_where_they_leave_the_numbers() {
        let tuple = FourTuple::new(6, ([1; 16], 1), ([2; 16], 2)).0;
        let mut archive = Shelf::default();
        for stream in [0, 1, 2, 2, 3, 7] {
            archive.add(&tuple, stream, None);
        }
        let streams: Vec<u32> = (0..6).map(|id| archive.stream(id)).collect();
        assert_eq!((streams, archive.streams.len()), (vec![0, 1, 2, 2, 3, 7], 2));
        assert_eq!(archive.tuple(5), Some(tuple));
    }
}
