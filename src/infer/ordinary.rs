//! ACK, data and FIN: the segments of an open connection, and what they bring.

use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::endpoint::{Opening, Repeats};
use crate::infer::event::Event;
use crate::infer::evidence::BY_FIN;
use crate::infer::fact::FactKind;
use crate::infer::queued::flight_kib;
use crate::infer::state::{Basis, State};
use crate::infer::trail::Moment;
use crate::infer::{Connection, DOUBTS_MAX};
use crate::seq::SeqNum;
use crate::time::Timestamp;

/// Payload that every path has room for: what fits in 576 bytes (RFC 9293 section 3.7.1).
const SMALL_MAX: u32 = 536;

/// How a segment passes.
#[derive(Clone, Copy)]
struct Passes {
    /// As a probe.
    probe: bool,
    /// After its ACK, and for the first time.
    late: bool,
}

impl Connection {
    /// A segment with neither SYN nor RST. Without ACK it is dropped wherever it arrives (RFC 9293
    /// sections 3.10.7.2 to 3.10.7.4): scanners send such, and no TCP in any state does.
    pub(super) fn on_ordinary(&mut self, from: End, segment: &Segment, at: Moment) {
        if segment.acked().is_none() || self.is_of_another_life(from, segment) {
            return;
        }
        self.meet_stale_syn(from, segment, at);
        self.doubt_syn(from.peer(), segment, at);
        self.pick_up(from, segment, at);
        self.meet_unseen_fin(from, segment, at);
        self.meet_older_ack(from, segment, at);
        self.note_challenge(from, segment, at);
        if segment.has(Flags::FIN) {
            self.doubt_unclosed(from.peer(), segment.window, at.ts);
        }
        if let Some(ack) = segment.acked() {
            if !self.is_old(from, segment) {
                self.refute(from, segment, at);
            }
            self.prove_by_ack(from, ack, segment, at);
        }
        let probe = self.is_probe(from, segment, at);
        let mut late = false;
        if probe {
            self.on_probe(from, segment, at);
        } else if segment.seq_len() > 0 {
            late = self.on_sent(from, segment, at);
        }
        self.on_received(from.peer(), segment, Passes { probe, late }, at);
        if segment.window > 0 && self.end(from).window_closed.is_some() {
            self.set_free(from.peer());
            self.end_mut(from).opened_tsval = segment.options.timestamps.map(|(tsval, _)| tsval);
        }
        self.end_mut(from).advertise(segment.window, at.ts);
        if segment.window == 0 {
            self.note(FactKind::ZeroWindow, from, at);
        }
    }

    /// While a SYN waits for its answer, the other end may still speak of an earlier life; and so
    /// does whoever acknowledges numbers from before the other's first.
    fn is_of_another_life(&self, from: End, segment: &Segment) -> bool {
        let opener = self.end(from.peer());
        let before_first =
            opener.isn.is_some() && segment.acked().is_some_and(|ack| !opener.is_syn_acked_by(ack));
        let waits = opener.state == State::SynSent && self.end(from).isn.is_none();
        let to_syn =
            segment.acked().is_some_and(|ack| opener.nxt.is_some_and(|nxt| !ack.before(nxt)));
        before_first || (waits && !to_syn)
    }

    /// The capture began with a stale copy of a SYN: its sender goes on with other numbers.
    fn meet_stale_syn(&mut self, from: End, segment: &Segment, at: Moment) {
        let endpoint = self.end(from);
        let other_number =
            endpoint.nxt.is_some_and(|nxt| !segment.seq.in_window(nxt, u32::MAX >> 2));
        if endpoint.state != State::SynSent || !other_number || segment.acked().is_none() {
            return;
        }
        if let Some(stale) = self.trail.overturn(from, &[Event::SentSyn], at) {
            self.go_back(from, &stale);
            self.note(FactKind::StaleSyn, from, stale.at);
            // What was inferred of it before that SYN still holds.
            if self.trail.last(from).is_none() {
                self.place(from, State::Unknown);
            }
            let endpoint = self.end_mut(from);
            endpoint.opening = Opening::default();
            (endpoint.isn, endpoint.nxt, endpoint.after_syn) = (None, None, None);
        }
    }

