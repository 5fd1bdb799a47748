//! What was answered, and did not open: refused, or half open.

use super::{CLOSE, Cast, LINES, SYN, SYN_ACK, Sent};
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::brief::handshake::echoes;
use crate::infer::brief::transcript::{Near, Reader};
use crate::infer::silence::{RTO_INITIAL, SYN_ALONE_MAX};
use crate::infer::trail::Moment;
use crate::time::Timestamp;

impl Cast<'_> {
    /// A SYN, and within a second the RST that refuses it, or the SYN+ACK that nothing follows.
    pub(super) fn unopened(&mut self, written: &[u8], end: Timestamp) -> Option<()> {
        let (mut near, mut lines) = (Near::default(), Reader::new(written));
        let (from, syn, _) = lines.line(&mut near, true)?;
        let next = near.next_of(from);
        let (by, answer, moment) = lines.line(&mut near, true)?;
        let is_plain = by != from
            && answer.acked() == Some(next)
            && (syn.payload, answer.payload) == (0, 0)
            && self.is_in_time(moment.0)
            && syn.window > 0
            && lines.is_at_end();
        if !is_plain {
            return None;
        }
        self.announce(from, &syn, 4);
        self.point(SYN, (0, 0));
        let is_refusal = answer.has(Flags::RST);
        match is_refusal {
            true => {
                self.put(1, 128);
                self.point(CLOSE, moment);
            }
            false => self.half_open(&syn, by, &answer, moment, end)?,
        }
        for (end, sent) in End::BOTH.into_iter().zip(&mut self.shape.sent) {
            let isn = match end == from {
                true => Some(syn.seq),
                false => Some(answer.seq).filter(|_| !is_refusal),
            };
            *sent = Sent { isn, segments: 1, ..Sent::default() };
        }
        Some(())
    }

    /// A SYN+ACK that nothing follows: which of the ends has given up in the end, and when.
    fn half_open(
        &mut self,
        syn: &Segment,
        by: End,
        syn_ack: &Segment,
        moment: (u64, u32),
        end: Timestamp,
    ) -> Option<()> {
        let is_plain = syn_ack.has(Flags::SYN)
            && echoes(syn_ack.options.timestamps, syn.options.timestamps)
            && syn_ack.window > 0;
        is_plain.then_some(())?;
        self.announce(by, syn_ack, 8);
        self.put(1, 64);
        self.point(SYN_ACK, moment);
        for (index, units) in [0, moment.0].into_iter().enumerate() {
            let at = Moment::silent(self.clock.time(units).after(RTO_INITIAL));
            let has_given_up = end.since(at.ts) > SYN_ALONE_MAX;
            // At the epoch itself it would look like no moment.
            (at != Moment::NONE).then_some(())?;
            if let Some(place) = self.shape.points.get_mut(CLOSE + LINES + index) {
                *place = at;
            }
            self.put(0, if has_given_up { 16 << index } else { 0 });
        }
        Some(())
    }
}
