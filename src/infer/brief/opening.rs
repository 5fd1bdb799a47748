//! The opening in brief: its transcript, up to the moment when the lanes begin to run.

use super::lane::{Lane, PAYLOAD_MAX};
use super::transcript::{Near, Reader, Writer};
use super::{
    ACK, BLOCK, Blocks, Brief, CLIENT_IS_B, FIRST_WORD, LONE, Phase, SYN, SYN_ACK, TIMESTAMPS,
    control,
};
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::queued::flight_kib;

/// A silence in which no end of a connection gives up.
const PATIENCE_NANOS: u64 = 1_000_000_000;

/// What the transcript of an opening holds.
#[derive(Clone, Copy, Default)]
struct Opening {
    near: Near,
    count: usize,
    syn: Segment,
    syn_ack: Option<(Segment, (u64, u32))>,
    /// It holds nothing but SYNs.
    is_lone_syn: bool,
    is_reset: bool,
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
        mut near: Near,
    ) -> bool {
        let mut bytes = self.lanes;
        let mut writer = Writer::new(bytes.as_flattened_mut(), usize::from(self.len));
        writer.line(from, segment, moment, &mut near, true);
        let Some(len) = writer.len() else { return false };
        (self.lanes, self.len) = (bytes, len as u8);
        self.marks &= !LONE;
        true
    }

    /// Reads the transcript of the opening.
    fn opening(&self) -> Opening {
        let mut opening = Opening { is_lone_syn: true, ..Opening::default() };
        let mut lines = Reader::new(self.written());
        while let Some((_, segment, moment)) = lines.line(&mut opening.near, true) {
            if opening.count == 0 {
                opening.syn = segment;
            }
            opening.count += 1;
            opening.is_reset |= segment.has(Flags::RST);
            opening.is_lone_syn &= control(&segment) == SYN;
            if segment.has(Flags::SYN | Flags::ACK) {
                opening.syn_ack = Some((segment, moment));
            }
        }
        opening
    }

    /// One more segment of the opening.
    pub(super) fn open(
        &mut self,
        from: End,
        segment: &Segment,
        (units, frames): (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
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
            SYN => is_client && segment.seq == opening.syn.seq,
            SYN_ACK => !is_client,
            control => control & (SYN | Flags::FIN.bits() | Flags::RST.bits()) == Flags::RST.bits(),
        };
        if is_client
            && opening.count == 2
            && let Some(answer) = &opening.syn_ack
            && self.begin_running(&opening, answer, segment, (units, frames), blocks)
        {
            return true;
        }
        may_be && self.write_down(from, segment, (units, frames), opening.near)
    }

    /// The handshake is complete: the lanes begin to run, if nothing about it is special.
    fn begin_running(
        &mut self,
        Opening { syn, near, .. }: &Opening,
        (syn_ack, answered): &(Segment, (u64, u32)),
        ack: &Segment,
        moment: (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
        let has_timestamps = |segment: &Segment| segment.options.timestamps.is_some();
        let is_plain = syn.payload == 0
            && syn_ack.payload == 0
            && syn_ack.ack == syn.seq_end()
            && control(ack) == ACK
            && (ack.seq, ack.ack) == (syn.seq_end(), syn_ack.seq_end())
            && ack.payload <= PAYLOAD_MAX
            && ack.window > 0
            && [syn_ack, ack].map(has_timestamps) == [self.is(TIMESTAMPS); 2];
        // SYN and SYN+ACK are written down already: nothing in them runs on.
        let (mut block, mut near) = ([0xff; BLOCK], *near);
        let written = FIRST_WORD + usize::from(self.len);
        let Some(lines) = block.get_mut(FIRST_WORD..written) else { return false };
        lines.copy_from_slice(self.written());
        let mut writer = Writer::new(&mut block, written);
        writer.line(self.client(), ack, moment, &mut near, false);
        if !is_plain || writer.len().is_none() {
            return false;
        }
        let Some(lanes) = self.opened(syn_ack, answered, ack, moment) else { return false };
        for (end, lane) in End::BOTH.into_iter().zip(&lanes) {
            self.rest(end, lane);
        }
        self.blocks = [blocks.put(block).to_le_bytes(), [0xff; 4]];
        self.phase = Phase::Running;
        true
    }

    /// The lanes after the handshake.
    fn opened(
        &self,
        syn_ack: &Segment,
        answered: &(u64, u32),
        ack: &Segment,
        moment: (u64, u32),
    ) -> Option<[Lane; 2]> {
        let tsval = |segment: &Segment| segment.options.timestamps.unwrap_or_default().0;
        let mut server = Lane {
            nxt: syn_ack.seq_end(),
            proven: syn_ack.ack,
            edge: answered.0,
            last: answered.0,
            frame: answered.1,
            tsval: tsval(syn_ack),
            segments: 1,
            ..Lane::EMPTY
        };
        let mut client = Lane {
            nxt: ack.seq_end(),
            proven: ack.ack,
            edge: if ack.payload > 0 { moment.0 } else { 0 },
            last: moment.0,
            frame: moment.1,
            tsval: tsval(ack),
            window: ack.window,
            segments: 2,
            flight: flight_kib(ack.payload),
            ..Lane::EMPTY
        };
        let took = |units: u64| self.clock().nanos(units);
        let is_later = moment.0 > answered.0;
        let timed = server.answered_after(took(answered.0))
            && (!is_later || client.answered_after(took(moment.0 - answered.0)));
        timed.then_some(if self.is(CLIENT_IS_B) { [server, client] } else { [client, server] })
    }
}
