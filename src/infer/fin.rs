//! The FIN of an endpoint: the first, its repeats, and how it lies to the peer's.

use crate::decode::segment::Segment;
use crate::decode::tuple::End;
use crate::infer::event::Event;
use crate::infer::evidence::BY_FIN;
use crate::infer::fact::FactKind;
use crate::infer::state::State;
use crate::infer::trail::{Moment, Refuted, Transition};
use crate::infer::{Connection, SILENCE_MIN, table};
use crate::seq::SeqNum;
use crate::time::Span;

/// Linux: TCP_DELACK_MIN. An ACK may wait longer; then no more than a doubt is raised.
pub(super) const ACK_DELAY: Span = Span::from_millis(40);

/// What is noted of an end because one of both has closed.
const AFTER_FIN: [FactKind; 5] = [
    FactKind::HalfCloseData,
    FactKind::DataCrossedFin,
    FactKind::FinRepeatedAfterAck,
    FactKind::TimeWaitRestarted,
    FactKind::Assassinated,
];

impl Connection {
    /// A FIN left its sender, for the first time or again.
    pub(super) fn on_fin_sent(&mut self, from: End, segment: &Segment, at: Moment) {
        let fin = segment.seq_end().sub(1);
        let known = self.end(from).fin;
        if known == Some(fin) && !self.end(from).fin_unseen {
            return self.on_fin_again(from, segment, at);
        }
        // The peer has long had what lies behind it: it is none of this connection's.
        let is_behind = self.end(from.peer()).proven.is_some_and(|it| it.after(fin.add(1)));
        if known.is_none() && is_behind {
            return;
        }
        self.meet_later_fin(from, fin, at);
        let overtaken = self.end(from).fin_unseen && self.is_old(from, segment);
        let endpoint = self.end_mut(from);
        endpoint.fin_mark = mark(segment);
        endpoint.fin_tsval = segment.options.timestamps.map(|(tsval, _)| tsval);
        endpoint.fin = Some(fin);
        endpoint.fin_unseen = false;
        let peer = self.end(from.peer());
        let unheard = segment.acked().zip(peer.nxt).is_some_and(|(ack, nxt)| nxt.after(ack));
        if unheard && peer.fin.is_none() && peer.repeats.count == 0 && peer.tally.bytes > 0 {
            self.on_crossing_data(from, at);
        }
        // A FIN that the peer had not sent when this one left cannot have come before it. But one
        // that was acknowledged already is not the first of its kind.
        let is_first = !self.end(from.peer()).has_proven(fin.add(1));
        if is_first && self.end(from).may_have_closed {
            self.end_mut(from).may_have_closed = false;
            self.settle_trail();
        }
        if self.end(from.peer()).fast_open_accepted {
            self.refute_early_handshake(from, at);
        }
        // A RST that passed it had not come, but the peer's FIN may have.
        let believed = self.end(from).believed_reset;
        let reset = self.take_back_reset(from, at);
        let covers = segment.acked().is_some_and(|ack| self.fin_covered(from.peer(), ack));
        if reset && covers {
            self.prove_fin(from, segment, at);
        }
        // A bare ACK of its sender's bore a number behind this one's: it was sent before that, and
        // lost or held up.
        let shown = self.end(from).shown.is_some_and(|shown| shown.after(fin));
        self.end_mut(from).may_have_queued_fin |= shown;
        if self.end(from).state == State::CloseWait && !covers {
            self.overtake_fin(from, at);
        }
        if overtaken && covers {
            self.uncross_fins(from, segment, at);
        }
        self.step(from, Event::SentFin, at);
        if overtaken {
            self.take_earlier_ack(from);
        }
        if reset {
            self.step(from, Event::RecvRst, at);
            self.end_mut(from).believed_reset = believed;
            self.end_mut(from).mark_late(Event::RecvRst);
            return;
        }
        // The peer's FIN is on its way: had it come, this one would acknowledge it. Which of the
        // two arrived and left when, behind the observer, does not show.
        let crossing = self.end(from).state == State::FinWait1 && self.has_fin_ahead(from);
        if crossing {
            self.step(from, Event::RecvFin, at);
            self.end_mut(from).mark_late(Event::RecvFin);
        }
    }

