//! The opening in brief: its transcript, up to the moment when the lanes begin to run.

use super::lane::Lane;
use super::transcript::{Line, Near, Reader, Said, behind_syn};
use super::{
    BLOCK, Block, Blocks, Brief, CLIENT_IS_B, FIRST_WORD, FOUND, Phase, SHAKEN, SYN, SYN_ACK,
    TIMESTAMPS, control, handshake,
};
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::later_stamp;
use crate::infer::queued::flight_kib;

/// A silence in which no end of a connection gives up.
const PATIENCE_NANOS: u64 = 1_000_000_000;

/// What the transcript of an opening holds.
#[derive(Clone, Copy)]
struct Opening {
    near: Near,
    /// It holds nothing but SYNs.
    is_lone_syn: bool,
    is_reset: bool,
    /// What SYN and SYN+ACK said, if it holds these two and nothing about them is special.
    answered: Option<[Said; 2]>,
}

impl Brief {
    /// The transcript of the opening.
    pub(super) fn written(&self) -> &[u8] {
        self.lanes.as_flattened().get(..usize::from(self.len)).unwrap_or_default()
    }

    pub(super) fn write_down(
        &mut self,
        from: End,
        segment: &Segment,
        moment: (u64, u32),
        near: &Near,
    ) -> bool {
        let line = Line::of(from, segment, moment, near, true);
        let written = usize::from(self.len);
        let Some(len) = line.put_behind(written, self.lanes.as_flattened_mut()) else {
            return false;
        };
        self.len = len as u8;
        true
    }

    /// Reads the transcript of the opening.
    #[inline]
    fn opening(&self) -> Opening {
        let written = self.written();
        let (mut near, mut lines) = (Near::default(), Reader::new(written));
        let (mut is_lone_syn, mut is_reset) = (true, false);
        if let Some((syn, behind, rest)) = behind_syn(written) {
            (near, lines) = (behind, rest);
            if let Some(opening) = self.answered(&syn, near, lines.clone()) {
                return opening;
            }
        }
        while let Some((_, segment, _)) = lines.line(&mut near, true) {
            is_reset |= segment.has(Flags::RST);
            is_lone_syn &= control(&segment) == SYN;
        }
        Opening { near, is_lone_syn, is_reset, answered: None }
    }

    /// The same where these lines behind a SYN are the answer to it, and no more.
    #[inline(always)]
    fn answered(&self, syn: &Said, mut near: Near, mut lines: Reader<'_>) -> Option<Opening> {
        let syn_ack = lines.syn(&mut near)?;
        let is_answer = lines.is_at_end()
            && syn_ack.timestamps.is_some() == self.is(TIMESTAMPS)
            && syn_ack.announced.has_window()
            && syn_ack.ack == near.next_of(self.client());
        let answered = Some([*syn, syn_ack]);
        is_answer.then_some(Opening { near, is_lone_syn: false, is_reset: false, answered })
    }

    /// One more segment of the opening.
    pub(super) fn open(
        &mut self,
        from: End,
        segment: &Segment,
        (units, frames): (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
        if self.is(FOUND) {
            return self.go_on(from, segment, (units, frames), blocks);
        }
        let opening = self.opening();
        let near = &opening.near;
        let Some(silence) = units.checked_sub(near.units) else { return false };
        // Where both may have given up, a segment may be the first of another life.
        let patient = opening.is_lone_syn || self.clock().nanos(silence) <= PATIENCE_NANOS;
        if frames <= near.frames || opening.is_reset || !patient {
            return false;
        }
        let is_client = from == self.client();
        let may_be = match control(segment) {
            SYN => is_client && segment.seq == near.isn,
            SYN_ACK => !is_client,
            control => control & (SYN | Flags::FIN.bits() | Flags::RST.bits()) == Flags::RST.bits(),
        };
        if let Some(said) = opening.answered.filter(|_| is_client)
            && self.begin_running(near, &said, segment, (units, frames), blocks)
        {
            return true;
        }
        may_be && self.write_down(from, segment, (units, frames), near)
    }

    /// The handshake is complete with this acknowledgement: the lanes begin to run, if nothing
    /// about it is special.
    fn begin_running(
        &mut self,
        near: &Near,
        said: &[Said; 2],
        ack: &Segment,
        moment: (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
        let client = self.client();
        let numbers = (near.next_of(client), near.next_of(client.peer()));
        if (ack.seq, ack.ack) != numbers || !self.is_plain(ack) {
            return false;
        }
        let Some(lanes) = self.opened(near, ack, moment) else { return false };
        let Some((at, is_shaken)) = self.rest_opening(near, said, ack, moment, blocks) else {
            return false;
        };
        for (end, lane) in End::BOTH.into_iter().zip(&lanes) {
            self.rest(end, lane);
        }
        self.block = at.to_le_bytes();
        self.marks |= if is_shaken { SHAKEN } else { 0 };
        self.phase = Phase::Running;
        true
    }

    /// Where the opening is kept that ends with this acknowledgement, and whether that is among the
    /// handshakes.
    fn rest_opening(
        &self,
        near: &Near,
        [syn, syn_ack]: &[Said; 2],
        ack: &Segment,
        moment: (u64, u32),
        blocks: &mut Blocks,
    ) -> Option<(u32, bool)> {
        if ack.payload == 0
            && let Some(bytes) = handshake::rest(syn, syn_ack, moment, &mut blocks.announcements)
        {
            return Some((blocks.handshakes.put(bytes), true));
        }
        // SYN and SYN+ACK are written down already: nothing in them runs on.
        let mut block = [0xff; BLOCK];
        let written = FIRST_WORD + usize::from(self.len);
        block.get_mut(FIRST_WORD..written)?.copy_from_slice(self.written());
        Line::of(self.client(), ack, moment, near, false).put_behind(written, &mut block)?;
        Some((blocks.parts.put(Block(block)), false))
    }

    /// The lanes after the handshake, whose answer was the newest line.
    fn opened(&self, near: &Near, ack: &Segment, moment: (u64, u32)) -> Option<[Lane; 2]> {
        let answered = near.units;
        let mut server = Lane {
            nxt: ack.ack,
            proven: ack.seq,
            edge: answered,
            last: answered,
            frame: near.frames,
            tsval: near.tsval(self.client().peer()),
            segments: 1,
            ..Lane::EMPTY
        };
        let mut client = Lane {
            nxt: ack.seq_end(),
            proven: ack.ack,
            edge: if ack.payload > 0 { moment.0 } else { 0 },
            last: moment.0,
            frame: moment.1,
            tsval: later_stamp(near.tsval(self.client()), ack),
            window: ack.window,
            segments: 2,
            flight: flight_kib(ack.payload),
            ..Lane::EMPTY
        };
        let took = |units: u64| self.clock().nanos(units);
        let is_later = moment.0 > answered;
        let timed = server.answered_after(took(answered))
            && (!is_later || client.answered_after(took(moment.0 - answered)));
        timed.then_some(if self.is(CLIENT_IS_B) { [server, client] } else { [client, server] })
    }
}
