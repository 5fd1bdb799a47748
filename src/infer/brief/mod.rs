//! An ordinary connection in brief: a hundred bytes from which the engine's [`Connection`] can be
//! made at any time.
//!
//! Nearly all connections open with three segments, carry data in order, close and are gone, and a
//! capture holds millions of them. No transition is written twice for these; [`Shape`] restates
//! which comparisons the engine makes, and debug builds check that. What is kept is a transcript of
//! the segments that define the connection: those of its opening and those from the
//! first on that is more than data in order, which mostly begins its close. [`Brief::replay`] runs
//! it through the engine when somebody wants to know. Only what lies between is not kept segment by
//! segment: data and acknowledgements in order move nothing but a few numbers of each end, and
//! these run on here, in lanes. A connection that was open when the capture began has the segments
//! up to the first of the other end in place of an opening.
//!
//! As soon as anything passes for which there is no room, or that may be of another connection,
//! [`Brief::take`] refuses it, and the caller goes on with the one that the replay makes. The tests
//! hold that one, field by field, against the connection that saw every segment. Where a rule
//! begins to look at something that a transcript leaves out, or moves something else on a segment
//! in order, they fail.

mod alone;
mod clock;
mod closing;
mod found;
mod handshake;
mod lane;
mod opening;
mod shape;
mod transcript;

use prefetch_index::prefetch_index;

use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::queued::flight_kib;
use crate::infer::{Connection, IDLE_MIN, Params, RolesFrom, later_stamp};
use crate::slab::Slab;
use crate::time::Timestamp;

pub use alone::{Kind, LoneSyn};
pub use shape::{Key, Shape};

use clock::Clock;
use closing::{Later, PARTS_MAX};
use handshake::{Announcements, HANDSHAKE, Handshake};
use lane::{LANE, Lane, PAYLOAD_MAX};
use transcript::{Line, Near, Reader};

/// Bytes in which a part of a transcript rests: a close of four segments, or an opening that is not
/// like nearly all.
const BLOCK: usize = 64;

/// Such a part, in one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Block([u8; BLOCK]);

/// What connections in brief have outside of their records.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    handshakes: Slab<[u8; HANDSHAKE]>,
    announcements: Announcements,
    /// Transcripts.
    parts: Slab<Block>,
}

/// Bytes in front of the transcript of a handshake for the moment of the server's first word: units
/// and frames. Where the connection was found open, one byte has the number of lines.
const FIRST_WORD: usize = 8;

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// All segments so far are in the transcript.
    Opening,
    /// The lanes run on from the opening.
    Running,
    /// The lanes stand still, and all segments since are in a transcript of their own: the close,
    /// or what comes from a repeat on.
    Closing,
}

/// An ordinary connection.
#[derive(Clone, Copy, Debug)]
pub struct Brief {
    phase: Phase,
    /// What else is so, a bit each.
    marks: u8,
    /// Bytes of the opening's transcript; then the flights of both ends, four bits each.
    len: u8,
    first_ts: [u8; 8],
    first_frame: [u8; 5],
    /// The last part of the close, by which the others and the opening are found; before that, the
    /// opening.
    block: [u8; 4],
    /// The lanes of both ends; before they run, the transcript of the opening.
    lanes: [[u8; LANE]; 2],
}

/// Its times are whole microseconds.
const IN_MICROS: u8 = 1;
/// End B sent the SYN.
const CLIENT_IS_B: u8 = 2;
/// Its segments carry timestamps.
const TIMESTAMPS: u8 = 4;
/// Its SYN was not captured; whoever is called its client sent the first segment that was.
const FOUND: u8 = 8;
/// Its opening is among the handshakes.
const SHAKEN: u8 = 16;
/// Its four-tuple had another life before this one.
const SUCCEEDS: u8 = 32;

/// Flags that matter to a connection's states.
const CONTROL: u16 = SYN_ACK | Flags::FIN.bits() | Flags::RST.bits();
const SYN: u16 = Flags::SYN.bits();
const ACK: u16 = Flags::ACK.bits();
const SYN_ACK: u16 = SYN | ACK;

/// A bit for each that is so.
fn bits<const N: usize>(all: [(bool, u8); N]) -> u8 {
    all.into_iter().fold(0, |bits, (is_so, bit)| if is_so { bits | bit } else { bits })
}

fn control(segment: &Segment) -> u16 {
    segment.flags.bits() & CONTROL
}

/// Has a block fetched, without waiting for it.
#[inline]
fn prefetch(block: Option<&Block>) {
    if let Some(Block(block)) = block {
        prefetch_index(block, 0);
    }
}

