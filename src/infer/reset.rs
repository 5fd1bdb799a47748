//! RST: whose socket it ends, and whether anybody believes it (RFC 9293 section 3.10.7, RFC 5961).

use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::{Basis, State};
use crate::infer::trail::{Moment, Transition};
use crate::infer::{Connection, DOUBTS_MAX};
use crate::seq::SeqNum;
use crate::time::Span;

/// What the receiver of a RST makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It ends the connection.
    Accepted,
    /// It refuses the SYN.
    Refusal,
    /// It draws a challenge ACK and changes nothing (RFC 5961 section 3.2).
    Challenged,
    /// It changes nothing.
    Ignored,
}

impl Connection {
    /// A segment with RST.
    pub(super) fn on_reset(&mut self, from: End, segment: &Segment, at: Moment) {
        let to = from.peer();
        self.note_reset(from, segment, at);
        if self.is_from_no_socket(from, segment) {
            self.on_opener_gone(from, at);
        }
        let verdict = self.judge(to, segment);
        // An answer to an earlier life's segment, which came while a SYN waits for its own.
        if verdict == Verdict::Ignored
            && self.end(to).state == State::SynSent
            && self.end(from).isn.is_none()
        {
            return;
        }
        let own = self.is_own_number(from, segment);
        match verdict {
            Verdict::Refusal => self.on_refusal(from, at),
            // Bytes that the capture misses may lie before it, or somebody guessed.
            Verdict::Challenged if !own => {
                self.end_mut(from).reset_ahead = Some(segment.seq);
                self.step_as(from, Event::SentRst, Basis::Assumed, at);
            }
            // It may answer an ACK before the newest; but anybody may have guessed an old number.
            Verdict::Ignored if !own => {
                if self.answers_earlier_ack(from, segment) {
                    self.guess_reset(from, segment.seq, at);
                }
            }
            _ => self.on_reset_sent(from, segment, at),
        }
        match verdict {
            Verdict::Accepted => self.on_reset_received(to, segment, at),
            Verdict::Refusal => {
                self.step(to, Event::RecvRefusal, at);
            }
            Verdict::Challenged => {
                self.note(FactKind::InexactRst, from, at);
                // What is left of a closed socket challenges nothing (Linux:
                // tcp_timewait_state_process); a half-closed one would.
                if self.end(to).state == State::FinWait2 {
                    self.step_as(to, Event::RecvRst, Basis::Assumed, at);
                }
            }
            Verdict::Ignored if self.end(to).state.is_synchronized() => {
                self.note(FactKind::IgnoredRst, from, at);
            }
            Verdict::Ignored => {}
        }
    }

    /// The RST, which ends the connection, is on its way to `to`.
    fn on_reset_received(&mut self, to: End, segment: &Segment, at: Moment) {
        let (own, peer) = (self.end(to), self.end(to.peer()));
        // What its sender repeated in vain has not come, and this will not either; unless it is the
        // answers that are lost.
        let is_answered = own.last.ts > peer.repeats.since;
        let is_heard = peer.repeats.count < u16::from(DOUBTS_MAX)
            || (is_answered && peer.nxt.is_some_and(|nxt| own.has_proven(nxt)));
        // The way back is open, and this one may be again.
        let is_answer = own.last.ts >= peer.repeats.last;
        if !is_heard && !is_answer {
            return;
        }
        if self.end(to).state == State::TimeWait {
            self.note(FactKind::Assassinated, to, at);
        }
        let moved = match is_heard {
            true => self.step(to, Event::RecvRst, at),
            false => self.step_as(to, Event::RecvRst, Basis::Assumed, at),
        };
        if moved {
            self.end_mut(to).believed_reset = Some(segment.seq);
        }
    }

    /// What a RST shows beside its meaning: whether data of the peer came last, or waits unread in
    /// its sender's buffer, whether anything was on its way, and whether it came as far as what its
    /// sender sent before.
    fn note_reset(&mut self, from: End, segment: &Segment, at: Moment) {
        let (own, peer) = (self.end(from), self.end(from.peer()));
        let spoke_last = peer.edge > own.edge && peer.fin.is_none();
        // A SYN's window is never scaled, and compares to no other if that may be.
        let took_room = self.knows_scales()
            && own.has_sent()
            && shrank(own.window_bytes(self.scales()), own.syn_window);
        let heard = peer.tally.bytes > 0;
        if heard && spoke_last {
            self.note(FactKind::ResetOverData, from, at);
        }
        if heard && took_room {
            self.note(FactKind::ResetWithUnread, from, at);
        }
        if heard && self.is_all_acked(from, segment) {
            self.note(FactKind::ResetAllAcked, from, at);
        }
        if self.has_strange_ttl(from, segment) {
            self.note(FactKind::StrangeTtl, from, at);
        }
    }

