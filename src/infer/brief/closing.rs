//! The close in brief: the transcript of all segments from the first FIN or RST on; or from the
//! first on that the lanes have no room for, as data that is sent again, where little comes after.

use super::lane::PAYLOAD_MAX;
use super::transcript::{Line, Reader};
use super::{BLOCK, Blocks, Brief, Phase};
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::lives::JUMP;
use crate::seq::SeqNum;

/// Bytes of a transcript in one block; behind them is the place of the next block, if there is one.
const PART: usize = BLOCK - LINK;
const LINK: usize = 4;
/// Blocks that one close may take: what goes on for longer is followed instead.
pub(super) const PARTS_MAX: usize = 4;
/// The most that a close takes, behind its length.
pub(super) const CLOSE_MAX: usize = PARTS_MAX * PART - 1;

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
        let [len, written @ ..] = &mut block;
        let Some(end) = line.put_behind(0, written).filter(|end| *end < PART) else {
            return false;
        };
        *len = end as u8;
        let [_, close] = &mut self.blocks;
        *close = blocks.put(block).to_le_bytes();
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
        let (len, written) = blocks.get(self.block(1))?.split_first()?;
        let len = usize::from(*len);
        if len < PART {
            return written.get(..len);
        }
        self.put_together(blocks, room)?.get(..len)
    }

    #[cold]
    fn put_together<'a>(&self, blocks: &Blocks, room: &'a mut [u8; CLOSE_MAX]) -> Option<&'a [u8]> {
        let mut end = 0;
        for at in self.close_blocks(blocks) {
            // The first byte of the first block is the length.
            let part = blocks.get(at)?.get(usize::from(end == 0)..PART)?;
            room.get_mut(end..end + part.len())?.copy_from_slice(part);
            end += part.len();
        }
        Some(room)
    }

    /// The blocks of the close.
    pub(super) fn close_blocks(&self, blocks: &Blocks) -> impl Iterator<Item = u32> {
        let first = Some(self.block(1)).filter(|_| self.phase == Phase::Closing);
        core::iter::successors(first, |at| {
            let link = blocks.get(*at)?.last_chunk().map(|link| u32::from_le_bytes(*link))?;
            link.checked_sub(1)
        })
        .take(PARTS_MAX)
    }

    /// Writes more of it, if there is room.
    #[inline]
    fn add_to_closing(&self, line: &[u8], blocks: &mut Blocks) -> bool {
        let first = self.block(1);
        let Some([len, written @ ..]) = blocks.get_mut(first) else { return false };
        let (old, new) = (usize::from(*len), usize::from(*len) + line.len());
        if new < PART {
            let Some(place) = written.get_mut(old..new) else { return false };
            place.copy_from_slice(line);
            *len = new as u8;
            return true;
        }
        new <= CLOSE_MAX && self.add_block_to_closing(line, new, blocks)
    }

    /// The same where the line comes to stand, in part at least, in a further block.
    #[cold]
    fn add_block_to_closing(&self, line: &[u8], new: usize, blocks: &mut Blocks) -> bool {
        let Some(mut own) = self.close_blocks(blocks).last() else { return false };
        for (at, byte) in (new + 1 - line.len()..).zip(line) {
            // A block is added when its first byte is due.
            if at.is_multiple_of(PART) {
                let next = blocks.put([0; BLOCK]);
                let Some(link) = blocks.get_mut(own).and_then(|it| it.last_chunk_mut()) else {
                    return false;
                };
                *link = (next + 1).to_le_bytes();
                own = next;
            }
            if let Some(place) = blocks.get_mut(own).and_then(|it| it.get_mut(at % PART)) {
                *place = *byte;
            }
        }
        if let Some([len, ..]) = blocks.get_mut(self.block(1)) {
            *len = new as u8;
        }
        true
    }

    /// Whether a segment surely belongs to this connection: no SYN, and if no RST either, then
    /// numbers that are near those of before. The server's first word since its SYN+ACK must say
    /// more than that did.
    #[inline]
    fn may_close_with(&self, from: End, segment: &Segment) -> bool {
        let [own, peer] = self.read_lanes_of(from);
        let is_rst = segment.has(Flags::RST);
        let is_first_word = own.segments == 1 && from != self.client();
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
