//! A few segments of one connection, written down in a dozen bytes each: all that the engine looks
//! at, and nothing else. So an opening is kept; a close is written by lines of its own, which are
//! read without those before them.
//!
//! Times and frames are differences to the line before, and a number that its sender was bound to
//! use is a bit. What no rule looks at is left out: the push and urgent bits, the TTL of anything
//! but a SYN, a RST or the first segment, the IP identification of anything but a FIN, the window
//! of a RST, and most of a SYN that comes again.

mod syn;

use crate::decode::segment::{Flags, Options, Segment};
use crate::decode::tuple::End;
use crate::seq::SeqNum;

pub(super) use syn::{Said, behind_syn, plain_syn};

/// What a line is written as the difference to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Near {
    /// There was a line before; the first one has no difference to tell.
    pub begun: bool,
    /// Units since the first segment.
    pub units: u64,
    /// Frames since the first segment's.
    pub frames: u32,
    /// The number of the first SYN, which its repeats bear too.
    pub isn: SeqNum,
    /// The next number of each end.
    pub nxt: [SeqNum; 2],
    /// The newest TSval of each end.
    pub tsval: [u32; 2],
}

impl Near {
    /// The line has been written, or read.
    #[inline(always)]
    fn pass(&mut self, from: End, segment: &Segment, units: u64, frames: u32) {
        let index = from.index();
        if !self.begun {
            self.isn = segment.seq;
            // It tells of the other end, too.
            let (_, echo) = segment.options.timestamps.unwrap_or_default();
            let (own, peer) = (segment.seq_end(), segment.acked().unwrap_or_default());
            (self.nxt, self.tsval) =
                if index == 0 { ([own, peer], [0, echo]) } else { ([peer, own], [echo, 0]) };
        }
        (self.begun, self.units, self.frames) = (true, units, frames);
        if let Some(nxt) = self.nxt.get_mut(index)
            && (segment.has(Flags::SYN) || segment.seq_end().after(*nxt))
            && !segment.has(Flags::RST)
        {
            *nxt = segment.seq_end();
        }
        if let (Some(newest), Some((tsval, _))) =
            (self.tsval.get_mut(index), segment.options.timestamps)
        {
            *newest = tsval;
        }
    }

    /// Whether a SYN of that kind repeats the first, of which nothing but the TSval counts.
    fn is_repeat(&self, with_ack: bool) -> bool {
        self.begun && !with_ack
    }

    /// The next number of an end.
    pub fn next_of(&self, end: End) -> SeqNum {
        let [a, b] = self.nxt;
        if end == End::A { a } else { b }
    }

    /// The newest TSval of an end.
    pub fn tsval(&self, end: End) -> u32 {
        let [a, b] = self.tsval;
        if end == End::A { a } else { b }
    }
}

// The first byte of a line.
const FROM_B: u8 = 1;
const SYN: u8 = 2;
/// On a SYN, which never is a FIN here: its checksum does not fit.
const FIN: u8 = 4;
/// On a SYN, which never is a RST here: its options are cut.
const RST: u8 = 8;
const ACK: u8 = 16;
/// The sequence number is the sender's next.
const NEXT: u8 = 32;
/// Everything of the peer is acknowledged.
const ACKS_ALL: u8 = 64;
const TIMESTAMPS: u8 = 128;

// The second byte of a SYN; the window scale stands in the low four bits.
const NO_SCALE: u8 = 15;
const SACK_PERMITTED: u8 = 16;
const MSS: u8 = 32;
/// The peer's newest TSval is echoed.
const ECHOES: u8 = 64;
const PAYLOAD: u8 = 128;

/// The most that a line takes: all of its parts at their longest.
pub(super) const LINE_MAX: usize = 48;
/// Bytes that are written in one go, whether all of them count or not.
const STROKE: usize = 8;

/// A line in the making.
pub(super) struct Line {
    bytes: [u8; LINE_MAX + STROKE],
    len: usize,
}

impl Line {
    /// A line that is to be written.
    pub const EMPTY: Line = Line { bytes: [0; LINE_MAX + STROKE], len: 0 };

    /// The line's bytes.
    #[inline(always)]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Puts the line behind the first `len` bytes, if there is room; says where it ends.
    #[inline]
    pub fn put_behind(&self, len: usize, bytes: &mut [u8]) -> Option<usize> {
        let end = len + self.len;
        bytes.get_mut(len..end)?.copy_from_slice(self.bytes());
        Some(end)
    }

