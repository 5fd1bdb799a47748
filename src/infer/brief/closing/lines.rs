//! The lines of a close, a segment each: written as the difference to where the lanes stand still,
//! so that none is needed to write or to read another.
//!
//! | bytes | |
//! |---|---|
//! | 1 | who sent it, the flags, and whether the next two are long |
//! | 1 | how long the four numbers are, two bits each |
//! | 3 or 5 | units since the lanes' newest segment |
//! | 2 or 4 | frames since that |
//! | 2 | the window; of a RST the TTL, which is one byte |
//! | 0, 1, 2 or 4 each | sequence and acknowledgement number, TSval, TSecr |
//! | 2 | the payload, if there is any |
//! | 2 | the IP identification, of a FIN |

use super::{PARTS_MAX, Part};
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::brief::lane::{Lane, PAYLOAD_MAX};
use crate::infer::brief::transcript::{LINE_MAX, Line, folded, unfolded};
use crate::infer::brief::{BLOCK, Blocks, bits};
use crate::seq::SeqNum;

/// Flags that stand in the first byte where they stand in a header.
const FLAGS: u8 = (Flags::FIN.bits() | Flags::RST.bits() | Flags::ACK.bits()) as u8;
// The other bits of it.
const FROM_B: u8 = 0x02;
const TIMESTAMPS: u8 = 0x08;
const PAYLOAD: u8 = 0x20;
const LONG_UNITS: u8 = 0x40;
const LONG_FRAMES: u8 = 0x80;
const _: () = assert!(FLAGS & (FROM_B | TIMESTAMPS | PAYLOAD | LONG_UNITS | LONG_FRAMES) == 0);
const _: () = assert!(PAYLOAD_MAX <= u16::MAX as u32);

const _: () = assert!(2 + 5 + 4 + 2 + 4 * 4 + 2 + 2 <= LINE_MAX, "all of a line at its longest");

/// Where the lanes stand still.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    /// Units and frames since the first segment.
    pub moment: (u64, u32),
    /// The next number of each end, and its newest TSval.
    ends: [(SeqNum, u32); 2],
}

impl Base {
    #[inline(always)]
    pub fn of(lanes: &[Lane; 2]) -> Base {
        let [a, b] = lanes;
        let moment = (a.last.max(b.last), a.frame.max(b.frame));
        Base { moment, ends: [(a.nxt, a.tsval), (b.nxt, b.tsval)] }
    }

    /// What is known of an end and of its peer.
    #[inline(always)]
    fn of_both(&self, end: End) -> [(SeqNum, u32); 2] {
        end.own_first(self.ends)
    }
}

/// Which of four lengths a number takes.
#[inline(always)]
fn length(number: u32) -> u8 {
    u8::from(number > 0) + u8::from(number > 0xff) + u8::from(number > 0xffff)
}

/// Bytes that a number of that length takes.
#[inline(always)]
fn bytes_of(length: u8) -> usize {
    (1 << length) >> 1
}

/// The line of a segment that passed at that moment.
#[inline(always)]
pub fn line(from: End, segment: &Segment, moment: (u64, u32), base: &Base) -> Line {
    let [(nxt, newest), (peer_nxt, peer_newest)] = base.of_both(from);
    let (is_fin, is_rst) = (segment.has(Flags::FIN), segment.has(Flags::RST));
    let flags = segment.flags.bits() as u8 & FLAGS;
    let acked = segment.acked().unwrap_or(peer_nxt);
    let stamps = segment.options.timestamps;
    let (tsval, tsecr) = stamps.unwrap_or((newest, peer_newest));
    let units = moment.0.wrapping_sub(base.moment.0);
    let frames = moment.1.wrapping_sub(base.moment.1);
    let (long_units, long_frames) = (units >= 1 << 24, frames >= 1 << 16);
    let other = bits([
        (from == End::B, FROM_B),
        (stamps.is_some(), TIMESTAMPS),
        (segment.payload > 0, PAYLOAD),
        (long_units, LONG_UNITS),
        (long_frames, LONG_FRAMES),
    ]);
    let numbers = [
        folded(segment.seq.0, nxt.0),
        folded(acked.0, peer_nxt.0),
        folded(tsval, newest),
        folded(tsecr, peer_newest),
    ];
    let lengths = numbers.map(length);
    let [a, b, c, d] = lengths;
    let mut line = Line::EMPTY;
    line.raw((flags | other).into(), 1);
    line.raw((a | b << 2 | c << 4 | d << 6).into(), 1);
    line.raw(units, if long_units { 5 } else { 3 });
    line.raw(frames.into(), if long_frames { 4 } else { 2 });
    match is_rst {
        true => line.raw(segment.ttl.into(), 1),
        false => line.raw(segment.window.into(), 2),
    }
    for (number, length) in numbers.into_iter().zip(lengths) {
        line.raw(number.into(), bytes_of(length));
    }
    if segment.payload > 0 {
        line.raw(segment.payload.into(), 2);
    }
    if is_fin {
        line.raw(segment.ip_id.into(), 2);
    }
    line
}

