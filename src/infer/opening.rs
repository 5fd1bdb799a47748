//! SYN and SYN+ACK: how a connection opens, from one side or from both.

use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::endpoint::Gaps;
use crate::infer::event::Event;
use crate::infer::evidence::BY_FIN;
use crate::infer::fact::FactKind;
use crate::infer::state::{Basis, State};
use crate::infer::trail::Moment;
use crate::infer::{Connection, RolesFrom};
use crate::seq::SeqNum;

impl Connection {
    /// A SYN without ACK.
    pub(super) fn on_syn(&mut self, from: End, segment: &Segment, at: Moment) {
        let repeated = self.end(from).isn == Some(segment.seq) && self.end(from).has_sent();
        self.record_syn(from, segment, at, repeated);
        if self.roles_from != RolesFrom::Syn {
            self.client = Some(from);
            self.roles_from = RolesFrom::Syn;
        }
        if segment.payload > 0 {
            self.end_mut(from).fast_open = true;
            self.note(FactKind::FastOpen, from, at);
        }
        if repeated {
            if self.has_reset(from) && self.is_later(from, segment) {
                self.disown_reset(from, at);
            }
            self.refute_answer(from, at);
            if self.end(from).acked_syn {
                self.note(FactKind::StaleSyn, from, at);
                self.end_mut(from.peer()).owes_challenge = true;
            }
            return;
        }
        if self.end(from).state == State::Unknown {
            self.place(from, State::Closed);
        }
        let basis = if self.stale_syn { Basis::Inferred } else { Basis::Observed };
        self.step_as(from, Event::SentSyn, basis, at);
        // Both have sent a SYN that the other had not answered: each gets the other's.
        let peer = from.peer();
        if self.end(peer).state == State::SynSent && self.end(from).state == State::SynSent {
            self.step(peer, Event::RecvSyn, at);
            self.step(from, Event::RecvSyn, at);
        }
    }

    /// A SYN with ACK.
    pub(super) fn on_syn_ack(&mut self, from: End, segment: &Segment, at: Moment) {
        let peer = from.peer();
        // Where both open at once, a SYN+ACK bears the number of the SYN before it.
        let repeated = self.end(from).isn == Some(segment.seq) && self.end(from).sent_syn_ack;
        let has_another = self.end(from).isn.is_some_and(|isn| isn != segment.seq);
        // Only a connection that was found open has a first number without a SYN's.
        let own = self.end(from);
        let first = own.first_seq.or(own.nxt).filter(|_| own.isn.is_none());
        let is_within = first.is_some_and(|first| first != segment.seq_end());
        let is_settled = has_another && self.end(peer).acked_syn;
        if is_within || is_settled || (has_another && self.is_earlier(from, segment)) {
            // An earlier life's, or that of another host which answers to the same address.
            return;
        }
        self.meet_unseen_client(from, segment, at);
        if self.end(peer).isn.is_some_and(|isn| segment.ack != isn.add(1))
            && !self.acks_fast_open(from, segment)
        {
            // An answer to another SYN: the peer will reset it, and nothing follows from it.
            self.record_syn(from, segment, at, repeated);
            return;
        }
        self.record_syn(from, segment, at, repeated);
        if repeated && !self.is_old(from, segment) {
            self.refute_handshake(from, at);
        }
        let client = self.end_mut(peer);
        client.fast_open_accepted |= client.fast_open && client.nxt == Some(segment.ack);
        if client.fast_open && client.isn.is_some_and(|isn| segment.ack == isn.add(1)) {
            // What came with the SYN was not taken, and comes again.
            client.after_syn = Some(segment.ack);
        }
        self.end_mut(from).prove(segment.ack);
        self.end_mut(from).sent_syn_ack = true;
        self.end_mut(from).acked_syn = true;
        self.refute_refusal(from, at);
        // It had refused an earlier SYN, and listens now.
        let listens = self.trail().last(from).is_none();
        match self.end(from).state {
            State::Unknown | State::Closed if listens => {
                self.place(from, State::Listen);
                let (answered, known) = self.answered_syn(peer, segment);
                let seen = answered.frame > 0;
                let began = if seen { answered } else { at };
                let basis = if seen { Basis::Inferred } else { Basis::Observed };
                let confirmed = if seen && known { at } else { Moment::NONE };
                self.step_confirmed(from, Event::RecvSyn, basis, began, confirmed);
                self.end_mut(from).take_open(&[Event::RecvSyn]);
            }
            State::SynSent => {
                self.step(from, Event::SentSynAck, at);
            }
            State::SynRcvd => self.confirm(from, &[Event::RecvSyn], at),
            _ => {}
        }
        // Both opened at once: a SYN+ACK also acknowledges the peer's SYN.
        self.end_mut(peer).take_syn_ack(at);
        self.step(peer, Event::RecvSynAck, at);
    }

