//! The close in brief: the transcript of all segments from the first FIN or RST on.

use super::lane::PAYLOAD_MAX;
use super::transcript::{Line, Near, Reader};
use super::{BLOCK, Blocks, Brief, Phase, control};
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::seq::SeqNum;

/// How far numbers may lie from those expected before a segment may belong to another life.
const NEAR: u32 = 1 << 19;

impl Brief {
    /// The first FIN or RST.
    pub(super) fn begin_closing(
        &mut self,
        from: End,
        segment: &Segment,
        moment: (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
        let ends = control(segment) & (Flags::FIN | Flags::RST).bits() > 0;
        if !ends || !self.may_close_with(from, segment) {
            return false;
        }
        let mut block = [0; BLOCK];
        if !write_behind(&mut block, from, segment, moment, &self.near()) {
            return false;
        }
        let [_, close] = &mut self.blocks;
        *close = blocks.put(block).to_le_bytes();
        self.phase = Phase::Closing;
        true
    }

    /// One more segment since the first FIN or RST.
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
        let mut near = self.near();
        let Some(block) = blocks.get_mut(self.block(1)) else { return false };
        let [len, written @ ..] = block;
        let mut lines = Reader::new(written.get(..usize::from(*len)).unwrap_or_default());
        // Which of two FINs an answer is to, the echo of a timestamp tells, and none is kept.
        let mut repeats_fin = false;
        while let Some((by, line, _)) = lines.later_line(&mut near) {
            repeats_fin |= by == from && line.has(Flags::FIN) && segment.has(Flags::FIN);
        }
        !repeats_fin
            && units >= near.units
            && frames > near.frames
            && write_behind(block, from, segment, (units, frames), &near)
    }

    /// Whether a segment surely belongs to this connection: no SYN, and if no RST either, then
    /// numbers that are near those of before. The server's first word since its SYN+ACK must say
    /// more than that did.
    #[inline]
    fn may_close_with(&self, from: End, segment: &Segment) -> bool {
        let [own, peer] = self.read_lanes_of(from);
        let is_near =
            |number: SeqNum, known: SeqNum| number.offset_from(known).unsigned_abs() <= NEAR;
        let is_rst = segment.has(Flags::RST);
        let is_first_word = own.segments == 1 && from != self.client();
        let says_more = segment.seq_len() > 0 || segment.ack.after(own.proven);
        !segment.has(Flags::SYN)
            && (!is_first_word || is_rst || says_more)
            && segment.payload <= PAYLOAD_MAX
            && (is_rst || (is_near(segment.seq, own.nxt) && is_near(segment.ack, peer.nxt)))
    }
}

/// Writes a line behind those of a block, whose first byte is their length.
#[inline(always)]
fn write_behind(
    [len, written @ ..]: &mut [u8; BLOCK],
    from: End,
    segment: &Segment,
    moment: (u64, u32),
    near: &Near,
) -> bool {
    let line = Line::of(from, segment, moment, near, true);
    let Some(now) = line.put_behind(usize::from(*len), written) else { return false };
    *len = now as u8;
    true
}