    /// Whether it came another way than what its sender sent before: a device on the path may have
    /// sent it in that name.
    fn has_strange_ttl(&self, from: End, segment: &Segment) -> bool {
        is_strange_ttl(self.end(from).ttl, segment.ttl)
    }

    /// What the receiver makes of it, in the state it is in.
    fn judge(&self, to: End, segment: &Segment) -> Verdict {
        let endpoint = self.end(to);
        match endpoint.state {
            State::Closed | State::Listen => return Verdict::Ignored,
            // A SYN's sender resets what answers it wrongly: an earlier life.
            State::Unknown if self.end(to.peer()).state == State::SynSent => {
                return Verdict::Ignored;
            }
            State::Unknown => return Verdict::Accepted,
            State::TimeWait if self.follows_rfc_1337(to) => return Verdict::Ignored,
            State::SynSent => {
                let answers = segment.has(Flags::ACK) && endpoint.nxt == Some(segment.ack);
                return if answers { Verdict::Refusal } else { Verdict::Ignored };
            }
            _ => {}
        }
        let (Some(low), Some(high)) = (endpoint.proven.or(endpoint.expected), endpoint.expected)
        else {
            return Verdict::Accepted;
        };
        // What was lost behind the observer leaves the receiver between the two.
        let ahead = segment.seq.offset_from(low);
        let span = high.offset_from(low);
        // Linux: tcp_validate_incoming takes that number, too, though data before it is missing.
        let is_at_edge = endpoint.sacked == Some(segment.seq)
            || (self.sacks() && endpoint.is_beyond_to(segment.seq));
        let after_fin =
            matches!(endpoint.state, State::CloseWait | State::LastAck | State::Closing);
        let is_next = (0..=span).contains(&ahead) || (ahead == -1 && after_fin);
        if is_next || (is_at_edge && ahead > 0) {
            return Verdict::Accepted;
        }
        let window = endpoint.window_bytes(self.scales());
        if endpoint.state != State::TimeWait && segment.seq.in_window(high, window.max(1)) {
            return Verdict::Challenged;
        }
        Verdict::Ignored
    }

    /// Whether the end has been seen to ignore a RST in TIME_WAIT.
    fn follows_rfc_1337(&self, end: End) -> bool {
        let disproved = self.facts.get(FactKind::DisprovedRst, end.peer());
        let waits = self.trail.newest_to(end, State::TimeWait);
        disproved.zip(waits).is_some_and(|(disproved, waits)| disproved.last.ts >= waits.at.ts)
    }

    /// Whether the RST bears a number that its sender would use: its own next, or the one that it
    /// was sent as acknowledgement.
    fn is_own_number(&self, from: End, segment: &Segment) -> bool {
        let own = self.end(from);
        let asked = self.end(from.peer()).proven;
        own.nxt.is_none() || own.nxt == Some(segment.seq) || asked == Some(segment.seq)
    }

    /// Whether the RST answers, as one without such a socket does, an ACK that the peer has sent
    /// before its newest (RFC 9293 section 3.10.7.1), and not longer ago than a window.
    fn answers_earlier_ack(&self, from: End, segment: &Segment) -> bool {
        let peer = self.end(from.peer());
        let window = peer.window_bytes(self.scales());
        let is_near = |newest: SeqNum| segment.seq.in_window(newest.sub(window), window);
        !segment.has(Flags::ACK)
            && self.end(from).is_syn_acked_by(segment.seq)
            && peer.proven.is_some_and(is_near)
    }

    /// Whether an opener's host answers the peer's SYN as one without such a socket does: with the
    /// number zero (RFC 9293 section 3.10.7.1). So the opener has given up in the meantime.
    fn is_from_no_socket(&self, from: End, segment: &Segment) -> bool {
        let opener = self.end(from);
        let to_syn = self.end(from.peer()).after_syn == Some(segment.ack);
        let opens = matches!(opener.state, State::SynSent | State::SynRcvd)
            || opener.has_open(&[Event::RecvSynAck]);
        let number = opener.isn.is_some_and(|isn| isn.add(1) != segment.seq);
        opens && number && to_syn && segment.has(Flags::ACK) && segment.seq == SeqNum(0)
    }

