//! Segments to endpoint states: the inference engine.
//!
//! A [`Connection`] is one life of one four-tuple. It takes segments in the order in which they
//! passed the observer and keeps two endpoints, each a small machine over the rows of
//! [`table::ROWS`]. A segment is up to two kinds of event: what its sender did, which is certain,
//! and what its receiver got, which a later segment may confirm or refute.
//!
//! Nothing here does I/O, reads a clock or can fail. Time is the capture's, handed in.
//!
//! - `opening`: SYN and SYN+ACK; `ordinary`: ACK and data; `fin`: FIN; `reset`: RST.
//! - `evidence`, `refute`: what a segment shows of its sender's past. `queued`: closes that wait.
//! - `silence`: what passing time proves. `lives`: whether a SYN opens a new life.

pub mod brief;
pub mod endpoint;
pub mod event;
mod evidence;
pub mod fact;
mod fin;
mod holes;
mod lives;
mod opening;
mod ordinary;
mod parting;
mod queued;
pub mod refusal;
mod refute;
mod reset;
mod silence;
pub mod state;
pub mod table;
pub mod tally;
pub mod trail;
pub mod zeek;

pub use lives::{Admission, Answer, Held};

use crate::decode::icmp::IcmpError;
use crate::decode::segment::{Flags, Segment};
use crate::decode::tuple::End;
use crate::infer::endpoint::Endpoint;
use crate::infer::event::Event;
use crate::infer::fact::{FactKind, Facts};
use crate::infer::parting::Parting;
use crate::infer::state::{Basis, State};
use crate::infer::trail::{Moment, Trail, Transition};
use crate::seq::SeqNum;
use crate::time::{Span, Timestamp};

/// What the engine is told about the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// The maximum segment lifetime; TIME_WAIT lasts twice that.
    pub msl: Span,
}

impl Default for Params {
    /// 30 seconds, for Linux's TIME_WAIT of 60.
    fn default() -> Self {
        Params { msl: Span::from_secs(30) }
    }
}

/// How it is known which end is the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RolesFrom {
    /// It sent the SYN.
    Syn,
    /// The other end sent the SYN+ACK.
    SynAck,
    /// The other end's port is the lower one, and looks like a service's.
    Port,
    /// Its packet came first.
    #[default]
    FirstPacket,
}

impl RolesFrom {
    /// Every way, in the order above.
    pub const ALL: [RolesFrom; 4] =
        [RolesFrom::Syn, RolesFrom::SynAck, RolesFrom::Port, RolesFrom::FirstPacket];
}

/// The shortest silence before a close that is noted: the shortest idle timeout in use is longer.
const SILENCE_MIN: Span = Span::from_secs(1);
/// The shortest silence that is noted wherever it is.
const IDLE_MIN: Span = Span::from_secs(10);

/// Doubts after which only proof counts: the other end has shown that it does not hear.
const DOUBTS_MAX: u8 = 2;

/// One life of a four-tuple.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connection {
    ends: [Endpoint; 2],
    trail: Trail,
    facts: Facts,
    client: Option<End>,
    roles_from: RolesFrom,
    first: Moment,
    last: Moment,
    /// The newest segment but for keepalives and their answers, of which no program knows.
    spoke: Moment,
    /// What may be the farewell of an end that closes.
    parting: Option<Parting>,
    frames: u64,
    zeek: zeek::Tracker,
    /// Its SYN may be a stale copy, which nobody sent now.
    stale_syn: bool,
    /// The capture misses some of its segments, or has them out of order.
    has_gap: bool,
}

impl Connection {
    /// A life that begins with a SYN which may be a stale copy: an earlier life had its number, or
    /// nobody has answered it on a four-tuple that is still in use.
    pub fn of_doubtful_syn() -> Connection {
        Connection { stale_syn: true, ..Connection::default() }
    }

    /// Makes it a new one, which may use the room of the old.
    fn clear(&mut self) {
        let (trail, facts) = (core::mem::take(&mut self.trail), core::mem::take(&mut self.facts));
        let (trail, facts) = (trail.cleared(), facts.cleared());
        *self = Connection { trail, facts, ..Connection::default() };
    }