    /// A FIN that has passed passes again.
    fn on_fin_again(&mut self, from: End, segment: &Segment, at: Moment) {
        if !self.is_old(from, segment) {
            let endpoint = self.end_mut(from);
            endpoint.repeat(at.ts);
            endpoint.fin_mark = mark(segment);
        }
    }

    /// The ACK of the FIN of `from` passed before that FIN, which was known from it.
    fn take_earlier_ack(&mut self, from: End) {
        let (own, acked) = (self.end(from), self.end(from.peer()).proven);
        let by = own.acked_by;
        let waits = table::lookup(own.state, Event::RecvAckOfFin).is_some();
        let is_acked = acked.is_some_and(|acked| self.fin_covered(from, acked));
        if waits && by.frame > 0 && is_acked {
            self.step(from, Event::RecvAckOfFin, by);
        }
    }

    /// The RST that passed had not come when the end sent this. Whether it was believed until now.
    /// What its host answered when the socket was gone may have overtaken this, too.
    fn take_back_reset(&mut self, from: End, at: Moment) -> bool {
        let confirmed = self.trail.last(from).and_then(Transition::confirmation);
        let overtook = confirmed.is_some_and(|by| self.is_in_flight(from, by.ts, at.ts));
        if !overtook {
            return self.withdraw(from, &[Event::RecvRst], at).is_some();
        }
        let reset = self.trail.overturn(from, &[Event::RecvRst], at);
        reset.inspect(|reset| self.go_back(from, reset)).is_some()
    }

    /// The peer's new data and the FIN of `from` are on their ways at once: to `from` the silence
    /// went on until it closed.
    fn on_crossing_data(&mut self, from: End, at: Moment) {
        self.note(FactKind::DataCrossedFin, from.peer(), at);
        let before = self.end(from).last;
        if before.frame > 0 && at.ts.since(before.ts) >= SILENCE_MIN {
            self.facts.put(FactKind::ClosedAfterIdle, from, before, at);
        }
    }

    /// The FIN of `from`, known so far from an ACK that the network brought first, left before that
    /// ACK, and it acknowledges the peer's: so the two did not cross.
    fn uncross_fins(&mut self, from: End, segment: &Segment, at: Moment) {
        if self.trail.last(from).is_some_and(|last| last.from == State::Closing) {
            self.withdraw(from, &[Event::RecvAckOfFin], at);
        }
        if self.end(from).state != State::Closing {
            return;
        }
        for guessed in [Event::RecvFin, Event::SentUnseenFin] {
            if let Some(wrong) = self.trail.overturn(from, &[guessed], at) {
                self.go_back(from, &wrong);
            }
        }
        self.prove_fin(from, segment, at);
    }

    /// The network brought a later segment first: it acknowledges the peer's FIN, and this FIN,
    /// sent before it, does not. So the FIN left before the peer's had come.
    fn overtake_fin(&mut self, from: End, at: Moment) {
        if let Some(wrong) = self.trail.overturn(from, &BY_FIN, at) {
            self.go_back(from, &wrong);
            self.end_mut(from).take_open(&BY_FIN);
        }
    }