    /// More than a SYN is acknowledged, and nothing of it was seen: the SYN may have been a stale
    /// copy with which the capture began.
    fn doubt_syn(&mut self, opener: End, segment: &Segment, at: Moment) {
        let endpoint = self.end(opener);
        let only_syns = endpoint.tally.segments == u64::from(endpoint.tally.syns);
        let beyond = segment.acked().is_some_and(|ack| self.is_beyond_syn(opener, ack));
        if endpoint.state != State::SynSent || !only_syns || !beyond {
            return;
        }
        if let Some(doubtful) = self.trail.overturn(opener, &[Event::SentSyn], at) {
            self.go_back(opener, &doubtful);
            let moment = doubtful.at;
            self.step_as(opener, Event::SentSyn, Basis::Assumed, moment);
            self.end_mut(opener).take_open(&[Event::SentSyn]);
        }
    }

    /// The first segment of an end whose SYN was not captured.
    fn pick_up(&mut self, from: End, segment: &Segment, at: Moment) {
        if self.end(from).nxt.is_some() {
            return;
        }
        let known = self.end(from.peer()).opening.first.frame > 0;
        let endpoint = self.end_mut(from);
        endpoint.nxt = Some(segment.seq);
        endpoint.first_seq = Some(segment.seq);
        endpoint.ttl = segment.ttl;
        endpoint.edge = at.ts;
        self.end_mut(from.peer()).expected = Some(segment.seq);
        if known {
            return self.meet_unseen_answer(from, segment, at);
        }
        for end in [from, from.peer()] {
            if self.end(end).state == State::Unknown {
                self.end_mut(end).may_have_closed = true;
                self.step(end, Event::FoundOpen, at);
            }
        }
    }

    /// The first that is seen of whoever answered a SYN is data or a FIN: the SYN+ACK and the ACK
    /// of it were not captured. A bare ACK may be a challenge, or half of a split handshake.
    fn meet_unseen_answer(&mut self, from: End, segment: &Segment, at: Moment) {
        let opener = from.peer();
        let (own, other) = (self.end(from), self.end(opener));
        let opens = own.state == State::Unknown && other.state == State::SynSent;
        if !opens || segment.seq_len() == 0 || other.fast_open {
            return;
        }
        let syn = other.opening.last;
        self.has_gap = true;
        self.place(from, State::Listen);
        self.step_as(from, Event::RecvSyn, Basis::Inferred, syn);
        self.end_mut(from).take_open(&[Event::RecvSyn]);
        self.end_mut(from).sent_syn_ack = true;
        self.step(opener, Event::RecvSynAck, at);
        self.step(from, Event::RecvAckOfSyn, at);
    }

    /// A bare ACK one number ahead of everything seen: its sender has sent a FIN that was lost
    /// before the observer, if it was no byte. Its ACK of the peer's FIN came after that, so the
    /// FINs crossed, unless its CLOSE_WAIT is beyond doubt.
    fn meet_unseen_fin(&mut self, from: End, segment: &Segment, at: Moment) {
        let ahead = self.end(from).nxt.is_some_and(|nxt| segment.seq == nxt.add(1));
        // Its numbers jump: something of it is missing, or still on its way.
        let jumps = self.end(from).nxt.is_some_and(|nxt| segment.seq.after(nxt.add(1)));
        if jumps && segment.seq_len() == 0 {
            self.has_gap = true;
            self.end_mut(from).show(segment.seq);
        }
        if !ahead || segment.seq_len() > 0 || self.end(from).fin.is_some() {
            return;
        }
        let crossed =
            !self.is_needless(from, segment) && self.withdraw(from, &BY_FIN, at).is_some();
        self.has_gap = true;
        let endpoint = self.end_mut(from);
        endpoint.fin = Some(segment.seq.sub(1));
        endpoint.fin_unseen = true;
        endpoint.nxt = Some(segment.seq);
        endpoint.edge = at.ts;
        self.step_as(from, Event::SentUnseenFin, Basis::Inferred, at);
        if crossed {
            self.step(from, Event::RecvFin, at);
        }
    }