impl Brief {
    /// A connection that begins with this segment: with a SYN, as all do, or with whatever was
    /// captured first.
    #[inline]
    pub fn begin(from: End, segment: &Segment) -> Option<Brief> {
        match control(segment) {
            // What is known of it makes the code for it shorter.
            SYN => Brief::beginning(from, segment, 0),
            SYN_ACK => Brief::begin_found(from, segment),
            control if control & SYN == 0 => Brief::begin_found(from, segment),
            _ => None,
        }
    }

    #[inline(never)]
    fn begin_found(from: End, segment: &Segment) -> Option<Brief> {
        Brief::beginning(from, segment, FOUND)
    }

    #[inline(always)]
    fn beginning(from: End, segment: &Segment, mark: u8) -> Option<Brief> {
        if segment.options.sack.is_some() {
            return None;
        }
        let [a, b, c, d, e, 0, 0, 0] = segment.frame.to_le_bytes() else { return None };
        let clock = Clock::beginning(segment.ts);
        let marks = mark
            | bits([
                (clock.in_micros, IN_MICROS),
                (from == End::B, CLIENT_IS_B),
                (segment.options.timestamps.is_some(), TIMESTAMPS),
            ]);
        let mut lanes = [[0; LANE]; 2];
        let line = Line::of(from, segment, (0, 0), &Near::default(), true);
        let len = line.put_behind(0, lanes.as_flattened_mut())?;
        Some(Brief {
            phase: Phase::Opening,
            marks,
            len: len as u8,
            first_ts: segment.ts.as_nanos().to_le_bytes(),
            first_frame: [a, b, c, d, e],
            block: [0; 4],
            lanes,
        })
    }

    /// The same connection, as one that has its four-tuple after another.
    pub fn succeeding(self) -> Brief {
        Brief { marks: self.marks | SUCCEEDS, ..self }
    }

    /// Whether another had its four-tuple before.
    pub fn succeeds(&self) -> bool {
        self.is(SUCCEEDS)
    }

    /// Takes the next segment of the connection, if it is an ordinary one; else nothing changes.
    #[inline]
    pub fn take(&mut self, from: End, segment: &Segment, blocks: &mut Blocks) -> bool {
        let Some(units) = self.clock().units(segment.ts) else { return false };
        let frames = segment.frame.wrapping_sub(self.frame());
        let Ok(frames) = u32::try_from(frames) else { return false };
        if segment.options.sack.is_some() {
            return false;
        }
        match self.phase {
            Phase::Running => self.run(from, segment, (units, frames), blocks),
            Phase::Opening => self.open(from, segment, (units, frames), blocks),
            Phase::Closing => self.close(from, segment, (units, frames), blocks),
        }
    }

    /// Makes the engine's connection, in place of what `connection` was before.
    pub fn replay(&self, blocks: &Blocks, params: &Params, connection: &mut Connection) {
        connection.clear();
        let first_word = self.each_of_opening(blocks, |from, segment, moment| {
            self.tell(connection, from, segment, moment, params);
        });
        if self.phase == Phase::Opening {
            return;
        }
        if let Some(moment) = first_word {
            self.tell_first_word(moment, params, connection);
        }
        let [a, b] = self.read_lanes();
        let clock = self.clock();
        connection.run_on(End::A, &a, &b, &clock, self.frame());
        connection.run_on(End::B, &b, &a, &clock, self.frame());
        if self.phase == Phase::Closing
            && let Some(mut lines) = self.closing(&[a, b], blocks)
        {
            while let Some(Later { from, moment, segment, .. }) = lines.next() {
                self.tell(connection, from, &segment, moment, params);
            }
        }
    }

    /// The segments of its opening, with what says who sent them and how they number.
    pub fn opening_segments(&self, blocks: &Blocks, mut take: impl FnMut(End, &Segment)) {
        self.each_of_opening(blocks, |from, segment, _| take(from, segment));
    }

    /// The same, with their moments; the moment of the server's first word since, if there is one.
    fn each_of_opening(
        &self,
        blocks: &Blocks,
        mut take: impl FnMut(End, &Segment, (u64, u32)),
    ) -> Option<(u64, u32)> {
        if self.phase != Phase::Opening && !self.is(FOUND) {
            let handshake = self.handshake(blocks)?;
            let senders = [self.client(), self.client().peer(), self.client()];
            for (from, (segment, moment)) in senders.into_iter().zip(&handshake.segments) {
                take(from, segment, *moment);
            }
            return handshake.first_word;
        }
        let (count, written) = match self.phase {
            Phase::Opening => (usize::MAX, self.written()),
            _ => {
                let (count, written) =
                    blocks.parts.get(self.opening_at(blocks)?)?.0.split_first()?;
                (usize::from(*count), written)
            }
        };
        let (mut near, mut lines) = (Near::default(), Reader::new(written));
        for _ in 0..count {
            let (from, segment, moment) = lines.line(&mut near, true)?;
            take(from, &segment, moment);
        }
        None
    }