    /// A late bare ACK that is older than the FIN that passed, and bears the number behind it, was
    /// sent after an earlier copy of that FIN, which was lost. It acknowledges the peer's FIN: so
    /// the FINs crossed, as far as can be told, unless an ACK before the FIN shows CLOSE_WAIT.
    pub(super) fn meet_older_ack(&mut self, from: End, segment: &Segment, at: Moment) {
        let endpoint = self.end(from);
        let tsval = segment.options.timestamps.map(|(tsval, _)| tsval);
        let is_older =
            tsval.zip(endpoint.fin_tsval).is_some_and(|(ack, fin)| SeqNum(ack).before(SeqNum(fin)));
        let is_behind = endpoint.fin.is_some_and(|fin| segment.seq == fin.add(1));
        let covers = segment.acked().is_some_and(|ack| self.fin_covered(from.peer(), ack));
        if segment.seq_len() > 0 || !is_older || !is_behind || !covers {
            return;
        }
        let waited = self.trail.newest_to(from, State::CloseWait);
        let sent = self.trail.newest_to(from, State::LastAck);
        let shown = waited.zip(sent).is_some_and(|(waited, sent)| {
            waited.confirmed.frame > 0 && waited.confirmed.frame < sent.at.frame
        });
        if shown {
            return;
        }
        let acked = self.trail.last(from).filter(|last| last.from == State::LastAck).copied();
        if acked.is_some_and(|last| last.event == Event::RecvAckOfFin) {
            self.undo(from, at);
        }
        if self.end(from).state != State::LastAck {
            return;
        }
        let Some(sent) = self.undo(from, at) else { return };
        self.undo(from, at);
        self.end_mut(from).may_have_queued_fin = true;
        self.step(from, Event::SentFin, sent.at);
        self.step(from, Event::RecvFin, sent.at);
        if let Some(acked) = acked {
            self.step(from, acked.event, acked.at);
        }
    }

    /// Whether the first answer to the peer's FIN is data or a FIN, and later than a bare ACK would
    /// have been sent: that one did not pass, and neither may an earlier transmission of this
    /// segment have, or of a FIN behind it.
    pub(super) fn answers_late(&self, from: End, segment: &Segment, at: Moment) -> bool {
        let endpoint = self.end(from);
        let first = segment.seq_len() > 0 && endpoint.fin.is_none();
        let answer_max = endpoint.fastest_answer().plus(ACK_DELAY);
        let came = self.trail().last(from).filter(|last| BY_FIN.contains(&last.event));
        first && came.is_some_and(|came| at.ts.since(came.at.ts) > answer_max)
    }

    /// Takes the endpoint's newest transition back, whatever seemed to confirm it.
    fn undo(&mut self, end: End, by: Moment) -> Option<Transition> {
        let undone = self.trail.overturn(end, &Event::ALL, by)?;
        self.go_back(end, &undone);
        Some(undone)
    }

    /// A FIN behind the number that was taken for that of one which the capture missed: that was
    /// a byte.
    fn meet_later_fin(&mut self, from: End, fin: SeqNum, at: Moment) {
        let endpoint = self.end(from);
        if endpoint.fin_unseen && endpoint.fin.is_some_and(|known| fin.after(known)) {
            self.disown_fin(from, at);
        }
    }

    /// What was taken for the FIN of `from` was a byte that the capture missed. What else moved the
    /// ends since then moves them from where they were.
    pub(super) fn disown_fin(&mut self, from: End, at: Moment) {
        let peer = from.peer();
        let unseen = |it: &&Transition| it.end == from && it.event == Event::SentUnseenFin;
        let believed = self.trail.transitions().iter().rev().find(unseen).map(|it| it.at);
        let (mut since, mut peers) = (Vec::new(), Vec::new());
        if let Some(believed) = believed {
            since = self.take_back_to(from, &[Event::SentUnseenFin], believed, at);
            peers = self.take_back_to(peer, &BY_FIN, believed, at);
            self.facts.forget(&AFTER_FIN, believed.ts);
        }
        since.append(&mut peers);
        since.sort_by_key(|it| (it.at.ts, it.at.frame));
        let endpoint = self.end_mut(from);
        (endpoint.fin, endpoint.fin_unseen, endpoint.misread_as_fin) = (None, false, true);
        // Who heard of that FIN heard of a byte.
        (endpoint.acked_by, endpoint.acked_with) = (Moment::NONE, None);
        endpoint.close_candidate = Moment::NONE;
        let endpoint = self.end_mut(peer);
        endpoint.fin_candidate = Moment::NONE;
        endpoint.settle_late(&BY_FIN);
        endpoint.tally.after_peer_fin = 0;
        for it in since {
            self.tell_again(from, &it, believed);
        }
    }