/// Lines that are read one after the other.
pub struct Lines<'a> {
    part: Part<'a>,
    at: usize,
    base: Base,
    /// Where the parts behind this one are, the next one last.
    then: [u32; PARTS_MAX],
    left: usize,
    blocks: &'a Blocks,
}

/// A segment that was read.
#[derive(Clone, Copy, Debug)]
pub struct Later {
    /// Who sent it, its flags, and whether it has timestamps and a payload: six bits.
    pub kind: u8,
    pub from: End,
    /// Units and frames since the first segment.
    pub moment: (u64, u32),
    /// The segment, without its moment.
    pub segment: Segment,
}

impl<'a> Lines<'a> {
    /// Those of the close that ends with this part.
    #[inline(always)]
    pub(super) fn to(last: Part<'a>, blocks: &'a Blocks, base: Base) -> Option<Lines<'a>> {
        let mut lines = Lines { part: last, at: 0, base, then: [0; PARTS_MAX], left: 0, blocks };
        while let Some(before) = lines.part.before() {
            *lines.then.get_mut(lines.left)? = lines.part.place;
            lines.left += 1;
            lines.part = Part::at(before, blocks)?;
        }
        Some(lines)
    }

    /// Where the lanes stand still.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// Reads the next line. What a caller does not look at is not made of it.
    #[inline(always)]
    pub fn next(&mut self) -> Option<Later> {
        if self.at >= self.part.len() {
            self.go_on()?;
        }
        let mut sips = Sips { bytes: &self.part.block.0, at: self.at };
        let later = sips.line(&self.base)?;
        self.at = sips.at;
        Some(later)
    }

    #[cold]
    fn go_on(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        (self.part, self.at) = (Part::at(*self.then.get(self.left)?, self.blocks)?, 0);
        Some(())
    }
}

/// When the segment of the line passed that begins at that byte of a part.
#[inline(always)]
pub(super) fn moment_at(at: usize, part: Part<'_>, base: &Base) -> Option<(u64, u32)> {
    let mut sips = Sips { bytes: &part.block.0, at };
    let [kind, _] = sips.fixed()?;
    sips.moment(kind, base)
}

/// Bytes of a block, read from one of them on. Behind every line there are more than are read.
struct Sips<'a> {
    bytes: &'a [u8; BLOCK],
    at: usize,
}

impl Sips<'_> {
    #[inline(always)]
    fn line(&mut self, base: &Base) -> Option<Later> {
        let [kind, lengths] = self.fixed()?;
        let from = if kind & FROM_B > 0 { End::B } else { End::A };
        let [(nxt, newest), (peer_nxt, peer_newest)] = base.of_both(from);
        let moment = self.moment(kind, base)?;
        let flags = Flags::from_bits((kind & FLAGS).into());
        let mut segment = Segment { flags, window: 1, ..Segment::default() };
        match segment.has(Flags::RST) {
            true => [segment.ttl] = self.fixed()?,
            false => segment.window = u16::from_le_bytes(self.fixed()?),
        }
        segment.seq = SeqNum(self.number(lengths & 3, nxt.0)?);
        segment.ack = SeqNum(self.number(lengths >> 2 & 3, peer_nxt.0)?);
        let tsval = self.number(lengths >> 4 & 3, newest)?;
        let tsecr = self.number(lengths >> 6, peer_newest)?;
        segment.options.timestamps = (kind & TIMESTAMPS > 0).then_some((tsval, tsecr));
        if kind & PAYLOAD > 0 {
            segment.payload = u16::from_le_bytes(self.fixed()?).into();
        }
        if segment.has(Flags::FIN) {
            segment.ip_id = u16::from_le_bytes(self.fixed()?);
        }
        Some(Later { kind: kind & !(LONG_UNITS | LONG_FRAMES), from, moment, segment })
    }

    #[inline(always)]
    fn moment(&mut self, kind: u8, base: &Base) -> Option<(u64, u32)> {
        let units = self.sip::<8>(if kind & LONG_UNITS > 0 { 5 } else { 3 })?;
        let frames = self.sip::<4>(if kind & LONG_FRAMES > 0 { 4 } else { 2 })?;
        let before = base.moment;
        Some((before.0.wrapping_add(units), before.1.wrapping_add(frames as u32)))
    }

    /// A number that lies so far from another.
    #[inline(always)]
    fn number(&mut self, length: u8, from: u32) -> Option<u32> {
        Some(unfolded(self.sip::<4>(bytes_of(length))? as u32, from))
    }

    /// The number in so many bytes, of `N` that are read.
    #[inline(always)]
    fn sip<const N: usize>(&mut self, count: usize) -> Option<u64> {
        let sip: [u8; N] = *self.bytes.get(self.at..)?.first_chunk()?;
        let mut bytes = [0; 8];
        bytes.first_chunk_mut().map(|place| *place = sip)?;
        self.at += count;
        Some(u64::from_le_bytes(bytes) & ((1 << (8 * count)) - 1))
    }

    #[inline(always)]
    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(bytes)
    }
}

