//! What a segment says of its sender's past: what it must have received before it sent this, and
//! what it cannot have received.

use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::Connection;
use crate::infer::endpoint::Repeats;
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::{Basis, State};
use crate::infer::trail::Moment;
use crate::seq::{SeqNum, WINDOW_MAX};

/// Transitions that rest on the peer's FIN having come.
pub(super) const BY_FIN: [Event; 2] = [Event::RecvFin, Event::RecvFinAckingFin];
/// Numbers further ahead than this are not the peer's.
const AHEAD_MAX: i32 = WINDOW_MAX as i32;

impl Connection {
    /// The acknowledgement number proves what its sender had received.
    pub(super) fn prove_by_ack(&mut self, from: End, ack: SeqNum, segment: &Segment, at: Moment) {
        let peer = from.peer();
        match self.end(peer).nxt {
            None => self.meet_unseen_peer(peer, ack, at),
            Some(nxt) => match ack.offset_from(nxt) {
                1..AHEAD_MAX => self.on_unseen(peer, nxt, ack, at),
                i32::MIN..=0 => {}
                _ => return,
            },
        }
        if let Some((_, edge)) = segment.options.sack.filter(|(_, edge)| edge.after(ack)) {
            let endpoint = self.end_mut(from);
            endpoint.sacked = Some(endpoint.sacked.map_or(edge, |before| before.latest(edge)));
        }
        let advanced = self.end(from).proven.is_none_or(|proven| ack.after(proven));
        if advanced {
            self.on_progress(from, ack, segment, at);
        } else if self.may_answer(from, ack) {
            self.on_answer(from, segment, at);
        }
        self.prove_opening(from, ack, segment, at);
        if self.fin_covered(peer, ack) {
            self.prove_fin(from, segment, at);
        }
        if self.has_taken_ack_of_fin(from) && waits_for_ack_of_fin(self.end(from).state) {
            self.step(from, Event::RecvAckOfFin, self.end(from).acked_by);
        }
    }

    /// Whether the acknowledgement, which is no news, may answer a keepalive, the probe of a closed
    /// window, or a repeat that was not needed. Who was over by a RST when it passed had had no
    /// answer.
    fn may_answer(&self, from: End, ack: SeqNum) -> bool {
        let (own, peer) = (self.end(from), self.end(from.peer()));
        // A closed window does not take the byte of a probe.
        let refuses = own.window_closed.is_some() && peer.repeats.segments == 0;
        let is_all = peer.nxt == Some(ack) || (refuses && own.proven == Some(ack));
        is_all && !waits_for_ack(peer.state) && !self.has_reset(from.peer())
    }

    /// The peer's repeats are over. Whether that answers a keepalive is open where it comes long
    /// after, and has news of its own.
    fn on_answer(&mut self, from: End, segment: &Segment, at: Moment) {
        let repeats = core::mem::take(&mut self.end_mut(from.peer()).repeats);
        let probe = self.facts.get(FactKind::Keepalive, from.peer());
        let is_news = segment.seq_len() > 0 && !self.is_in_flight(from, repeats.last, at.ts);
        let is_newest = probe.is_some_and(|probe| probe.last.ts >= repeats.last);
        if repeats.count > 0 && repeats.segments == 0 && is_newest && !is_news {
            self.note(FactKind::KeepaliveAnswered, from, at);
        }
    }

    /// Whether it has acknowledged data that bore the ACK of its FIN.
    fn has_taken_ack_of_fin(&self, from: End) -> bool {
        let endpoint = self.end(from);
        endpoint.acked_with.is_some_and(|data| endpoint.has_proven(data))
    }

    /// The peer never sent a thing, but its numbers are acknowledged.
    fn meet_unseen_peer(&mut self, peer: End, ack: SeqNum, at: Moment) {
        let opening = self.end(peer.peer()).state == State::SynSent;
        let unseen = self.end_mut(peer);
        unseen.nxt = Some(ack);
        unseen.edge = at.ts;
        if !opening {
            return;
        }
        // The ACK of a handshake whose SYN+ACK was not captured.
        unseen.isn = Some(ack.sub(1));
        // If what it sent was no more than a SYN.
        unseen.may_have_closed = true;
        let syn = self.end(peer.peer()).opening.last;
        if self.end(peer).state != State::Unknown {
            return;
        }
        self.place(peer, State::Listen);
        self.step_as(peer, Event::RecvSyn, Basis::Inferred, syn);
        // Which of the SYNs it answered did not show.
        self.end_mut(peer).take_open(&[Event::RecvSyn]);
    }