    /// The opener is gone. The peer, if the opener's SYN has not come to it, is refused.
    fn on_opener_gone(&mut self, from: End, at: Moment) {
        let to = from.peer();
        self.withdraw(from, &[Event::RecvSynAck], at);
        self.withdraw(from, &[Event::RecvSyn], at);
        self.step(from, Event::SentRstWithoutSocket, at);
        if !self.end(to).sent_syn_ack {
            self.withdraw(to, &[Event::RecvSyn], at);
        }
    }

    /// Nobody listened: the refusing end had no socket, and has none.
    fn on_refusal(&mut self, from: End, at: Moment) {
        if self.end(from).state == State::Unknown {
            self.place(from, State::Closed);
        }
        self.note(FactKind::Refused, from, at);
    }

    /// The RST bears a number from before the newest ACK.
    fn guess_reset(&mut self, from: End, number: SeqNum, at: Moment) {
        let event = Event::SentRstWithoutSocket;
        if self.step_as(from, event, Basis::Assumed, at) {
            self.end_mut(from).guessed_reset = Some(number);
        }
    }

    /// What the RST says of its own sender.
    fn on_reset_sent(&mut self, from: End, segment: &Segment, at: Moment) {
        let peer = from.peer();
        let state = self.end(from).state;
        let answers = !segment.has(Flags::ACK);
        // A RST without ACK answers an ACK that its sender cannot place. Against a wrong ACK the
        // socket lives on (RFC 9293 section 3.10.7.3).
        if state == State::SynSent {
            let right_ack = self.end(from).nxt.is_some_and(|nxt| nxt == segment.seq);
            if answers && right_ack {
                self.step(from, Event::SentRstWithoutSocket, at);
            }
            return;
        }
        if answers
            && self.end(from).has_open(&[Event::RecvSynAck])
            && self.end(from).tally.segments <= u64::from(self.end(from).tally.syns)
        {
            self.withdraw(from, &[Event::RecvSynAck], at);
            if self.withdraw(from, &[Event::SentSyn], at).is_none() {
                self.step(from, Event::SentRstWithoutSocket, at);
            }
            return;
        }
        if answers {
            // Had a socket received what this answers, it would have sent an ACK.
            self.take_back_fin(from, at, false);
            self.doubt_opening(from, segment, at);
        }
        // A socket that the peer's newest segment closed would not answer that very segment; where
        // packets are missing, another one closed it before.
        let newest = self.end(peer).last;
        let by_newest = self.trail().last(from).is_some_and(|last| last.at.frame == newest.frame);
        let closed = state == State::Closed && answers && by_newest && self.has_gap;
        if closed && self.withdraw(from, &[Event::RecvAckOfFin], at).is_some() {
            self.step(from, Event::SentRstWithoutSocket, at);
            return;
        }
        if state == State::Closed {
            self.on_reset_of_closed(from, segment, at);
            return;
        }
        let known = |ack: &SeqNum| self.end(peer).nxt.is_some_and(|nxt| !ack.after(nxt));
        if let Some(ack) = segment.acked().filter(known).filter(|_| self.end(from).has_sent()) {
            self.prove_by_ack(from, ack, segment, at);
        }
        if answers {
            self.take_back_unacked(from, segment.seq, at);
            self.doubt_time_wait(from, at);
        }
        // It acknowledges what it had received, and the FIN is not among it.
        if segment.acked().is_some_and(|ack| !self.fin_covered(peer, ack)) {
            self.take_back_fin(from, at, false);
        }
        let gone = answers && self.end(peer).proven == Some(segment.seq);
        if gone
            && state.is_synchronized()
            && let Some(believed) = self.trail.undoubt(from, State::Closed)
        {
            // Whoever sent the RST in the peer's name, it was believed.
            self.step_confirmed(from, Event::RecvRst, Basis::Inferred, believed.at, at);
            return;
        }
        if gone && state == State::Established && self.is_busy(from, at) {
            self.note(FactKind::ResetWhileBusy, from, at);
        }
        let event = if gone { Event::SentRstWithoutSocket } else { Event::SentRst };
        match self.has_strange_ttl(from, segment) {
            true => self.step_as(from, event, Basis::Assumed, at),
            false => self.step(from, event, at),
        };
    }

    /// Whether the end may have had more to send: it has just spoken, and not all of that is
    /// acknowledged, or the peer's window is closed.
    fn is_busy(&self, end: End, at: Moment) -> bool {
        /// What a host takes to restart at least, or another one to take its place.
        const RESTART_MIN: Span = Span::from_secs(1);
        let (own, peer) = (self.end(end), self.end(end.peer()));
        let is_drained = own.nxt.is_some_and(|nxt| peer.has_proven(nxt));
        peer.window_closed.is_some() || (!is_drained && at.ts.since(own.last.ts) < RESTART_MIN)
    }