impl Later {
    /// Whether it is a FIN.
    #[inline(always)]
    pub fn is_fin(&self) -> bool {
        self.segment.has(Flags::FIN)
    }

    /// Whether it is a RST.
    #[inline(always)]
    pub fn is_rst(&self) -> bool {
        self.segment.has(Flags::RST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ROOM;
    use super::*;
    use crate::infer::brief::Block;

    const BASE: Base =
        Base { moment: (7, 9), ends: [(SeqNum(5), 100), (SeqNum(u32::MAX), u32::MAX - 3)] };

    /// Numbers of every length, on either side of another.
    fn a_number() -> impl Strategy<Value = u32> {
        let edges = vec![0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000];
        (prop::sample::select(edges), any::<bool>(), 0..3_u32).prop_map(
            |(edge, is_behind, more)| {
                let ahead = edge + more;
                if is_behind { ahead.wrapping_neg() } else { ahead }
            },
        )
    }

    fn a_segment() -> impl Strategy<Value = Segment> {
        let stamps = prop::option::of((a_number(), a_number()));
        let flags = prop::sample::select(vec![0x01, 0x04, 0x10, 0x11, 0x14, 0x19, 0x00]);
        let payload = prop::sample::select(vec![0, 1, 0xff, PAYLOAD_MAX]);
        let rest = (any::<u16>(), any::<u16>(), any::<u8>());
        let parts = (a_number(), a_number(), stamps, flags, payload, rest);
        parts.prop_map(|(seq, ack, timestamps, flags, payload, (window, ip_id, ttl))| {
            let (seq, ack) = (SeqNum(seq), SeqNum(ack));
            let flags = Flags::from_bits(flags);
            let mut segment =
                Segment { seq, ack, flags, payload, window, ip_id, ttl, ..Segment::default() };
            segment.options.timestamps = timestamps;
            segment
        })
    }

    /// The segment as far as anything of it is written down.
    fn written(from: End, segment: &Segment) -> Segment {
        let [_, (peer_nxt, _)] = BASE.of_both(from);
        let bits = segment.flags.bits() & u16::from(FLAGS);
        let (is_fin, is_rst) = (segment.has(Flags::FIN), segment.has(Flags::RST));
        Segment {
            flags: Flags::from_bits(bits),
            ack: segment.acked().unwrap_or(peer_nxt),
            window: if is_rst { 1 } else { segment.window },
            ttl: if is_rst { segment.ttl } else { 0 },
            ip_id: if is_fin { segment.ip_id } else { 0 },
            ..*segment
        }
    }

    proptest! {
        /// Wherever in a block a line stands, it is read as it was written; and only its bytes.
        #[test]
        fn a_line_is_read_as_it_was_written(
            segment in a_segment(),
            is_b in any::<bool>(),
            units in prop::sample::select(vec![7, 8, 6 + (1 << 24), 7 + (1 << 24), (1 << 40) - 2]),
            frames in prop::sample::select(vec![10, 8 + (1 << 16), 9 + (1 << 16), u32::MAX]),
            at in 0..ROOM,
            stale in any::<u8>(),
        ) {
            let from = if is_b { End::B } else { End::A };
            let line = line(from, &segment, (units, frames), &BASE);
            let line = line.bytes();
            let at = at.min(ROOM - line.len());
            let mut block = Block([stale; BLOCK]);
            block.0[at..at + line.len()].copy_from_slice(line);
            let mut sips = Sips { bytes: &block.0, at };
            let later = sips.line(&BASE).unwrap();
            prop_assert_eq!(sips.at, at + line.len());
            prop_assert_eq!((later.from, later.moment), (from, (units, frames)));
            prop_assert_eq!(later.segment, written(from, &segment));
        }
    }
}