    /// The ACK that answers a SYN in a synchronized state (RFC 9293 section 3.10.7.4).
    fn note_challenge(&mut self, from: End, segment: &Segment, at: Moment) {
        if self.end(from).owes_challenge {
            self.end_mut(from).owes_challenge = false;
            if segment.seq_len() == 0 {
                self.note(FactKind::ChallengedSyn, from, at);
            }
        }
    }

    /// Whether the segment is a keepalive or the probe of a closed window: one number before the
    /// next, which the peer has long acknowledged (RFC 9293 section 3.8.4), or one byte into a
    /// window of zero (section 3.8.6.1).
    fn is_probe(&self, from: End, segment: &Segment, at: Moment) -> bool {
        if segment.has(Flags::FIN) || segment.payload > 1 {
            return false;
        }
        let (Some(nxt), Some(acked)) = (self.end(from).nxt, self.end(from.peer()).proven) else {
            return false;
        };
        // What the network brings late bears such a number, too.
        let late =
            self.is_old(from, segment) || self.is_in_flight(from, self.end(from).edge, at.ts);
        let before_next = segment.seq.add(1) == nxt && acked == nxt && !late;
        let into_closed = segment.payload == 1
            && segment.seq == acked
            && self.end(from.peer()).window_closed.is_some();
        before_next || into_closed
    }

    /// Whether the sender of a probe asks for a window: it is closed, or by the timestamp that the
    /// probe echoes its sender has not heard that it is open.
    fn is_window_probe(&self, from: End, segment: &Segment) -> bool {
        let peer = self.end(from.peer());
        let echo = segment.options.timestamps.map(|(_, echo)| echo);
        let is_unheard = |(opened, echo): (u32, u32)| SeqNum(echo).before(SeqNum(opened));
        peer.window_closed.is_some() || peer.opened_tsval.zip(echo).is_some_and(is_unheard)
    }

    fn on_probe(&mut self, from: End, segment: &Segment, at: Moment) {
        let kind = match self.is_window_probe(from, segment) {
            true => FactKind::WindowProbe,
            false => FactKind::Keepalive,
        };
        self.note(kind, from, at);
        let endpoint = self.end_mut(from);
        if endpoint.repeats.count == 0 {
            endpoint.edge = at.ts;
        }
        endpoint.repeats.add(endpoint.edge, at.ts);
        if segment.payload == 1 && endpoint.nxt == Some(segment.seq) {
            endpoint.nxt = Some(segment.seq_end());
            endpoint.tally.bytes += 1;
        }
    }

    /// Data or FIN left its sender. Whether it passes after its ACK, and for the first time.
    fn on_sent(&mut self, from: End, segment: &Segment, at: Moment) -> bool {
        let data_end = segment.seq.add(segment.payload);
        let Some(nxt) = self.end(from).nxt else {
            return false;
        };
        let (edge, spoke) = (self.end(from).edge, self.end(from).tally.bytes > 0);
        let fresh = segment.seq_end().offset_from(nxt).max(0).unsigned_abs();
        let bytes = data_end.offset_from(nxt).max(0).unsigned_abs().min(segment.payload);
        if segment.payload > 0 && self.end(from).fin.is_some_and(|fin| data_end.after(fin)) {
            self.on_data_beyond_fin(from, at);
        }
        let late = self.fill_holes(from, segment);
        if fresh > 0 {
            let endpoint = self.end_mut(from);
            if segment.seq.after(nxt) {
                endpoint.holes.open(nxt, segment.seq);
            }
            endpoint.nxt = Some(segment.seq_end());
            endpoint.edge = at.ts;
            endpoint.tally.bytes += u64::from(bytes);
            let acked = self.end(from.peer()).proven;
            let on_way = acked.map_or(u32::MAX, |acked| {
                segment.seq_end().offset_from(acked).max(0).unsigned_abs()
            });
            self.end_mut(from).flight = flight_kib(on_way);
            if segment.payload > 0 {
                self.end_mut(from).spoke = at.ts;
                self.settle(from);
            }
            if self.end(from.peer()).tally.segments == 0 {
                // Whoever goes on was answered, by an end of which nothing is captured.
                self.end_mut(from).repeats = Repeats::default();
            }
        }
        if bytes > 0 && self.end(from.peer()).fin.is_some() {
            let before = spoke.then_some(edge);
            self.on_data_after_peer_fin(from, segment, bytes, before, at);
        }
        if segment.has(Flags::FIN) {
            self.on_fin_sent(from, segment, at);
        }
        late
    }

