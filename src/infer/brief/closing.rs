//! The close in brief: the transcript of all segments from the first FIN or RST on; or from the
//! first on that the lanes have no room for, as data that is sent again, where little comes after.

mod lines;

use super::lane::{Lane, PAYLOAD_MAX};
use super::transcript::Line;
use super::{BLOCK, Block, Blocks, Brief, FOUND, Phase};
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::SILENCE_MIN;
use crate::infer::lives::JUMP;
use crate::infer::parting::{ALERT_MAX, FAREWELL_MAX};
use crate::seq::SeqNum;
use lines::{Base, line};

pub(super) use lines::{Later, Lines};

/// Blocks that one close may take: what goes on for longer is followed instead.
pub(super) const PARTS_MAX: usize = 8;
/// Bytes of lines in one block.
const ROOM: usize = BLOCK - 7;

/// Where in a block behind its lines each number stands.
mod at {
    use super::ROOM;

    /// Where the part before this one is; in the first, where the opening is.
    pub const LINK: usize = ROOM;
    /// Bytes of its lines.
    pub const LEN: usize = ROOM + 4;
    /// Where its newest line begins.
    pub const NEWEST: usize = ROOM + 5;
    /// Parts before this one.
    pub const BEFORE: usize = ROOM + 6;
}
const _: () = assert!(at::BEFORE + 1 == BLOCK);

/// How far numbers may lie from those expected before a segment may belong to another life. From
/// those that the engine expects, which knows of all segments since, that may be twice as far.
const NEAR: u32 = 1 << 18;
const _: () = assert!(2 * NEAR + PAYLOAD_MAX < JUMP as u32);

impl Brief {
    /// The first FIN or RST, or whatever else the lanes have no room for.
    pub(super) fn begin_closing(
        &mut self,
        from: End,
        segment: &Segment,
        moment: (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
        let lanes = self.read_lanes();
        if !self.may_close_with(from, segment, &lanes) {
            return false;
        }
        let line = line(from, segment, moment, &Base::of(&lanes));
        self.block = blocks.parts.put(part(&line, self.block, 0)).to_le_bytes();
        self.phase = Phase::Closing;
        true
    }

    /// Whether a segment may be the farewell of an end that closes, as the engine's `parting` has
    /// it; those of its sender and of its peer are `own` and `peer`.
    #[inline(always)]
    pub(super) fn may_part(
        &self,
        from: End,
        segment: &Segment,
        units: u64,
        [own, peer]: &[Lane; 2],
    ) -> bool {
        let is_long = |since: u64| self.clock().nanos(units - since) >= SILENCE_MIN.as_nanos();
        (1..=FAREWELL_MAX).contains(&segment.payload)
            && is_long(own.last)
            && match segment.ack == peer.nxt {
                true => {
                    let is_alert = from == self.client() && segment.payload <= ALERT_MAX;
                    (own.edge > peer.edge || is_alert) && is_long(peer.last)
                }
                false => true,
            }
    }

    /// One more segment since.
    pub(super) fn close(
        &mut self,
        from: End,
        segment: &Segment,
        (units, frames): (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
        let lanes = self.read_lanes();
        if !self.may_close_with(from, segment, &lanes) {
            return false;
        }
        let base = Base::of(&lanes);
        let Some(last) = Part::at(self.block(), blocks) else { return false };
        let Some(newest) = last.newest(&base) else { return false };
        units >= newest.0 && frames > newest.1 && {
            let line = line(from, segment, (units, frames), &base);
            self.add_to_closing(&line, blocks)
        }
    }

    /// The lines of the close, where the lanes stand still so.
    #[inline(always)]
    pub(super) fn closing<'a>(&self, lanes: &[Lane; 2], blocks: &'a Blocks) -> Option<Lines<'a>> {
        Lines::to(Part::at(self.block(), blocks)?, blocks, Base::of(lanes))
    }

    /// Where its parts are, the last one first.
    pub(super) fn close_blocks(&self, blocks: &Blocks) -> impl Iterator<Item = u32> {
        let last = Some(self.block()).filter(|_| self.phase == Phase::Closing);
        core::iter::successors(last, |place| Part::at(*place, blocks)?.before())
    }

