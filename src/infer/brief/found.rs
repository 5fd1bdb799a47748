//! A connection that was open when the capture began, in brief: its transcript up to the moment
//! when both ends have spoken, and the lanes begin to run.

use super::lane::{Lane, PAYLOAD_MAX};
use super::transcript::{Line, Near, Reader};
use super::{ACK, BLOCK, Block, Blocks, Brief, Phase, TIMESTAMPS, closing, control};
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::queued::flight_kib;
use crate::seq::SeqNum;

/// What was captured so far.
struct Found {
    near: Near,
    lines: u8,
    /// What the end that was captured first has sent, and its first number; if the other one has
    /// sent nothing, and all of it is data and acknowledgements in order.
    lane: Option<(Lane, SeqNum)>,
}

impl Brief {
    /// One more segment, before the lanes run.
    pub(super) fn go_on(
        &mut self,
        from: End,
        segment: &Segment,
        moment: (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
        let Some(found) = self.found() else { return false };
        let near = &found.near;
        if moment.0 < near.units || moment.1 <= near.frames {
            return false;
        }
        (from != self.client() && self.run_from(&found, segment, moment, blocks))
            || (belongs(near, from, segment) && self.write_down(from, segment, moment, near))
    }

    /// Data or an acknowledgement, with nothing about it that moves more than a lane.
    pub(super) fn is_plain(&self, segment: &Segment) -> bool {
        control(segment) == ACK
            && segment.window > 0
            && segment.payload <= PAYLOAD_MAX
            && segment.options.timestamps.is_some() == self.is(TIMESTAMPS)
    }

    /// Reads the transcript. `None` if its first segment is one to which the engine pays no heed,
    /// so that another one counts as an end's first: of that, more is looked at than is written.
    fn found(&self) -> Option<Found> {
        let (mut lines, mut near) = (Reader::new(self.written()), Near::default());
        let (_, first, mut moment) = lines.line(&mut near, true)?;
        if ![ACK, ACK | Flags::FIN.bits()].contains(&control(&first)) {
            return None;
        }
        let lane = Lane { nxt: first.seq, proven: first.ack, ..Lane::EMPTY };
        let mut found = Found { near, lines: 0, lane: Some((lane, first.seq)) };
        let mut next = Some((self.client(), first));
        while let Some((from, segment)) = next {
            found.lines += 1;
            let is_next = |lane: &Lane| {
                let numbers = (segment.seq, segment.ack) == (lane.nxt, lane.proven);
                numbers && from == self.client() && self.is_plain(&segment)
            };
            found.lane = found.lane.filter(|(lane, _)| is_next(lane));
            if let Some((lane, _)) = &mut found.lane {
                if segment.payload > 0 {
                    // Nothing of it is known to have come.
                    (lane.edge, lane.flight) = (moment.0, flight_kib(u32::MAX));
                }
                lane.nxt = segment.seq_end();
                lane.pass(&segment, moment);
            }
            next = lines.line(&mut found.near, true).map(|(from, segment, at)| {
                moment = at;
                (from, segment)
            });
        }
        Some(found)
    }

    /// The other end speaks for the first time: the lanes begin to run.
    fn run_from(
        &mut self,
        found: &Found,
        segment: &Segment,
        moment: (u64, u32),
        blocks: &mut Blocks,
    ) -> bool {
        let Found { near, lines, lane: Some((peer, first)) } = found else { return false };
        let from = self.client().peer();
        let is_acked =
            (0..=peer.nxt.offset_from(*first)).contains(&segment.ack.offset_from(*first));
        if segment.seq != peer.proven || !is_acked || !self.is_plain(segment) {
            return false;
        }
        let mut own = Lane { nxt: segment.seq_end(), proven: segment.ack, ..Lane::EMPTY };
        own.pass(segment, moment);
        if segment.payload > 0 {
            (own.edge, own.flight) = (moment.0, flight_kib(segment.payload));
        }
        let answers = segment.ack == peer.nxt && peer.edge < moment.0;
        if answers && !own.answered_after(self.clock().nanos(moment.0 - peer.edge)) {
            return false;
        }
        let mut block = [0xff; BLOCK];
        let [count, written @ ..] = &mut block;
        let len = usize::from(self.len);
        let Some(room) = written.get_mut(..len) else { return false };
        room.copy_from_slice(self.written());
        if Line::of(from, segment, moment, near, true).put_behind(len, written).is_none() {
            return false;
        }
        *count = lines + 1;
        self.rest(from, &own);
        self.rest(from.peer(), peer);
        self.block = blocks.parts.put(Block(block)).to_le_bytes();
        self.phase = Phase::Running;
        true
    }
}

/// Whether a segment surely belongs to this connection: no SYN, and if no RST either, then numbers
/// that are near.
fn belongs(near: &Near, from: End, segment: &Segment) -> bool {
    let is_near = |number, end| closing::is_near(number, near.next_of(end));
    !segment.has(Flags::SYN)
        && segment.payload <= PAYLOAD_MAX
        && (segment.has(Flags::RST)
            || (is_near(segment.seq, from) && is_near(segment.ack, from.peer())))
}