    /// Takes the next segment, sent by `from`.
    ///
    /// Segments come in the order of the capture. Where its clock runs backwards, the connection's
    /// own time stands still.
    pub fn on_segment(&mut self, from: End, segment: &Segment, params: &Params) {
        let at = Moment { ts: segment.ts.max(self.last.ts), frame: segment.frame };
        if self.frames == 0 {
            self.first = segment.at();
            (self.last, self.spoke) = (self.first, self.first);
            self.client = Some(from);
        }
        let at = if self.frames == 0 { self.first } else { at };
        self.on_silence(at.ts, params);
        self.frames += 1;
        let before = core::mem::replace(&mut self.last, at);
        if at.ts.since(self.spoke.ts) >= SILENCE_MIN {
            self.note_silence(from, segment, before, at);
        }
        self.note_parting(from, segment, at);
        self.revive(from, at);
        if segment.has(Flags::RST) {
            self.on_reset(from, segment, at);
        } else if segment.has(Flags::SYN | Flags::ACK) {
            self.on_syn_ack(from, segment, at);
        } else if segment.has(Flags::SYN) {
            self.on_syn(from, segment, at);
        } else {
            self.on_ordinary(from, segment, at);
        }
        self.zeek.on_segment(
            from.index(),
            self.client.is_none_or(|client| client == from),
            segment,
        );
        if !segment.has(Flags::RST) {
            self.facts.remove(FactKind::NewestIdle, from.peer());
        }
        self.tally(from, segment, at);
        if !self.keeps_alive(at) {
            self.spoke = at;
        }
    }

    /// Whether the segment that passed then is a keepalive, or the answer to one.
    fn keeps_alive(&self, at: Moment) -> bool {
        let kinds = [FactKind::Keepalive, FactKind::KeepaliveAnswered];
        self.facts.iter().any(|fact| kinds.contains(&fact.kind) && fact.last == at)
    }

    /// Whether the segment has passed before, and its receiver has not acknowledged it since.
    fn is_sent_again(&self, from: End, segment: &Segment) -> bool {
        let (own, peer, last) = (self.end(from), self.end(from.peer()), segment.seq_end());
        segment.seq_len() > 0
            && own.nxt.is_some_and(|nxt| !last.after(nxt))
            && !peer.has_proven(last)
    }

    /// Whether the end that sends this, or its peer, repeats something in vain: whoever does is not
    /// idle, however rarely.
    fn is_in_vain(&self, from: End, segment: &Segment) -> bool {
        self.ends.iter().any(|end| end.repeats.count > 0) || self.is_sent_again(from, segment)
    }

    /// Both ends were silent from `before` to `at`, but for keepalives for a second at least.
    fn note_silence(&mut self, from: End, segment: &Segment, before: Moment, at: Moment) {
        if self.is_in_vain(from, segment) {
            return;
        }
        let silence = at.ts.since(before.ts);
        if silence < IDLE_MIN {
            return;
        }
        self.facts.put(FactKind::NewestIdle, from, before, at);
        let longest = self.facts.get(FactKind::LongestIdle, from);
        if longest.is_none_or(|known| known.span() < silence) {
            self.facts.put(FactKind::LongestIdle, from, before, at);
        }
    }

    /// An end that was taken to have given up goes on: it had not.
    fn revive(&mut self, end: End, at: Moment) {
        if self.end(end).state != State::Closed {
            return;
        }
        if self.has_given_up(end)
            && let Some(wrong) = self.trail.overturn(end, &[Event::GaveUp], at)
        {
            self.go_back(end, &wrong);
        }
    }

    /// A new life begins on the four-tuple: the old socket of `end` is over at `at`, and where the
    /// capture's clock runs backwards, not before it began. `by` is the segment that shows it.
    /// Returns the state that this ends.
    pub fn supersede(&mut self, end: End, at: Moment, by: Moment) -> State {
        let at = Moment { ts: at.ts.max(self.first.ts), ..at };
        // What was believed of the time after that moment never happened; timers of the old socket
        // ended nothing, and a RST was the new one's. Segments are in the order of the capture.
        let is_later = |it: &Transition| match it.at.frame {
            0 => it.at.ts > at.ts,
            frame => frame > at.frame,
        };
        while self.trail.last(end).is_some_and(is_later)
            && let Some(overtaken) = self.trail.overturn(end, &Event::ALL, by)
        {
            self.go_back(end, &overtaken);
        }
        // Without the SYN that it took, nothing shows that it listened for this life.
        if self.end(end).state == State::Listen {
            self.place(end, State::Unknown);
        }
        let state = self.end(end).state;
        self.step(end, Event::Superseded, at);
        state
    }

