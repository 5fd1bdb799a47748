//! What a segment refutes of its sender's past: what it cannot have received yet when it sent this.

use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::Connection;
use crate::infer::event::Event;
use crate::infer::evidence::BY_FIN;
use crate::infer::fact::FactKind;
use crate::infer::state::State;
use crate::infer::trail::Moment;
use crate::seq::SeqNum;

impl Connection {
    /// What the sender cannot have received yet when it sent this.
    pub(super) fn refute(&mut self, from: End, segment: &Segment, at: Moment) {
        let peer = from.peer();
        let Some(ack) = segment.acked() else { return };
        let misses_fin = self.end(peer).fin.is_some() && !self.fin_covered(peer, ack);
        let in_flight = self.end(from).in_flight();
        self.trail.disprove(from, |refuted| {
            let is_past = at.ts.since(refuted.at.ts) > in_flight;
            is_past && (misses_fin || refuted.state == State::Closed)
        });
        if misses_fin && self.end(from).has_open(&BY_FIN) {
            self.refute_fin(from, segment, at);
        }
        if self.end(from).has_open(&[Event::RecvAckOfFin]) && self.repeats_fin(from, segment) {
            self.refute_ack_of_fin(from, segment, at);
        }
        if self.end(from).state == State::Closed {
            self.refute_closed(from, segment, at);
        }
    }

    /// Its acknowledgement stops short of the peer's FIN.
    fn refute_fin(&mut self, from: End, segment: &Segment, at: Moment) {
        let Some(last) = self.trail().last(from) else {
            return;
        };
        let sends_fin = segment.has(Flags::FIN);
        let beyond = self.fin_ahead_of_hole(from, segment);
        if !sends_fin && beyond.is_none() && self.is_in_flight(from, last.at.ts, at.ts) {
            return;
        }
        let taken = self.take_back_fin(from, at, false);
        if sends_fin || beyond.is_some() {
            self.end_mut(from).settle_late(&BY_FIN);
        }
        // The peer's FIN may come next to whoever sends its own for the first time.
        let came = self.end(from).fin_candidate.ts;
        let again = self.repeats_fin(from, segment) && !self.is_in_flight(from, came, at.ts);
        if taken && (!sends_fin || again) {
            let endpoint = self.end_mut(from);
            endpoint.fall_back();
            if let Some((start, end)) = beyond {
                endpoint.take(start, end);
            }
        }
    }

    /// The peer's FIN had not come, or perhaps not. Where the ACK of its own FIN was told after it,
    /// that one still came. Returns whether there was something to take back.
    pub(super) fn take_back_fin(&mut self, end: End, by: Moment, doubtful: bool) -> bool {
        if !self.end(end).has_open(&BY_FIN) {
            return false;
        }
        let crossed = self.trail().last(end).filter(|last| last.from == State::Closing).copied();
        let acked = crossed.and_then(|_| self.withdraw(end, &[Event::RecvAckOfFin], by));
        let taken = match doubtful {
            true => self.doubt(end, &BY_FIN, by),
            false => self.withdraw(end, &BY_FIN, by),
        };
        if let Some(acked) = acked {
            self.step_as(end, Event::RecvAckOfFin, acked.basis, acked.at);
        }
        taken.is_some()
    }

    /// The numbers that a SACK says have come, if the peer's FIN is among them and something before
    /// it is missing.
    fn fin_ahead_of_hole(&self, from: End, segment: &Segment) -> Option<(SeqNum, SeqNum)> {
        let fin = self.end(from.peer()).fin?;
        let (ack, sack) = segment.acked().zip(segment.options.sack)?;
        (sack.1 == fin.add(1) && sack.0.after(ack)).then_some(sack)
    }

    /// It repeats its FIN: the ACK had not come.
    fn refute_ack_of_fin(&mut self, from: End, segment: &Segment, at: Moment) {
        let Some(last) = self.trail().last(from) else {
            return;
        };
        if self.is_in_flight(from, last.at.ts, at.ts) {
            return;
        }
        // The data had come, and the ACK of the FIN had not come with it.
        let endpoint = self.end_mut(from);
        let had_come = |data: SeqNum| segment.acked().is_some_and(|ack| ack.at_or_after(data));
        endpoint.acked_with = endpoint.acked_with.filter(|data| !had_come(*data));
        if self.withdraw(from, &[Event::RecvAckOfFin], at).is_some() {
            let endpoint = self.end_mut(from);
            endpoint.close_doubts = endpoint.close_doubts.saturating_add(1);
            self.note(FactKind::FinRepeatedAfterAck, from, at);
        }
    }

    /// A closed TCP sends nothing but RST, so the segment was on its way, or it was not closed.
    fn refute_closed(&mut self, from: End, segment: &Segment, at: Moment) {
        let Some(last) = self.trail().last(from).copied() else {
            return;
        };
        let end = segment.seq_end();
        // A RST may overtake the data that was sent before it.
        let overtaken = self.end(from).reset_ahead.is_some_and(|reset| !end.after(reset));
        let fresh = self.end(from).nxt.is_some_and(|nxt| end.after(nxt)) && !overtaken;
        // Its clock had stood there before the connection was over.
        let tsval = segment.options.timestamps.map(|(tsval, _)| tsval);
        // It acknowledges what the peer has first sent since then.
        let peer = self.end(from.peer());
        let hears = segment.acked() == peer.nxt && peer.edge > last.at.ts;
        let speaks = fresh || hears || segment.has(Flags::FIN);
        if !speaks && tsval.is_some() && tsval == self.end(from).tsval {
            return;
        }
        let in_flight = self.is_in_flight(from, last.at.ts, at.ts);
        let is_before_fin =
            !segment.has(Flags::FIN) && self.end(from).fin.is_some_and(|fin| !end.after(fin));
        // It had received more than the RST allows (RFC 5961 section 3.2), a FIN aside.
        let had_passed = |reset: SeqNum| segment.acked().is_some_and(|ack| ack.after(reset.add(1)));
        let passed_reset = self.end(from).believed_reset.is_some_and(had_passed);
        match last.event {
            // In LAST_ACK it would send its FIN again, or bear the number behind it.
            Event::RecvAckOfFin if !in_flight && !is_before_fin => {
                self.withdraw(from, &[Event::RecvAckOfFin], at);
            }
            Event::RecvRst if !in_flight || self.is_challenge(from, segment, &last) => {
                self.survive_reset(from, at);
            }
            Event::RecvRst if passed_reset => {
                self.withdraw(from, &[Event::RecvRst], at);
            }
            // Whoever was refused would not acknowledge a SYN+ACK.
            Event::RecvRefusal if self.opens_by(from, segment) => {
                self.survive_refusal(from, last.at, at)
            }
            // Somebody else sent that RST in its name, and the peer did not believe it either.
            Event::SentRst | Event::SentRstWithoutSocket if fresh || hears || !in_flight => {
                self.disown_reset(from, at);
            }
            _ => {}
        }
    }

    /// Whether the segment carries the sender's FIN again.
    pub(super) fn repeats_fin(&self, from: End, segment: &Segment) -> bool {
        let fin = segment.seq_end().sub(1);
        segment.has(Flags::FIN) && self.end(from).fin == Some(fin) && !self.end(from).fin_unseen
    }
}