    /// Adds the lowest `count` bytes of a number, at most eight.
    #[inline(always)]
    pub fn raw(&mut self, value: u64, count: usize) {
        let behind = self.bytes.get_mut(self.len..).and_then(|rest| rest.first_chunk_mut());
        if let Some(place) = behind {
            *place = value.to_le_bytes();
        }
        self.len += count;
    }

    #[inline(always)]
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.raw(number | 0x80, 1);
            number >>= 7;
        }
        self.raw(number, 1);
    }

    /// Writes a line. Without `whole`, what runs on is left out: window and TSval. A caller that
    /// knows of a segment what it is not has the shorter code for it.
    #[inline(always)]
    pub fn of(
        from: End,
        segment: &Segment,
        (units, frames): (u64, u32),
        near: &Near,
        whole: bool,
    ) -> Line {
        let mut line = Line::EMPTY;
        let peer = from.peer();
        let is_syn = segment.has(Flags::SYN);
        let is_repeat = is_syn && near.is_repeat(segment.has(Flags::ACK));
        let timestamps = segment.options.timestamps.filter(|_| whole || is_syn);
        let mut kind = if from == End::B { FROM_B } else { 0 };
        kind |= if is_syn { SYN } else { 0 };
        kind |= if segment.has(Flags::FIN) || is_syn && segment.wrong_checksum { FIN } else { 0 };
        let is_cut = is_syn && !is_repeat && segment.options.incomplete;
        kind |= if segment.has(Flags::RST) || is_cut { RST } else { 0 };
        kind |= if segment.has(Flags::ACK) { ACK } else { 0 };
        kind |= if segment.seq == near.next_of(from) { NEXT } else { 0 };
        kind |= if segment.ack == near.next_of(peer) { ACKS_ALL } else { 0 };
        kind |= if timestamps.is_some() { TIMESTAMPS } else { 0 };
        line.raw(kind.into(), 1);
        if near.begun {
            line.number(units.wrapping_sub(near.units));
            line.number(u64::from(frames.wrapping_sub(near.frames)));
        }
        let is_first_syn = is_syn && !is_repeat;
        if is_first_syn || segment.has(Flags::RST) || !near.begun {
            line.raw(segment.ttl.into(), 1);
        }
        if (is_first_syn || whole && !is_syn) && !segment.has(Flags::RST) {
            line.raw(segment.window.into(), 2);
        }
        if is_first_syn {
            line.syn_options(segment, near.tsval(peer));
        } else if let Some((tsval, _)) = timestamps {
            line.number(folded(tsval, near.tsval(from)).into());
        }
        if kind & NEXT == 0 && !is_repeat {
            line.raw(segment.seq.0.into(), 4);
        }
        if kind & (ACK | ACKS_ALL) == ACK {
            line.raw(segment.ack.0.into(), 4);
        }
        if let Some((_, tsecr)) = timestamps.filter(|_| !is_syn) {
            let echoes_newest = tsecr == near.tsval(peer);
            line.number(u64::from(segment.payload) << 1 | u64::from(!echoes_newest));
            line.raw(tsecr.into(), if echoes_newest { 0 } else { 4 });
        } else if !is_first_syn || segment.payload > 0 {
            line.number(u64::from(segment.payload));
        }
        if segment.has(Flags::FIN) {
            line.raw(segment.ip_id.into(), 2);
        }
        line
    }

    /// The options of a SYN, and whether it carries data.
    #[inline]
    fn syn_options(&mut self, segment: &Segment, peer_tsval: u32) {
        let options = &segment.options;
        let echoes = options.timestamps.is_some_and(|(_, tsecr)| tsecr == peer_tsval);
        let mut byte = options.window_scale.unwrap_or(NO_SCALE);
        byte |= if options.sack_permitted { SACK_PERMITTED } else { 0 };
        byte |= if options.mss.is_some() { MSS } else { 0 };
        byte |= if echoes { ECHOES } else { 0 };
        byte |= if segment.payload > 0 { PAYLOAD } else { 0 };
        self.raw(byte.into(), 1);
        if let Some(mss) = options.mss {
            self.raw(mss.into(), 2);
        }
        if let Some((tsval, tsecr)) = options.timestamps {
            self.raw(u64::from(tsecr) << 32 | u64::from(tsval), if echoes { 4 } else { 8 });
        }
    }
}

/// How far a number lies from another, so that it is small on either side of that.
#[inline(always)]
pub(super) fn folded(number: u32, from: u32) -> u32 {
    let ahead = number.wrapping_sub(from) as i32;
    (ahead << 1 ^ ahead >> 31) as u32
}