    /// The RST may answer the handshake's own ACK: then that found no place, and the end never came
    /// to ESTABLISHED (Linux: tcp_abort_on_overflow; a listener that is gone). A socket that a
    /// program aborts sends its RST with ACK. What the peer sent since may have asked for it, too.
    fn doubt_opening(&mut self, from: End, segment: &Segment, at: Moment) {
        let own = self.end(from);
        let answered = own.ack_candidate;
        let opened = own.state == State::Established && own.has_open(&[Event::RecvAckOfSyn]);
        let is_first = own.after_syn == Some(segment.seq) && own.sent_syn_ack && !own.fast_open;
        let in_time = self.is_in_flight(from, answered.ts, at.ts);
        if !opened || !is_first || !in_time || self.has_strange_ttl(from, segment) {
            return;
        }
        if self.end(from.peer()).last.frame == answered.frame {
            self.withdraw(from, &[Event::RecvAckOfSyn], at);
            return;
        }
        let Some(opened) = self.trail.last(from).copied() else { return };
        self.trail.retract_last(from);
        self.go_back(from, &opened);
        self.step_as(from, opened.event, Basis::Assumed, opened.at);
    }

    /// The RST answers the peer's newest segment, the ACK that would have made TIME_WAIT of CLOSING
    /// in silence. So the socket was gone before: a program that aborts in CLOSING sends nothing
    /// (Linux: tcp_need_reset).
    fn doubt_time_wait(&mut self, from: End, at: Moment) {
        let newest = self.end(from.peer()).last;
        let by_newest = |last: &&Transition| {
            last.from == State::Closing && last.at == newest && last.event == Event::RecvAckOfFin
        };
        let closed = self.trail.last(from).filter(by_newest).is_some();
        if closed && self.is_in_flight(from, newest.ts, at.ts) {
            self.withdraw(from, &[Event::RecvAckOfFin], at);
        }
    }

    /// Who was taken to have closed resets: it confirms that, or shows how it was.
    fn on_reset_of_closed(&mut self, from: End, segment: &Segment, at: Moment) {
        if !self.is_own_number(from, segment) {
            return;
        }
        if !segment.has(Flags::ACK) {
            self.settle_guess(from, at);
            self.trail.confirm_last(from, &[Event::RecvAckOfFin], at);
            self.confirm(from, &[Event::RecvRst], at);
            return;
        }
        // Only a socket sends a RST with an ACK and a number of its own. One of its host, when that
        // socket was gone, may overtake it.
        let without = [Event::SentRstWithoutSocket];
        let overtook = self.trail.last(from).is_some_and(|last| {
            last.event == Event::SentRstWithoutSocket && self.is_in_flight(from, last.at.ts, at.ts)
        });
        let wrong = match overtook {
            true => self.trail.overturn(from, &without, at).inspect(|it| self.go_back(from, it)),
            false => self.withdraw(from, &[Event::RecvAckOfFin], at),
        };
        if wrong.is_some() {
            self.step(from, Event::SentRst, at);
        }
    }

    /// What the RST with this number answers was sent before the FIN of `from` was acknowledged,
    /// and found no socket any more.
    fn take_back_unacked(&mut self, from: End, number: SeqNum, at: Moment) {
        if self.end(from).fin.is_some_and(|fin| !number.after(fin)) {
            self.withdraw(from, &[Event::RecvAckOfFin], at);
        }
    }

    /// What the RST of `from` had overtaken has passed, and the other end has not challenged that
    /// RST: it may have come behind after all.
    pub(super) fn meet_overtaken(&mut self, from: End, at: Moment) {
        let to = from.peer();
        let Some(reset) = self.trail.last(from).filter(|last| last.event == Event::SentRst) else {
            return;
        };
        let number = self.end(from).reset_ahead;
        let is_next = number.is_some() && self.end(to).expected == number;
        let silent = self.end(to).last.frame < reset.at.frame;
        if is_next && silent && self.is_in_flight(from, reset.at.ts, at.ts) {
            self.step_as(to, Event::RecvRst, Basis::Assumed, at);
        }
    }