    /// The SYN+ACK of a connection whose SYN was not captured shows that there was one.
    fn meet_unseen_client(&mut self, from: End, segment: &Segment, at: Moment) {
        let peer = from.peer();
        if self.roles_from == RolesFrom::FirstPacket {
            self.client = Some(peer);
            self.roles_from = RolesFrom::SynAck;
        }
        let client = self.end_mut(peer);
        if client.isn.is_none() && client.state == State::Unknown {
            client.isn = Some(segment.ack.sub(1));
            client.nxt = Some(segment.ack);
            client.after_syn = Some(segment.ack);
            client.edge = at.ts;
            self.place(peer, State::Closed);
            self.step_as(peer, Event::SentSyn, Basis::Inferred, at);
        }
    }

    /// Whether the segment acknowledges data that came with the peer's SYN (RFC 7413).
    fn acks_fast_open(&self, from: End, segment: &Segment) -> bool {
        let client = self.end(from.peer());
        client.nxt.is_some_and(|nxt| segment.ack == nxt)
    }

    /// The SYN of `client` that this SYN+ACK answers, and whether it began no later: the one whose
    /// TSval it echoes, the newest where nothing is echoed, else the first. Frame 0 if none was
    /// captured.
    fn answered_syn(&self, client: End, syn_ack: &Segment) -> (Moment, bool) {
        let opening = &self.end(client).opening;
        let Some((_, echo)) = syn_ack.options.timestamps else {
            // Without an echo, a repeated SYN leaves open which of them came.
            return (opening.last, opening.last == opening.first);
        };
        match Some(echo) {
            echo if echo == opening.last_tsval => (opening.last, true),
            echo if echo == opening.previous_tsval => (opening.previous, true),
            echo => {
                // An older one than any that was captured came before the first.
                let after_first = opening
                    .first_tsval
                    .zip(echo)
                    .is_none_or(|(first, echo)| SeqNum(echo).at_or_after(SeqNum(first)));
                (opening.first, after_first)
            }
        }
    }

    /// Takes down what a SYN announces.
    fn record_syn(&mut self, from: End, segment: &Segment, at: Moment, repeated: bool) {
        let with_ack = segment.has(Flags::ACK);
        let endpoint = self.end_mut(from);
        let opening = &mut endpoint.opening;
        // What a SYN+ACK echoes is a SYN's, or that of an end which opened by a SYN, too.
        let is_echoed = !with_ack || opening.first_tsval.is_some();
        let stamps = segment.options.timestamps.filter(|_| is_echoed);
        let tsval = stamps.map(|(tsval, _)| tsval);
        if opening.first.frame == 0 || !repeated {
            (opening.first, opening.first_tsval) = (at, tsval);
            opening.gaps = Gaps::default();
        } else {
            opening.gaps.push(at.ts.since(opening.last.ts));
        }
        (opening.previous, opening.previous_tsval) = (opening.last, opening.last_tsval);
        (opening.last, opening.last_tsval) = (at, tsval);
        if repeated {
            endpoint.repeat(at.ts);
            return;
        }
        endpoint.ttl = segment.ttl;
        endpoint.syn_window = segment.window;
        endpoint.isn = Some(segment.seq);
        endpoint.nxt = Some(segment.seq_end());
        endpoint.after_syn = Some(segment.seq_end());
        endpoint.edge = at.ts;
        endpoint.first_seq = Some(segment.seq);
        endpoint.window_scale = segment.options.window_scale;
        endpoint.options_cut = segment.options.incomplete;
        endpoint.mss = segment.options.mss;
        endpoint.sack_permitted = segment.options.sack_permitted;
        endpoint.timestamps = segment.options.timestamps.is_some();
        endpoint.may_have_closed = false;
        endpoint.tally.bytes += u64::from(segment.payload);
        if segment.window == 0 && with_ack {
            // A proxy that has nobody to send to yet.
            endpoint.window_closed = Some(at.ts);
            self.note(FactKind::ZeroWindow, from, at);
        }
        if segment.wrong_checksum {
            self.note(FactKind::WrongChecksum, from, at);
        }
        let peer = from.peer();
        // Where both open at once, the answer is to the SYN before the peer's SYN+ACK.
        let answers = with_ack && !self.end(peer).sent_syn_ack;
        if answers && self.end(peer).opening.first.frame > 0 {
            // Which of several SYNs it answers, only an echo tells (RFC 6298 section 3).
            let (answered, is_known) = self.answered_syn(peer, segment);
            let since = if is_known { answered } else { self.end(peer).opening.first };
            self.end_mut(from).sample_turnaround(at.ts.since(since.ts));
        }
        self.end_mut(peer).take(segment.seq, segment.seq_end());
    }