    /// The opening of a connection that runs, and was not found open.
    fn handshake(&self, blocks: &Blocks) -> Option<Handshake> {
        let at = self.opening_at(blocks)?;
        if self.is(SHAKEN) {
            return self.shaken(at, blocks);
        }
        let (word, written) = blocks.parts.get(at)?.0.split_first_chunk::<FIRST_WORD>()?;
        let (mut near, mut lines) = (Near::default(), Reader::new(written));
        let mut next = || lines.line(&mut near, false).map(|(_, segment, at)| (segment, at));
        let [a, b, c, d, e, f, g, h] = *word;
        let word = (u32::from_le_bytes([a, b, c, d]).into(), u32::from_le_bytes([e, f, g, h]));
        let first_word = Some(word).filter(|(_, frames)| *frames != u32::MAX);
        Some(Handshake { segments: [next()?, next()?, next()?], first_word })
    }

    /// The same where it is among the handshakes.
    #[inline(always)]
    fn shaken(&self, at: u32, blocks: &Blocks) -> Option<Handshake> {
        let bytes = blocks.handshakes.get(at)?;
        Handshake::read(bytes, &blocks.announcements, self.is(TIMESTAMPS))
    }

    /// Where the opening is, once the lanes run.
    #[inline]
    fn opening_at(&self, blocks: &Blocks) -> Option<u32> {
        match self.phase {
            Phase::Opening => None,
            Phase::Running => Some(self.block()),
            Phase::Closing => self.opening_of_closing(blocks),
        }
    }

    /// Has the memory of the last part of its close fetched, without waiting for it. Nearly all
    /// have no other.
    #[inline]
    pub fn prefetch_close(&self, blocks: &Blocks) {
        if self.phase == Phase::Closing {
            prefetch(blocks.parts.get(self.block()));
        }
    }

    /// The same of its opening, which is found by its close.
    #[inline]
    pub fn prefetch_opening(&self, blocks: &Blocks) {
        if let Some(at) = self.opening_at(blocks) {
            match self.is(SHAKEN) {
                true => handshake::prefetch(blocks.handshakes.get(at)),
                false => prefetch(blocks.parts.get(at)),
            }
        }
    }

    /// Gives back what it has in blocks.
    pub fn give_back(&self, blocks: &mut Blocks) {
        if let Some(at) = self.opening_at(blocks) {
            match self.is(SHAKEN) {
                true => blocks.handshakes.give_back(at),
                false => blocks.parts.give_back(at),
            }
        }
        let mut close = [None; PARTS_MAX];
        close.iter_mut().zip(self.close_blocks(blocks)).for_each(|(place, at)| *place = Some(at));
        close.into_iter().flatten().for_each(|at| blocks.parts.give_back(at));
    }

    #[inline]
    fn is(&self, mark: u8) -> bool {
        self.marks & mark > 0
    }

    #[inline]
    fn clock(&self) -> Clock {
        let first = Timestamp::from_nanos(i64::from_le_bytes(self.first_ts));
        Clock { first, in_micros: self.is(IN_MICROS) }
    }

    /// The first segment's frame.
    #[inline]
    fn frame(&self) -> u64 {
        let [a, b, c, d, e] = self.first_frame;
        u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
    }

    #[inline]
    fn block(&self) -> u32 {
        u32::from_le_bytes(self.block)
    }

    /// The end that sent the SYN, or else the first segment.
    fn client(&self) -> End {
        if self.is(CLIENT_IS_B) { End::B } else { End::A }
    }

    /// The end that the engine takes for the client, and why, where that is known at a glance.
    pub fn client_by(&self) -> Option<(End, RolesFrom)> {
        let by = match self.is(FOUND) {
            false => RolesFrom::Syn,
            // It may be a SYN+ACK that was captured first.
            true if self.phase == Phase::Opening => return None,
            true => RolesFrom::FirstPacket,
        };
        Some((self.client(), by))
    }

    #[inline(always)]
    fn read_lanes(&self) -> [Lane; 2] {
        self.read_lanes_of(End::A)
    }

    /// The same, that of `end` first.
    #[inline(always)]
    fn read_lanes_of(&self, end: End) -> [Lane; 2] {
        let flights = self.len.rotate_right(4 * end.index() as u32);
        let read = |end: End, flight| match self.lanes.get(end.index()) {
            Some(bytes) => Lane::read(bytes, flight),
            None => Lane::EMPTY,
        };
        [read(end, flights & 15), read(end.peer(), flights >> 4)]
    }