    /// What moved an end after `believed`, when a byte was taken for the FIN of `from`.
    fn tell_again(&mut self, from: End, told: &Transition, believed: Option<Moment>) {
        let (end, mut at) = (told.end, told.at);
        let event = match told.event {
            Event::RecvAckOfFin | Event::GaveUp if end == from => return,
            Event::TwoMslPassed => return,
            Event::RecvFinAckingFin if end == from => Event::RecvFin,
            event => event,
        };
        if event == Event::RecvFin && end == from {
            // It was in CLOSE_WAIT already, until that FIN spoke against it.
            let spoke = |it: &&Refuted| {
                let by = believed.is_some_and(|believed| it.by.frame == believed.frame);
                by && (it.end, it.state) == (end, State::CloseWait)
            };
            at = self.trail.refuted().iter().find(spoke).map_or(at, |it| it.at);
        }
        if table::lookup(self.end(end).state, event).is_none() {
            return;
        }
        self.step(end, event, at);
        // The RST reached an end that was taken to be gone.
        let resets = [Event::SentRst, Event::SentRstWithoutSocket].contains(&event);
        let other = self.end(end.peer()).state;
        if resets && table::lookup(other, Event::RecvRst).is_some() {
            self.step(end.peer(), Event::RecvRst, at);
        }
    }

    /// Takes back the newest that one of the events did to an end, if it is not before `since`, and
    /// all that moved it after that: the latter are returned, in order.
    fn take_back_to(
        &mut self,
        end: End,
        events: &[Event],
        since: Moment,
        by: Moment,
    ) -> Vec<Transition> {
        let is_it = |it: &Transition| it.end == end && events.contains(&it.event);
        let mut later = Vec::new();
        let newest = self.trail.transitions().iter().rev().find(|it| is_it(it));
        if newest.is_none_or(|it| it.at.ts < since.ts) {
            return later;
        }
        while let Some(undone) = self.trail.overturn(end, &Event::ALL, by) {
            self.go_back(end, &undone);
            if is_it(&undone) {
                break;
            }
            later.push(undone);
        }
        later.reverse();
        later
    }

    /// With Fast Open a server may close before the handshake's ACK comes (RFC 7413 section 3).
    fn refute_early_handshake(&mut self, server: End, at: Moment) {
        let Some(last) = self.trail().last(server) else { return };
        if self.is_in_flight(server, last.at.ts, at.ts) {
            self.withdraw(server, &[Event::RecvAckOfSyn], at);
        }
    }

    /// Whether the network brings a packet again, or late, that its sender sent some time before:
    /// it says nothing of what its sender knows now.
    pub(super) fn is_old(&self, from: End, segment: &Segment) -> bool {
        let (endpoint, earlier) = (self.end(from), self.is_earlier(from, segment));
        // What was acknowledged once stays acknowledged.
        let behind =
            segment.acked().zip(endpoint.proven).is_some_and(|(ack, proven)| ack.before(proven));
        let marked = mark(segment).is_some() && mark(segment) == endpoint.fin_mark;
        earlier || behind || (marked && self.repeats_fin(from, segment))
    }

    /// Whether its sender's clock stood earlier than in what has passed.
    pub(super) fn is_earlier(&self, from: End, segment: &Segment) -> bool {
        match (segment.options.timestamps, self.end(from).tsval) {
            (Some((tsval, _)), Some(newest)) => SeqNum(tsval).before(SeqNum(newest)),
            _ => false,
        }
    }

    /// Whether its sender's clock stands later than in what has passed.
    pub(super) fn is_later(&self, from: End, segment: &Segment) -> bool {
        match (segment.options.timestamps, self.end(from).tsval) {
            (Some((tsval, _)), Some(newest)) => SeqNum(tsval).after(SeqNum(newest)),
            _ => false,
        }
    }

    /// Whether the peer's FIN, and everything before it, should have arrived.
    pub(super) fn has_fin_ahead(&self, end: End) -> bool {
        let fin = self.end(end.peer()).fin;
        fin.is_some_and(|fin| self.end(end).expects_beyond(fin.add(1)))
    }
}

/// What tells one transmission of the same numbers from another; `None` where nothing does.
fn mark(segment: &Segment) -> Option<(u16, Option<u32>)> {
    let tsval = segment.options.timestamps.map(|(tsval, _)| tsval);
    (segment.ip_id != 0 || tsval.is_some()).then_some((segment.ip_id, tsval))
}