    /// New data passes behind the peer's FIN. The newest before it was sent at `before`.
    fn on_data_after_peer_fin(
        &mut self,
        from: End,
        segment: &Segment,
        bytes: u32,
        before: Option<Timestamp>,
        at: Moment,
    ) {
        let covers = segment.acked().is_some_and(|ack| self.fin_covered(from.peer(), ack));
        if !covers && !self.end(from.peer()).fin_unseen {
            self.note(FactKind::DataCrossedFin, from, at);
        }
        if !covers || self.end(from).state != State::CloseWait {
            return;
        }
        if let Some(before) = before {
            self.doubt_close_wait(from, before, at.ts);
        }
        self.end_mut(from).tally.after_peer_fin += u64::from(bytes);
        if !self.end(from).may_have_queued_fin {
            self.note(FactKind::HalfCloseData, from, at);
        }
    }

    /// Counts what passes for the first time although later numbers have passed. Whether any of it
    /// had been acknowledged.
    fn fill_holes(&mut self, from: End, segment: &Segment) -> bool {
        let data_end = segment.seq.add(segment.payload);
        let endpoint = self.end_mut(from);
        let data = endpoint.holes.fill(segment.seq, data_end);
        let fin = endpoint.holes.fill(data_end, segment.seq_end());
        let tally = &mut endpoint.tally;
        tally.bytes += u64::from(data.numbers);
        let found = u64::from(data.acknowledged) + u64::from(fin.acknowledged);
        tally.missing = tally.missing.saturating_sub(found);
        found > 0
    }

    /// New data shows that its sender had not closed before.
    fn settle(&mut self, from: End) {
        if !self.end(from).may_have_closed || self.end(from).fin.is_some() {
            return;
        }
        self.end_mut(from).may_have_closed = false;
        self.settle_trail();
    }

    /// Firms up what was assumed, where no doubt is left of either end.
    pub(super) fn settle_trail(&mut self) {
        let doubted = self
            .ends
            .iter()
            .any(|end| end.may_have_closed || end.may_have_queued_fin || end.fin_unseen);
        if !doubted {
            self.trail.settle();
        }
    }

    /// Data beyond what was taken for a FIN: the FIN was a byte that the capture missed, or the
    /// stack is broken.
    fn on_data_beyond_fin(&mut self, from: End, at: Moment) {
        if !self.end(from).fin_unseen {
            self.note(FactKind::DataAfterFin, from, at);
            return;
        }
        self.disown_fin(from, at);
    }

