//! The close in brief: the transcript of all segments from the first FIN or RST on; or from the
//! first on that the lanes have no room for, as data that is sent again, where little comes after.

use super::lane::PAYLOAD_MAX;
use super::transcript::{Line, Reader};
use super::{BLOCK, Blocks, Brief, FOUND, Phase};
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::lives::JUMP;
use crate::seq::SeqNum;

/// Bytes of a transcript in one block; behind them is the place of the next block, if there is one.
const PART: usize = BLOCK - LINK;
const LINK: usize = 4;
/// Bytes in front of the transcript: its length, and where the opening is.
const HEAD: usize = 1 + LINK;
/// Blocks that one close may take: what goes on for longer is followed instead.
pub(super) const PARTS_MAX: usize = 4;
/// Bytes of the longest transcript of a close.
pub(super) const CLOSE_MAX: usize = PARTS_MAX * PART - HEAD;
const _: () = assert!(CLOSE_MAX <= u8::MAX as usize);

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
        if !self.may_close_with(from, segment) {
            return false;
        }
        let line = Line::of(from, segment, moment, &self.near(), true);
        let mut block = [0; BLOCK];
        let Some(end) = line.put_behind(HEAD, &mut block).filter(|end| *end <= PART) else {
            return false;
        };
        let [len, o0, o1, o2, o3, ..] = &mut block;
        *len = (end - HEAD) as u8;
        [*o0, *o1, *o2, *o3] = self.block;
        self.block = blocks.parts.put(block).to_le_bytes();
        self.phase = Phase::Closing;
        true
    }

    /// One more segment since.
    pub(super) fn close(
        &mut self,
        from: End,
        segment: &Segment,
        (units, frames): (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
        if !self.may_close_with(from, segment) {
            return false;
        }
        let (mut near, mut room) = (self.near(), [0; CLOSE_MAX]);
        let Some(written) = self.closing(blocks, &mut room) else { return false };
        let mut lines = Reader::new(written);
        while lines.pass_later_line(&mut near).is_some() {}
        units >= near.units && frames > near.frames && {
            let line = Line::of(from, segment, (units, frames), &near, true);
            self.add_to_closing(line.bytes(), blocks)
        }
    }

    /// The transcript of the close. Where it takes several blocks, it is put together in `room`.
    #[inline]
    pub(super) fn closing<'a>(
        &self,
        blocks: &'a Blocks,
        room: &'a mut [u8; CLOSE_MAX],
    ) -> Option<&'a [u8]> {
        let block = blocks.parts.get(self.block())?;
        let end = HEAD + usize::from(block[0]);
        if end <= PART {
            return block.get(HEAD..end);
        }
        self.put_together(blocks, room)?.get(..end - HEAD)
    }

    #[cold]
    fn put_together<'a>(&self, blocks: &Blocks, room: &'a mut [u8; CLOSE_MAX]) -> Option<&'a [u8]> {
        let mut end = 0;
        for at in self.close_blocks(blocks) {
            let part = blocks.parts.get(at)?.get(if end == 0 { HEAD } else { 0 }..PART)?;
            room.get_mut(end..end + part.len())?.copy_from_slice(part);
            end += part.len();
        }
        Some(room)
    }

    /// The blocks of the close.
    pub(super) fn close_blocks(&self, blocks: &Blocks) -> impl Iterator<Item = u32> {
        let first = Some(self.block()).filter(|_| self.phase == Phase::Closing);
        core::iter::successors(first, |at| {
            let link = blocks.parts.get(*at)?.last_chunk().map(|link| u32::from_le_bytes(*link))?;
            link.checked_sub(1)
        })
        .take(PARTS_MAX)
    }

    /// Writes more of it, if there is room.
    #[inline]
    fn add_to_closing(&self, line: &[u8], blocks: &mut Blocks) -> bool {
        let Some(block) = blocks.parts.get_mut(self.block()) else { return false };
        let old = HEAD + usize::from(block[0]);
        let new = old + line.len();
        if new <= PART {
            let Some(place) = block.get_mut(old..new) else { return false };
            place.copy_from_slice(line);
            block[0] = (new - HEAD) as u8;
            return true;
        }
        new <= HEAD + CLOSE_MAX && self.add_block_to_closing(line, new, blocks)
    }

    /// The same where the line comes to stand, in part at least, in a further block. It ends before
    /// the byte `new`, counted from where the first block begins.
    #[cold]
    fn add_block_to_closing(&self, line: &[u8], new: usize, blocks: &mut Blocks) -> bool {
        let Some(mut own) = self.close_blocks(blocks).last() else { return false };
        let parts = &mut blocks.parts;
        for (at, byte) in (new - line.len()..).zip(line) {
            // A block is added when its first byte is due.
            if at.is_multiple_of(PART) {
                let next = parts.put([0; BLOCK]);
                let Some(link) = parts.get_mut(own).and_then(|it| it.last_chunk_mut()) else {
                    return false;
                };
                *link = (next + 1).to_le_bytes();
                own = next;
            }
            if let Some(place) = parts.get_mut(own).and_then(|it| it.get_mut(at % PART)) {
                *place = *byte;
            }
        }
        if let Some([len, ..]) = parts.get_mut(self.block()) {
            *len = (new - HEAD) as u8;
        }
        true
    }

    /// Whether a segment surely belongs to this connection: no SYN, and if no RST either, then
    /// numbers that are near those of before. The server's first word since a SYN+ACK must say more
    /// than that did.
    #[inline]
    fn may_close_with(&self, from: End, segment: &Segment) -> bool {
        let [own, peer] = self.read_lanes_of(from);
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

/// Where the opening is, by the first block of the close.
#[inline]
pub(super) fn opening_at([_, a, b, c, d, ..]: &[u8; BLOCK]) -> u32 {
    u32::from_le_bytes([*a, *b, *c, *d])
}