    /// An opener answers the other SYN: the RST that seemed to refuse its own had not come before.
    fn refute_refusal(&mut self, from: End, at: Moment) {
        let syn = self.end(from.peer()).opening.last;
        if self.withdraw(from, &[Event::RecvRefusal], at).is_some() {
            self.step_as(from, Event::RecvSyn, Basis::Inferred, syn);
        }
    }

    /// The SYN came again: its sender had no answer yet.
    fn refute_answer(&mut self, client: End, at: Moment) {
        let Some(last) = self.trail().last(client).copied() else {
            return;
        };
        if self.is_in_flight(client, last.at.ts, at.ts) {
            return;
        }
        if !self.end(client).acked_syn {
            // What seemed to come after a SYN+ACK that was not captured.
            self.withdraw(client, &BY_FIN, at);
        }
        let events = [Event::RecvSynAck, Event::RecvRefusal];
        let withdrawn = self.withdraw(client, &events, at);
        if withdrawn.is_none_or(|it| it.event != Event::RecvSynAck) {
            return;
        }
        // A repeat of the answer may be on its way.
        let opening = self.end(client.peer()).opening;
        let newest = [opening.previous, opening.last]
            .into_iter()
            .find(|answer| answer.ts > last.at.ts && self.is_in_flight(client, answer.ts, at.ts));
        if let Some(answer) = newest {
            self.step(client, Event::RecvSynAck, answer);
        }
    }

    /// The SYN+ACK came again: its sender had no ACK yet, or had no room for the connection.
    fn refute_handshake(&mut self, server: End, at: Moment) {
        const AFTER: [Event; 3] = [Event::RecvAckOfSyn, Event::RecvFin, Event::RecvFinAckingFin];
        // A RST to it had not come either.
        if self.trail().last(server).is_some_and(|t| !self.is_in_flight(server, t.at.ts, at.ts)) {
            self.withdraw(server, &[Event::RecvRst], at);
        }
        let since = self.end(server).ack_candidate.ts;
        if self.end(server).ack_candidate.frame == 0 || self.is_in_flight(server, since, at.ts) {
            return;
        }
        if !self.end(server).has_open(&[Event::RecvAckOfSyn])
            && self.end(server).state != State::SynRcvd
        {
            return;
        }
        self.note(FactKind::SynAckRepeatedAfterAck, server, at);
        let client = self.end(server.peer());
        if client.nxt.zip(client.after_syn).is_some_and(|(nxt, after)| nxt.after(after)) {
            self.note(FactKind::SynAckRepeatedAfterData, server, at);
        }
        while self.withdraw(server, &AFTER, at).is_some() {}
        let endpoint = self.end_mut(server);
        endpoint.handshake_doubts = endpoint.handshake_doubts.saturating_add(1);
        endpoint.ack_candidate = Moment::NONE;
        endpoint.fall_back();
    }
}

impl super::endpoint::Endpoint {
    /// The peer's SYN+ACK passed on its way here.
    fn take_syn_ack(&mut self, at: Moment) {
        self.repeats = super::endpoint::Repeats::default();
        if self.ack_candidate.frame == 0 {
            self.ack_candidate = at;
        }
    }
}
