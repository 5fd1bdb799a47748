//! Lives: whether a segment belongs to the connection that its four-tuple had, or begins another.
//!
//! A SYN on a four-tuple that is still in use is held until somebody answers it: a SYN+ACK makes
//! it a new life, from the first SYN on; an ACK challenges it; ordinary traffic from its sender
//! shows that it was stale.

use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::Connection;
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::State;
use crate::infer::trail::Moment;
use crate::limits::HELD_REPEATS_MAX;
use crate::seq::SeqNum;

/// Where a segment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// To this connection.
    Belongs,
    /// To a new one.
    Begins,
    /// Nobody knows yet; it is a SYN to be held.
    Held,
}

/// What became of a held SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This segment says nothing of it.
    Nothing,
    /// The same SYN came again; hold it too.
    Repeated,
    /// An ACK challenges it (RFC 9293 section 3.10.7.4).
    Challenged,
    /// It was accepted or refused: a new life began with it.
    Begins,
    /// Its sender goes on as before: it was a stale duplicate.
    Stale,
}

/// A SYN that waits for its answer.
#[derive(Clone, Debug)]
pub struct Held {
    /// Who sent it.
    pub from: End,
    /// Its Wireshark stream.
    pub stream: u32,
    /// Whether its sender may still have the old socket, which a SYN of its own would have ended.
    may_be_stale: bool,
    /// The SYN and its repeats, oldest first; and where it may be stale, what answers it, until its
    /// sender says more.
    segments: Vec<(End, Segment)>,
    /// The newest frame by which the other end went on with the connection that it has.
    defied: u64,
    /// When the old socket of its sender showed to be there still, by what it said to the answer.
    disowned: Option<Moment>,
}

impl Held {
    /// Holds a SYN.
    pub fn new(from: End, syn: &Segment, stream: u32, may_be_stale: bool) -> Held {
        let segments = vec![(from, *syn)];
        Held { from, stream, may_be_stale, segments, defied: 0, disowned: None }
    }

    /// What is held, oldest first.
    pub fn segments(&self) -> &[(End, Segment)] {
        &self.segments
    }

    /// The SYN.
    pub fn first(&self) -> Option<&Segment> {
        self.segments.first().map(|(_, syn)| syn)
    }

    /// The SYN or repeat that the other end has taken, if it has taken any: none before it went on
    /// with the old connection for the last time.
    pub fn taken(&self) -> Option<&Segment> {
        let mut syns = self.segments.iter().filter(|(from, _)| *from == self.from);
        let newest = syns.clone().next_back();
        syns.find(|(_, syn)| syn.frame > self.defied).or(newest).map(|(_, syn)| syn)
    }

    /// Whether the answer leaves open whether the SYN was meant.
    pub fn is_open_after(&self, from: End, answer: &Segment) -> bool {
        self.may_be_stale && self.disowned.is_none() && from != self.from && answer.has(Flags::SYN)
    }

    /// Whether it is held with an answer.
    pub fn is_answered(&self) -> bool {
        self.segments.iter().any(|(from, _)| *from != self.from)
    }

    /// Its sender's old socket answers its answer: the SYN was a stale one, and only the other end
    /// has anything of it.
    pub fn disown(&mut self, by: &Segment) {
        let by = by.at();
        self.disowned = self.disowned.or(Some(by));
    }

    /// When that was, if it was.
    pub fn disowned(&self) -> Option<Moment> {
        self.disowned
    }