    #[inline(always)]
    fn rest(&mut self, end: End, lane: &Lane) {
        let shift = 4 * end.index();
        self.len = self.len & !(15 << shift) | lane.flight << shift;
        if let Some(bytes) = self.lanes.get_mut(end.index()) {
            lane.write(bytes);
        }
    }

    /// Data or an acknowledgement in order; or the first segment that is more than that.
    #[inline]
    fn run(
        &mut self,
        from: End,
        segment: &Segment,
        (units, frames): (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
        let [mut own, peer] = self.read_lanes_of(from);
        let Some(silence) = units.checked_sub(own.last.max(peer.last)) else { return false };
        if self.clock().nanos(silence) >= IDLE_MIN.as_nanos() || frames <= own.frame.max(peer.frame)
        {
            return false;
        }
        if control(segment) != ACK || self.may_part(from, segment, units, &[own, peer]) {
            return self.begin_closing(from, segment, (units, frames), blocks);
        }
        let acked = segment.ack.offset_from(own.proven);
        let is_ordinary = segment.seq == own.nxt
            && (0..=peer.nxt.offset_from(own.proven)).contains(&acked)
            && segment.window > 0
            && segment.payload <= PAYLOAD_MAX
            && segment.options.timestamps.is_some() == self.is(TIMESTAMPS);
        if !is_ordinary || !own.count() {
            return self.begin_closing(from, segment, (units, frames), blocks);
        }
        // What differs from one segment to the next is chosen, and all is written, so that there is
        // no branch that goes either way.
        let answers = (acked > 0) & (segment.ack == peer.nxt) & (peer.edge < units);
        let timed = own.timed(self.clock().nanos(units.saturating_sub(peer.edge)));
        if answers & timed.is_none() {
            return false;
        }
        if own.segments == 2 && from != self.client() && !self.is(FOUND) {
            // Whatever says no more than the SYN+ACK did confirms nothing.
            let confirms = segment.payload > 0 || acked > 0;
            if !confirms || !self.keep_first_word((units, frames), blocks) {
                return false;
            }
        }
        let speaks = segment.payload > 0;
        own.turnaround = if answers { timed.unwrap_or_default() } else { own.turnaround };
        (own.nxt, own.proven) = (segment.seq_end(), segment.ack);
        let flight = flight_kib(own.nxt.offset_from(peer.proven).max(0).unsigned_abs());
        own.flight = if speaks { flight } else { own.flight };
        own.edge = if speaks { units } else { own.edge };
        (own.last, own.frame, own.window) = (units, frames, segment.window);
        own.tsval = later_stamp(own.tsval, segment);
        self.rest(from, &own);
        true
    }

    /// The server speaks for the first time since its SYN+ACK, which confirms its state. Whether
    /// there is room for that.
    fn keep_first_word(&self, (units, frames): (u64, u32), blocks: &mut Blocks) -> bool {
        if self.is(SHAKEN) {
            let bytes = blocks.handshakes.get_mut(self.block());
            return bytes.is_some_and(|it| handshake::keep_first_word(it, (units, frames)));
        }
        let Ok(units) = u32::try_from(units) else { return false };
        if frames == u32::MAX {
            return false;
        }
        let [a, b, c, d] = units.to_le_bytes();
        let [e, f, g, h] = frames.to_le_bytes();
        let block = blocks.parts.get_mut(self.block());
        let Some(first_word) = block.and_then(|block| block.0.first_chunk_mut()) else {
            return false;
        };
        *first_word = [a, b, c, d, e, f, g, h];
        true
    }

    fn tell_first_word(&self, moment: (u64, u32), params: &Params, connection: &mut Connection) {
        let server = self.client().peer();
        // What it said, and what it acknowledged beyond the SYN, the lanes know.
        let end = connection.end(server);
        let (seq, ack) = (end.nxt.unwrap_or_default(), end.proven.unwrap_or_default());
        let segment = Segment { seq, ack, flags: Flags::ACK, window: 1, ..Segment::default() };
        // What the client sent in between is not told: nobody was silent.
        connection.last.ts = self.clock().time(moment.0);
        connection.spoke.ts = connection.last.ts;
        self.tell(connection, server, &segment, moment, params);
        let at = connection.span().1;
        connection.confirm_handshake(server, at);
    }

    /// Hands a segment that passed at that moment to the engine.
    fn tell(
        &self,
        connection: &mut Connection,
        from: End,
        segment: &Segment,
        (units, frames): (u64, u32),
        params: &Params,
    ) {
        let ts = self.clock().time(units);
        let frame = self.frame() + u64::from(frames);
        connection.on_segment(from, &Segment { ts, frame, ..*segment }, params);
    }
}

#[cfg(test)]
mod tests;