/// The number that lies so far from another.
#[inline(always)]
pub(super) fn unfolded(folded: u32, from: u32) -> u32 {
    from.wrapping_add(folded >> 1 ^ (folded & 1).wrapping_neg())
}

/// Bytes that are read from the front.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    #[inline]
    fn raw<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (raw, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*raw)
    }

    #[inline]
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.raw()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// Reads a line as it was written with the same `near` and `whole`. What a caller does not look
    /// at is not made of it.
    #[inline(always)]
    pub fn line(&mut self, near: &mut Near, whole: bool) -> Option<(End, Segment, (u64, u32))> {
        let [kind] = self.raw()?;
        let from = if kind & FROM_B > 0 { End::B } else { End::A };
        let peer = from.peer();
        let (units, frames) = match near.begun {
            true => (
                near.units.wrapping_add(self.number()?),
                near.frames.wrapping_add(self.number()? as u32),
            ),
            false => (0, 0),
        };
        let mut segment = Segment { window: 1, ..Segment::default() };
        let is_syn = kind & SYN > 0;
        let is_rst = !is_syn && kind & RST > 0;
        segment.wrong_checksum = is_syn && kind & FIN > 0;
        let is_fin = !is_syn && kind & FIN > 0;
        let flags = [
            (is_syn, Flags::SYN),
            (is_fin, Flags::FIN),
            (is_rst, Flags::RST),
            (kind & ACK > 0, Flags::ACK),
        ];
        let bits = flags.map(|(is_set, flag)| u16::from(is_set) * flag.bits());
        segment.flags = Flags::from_bits(bits.iter().fold(0, |all, bit| all | bit));
        let is_repeat = is_syn && near.is_repeat(kind & ACK > 0);
        let is_first_syn = is_syn && !is_repeat;
        if is_first_syn || is_rst || !near.begun {
            [segment.ttl] = self.raw()?;
        }
        if (is_first_syn || whole && !is_syn) && !is_rst {
            segment.window = u16::from_le_bytes(self.raw()?);
        }
        let mut has_payload = true;
        if is_first_syn {
            (segment.options, has_payload) = self.syn_options(kind, near.tsval(peer))?;
            segment.options.incomplete = kind & RST > 0;
        } else if kind & TIMESTAMPS > 0 {
            let tsval = unfolded(self.number()? as u32, near.tsval(from));
            segment.options.timestamps = Some((tsval, 0));
        }
        segment.seq = match kind & NEXT {
            _ if is_repeat => near.isn,
            0 => SeqNum(u32::from_le_bytes(self.raw()?)),
            _ => near.next_of(from),
        };
        segment.ack = match kind & (ACK | ACKS_ALL) {
            ACK => SeqNum(u32::from_le_bytes(self.raw()?)),
            _ => near.next_of(peer),
        };
        if let Some((_, tsecr)) = segment.options.timestamps.as_mut().filter(|_| !is_syn) {
            let number = self.number()?;
            segment.payload = (number >> 1) as u32;
            let echoes_newest = number & 1 == 0;
            *tsecr = if echoes_newest { near.tsval(peer) } else { u32::from_le_bytes(self.raw()?) };
        } else if has_payload {
            segment.payload = self.number()? as u32;
        }
        if is_fin {
            segment.ip_id = u16::from_le_bytes(self.raw()?);
        }
        near.pass(from, &segment, units, frames);
        Some((from, segment, (units, frames)))
    }

    /// Whether there is nothing more.
    pub fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The options of a SYN, and whether it carries data.
    #[inline(always)]
    fn syn_options(&mut self, kind: u8, peer_tsval: u32) -> Option<(Options, bool)> {
        let [byte] = self.raw()?;
        let scale = byte & NO_SCALE;
        let mut options = Options {
            window_scale: (scale != NO_SCALE).then_some(scale),
            sack_permitted: byte & SACK_PERMITTED > 0,
            ..Options::default()
        };
        if byte & MSS > 0 {
            options.mss = Some(u16::from_le_bytes(self.raw()?));
        }
        if kind & TIMESTAMPS > 0 {
            let tsval = u32::from_le_bytes(self.raw()?);
            let tsecr = match byte & ECHOES {
                0 => u32::from_le_bytes(self.raw()?),
                _ => peer_tsval,
            };
            options.timestamps = Some((tsval, tsecr));
        }
        Some((options, byte & PAYLOAD > 0))
    }
}