    /// Its host has no socket: so it was no guess when a RST said so shortly before. Long before,
    /// it stays open who sent that.
    fn settle_guess(&mut self, from: End, at: Moment) {
        let guessed = |last: &&Transition| {
            last.basis == Basis::Assumed && last.event == Event::SentRstWithoutSocket
        };
        let Some(guess) = self.trail.last(from).filter(guessed).copied() else { return };
        let number = self.end(from).guessed_reset;
        if let Some(number) = number.filter(|_| self.is_in_flight(from, guess.at.ts, at.ts)) {
            self.trail.retract_last(from);
            self.go_back(from, &guess);
            self.take_back_fin(from, at, false);
            self.take_back_unacked(from, number, at);
            self.step(from, guess.event, guess.at);
        }
    }

    /// Whether the segment, which says nothing new, challenges a RST that only what is left of a
    /// closed socket would have believed.
    pub(super) fn is_challenge(&self, from: End, segment: &Segment, closed: &Transition) -> bool {
        let endpoint = self.end(from);
        let is_bare = segment.seq_len() == 0 && endpoint.nxt == Some(segment.seq);
        let on_guess = closed.basis == Basis::Assumed && closed.from == State::FinWait2;
        on_guess && is_bare && endpoint.proven == segment.acked()
    }

    /// It goes on after a RST that should have ended it: the RST did not arrive, or was not
    /// believed.
    pub(super) fn survive_reset(&mut self, from: End, at: Moment) {
        if self.withdraw(from, &[Event::RecvRst], at).is_some() {
            self.note(FactKind::DisprovedRst, from.peer(), at);
        }
    }

    /// Whether the segment acknowledges a SYN+ACK that the capture holds, behind its sender's SYN.
    pub(super) fn opens_by(&self, from: End, segment: &Segment) -> bool {
        let (own, peer) = (self.end(from), self.end(from.peer()));
        let is_behind = own.after_syn.is_some_and(|after| segment.seq.at_or_after(after));
        let acks = segment.acked().is_some_and(|ack| peer.is_syn_acked_by(ack));
        peer.sent_syn_ack && is_behind && acks
    }

    /// It opens after a RST that refused it: somebody else sent that, or it came too late.
    pub(super) fn survive_refusal(&mut self, from: End, refused: Moment, at: Moment) {
        if self.withdraw(from, &[Event::RecvRefusal], at).is_some() {
            self.facts.forget(&[FactKind::Refused], refused.ts);
            self.note(FactKind::DisprovedRst, from.peer(), at);
        }
    }

    /// Whether the end is taken to be over by a RST in its own name.
    pub(super) fn has_reset(&self, end: End) -> bool {
        let sent = [Event::SentRst, Event::SentRstWithoutSocket];
        self.trail.last(end).is_some_and(|last| sent.contains(&last.event))
    }

    /// A RST in the name of `from` was not its own: it goes on, and so does the other end.
    pub(super) fn disown_reset(&mut self, from: End, at: Moment) {
        let to = from.peer();
        let sent = [Event::SentRst, Event::SentRstWithoutSocket];
        let Some(reset) = self.trail.overturn(from, &sent, at) else { return };
        self.go_back(from, &reset);
        self.end_mut(from).reset_ahead = None;
        let accepted = self.trail.last(to).filter(|last| last.at == reset.at);
        match accepted.map(|accepted| accepted.basis) {
            // What was assumed only is not to be given back as known.
            Some(Basis::Assumed) => self.withdraw(to, &[Event::RecvRst], at),
            Some(_) => self.doubt(to, &[Event::RecvRst], at),
            None => None,
        };
        self.note(FactKind::DisprovedRst, from, reset.at);
    }
}

/// Whether received data takes room in a window that is so large now. Once read, data gives it
/// back; small amounts are lost in rounding.
pub(super) fn shrank(window: u32, syn_window: u16) -> bool {
    /// The least unread data that shows in the window.
    const UNREAD_MIN: u32 = 4096;
    window.saturating_add(UNREAD_MIN) < u32::from(syn_window)
}

/// Whether a TTL is another than the usual, where both are known.
pub(super) fn is_strange_ttl(usual: u8, ttl: u8) -> bool {
    /// Routes change, and shift it by a hop or two.
    const TTL_SHIFT_MAX: u8 = 2;
    /// What hosts and devices begin with.
    const INITIAL: [u8; 3] = [64, 128, 255];
    let is_initial = |ttl| INITIAL.contains(&ttl);
    // No hop lies before the observer, and before what its sender sent there was one.
    let is_nearer = ttl > usual && is_initial(ttl) && !is_initial(usual);
    usual > 0 && ttl > 0 && (usual.abs_diff(ttl) > TTL_SHIFT_MAX || is_nearer)
}