    /// What the next segment on the four-tuple says of it.
    pub fn answered_by(&self, from: End, segment: &Segment) -> Answer {
        let Some(syn) = self.first() else {
            return Answer::Nothing;
        };
        let is_answered = self.is_answered();
        if self.disowned.is_some() {
            // The sender's old socket and what the other end has of the SYN are both at work.
            let of_new = if from == self.from { Flags::RST } else { Flags::SYN };
            return if segment.has(of_new) { Answer::Begins } else { Answer::Nothing };
        }
        let wanted =
            segment.has(Flags::ACK) && segment.ack.in_window(syn.seq.add(1), syn.payload + 1);
        if from != self.from {
            let accepts = segment.has(Flags::SYN) || segment.has(Flags::RST);
            return match (wanted && accepts, segment.has(Flags::ACK) && segment.seq_len() == 0) {
                _ if is_answered => Answer::Begins,
                (true, _) => Answer::Begins,
                (false, true) if !segment.has(Flags::RST) => Answer::Challenged,
                _ => Answer::Nothing,
            };
        }
        // With or without an ACK, its number is of the life that it would begin.
        if segment.has(Flags::SYN) && segment.seq == syn.seq {
            return Answer::Repeated;
        }
        if segment.has(Flags::RST) || segment.has(Flags::SYN) {
            return if is_answered { Answer::Begins } else { Answer::Nothing };
        }
        // The ACK of a SYN+ACK that was not captured.
        if segment.seq == syn.seq_end() { Answer::Begins } else { Answer::Stale }
    }

    /// Holds a repeat, or an answer. At the bound the newest of that sender is forgotten for it,
    /// but not the SYN.
    pub fn hold(&mut self, from: End, segment: &Segment) {
        if self.segments.len() >= HELD_REPEATS_MAX {
            let newest = self.segments.iter().skip(1).rposition(|(sender, _)| *sender == from);
            let at = newest.map_or(self.segments.len() - 1, |it| it + 1);
            self.segments.remove(at);
        }
        self.segments.push((from, *segment));
    }

    /// The other end goes on with the connection that it has, whatever it made of the SYN so far.
    pub fn defy(&mut self, from: End, segment: &Segment) {
        if from != self.from && !segment.has(Flags::RST) {
            self.defied = segment.frame;
        }
    }
}

/// A jump in sequence numbers beyond what loss explains.
pub(super) const JUMP: i32 = 1 << 20;

impl Connection {
    /// An ACK of `from` challenges a SYN that is being held.
    pub fn note_challenged_syn(&mut self, from: End, ack: &Segment) {
        self.note(FactKind::ChallengedSyn, from, ack.at());
    }

    /// Whether the held SYN is the one that this connection began with.
    pub fn knows_syn(&self, held: &Held) -> bool {
        let isn = self.end(held.from).isn;
        held.first().is_some_and(|syn| isn == Some(syn.seq))
    }

    /// Whether the segment, which could be the first behind the held SYN, goes on with this
    /// connection: it acknowledges the peer's numbers of this one.
    pub fn goes_on(&self, held: &Held, from: End, segment: &Segment) -> bool {
        let peer = self.end(from.peer());
        let own = |ack: SeqNum| Some(peer.is_syn_acked_by(ack) && !ack.after(peer.nxt?));
        let is_opener = from == held.from && !segment.has(Flags::RST);
        is_opener && self.knows_syn(held) && segment.acked().and_then(own) == Some(true)
    }

    /// Whether the end still has a socket.
    pub fn is_there(&self, end: End) -> bool {
        self.end(end).state != State::Closed
    }

    /// The SYN with which this life began was a stale one, as its sender showed then.
    pub fn disown_syn(&mut self, opener: End, at: Moment) {
        let syn = self.end(opener).opening.first;
        self.withdraw(opener, &[Event::RecvSynAck], at);
        self.withdraw(opener, &[Event::SentSyn], at);
        self.note(FactKind::StaleSyn, opener, syn);
    }

    /// The held SYN came to nothing.
    pub fn take_stale_syn(&mut self, held: &Held) {
        for (from, segment) in held.segments() {
            self.take_stray(*from, segment);
            if *from == held.from {
                let at = segment.at();
                self.note(FactKind::StaleSyn, *from, at);
            }
        }
    }

    /// Counts a segment that passed on the four-tuple and says nothing of either socket.
    pub fn take_stray(&mut self, from: End, segment: &Segment) {
        self.frames += 1;
        if segment.frame > self.last.frame {
            let ts = segment.ts.max(self.last.ts);
            self.last = Moment { ts, frame: segment.frame };
        }
        self.end_mut(from).tally.take(segment);
    }