    /// Bytes are acknowledged that the capture does not hold: a gap, or a FIN that it missed.
    fn on_unseen(&mut self, peer: End, nxt: SeqNum, ack: SeqNum, at: Moment) {
        if self.end(peer).fin_unseen {
            // Nothing comes after a FIN.
            self.disown_fin(peer, at);
        }
        let one = ack == nxt.add(1);
        let endpoint = self.end_mut(peer);
        endpoint.nxt = Some(ack);
        endpoint.edge = at.ts;
        // A capture that begins with a keepalive begins one number too early.
        let is_first = endpoint.isn.is_none() && endpoint.first_seq == Some(nxt);
        let keepalive = one && endpoint.may_have_closed && is_first;
        if endpoint.fin.is_some() || keepalive {
            return;
        }
        endpoint.holes.miss(nxt, ack);
        endpoint.tally.missing += u64::from(ack.offset_from(nxt).unsigned_abs());
        let could_close =
            matches!(endpoint.state, State::Established | State::CloseWait | State::SynRcvd);
        if one && could_close && !endpoint.misread_as_fin {
            endpoint.fin = Some(nxt);
            endpoint.fin_unseen = true;
            self.step_as(peer, Event::SentUnseenFin, Basis::Inferred, at);
        } else {
            endpoint.may_have_closed = true;
        }
        self.note(FactKind::Gap, peer, at);
    }

    /// The peer's data is being acknowledged: its repeats are over, and the answer can be timed.
    fn on_progress(&mut self, from: End, ack: SeqNum, segment: &Segment, at: Moment) {
        // Data or a FIN may have waited for the application, where a bare ACK of the FIN was lost.
        let waited = segment.seq_len() > 0 && self.fin_covered(from.peer(), ack);
        let peer = self.end_mut(from.peer());
        // Which of its copies a repeated segment's answer is to, is open (RFC 6298 section 3).
        let once = peer.repeats.count == 0;
        if peer.state != State::SynRcvd {
            peer.repeats = Repeats::default();
        }
        let (edge, newest) = (peer.edge, once && peer.nxt == Some(ack) && !peer.fin_unseen);
        let missing = peer.holes.acknowledge(ack);
        peer.tally.missing += u64::from(missing);
        let endpoint = self.end_mut(from);
        endpoint.prove(ack);
        if newest && !waited && edge < at.ts {
            endpoint.sample_turnaround(at.ts.since(edge));
        }
        if missing > 0 {
            self.note(FactKind::Gap, from.peer(), at);
        }
    }

    /// Whether a RST of an end that has not closed passes when nothing is on its way: the peer has
    /// acknowledged all before it, and it all of the peer's.
    pub(super) fn is_all_acked(&self, from: End, segment: &Segment) -> bool {
        let (own, peer) = (self.end(from), self.end(from.peer()));
        let is_open = matches!(own.state, State::Established | State::CloseWait);
        let takes = |nxt| segment.acked() == Some(nxt) || own.has_proven(nxt);
        is_open
            && own.nxt == Some(segment.seq)
            && peer.has_proven(segment.seq)
            && peer.nxt.is_some_and(takes)
    }

    /// A segment without SYN comes only from an end that has the handshake behind it.
    fn prove_opening(&mut self, from: End, ack: SeqNum, segment: &Segment, at: Moment) {
        let peer = from.peer();
        let covers_syn = self.end(peer).is_syn_acked_by(ack);
        match self.end(from).state {
            State::SynSent if covers_syn => {
                // Its ESTABLISHED was refuted, or the SYN+ACK was not captured.
                let came = self.end(peer).opening.last;
                if came.frame > 0 {
                    self.step_confirmed(from, Event::RecvSynAck, Basis::Inferred, came, at);
                } else {
                    self.step_as(from, Event::RecvSynAck, Basis::Observed, at);
                }
            }
            State::SynRcvd
                if !segment.has(Flags::RST) && self.shows_handshake(from, ack, segment) =>
            {
                let came = self.end(from).ack_candidate;
                if came.frame > 0 {
                    self.step_confirmed(from, Event::RecvAckOfSyn, Basis::Inferred, came, at);
                } else {
                    self.step(from, Event::RecvAckOfSyn, at);
                }
            }
            _ => {}
        }
        if self.end(from).has_open(&[Event::RecvSyn]) && !self.end(from).sent_syn_ack {
            if segment.has(Flags::RST) {
                // Its SYN+ACK may have been lost, or never sent: which of the two came is open.
                self.end_mut(from).take_open(&[Event::RecvSyn, Event::RecvSynAck]);
                return;
            }
            // A TCP that had got the SYN would have answered with SYN+ACK: it got the SYN+ACK only.
            self.withdraw(from, &[Event::RecvSynAck, Event::RecvAckOfSyn], at);
            if self.withdraw(from, &[Event::RecvSyn], at).is_some() {
                self.prove_opening(from, ack, segment, at);
            }
            return;
        }
        if covers_syn {
            self.end_mut(from).acked_syn = true;
            self.confirm(from, &[Event::RecvSyn], at);
            // Where both opened at once, it may abort or close before the other's SYN+ACK comes.
            let closes = segment.has(Flags::FIN) && !self.is_beyond_syn(peer, ack);
            let is_early = self.end(from).sent_syn_ack && (closes || segment.has(Flags::RST));
            if is_early {
                // What it sends later tells no more of that.
                self.end_mut(from).take_open(&[Event::RecvSynAck]);
            }
            // Without its SYN, the SYN+ACK that was seen may be a repeat.
            if self.end(from).opening.first.frame > 0 {
                let fastest = self.end(from).fastest_answer();
                self.confirm_answer(from, &[Event::RecvSynAck], at, fastest);
            }
            // Data in the place of the handshake's ACK leaves open whether a bare ACK came before.
            let early = self.may_speak_early(from) && !self.is_beyond_syn(peer, ack);
            // A socket in SYN_RCVD may abort, or challenge what it cannot place.
            let opened = !segment.has(Flags::RST) && !self.may_be_challenge(from, ack, segment);
            if !early && opened {
                self.confirm_handshake(from, at);
            }
        }
    }