    /// One endpoint.
    pub fn end(&self, end: End) -> &Endpoint {
        let [a, b] = &self.ends;
        match end {
            End::A => a,
            End::B => b,
        }
    }

    /// The transitions so far.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The facts so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Which end is the client, and how that is known.
    pub fn client(&self) -> (Option<End>, RolesFrom) {
        (self.client, self.roles_from)
    }

    /// The first and the newest segment's moments.
    pub fn span(&self) -> (Moment, Moment) {
        (self.first, self.last)
    }

    /// What Zeek would call it so far.
    pub fn zeek(&self, client: End) -> zeek::ConnState {
        let has_data = self.ends.iter().any(|end| end.tally.bytes > 0);
        self.zeek.conn_state(client.index(), has_data)
    }

    /// Segments so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    fn end_mut(&mut self, end: End) -> &mut Endpoint {
        let [a, b] = &mut self.ends;
        match end {
            End::A => a,
            End::B => b,
        }
    }

    /// Moves one endpoint along its row of the table, if there is one. A state is written by
    /// [`Self::step_confirmed`], [`Self::place`] and [`Self::go_back`] only.
    fn step(&mut self, end: End, event: Event, at: Moment) -> bool {
        let basis = self.doubted(end, event, event.basis());
        self.step_as(end, event, basis, at)
    }

    /// The basis of a transition: this one, unless something is in doubt.
    fn doubted(&self, end: End, event: Event, basis: Basis) -> Basis {
        // A FIN that nobody saw, or that nobody has shown to have come, leaves open what its
        // receiver's own FIN followed.
        let on_guess = event == Event::SentFin
            && (self.end(end.peer()).fin_unseen || self.is_unproven_close_wait(end));
        let doubtful = self.ends.iter().any(|end| end.may_have_closed)
            || self.end(end).may_have_queued_fin
            || on_guess;
        match basis {
            Basis::Observed | Basis::Inferred if doubtful && !is_certain(event) => Basis::Assumed,
            basis => basis,
        }
    }

    /// Whether the end was taken into CLOSE_WAIT, and nothing has confirmed that.
    fn is_unproven_close_wait(&self, end: End) -> bool {
        let is_open = |last: &Transition| last.to == State::CloseWait && last.is_open();
        self.trail.last(end).is_some_and(is_open)
    }

    /// As [`Self::step`], with a basis of its own.
    fn step_as(&mut self, end: End, event: Event, basis: Basis, at: Moment) -> bool {
        self.step_confirmed(end, event, basis, at, Moment::NONE)
    }

    /// The same, with what confirms it.
    fn step_confirmed(
        &mut self,
        end: End,
        event: Event,
        basis: Basis,
        at: Moment,
        confirmed: Moment,
    ) -> bool {
        let from = self.end(end).state;
        let Some(row) = table::lookup(from, event) else {
            debug_assert!(!table::is_impossible(from, event), "{event:?} in {from}");
            return false;
        };
        // An end's transitions are told in order: one by a segment that passed earlier than that
        // of the one before happened no sooner than that one.
        let key = |at: Moment| (at.ts, at.frame);
        let at = match self.trail.last(end).map(|last| last.at) {
            Some(last) if at.frame > 0 && last.frame > 0 && key(last) > key(at) => last,
            Some(last) if last.ts > at.ts => Moment { ts: last.ts, ..at },
            _ => at,
        };
        let transition = Transition { end, from, to: row.to, event, basis, at, confirmed };
        self.trail.push(transition);
        let endpoint = self.end_mut(end);
        endpoint.state = row.to;
        endpoint.take_open(&[event]);
        if transition.is_open() {
            endpoint.mark_open(event);
        }
        if row.to == State::TimeWait {
            endpoint.time_wait_since = at.ts;
        }
        true
    }

    /// Puts an endpoint where it must have been before anything of it was seen.
    fn place(&mut self, end: End, state: State) {
        self.end_mut(end).state = state;
    }

    /// Takes back the endpoint's newest transition if it is open and by one of the events.
    fn withdraw(&mut self, end: End, events: &[Event], by: Moment) -> Option<Transition> {
        if !self.end(end).has_open(events) {
            return None;
        }
        let withdrawn = self.trail.withdraw(end, events, by)?;
        self.go_back(end, &withdrawn);
        // What refutes it may have left before, on a way that took longer than any so far.
        let apart = by.ts.since(withdrawn.at.ts);
        if apart <= self.end(end).in_flight().times(2) {
            self.end_mut(end).mark_late(withdrawn.event);
        }
        Some(withdrawn)
    }

    /// As [`Self::withdraw`], on the word of the other end only.
    fn doubt(&mut self, end: End, events: &[Event], by: Moment) -> Option<Transition> {
        let doubted = self.trail.doubt(end, events, by)?;
        self.go_back(end, &doubted);
        Some(doubted)
    }

    /// The endpoint is where it was before the transition.
    fn go_back(&mut self, end: End, undone: &Transition) {
        let endpoint = self.end_mut(end);
        endpoint.take_open(&[undone.event]);
        endpoint.state = undone.from;
        if undone.event == Event::RecvRst {
            endpoint.believed_reset = None;
            self.facts.forget(&[FactKind::Assassinated], undone.at.ts);
        }
    }

    /// Confirms the endpoint's open transitions by one of the events. Where the capture is known to
    /// miss segments of the connection, the one that moved it may have been an unseen one before.
    fn confirm(&mut self, end: End, events: &[Event], by: Moment) {
        self.confirm_answer(end, events, by, Span::ZERO);
    }

    /// As [`Self::confirm`], by what answers the segment that moved it: where that comes sooner
    /// than the end can answer, an earlier segment did.
    fn confirm_answer(&mut self, end: End, events: &[Event], by: Moment, fastest: Span) {
        let late = self.end(end).may_be_late(events);
        if self.end_mut(end).take_open(events) && !self.has_gap && !late {
            self.trail.confirm(end, events, by, fastest);
        }
    }

    /// Whether a transition of `end` that began at `since` may still be on its way at `now`: what
    /// passes from it now may have been sent before.
    fn is_in_flight(&self, end: End, since: Timestamp, now: Timestamp) -> bool {
        now.since(since) <= self.end(end).in_flight()
    }

    /// Counts the segment for its sender.
    fn tally(&mut self, from: End, segment: &Segment, at: Moment) {
        let endpoint = self.end_mut(from);
        endpoint.last = at;
        endpoint.tally.take(segment);
        // Anybody can put any number into a RST.
        if let Some((tsval, _)) = segment.options.timestamps.filter(|_| !segment.has(Flags::RST)) {
            endpoint.tsval = Some(endpoint.tsval.map_or(tsval, |it| later_stamp(it, segment)));
        }
    }

    /// Whether both SYNs permitted SACK (RFC 2018).
    fn sacks(&self) -> bool {
        self.ends.iter().all(|end| end.sack_permitted)
    }

    /// Whether both SYNs announced a window scale, as RFC 7323 section 2.2 demands.
    fn scales(&self) -> bool {
        self.ends.iter().all(|end| end.window_scale.is_some())
    }

    /// Whether it is known that they did, or did not.
    fn knows_scales(&self) -> bool {
        self.ends.iter().all(|end| end.opening.first.frame > 0 && !end.options_cut)
    }

    /// Whether the FIN of `end` is acknowledged by a peer that has shown everything up to
    /// `number`.
    fn fin_covered(&self, end: End, number: SeqNum) -> bool {
        self.end(end).fin.is_some_and(|fin| number.at_or_after(fin.add(1)))
    }

    /// An ICMP error told an end about a segment of its own. It moves no state: whoever can send
    /// packets can send one.
    pub fn note_icmp_error(&mut self, error: IcmpError, told: End, at: Moment) {
        self.note(FactKind::Icmp(error), told, at);
    }

    fn note(&mut self, kind: FactKind, end: End, at: Moment) {
        self.has_gap |= kind == FactKind::Gap;
        self.facts.note(kind, end, at);
    }
}

/// The TSval of the segment, or that one if it is later: what the network brings late does not turn
/// back its sender's clock.
#[inline(always)]
fn later_stamp(newest: u32, segment: &Segment) -> u32 {
    let (tsval, _) = segment.options.timestamps.unwrap_or((newest, 0));
    SeqNum(newest).latest(SeqNum(tsval)).0
}

/// Events that tell all they need by themselves, whatever was missed before.
const fn is_certain(event: Event) -> bool {
    matches!(
        event,
        Event::SentSyn
            | Event::SentSynAck
            | Event::SentRst
            | Event::SentRstWithoutSocket
            | Event::RecvSyn
            | Event::RecvSynAck
            | Event::RecvAckOfSyn
            | Event::RecvRefusal
            | Event::Superseded
    )
}

#[cfg(test)]
mod tests;