    /// Where its opening is.
    #[inline(always)]
    pub(super) fn opening_of_closing(&self, blocks: &Blocks) -> Option<u32> {
        let mut part = Part::at(self.block(), blocks)?;
        while let Some(before) = part.before() {
            part = Part::at(before, blocks)?;
        }
        Some(part.link())
    }

    /// Writes more of it, if there is room.
    #[inline(always)]
    fn add_to_closing(&mut self, line: &Line, blocks: &mut Blocks) -> bool {
        let Some(Block(block)) = blocks.parts.get_mut(self.block()) else { return false };
        let (old, line_bytes) = (block[at::LEN], line.bytes());
        let new = usize::from(old) + line_bytes.len();
        if new > ROOM {
            let before = usize::from(block[at::BEFORE]) + 1;
            return before < PARTS_MAX && {
                let part = part(line, self.block, before as u8);
                self.block = blocks.parts.put(part).to_le_bytes();
                true
            };
        }
        let Some(place) = block.get_mut(usize::from(old)..new) else { return false };
        place.copy_from_slice(line_bytes);
        (block[at::LEN], block[at::NEWEST]) = (new as u8, old);
        true
    }

    /// Whether a segment surely belongs to this connection: no SYN, and if no RST either, then
    /// numbers that are near those of before. The server's first word since a SYN+ACK must say more
    /// than that did.
    #[inline(always)]
    fn may_close_with(&self, from: End, segment: &Segment, [a, b]: &[Lane; 2]) -> bool {
        let [own, peer] = from.own_first([a, b]);
        let is_rst = segment.has(Flags::RST);
        let is_first_word = own.segments == 1 && from != self.client() && !self.is(FOUND);
        let says_more = segment.seq_len() > 0 || segment.ack.after(own.proven);
        !segment.has(Flags::SYN)
            && (!is_first_word || is_rst || says_more)
            && segment.payload <= PAYLOAD_MAX
            && (is_rst || (is_near(segment.seq, own.nxt) && is_near(segment.ack, peer.nxt)))
    }
}

/// Whether a number lies so near that it cannot be another life's.
pub(super) fn is_near(number: SeqNum, known: SeqNum) -> bool {
    number.offset_from(known).unsigned_abs() <= NEAR
}

/// A part that begins with this line.
#[inline(always)]
fn part(line: &Line, link: [u8; 4], before: u8) -> Block {
    let mut block = [0; BLOCK];
    let line = line.bytes();
    if let Some(place) = block.get_mut(..line.len()) {
        place.copy_from_slice(line);
    }
    let [.., l0, l1, l2, l3, len, _, parts_before] = &mut block;
    [*l0, *l1, *l2, *l3] = link;
    (*len, *parts_before) = (line.len() as u8, before);
    Block(block)
}

/// A part of a close, and its place.
#[derive(Clone, Copy)]
struct Part<'a> {
    block: &'a Block,
    place: u32,
}

impl<'a> Part<'a> {
    #[inline(always)]
    fn at(place: u32, blocks: &'a Blocks) -> Option<Part<'a>> {
        Some(Part { block: blocks.parts.get(place)?, place })
    }

    /// Bytes of its lines.
    #[inline(always)]
    fn len(&self) -> usize {
        self.block.0[at::LEN].into()
    }

    /// When its newest line's segment passed.
    #[inline(always)]
    fn newest(self, base: &Base) -> Option<(u64, u32)> {
        lines::moment_at(self.block.0[at::NEWEST].into(), self, base)
    }

    #[inline(always)]
    fn link(&self) -> u32 {
        let link = self.block.0.get(at::LINK..).and_then(|link| link.first_chunk());
        link.copied().map(u32::from_le_bytes).unwrap_or_default()
    }

    /// Where the part before it is.
    #[inline(always)]
    fn before(&self) -> Option<u32> {
        (self.block.0[at::BEFORE] > 0).then(|| self.link())
    }
}