    /// The end has shown that the handshake's ACK had come; which segment brought it is clear only
    /// where that was bare.
    pub(super) fn confirm_handshake(&mut self, from: End, at: Moment) {
        if self.end(from).bare_ack {
            self.confirm(from, &[Event::RecvAckOfSyn], at);
        }
    }

    /// Whether a server may speak before the handshake's ACK (RFC 7413 section 3): it has accepted
    /// what came with the SYN, or its SYN+ACK, which was not captured, may have.
    fn may_speak_early(&self, server: End) -> bool {
        let client = self.end(server.peer());
        let is_unseen = self.end(server).opening.first.frame == 0;
        client.fast_open_accepted || (client.fast_open && is_unseen)
    }

    /// Whether an end in SYN_RCVD shows by this segment that the handshake's ACK has come. Without
    /// that ACK it may still challenge a stray segment (RFC 9293 section 3.10.7.4), and with Fast
    /// Open it may speak already.
    fn shows_handshake(&self, from: End, ack: SeqNum, segment: &Segment) -> bool {
        let speaks = segment.seq_len() > 0 || self.is_beyond_syn(from.peer(), ack);
        let was_answered = self.end(from).ack_candidate.frame > 0;
        (was_answered && !self.may_be_challenge(from, ack, segment))
            || (speaks && !self.may_speak_early(from))
    }

    /// Whether a socket in SYN_RCVD might have sent it, too: an ACK that says no more than the
    /// SYN+ACK did.
    fn may_be_challenge(&self, from: End, ack: SeqNum, segment: &Segment) -> bool {
        let opener = self.end(from.peer());
        let echoes_later = match (segment.options.timestamps, opener.opening.last_tsval) {
            (Some((_, echo)), Some(syn)) => SeqNum(echo).after(SeqNum(syn)),
            _ => false,
        };
        // Some stacks take the timestamp of a probe that they answer so.
        let probed = self.facts.get(FactKind::Keepalive, from.peer()).is_some();
        let tells = echoes_later && !probed;
        segment.seq_len() == 0 && !self.is_beyond_syn(from.peer(), ack) && !tells
    }

    /// Whether more is acknowledged than what came with the SYN.
    pub(super) fn is_beyond_syn(&self, opener: End, ack: SeqNum) -> bool {
        let opener = self.end(opener);
        opener.after_syn.is_some_and(|after| opener.is_far_from_first() || ack.after(after))
    }

    /// The sender has acknowledged the peer's FIN: it had received it.
    pub(super) fn prove_fin(&mut self, from: End, segment: &Segment, at: Moment) {
        let peer = from.peer();
        let came = self.end(from).fin_candidate;
        // What it sent since then may have left before.
        if self.end(from).edge > came.ts {
            self.doubt_unclosed(from, self.end(peer).window, came.ts);
        }
        if self.end(from).has_open(&BY_FIN) && !self.end(peer).fin_unseen {
            let doubts = self.end(from).fin_doubts;
            self.restore_first_fin(from, segment, at);
            // A FIN that came before the first one that was captured.
            if self.is_needless(from, segment) && doubts == 0 {
                self.end_mut(from).mark_late(Event::RecvFin);
                self.end_mut(from).mark_late(Event::RecvFinAckingFin);
            }
            return self.confirm_fin(from, segment, at);
        }
        let event = match self.end(from).state {
            State::Established | State::FinWait2 => Event::RecvFin,
            State::FinWait1 => {
                let acked = self.end(peer).proven;
                let own_acked = acked.is_some_and(|proven| self.fin_covered(from, proven));
                // Of a peer that was never seen, the ordinary close is the likelier.
                let (peer, sent) = (self.end(peer), self.end(peer).has_sent());
                // Nor did the FINs cross, if the peer answered this one by its own.
                let unseen = !sent || (peer.fin_unseen && peer.state == State::LastAck);
                if own_acked || unseen { Event::RecvFinAckingFin } else { Event::RecvFin }
            }
            _ => return,
        };
        if self.end(peer).fin_unseen {
            self.step_as(from, event, Basis::Assumed, at);
        } else if self.end(from).may_have_queued_fin && came.frame > 0 {
            self.step_as(from, event, Basis::Assumed, came);
            self.end_mut(from).take_open(&BY_FIN);
        } else if came.frame > 0 {
            let basis = self.doubted(from, event, Basis::Inferred);
            self.step_as(from, event, basis, came);
            self.restore_first_fin(from, segment, at);
            self.confirm_fin(from, segment, at);
        } else {
            let basis = self.doubted(from, event, Basis::Observed);
            self.step_as(from, event, basis, at);
        }
    }