    /// Where a segment on this connection's four-tuple belongs.
    pub fn admit(&self, from: End, segment: &Segment) -> Admission {
        match (segment.has(Flags::SYN), segment.has(Flags::ACK)) {
            _ if segment.has(Flags::RST) => Admission::Belongs,
            (true, false) => self.admit_syn(from, segment),
            (true, true) => self.admit_syn_ack(from, segment),
            (false, _) if self.jumps(from, segment) => Admission::Begins,
            (false, _) => Admission::Belongs,
        }
    }

    fn admit_syn(&self, from: End, syn: &Segment) -> Admission {
        let (own, other) = (self.end(from), self.end(from.peer()));
        if own.isn == Some(syn.seq) {
            // The same number again is a repeat, or a stale duplicate of a life that is over.
            // Some stacks repeat a refused SYN.
            let refused = self.trail().last(from).is_some_and(|t| t.event == Event::RecvRefusal);
            // A socket that had reset would come back with another number: somebody else did.
            let lives_on = self.has_reset(from) && self.is_later(from, syn);
            let over = own.state.is_over() && other.state.is_over() && !refused && !lives_on;
            return if over { Admission::Held } else { Admission::Belongs };
        }
        match (own.state, other.state) {
            // The other end of a simultaneous open, or of a capture that saw the SYN+ACK first.
            (State::Unknown, State::SynSent | State::Unknown) => Admission::Belongs,
            (_, State::SynSent) if own.isn.is_none() => Admission::Belongs,
            // It tries again with another number; nothing had answered the first.
            (State::SynSent, State::Unknown) => Admission::Begins,
            _ if self.may_be_stale(from, syn) => Admission::Held,
            (_, State::Closed) => Admission::Begins,
            (_, State::TimeWait) if self.reopens(from, syn) => Admission::Begins,
            _ => Admission::Held,
        }
    }

    /// Whether a SYN may be an old one whose sender is still in TIME_WAIT: from there a new one
    /// would be ahead.
    pub fn may_be_stale(&self, from: End, syn: &Segment) -> bool {
        self.end(from).state == State::TimeWait && !self.reopens(from, syn)
    }

    /// Whether a SYN may end the receiver's TIME_WAIT (RFC 9293 section 3.6.1 and RFC 6191): it is
    /// ahead in sequence, or in time.
    fn reopens(&self, from: End, syn: &Segment) -> bool {
        let ahead = self.end(from).nxt.is_none_or(|nxt| syn.seq.at_or_after(nxt));
        let newer = match (self.end(from).tsval, syn.options.timestamps) {
            (Some(old), Some((new, _))) => SeqNum(new).after(SeqNum(old)),
            _ => false,
        };
        ahead || newer
    }

    fn admit_syn_ack(&self, from: End, syn_ack: &Segment) -> Admission {
        let (own, other) = (self.end(from), self.end(from.peer()));
        let over = own.state.is_over() && other.state.is_over();
        let other_life = own.isn.is_some_and(|isn| isn != syn_ack.seq);
        match over && other_life && !self.is_earlier(from, syn_ack) {
            true => Admission::Begins,
            false if self.jumps(from, syn_ack) => Admission::Begins,
            false => Admission::Belongs,
        }
    }

    /// Whether both directions' numbers jump after a close: a new life whose SYN was not captured.
    fn jumps(&self, from: End, segment: &Segment) -> bool {
        let (own, other) = (self.end(from), self.end(from.peer()));
        let over = own.state.is_over() && other.state.is_over();
        let closed = over || own.fin.is_some() || other.fin.is_some();
        let far = |number: SeqNum, known: Option<SeqNum>| {
            known.is_some_and(|known| number.offset_from(known).unsigned_abs() > JUMP as u32)
        };
        closed
            && segment.has(Flags::ACK)
            && far(segment.seq, own.nxt)
            && far(segment.ack, other.nxt)
    }
}