    /// The segment is on its way to `to`.
    fn on_received(&mut self, to: End, segment: &Segment, passes: Passes, at: Moment) {
        let from = to.peer();
        if let Some(ack) = segment.acked() {
            self.on_ack_of_syn(to, ack, segment, at);
        }
        let repeated_fin = segment.has(Flags::FIN) && self.end(from).repeats.count > 0;
        let covers = segment.acked().is_some_and(|ack| self.fin_covered(to, ack));
        if covers {
            self.end_mut(to).acked_by = at;
        }
        if segment.seq_len() > 0 && !passes.probe {
            let seen = self.end_mut(to).take(segment.seq, segment.seq_end());
            self.end_mut(to).take_ack_of_fin(segment, covers, seen);
            if let Some(nxt) = self.end(from).nxt
                && self.end(to).waits_for_pieces(nxt)
                && self.end(from).holes.are_filled()
            {
                self.end_mut(to).join_pieces(nxt);
            }
            if seen && !passes.late && segment.payload > 0 && !segment.has(Flags::FIN) {
                self.end_mut(from).repeat(at.ts);
                if segment.payload > SMALL_MAX && self.end(from).repeats.count > 1 {
                    self.note(FactKind::LargeRepeated, from, at);
                }
            }
            if self.end(from).fin.is_some() && !self.end(to).has_proven(segment.seq_end()) {
                self.end_mut(to).fin_candidate = at;
            }
        }
        if repeated_fin {
            self.doubt_fin(to, at);
        }
        if self.end(from).state == State::Closed {
            self.meet_overtaken(from, at);
        }
        let fin_came = self.has_fin_ahead(to) && self.end(to).fin_doubts < DOUBTS_MAX;
        // A repeat that does not get through brings its acknowledgement through as little.
        let lost = repeated_fin && self.end(to).fin_doubts >= DOUBTS_MAX;
        // What brings a FIN brings its acknowledgement too; alone, it has failed before.
        let heard = self.end(to).close_doubts < DOUBTS_MAX
            || (fin_came && self.end(to).state != State::LastAck);
        let acked = covers && !lost && heard;
        if covers && !acked {
            self.end_mut(to).close_candidate = at;
        }
        if fin_came {
            self.complete_handshake(to, at);
        }
        let event = match self.end(to).state {
            State::FinWait1 if fin_came && acked => Event::RecvFinAckingFin,
            State::FinWait1 if acked => Event::RecvAckOfFin,
            State::Closing | State::LastAck if acked => Event::RecvAckOfFin,
            State::Established | State::FinWait1 | State::FinWait2 if fin_came => Event::RecvFin,
            _ => return self.on_time_wait(to, segment, at),
        };
        self.step(to, event, at);
    }

    fn on_ack_of_syn(&mut self, to: End, ack: SeqNum, segment: &Segment, at: Moment) {
        let endpoint = self.end(to);
        if !endpoint.is_syn_acked_by(ack) || endpoint.state != State::SynRcvd {
            return;
        }
        // What is before the window, as a keepalive, is answered, and its ACK not looked at (RFC
        // 9293 section 3.10.7.4).
        let after_syn = self.end(to.peer()).after_syn;
        let last = segment.seq.add(segment.seq_len().saturating_sub(1));
        if after_syn.is_some_and(|after_syn| last.before(after_syn)) {
            return;
        }
        // A SYN that was not captured may have borne data, and then a server speaks before.
        let is_seen = self.end(to.peer()).opening.first.frame > 0;
        let first = is_seen && after_syn == Some(segment.seq);
        let endpoint = self.end_mut(to);
        endpoint.ack_candidate = at;
        endpoint.bare_ack |= first && segment.seq_len() == 0;
        if self.end(to).handshake_doubts < DOUBTS_MAX {
            self.complete_handshake(to, at);
        }
    }

    /// The handshake's ACK came, or data or FIN in its place.
    fn complete_handshake(&mut self, to: End, at: Moment) {
        if self.end(to).state == State::SynRcvd && self.end(to).handshake_doubts < DOUBTS_MAX {
            self.step(to, Event::RecvAckOfSyn, at);
            self.end_mut(to).repeats = Repeats::default();
        }
    }

    /// The FIN came again without an answer: perhaps it had not come.
    fn doubt_fin(&mut self, to: End, at: Moment) {
        let Some(last) = self.trail().last(to).copied() else {
            return;
        };
        if !self.is_in_flight(to, last.at.ts, at.ts) && self.take_back_fin(to, at, true) {
            let endpoint = self.end_mut(to);
            endpoint.fin_doubts = endpoint.fin_doubts.saturating_add(1);
        }
    }

    /// A FIN, or a bare ACK of the last one, starts the two lifetimes again.
    fn on_time_wait(&mut self, to: End, segment: &Segment, at: Moment) {
        if self.end(to).state != State::TimeWait {
            return;
        }
        let from = to.peer();
        let repeated_fin = self.repeats_fin(from, segment);
        let bare_ack = segment.seq_len() == 0 && self.end(to).expected == Some(segment.seq);
        if repeated_fin || bare_ack {
            self.end_mut(to).time_wait_since = at.ts;
            if repeated_fin {
                self.note(FactKind::TimeWaitRestarted, to, at);
            }
        }
    }
}