    /// It has received the FIN; whether before the ACK of its own only shows where that ACK had
    /// not passed yet, and when, where no earlier FIN may have brought it.
    fn confirm_fin(&mut self, from: End, segment: &Segment, at: Moment) {
        let late = self.answers_late(from, segment, at);
        self.end_mut(from).may_have_queued_fin |= late;
        let acked = self.end(from.peer()).proven;
        let own_acked = acked.is_some_and(|proven| self.fin_covered(from, proven));
        let crossed = self.trail().newest_to(from, State::Closing).is_some();
        let queued = self.end(from).may_have_queued_fin;
        if queued
            || self.trail().has_doubted(from)
            || (crossed && (own_acked || self.end(from).fin_unseen))
        {
            self.end_mut(from).take_open(&BY_FIN);
        } else {
            let fastest = self.end(from).fastest_answer();
            self.confirm_answer(from, &BY_FIN, at, fastest);
        }
    }

    /// Whether a D-SACK says that the peer's FIN came once more than was needed (RFC 2883).
    pub(super) fn is_needless(&self, from: End, segment: &Segment) -> bool {
        let fin = self.end(from.peer()).fin;
        fin.zip(segment.options.sack).is_some_and(|(fin, (_, end))| end == fin.add(1))
    }

    /// Whether the segment echoes a timestamp that an earlier transmission of the peer's FIN bore,
    /// and not the repeat's.
    fn echoes_first_fin(&self, from: End, segment: &Segment) -> bool {
        let peer = self.end(from.peer());
        let repeat = peer.fin_mark.and_then(|(_, tsval)| tsval);
        let echo = segment.options.timestamps.map(|(_, echo)| echo);
        let between = |(first, (repeat, echo)): (u32, (u32, u32))| {
            SeqNum(echo).at_or_after(SeqNum(first)) && SeqNum(echo).before(SeqNum(repeat))
        };
        peer.fin_tsval.zip(repeat.zip(echo)).is_some_and(between)
    }

    /// The FIN had to be repeated before this acknowledged it. A full socket says with a D-SACK
    /// that the first one had come (RFC 2883), and without one, if it speaks D-SACK, that it had
    /// not. A socket that is down to its last timer sends no SACK, and leaves open which of the two
    /// was lost: the first moment is then the one that cannot be too late.
    fn restore_first_fin(&mut self, from: End, segment: &Segment, at: Moment) {
        let needless = self.is_needless(from, segment) || self.echoes_first_fin(from, segment);
        let modern = self.end(from).timestamps && self.sacks();
        let would_tell = self.end(from).state == State::CloseWait && modern;
        let surely = needless && self.end(from).may_be_late(&BY_FIN);
        let since = self.end(from.peer()).edge;
        let restored =
            (needless || !would_tell) && self.trail.restore(from, &BY_FIN, at, (since, surely));
        let told = would_tell && !needless && self.echoes_newest_fin(from, segment);
        if restored || told {
            self.end_mut(from).settle_late(&BY_FIN);
        }
    }

    /// Whether the segment echoes the timestamp of the newest transmission of the peer's FIN.
    fn echoes_newest_fin(&self, from: End, segment: &Segment) -> bool {
        let newest = self.end(from.peer()).fin_mark.and_then(|(_, tsval)| tsval);
        let echo = segment.options.timestamps.map(|(_, echo)| echo);
        newest.is_some() && newest == echo
    }
}

/// Whether an end in this state waits for the ACK of its SYN or FIN, and repeats it until then.
const fn waits_for_ack(state: State) -> bool {
    matches!(state, State::SynRcvd) || waits_for_ack_of_fin(state)
}

/// Whether an end in this state waits for the ACK of its FIN.
const fn waits_for_ack_of_fin(state: State) -> bool {
    matches!(state, State::FinWait1 | State::Closing | State::LastAck)
}
