//! What became true of an endpoint, when, and when an observer can know it.
//!
//! A TCP's state is made of a few facts that become true once: its handshake is over, it has
//! closed, the peer's FIN has come, its own is acknowledged, it is dead. For each there is a time
//! before which an observer must hold it for false, and a time from which he must have it right.
//! Between the two nobody who sees packets at one place can know, by these rules:
//!
//! 1. What a packet brings is true somewhere between the packet's pass and its arrival.
//! 2. What an application or a timer does is not visible before the first packet that shows it.
//!    So FIN_WAIT_1 and LAST_ACK, which smoltcp enters (as RFC 9293 section 3.10.4 has it) when it
//!    is told to close, may begin as late as the FIN passes.
//! 3. Of several packets that could have brought a fact no observer can tell which one did, except
//!    by what the endpoint sent since: a repeat, or an acknowledgement that stops short, shows
//!    that nothing that passed a round trip before it had come. A RST without ACK shows neither.
//! 4. An end whose packets no longer reach the observer may be dead, and what came to it since is
//!    not known either.
//! 5. What an end sent before something happened to it may pass after, and is told in order: so
//!    what happened can be told as late as that pass.
//!
//! Where smoltcp leaves RFC 9293 or RFC 5961, both ways are right:
//!
//! - It accepts a RST anywhere in its window, where RFC 5961 section 3.2 wants a challenge ACK.
//! - It answers the SYN+ACK of a simultaneous open with an ACK and stays in SYN-RECEIVED until an
//!   ACK without SYN comes.
//! - It drops a FIN whose segment brings nothing but bytes that it already has.
//! - Any unacceptable segment starts its TIME-WAIT again.

use smoltcp::socket::tcp::State;

use crate::world::{Cause, Change, Header, Run, Sent};
use crate::{Micros, NEVER};

/// How long smoltcp stays in TIME-WAIT.
pub const TIME_WAIT: Micros = 10_000_000;

/// Something that becomes true once.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    /// When it did.
    pub truth: Option<Micros>,
    /// Before this, an observer must hold it for false.
    pub from: Micros,
    /// From here on he must have it right.
    pub to: Micros,
}

impl Fact {
    const FALSE: Fact = Fact { truth: None, from: NEVER, to: NEVER };

    /// Whether an observer may hold it for true, and whether he may hold it for false.
    pub fn may_be(&self, now: Micros) -> [bool; 2] {
        match now {
            _ if now < self.from => [false, true],
            _ if now >= self.to => [self.truth.is_some(), self.truth.is_none()],
            _ => [true, true],
        }
    }
}

/// Whether an endpoint closed before or after the peer's FIN came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Before: its last state is TIME_WAIT.
    ClosedFirst,
    /// After: it ends through LAST_ACK.
    FinFirst,
    /// Between the call and the FIN that shows it: nobody can know.
    Either,
}

/// What became true of one endpoint.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whether it opened actively.
    pub active: bool,
    /// It has sent its SYN, or (the passive end) got one.
    pub opened: Fact,
    /// Its SYN met a SYN.
    pub simultaneous: Fact,
    /// Its handshake is over.
    pub shaken: Fact,
    /// It was told to close.
    pub closed: Fact,
    /// The peer's FIN, and all before it, has come.
    pub fin: Fact,
    /// Its own FIN is acknowledged.
    pub acked: Fact,
    /// A RST ended it.
    pub reset: Fact,
    /// It ended itself.
    pub aborted: Fact,
    /// Its TIME_WAIT is over.
    pub waited: Fact,
    /// What came first.
    pub order: Order,
    /// How long a packet of its own took to the observer, at most.
    pub lag: Micros,
    /// The states that it was in, by its own word.
    pub own_word: Vec<State>,
}

/// One end of a run, with what passed of both.
struct End<'a> {
    index: usize,
    run: &'a Run,
    changes: &'a [Change],
    /// Its own transmissions that passed, and the first time each did.
    own: Vec<(Micros, &'a Sent)>,
    /// Every pass of the peer's.
    peer: Vec<(Micros, &'a Sent)>,
}

/// Which packets bring a fact, which show that it is not true yet, and which that it is.
struct Signs<'a> {
    brings: &'a dyn Fn(&Header) -> bool,
    denies: &'a dyn Fn(&Header) -> bool,
    shows: Option<&'a dyn Fn(&Header) -> bool>,
    /// Another stack might have taken what came to this one without effect.
    lenient: bool,
}

impl Facts {
    /// The facts of one end; `None` if it never took part.
    pub fn of(run: &Run, index: usize) -> Option<Facts> {
        let end = End::new(run, index);
        let first = end.changes.iter().find(|change| change.to != State::Listen)?;
        let active = first.to == State::SynSent;
        let (closed, mut fin, acked) = (end.closed(), end.fin(), end.acked());
        let order = end.order(&closed, &fin);
        if let (Some(shown), false) = (end.close_shown(), order == Order::FinFirst) {
            fin.to = fin.to.max(shown);
        }
        Some(Facts {
            active,
            opened: end.opened(active),
            simultaneous: end.simultaneous(active),
            shaken: end.shaken(active),
            waited: end.waited(&fin, &acked),
            closed,
            fin,
            acked,
            reset: end.reset(),
            aborted: end.aborted(),
            order,
            lag: end.own.iter().map(|(at, sent)| at - sent.at).max().unwrap_or(0),
            own_word: end.changes.iter().map(|change| change.to).collect(),
        })
    }
}

impl<'a> End<'a> {
    fn new(run: &'a Run, index: usize) -> End<'a> {
        let (mut own, mut peer) = (Vec::new(), Vec::new());
        for sent in &run.sent {
            match sent.by == index {
                true => own.extend(sent.passes.iter().min().map(|at| (*at, sent))),
                false => peer.extend(sent.passes.iter().map(|at| (*at, sent))),
            }
        }
        own.sort_by_key(|(at, _)| *at);
        peer.sort_by_key(|(at, _)| *at);
        End { index, run, changes: &run.changes[index], own, peer }
    }

    fn change(&self, is: impl Fn(&Change) -> bool) -> Option<&'a Change> {
        self.changes.iter().find(|change| is(change))
    }

    /// When the first packet of the end's own passed that left at `since` or later.
    fn first_own(&self, since: Micros, is: impl Fn(&Header) -> bool) -> Option<Micros> {
        let own = self.own.iter().filter(|(_, sent)| sent.at >= since && is(&sent.header));
        own.map(|(at, _)| *at).min()
    }

    /// The number behind a FIN.
    fn fin_end(&self, by: usize) -> Option<u32> {
        let mut fins = self.run.sent.iter().filter(|sent| sent.by == by && sent.header.fin);
        fins.next().map(|sent| sent.header.end())
    }

    /// When a fact that a packet brings can be known (rules 1 and 3).
    fn brought(&self, change: Option<&Change>, signs: &Signs) -> Fact {
        let denied = self.own.iter().filter(|(_, sent)| (signs.denies)(&sent.header));
        let denied = denied.map(|(at, _)| *at).max().unwrap_or(0);
        let open = denied.saturating_sub(self.run.round_trip);
        let brings = |(at, sent): &&(Micros, &Sent)| *at >= open && (signs.brings)(&sent.header);
        let candidates: Vec<_> = self.peer.iter().filter(brings).collect();
        let first = candidates.first().map(|(at, _)| *at);
        let Some(change) = change else {
            let dead = self.change(|change| change.to == State::Closed).map(|change| change.at);
            let late = |at: &Micros| dead.is_some_and(|dead| *at >= dead);
            let open = |sent: &Sent| signs.lenient || sent.arrivals.iter().all(late);
            let lost = candidates.iter().find(|(_, sent)| open(sent));
            return Fact { from: lost.map_or(NEVER, |(at, _)| *at), ..Fact::FALSE };
        };
        let at = change.at;
        let bringer = match change.cause {
            Cause::Received(id) => self.run.sent[id].passes.iter().min().copied(),
            _ => None,
        };
        let from = first.into_iter().chain(bringer).min().unwrap_or(at).min(at);
        let to = match signs.shows {
            Some(shows) if candidates.len() > 1 => {
                let shown = self.first_own(at, shows).unwrap_or(NEVER);
                let last = candidates.iter().map(|(at, _)| *at).rfind(|at| *at <= shown);
                if shown == NEVER { NEVER } else { at.max(last.unwrap_or(at)) }
            }
            _ => at,
        };
        let to = if self.is_silent_after(at) { NEVER } else { to.max(self.on_its_way(change)) };
        Fact { truth: Some(at), from, to }
    }

    /// Whether the end has sent since, and none of it has passed (rule 4).
    fn is_silent_after(&self, at: Micros) -> bool {
        let own = || self.run.sent.iter().filter(|sent| sent.by == self.index && sent.at > at);
        let unseen = self.run.sent.iter().rev().find(|sent| sent.by == self.index);
        let is_unseen = unseen.is_some_and(|sent| sent.passes.is_empty());
        is_unseen && own().all(|sent| sent.passes.is_empty())
    }

    /// When the last packet passes that the end had sent before (rule 5).
    fn on_its_way(&self, change: &Change) -> Micros {
        let before = self.run.sent.iter().take(change.sent).filter(|sent| sent.by == self.index);
        before.filter_map(|sent| sent.passes.iter().min()).copied().max().unwrap_or(0)
    }

    fn opened(&self, active: bool) -> Fact {
        let to = if active { State::SynSent } else { State::SynReceived };
        let Some(change) = self.change(|change| change.to == to) else { return Fact::FALSE };
        let own = self.first_own(change.at, |header| header.syn).unwrap_or(NEVER);
        // An end whose own SYN never passes looks like one that listens.
        let bare = |header: &Header| header.syn && header.ack.is_none();
        let shows_itself = active && self.first_own(0, bare).is_some();
        let syn = self.peer.iter().find(|(_, sent)| sent.header.syn).map(|(at, _)| *at);
        let from = syn.filter(|_| !shows_itself).unwrap_or(change.at).min(change.at);
        Fact { truth: Some(change.at), from, to: own.max(change.at) }
    }

    /// The moment in which its SYN met a SYN.
    fn meeting(&self) -> Option<&'a Change> {
        self.change(|change| change.from == State::SynSent && change.to == State::SynReceived)
    }

    fn simultaneous(&self, active: bool) -> Fact {
        let change = self.meeting();
        let brings = |header: &Header| header.syn && header.ack.is_none();
        let denies = |header: &Header| header.syn && header.ack.is_none();
        let shows = |header: &Header| header.ack.is_some();
        let signs = Signs { brings: &brings, denies: &denies, shows: Some(&shows), lenient: false };
        let fact = if active { self.brought(change, &signs) } else { return Fact::FALSE };
        let shown = change.and_then(|change| self.first_own(change.at, shows));
        Fact {
            to: if change.is_some() { fact.to.max(shown.unwrap_or(NEVER)) } else { fact.to },
            ..fact
        }
    }

    fn shaken(&self, active: bool) -> Fact {
        let opening = |state| matches!(state, State::SynSent | State::SynReceived);
        let over = |change: &Change| {
            opening(change.from)
                && !opening(change.to)
                && !matches!(change.to, State::Closed | State::Listen)
        };
        let brings = |header: &Header| match active {
            true => header.ack.is_some() && !header.rst,
            false => header.ack.is_some() && !header.syn && !header.rst,
        };
        let met = self.meeting().is_some();
        let denies = |header: &Header| header.syn && !met;
        let shows = |header: &Header| !header.syn && !header.rst;
        let tells = active && !met;
        let shows: Option<&dyn Fn(&Header) -> bool> = if tells { Some(&shows) } else { None };
        let signs = Signs { brings: &brings, denies: &denies, shows, lenient: met };
        self.brought(self.change(over), &signs)
    }

    /// Rule 2.
    fn closed(&self) -> Fact {
        let told = |change: &Change| {
            change.cause == Cause::Application
                && matches!(change.to, State::FinWait1 | State::LastAck)
        };
        let Some(change) = self.change(told) else { return Fact::FALSE };
        let to = self.first_own(change.at, |header| header.fin).unwrap_or(NEVER);
        Fact { truth: Some(change.at), from: change.at, to }
    }

    /// When its close showed first: by its FIN, or by a number behind it. What came after the close
    /// is told after it (rule 5).
    fn close_shown(&self) -> Option<Micros> {
        let fin_end = self.fin_end(self.index)?;
        self.first_own(0, |header| header.end() == fin_end && !header.rst)
    }

    fn fin(&self) -> Fact {
        let Some(fin_end) = self.fin_end(1 - self.index) else { return Fact::FALSE };
        let passed = self.peer.iter().find(|(_, sent)| sent.header.fin).map(|(at, _)| *at);
        let came = |change: &Change| match (change.from, change.to) {
            (_, State::CloseWait) | (_, State::Closing) => true,
            (from, State::TimeWait) => from != State::Closing,
            _ => false,
        };
        let brings = |header: &Header| header.payload > 0 || header.fin;
        // A RST without ACK says nothing of what its sender has received.
        let tells = |header: &Header| header.ack.is_some() || !header.rst;
        let denies = |header: &Header| tells(header) && !header.covers(fin_end);
        let shows = |header: &Header| header.covers(fin_end);
        let signs = Signs { brings: &brings, denies: &denies, shows: Some(&shows), lenient: false };
        let fact = self.brought(self.change(came), &signs);
        let from = fact.from.max(passed.unwrap_or(NEVER)).min(fact.truth.unwrap_or(NEVER));
        Fact { from: self.overlooked_fin(fin_end).map_or(from, |at| at.min(from)), ..fact }
    }

    /// When a FIN passed that RFC 9293 section 3.10.7.4 has the end take, and smoltcp does not: all
    /// bytes that it brings were there already.
    fn overlooked_fin(&self, fin_end: u32) -> Option<Micros> {
        let has_bytes = |at: Micros| {
            let before = self.run.sent.iter().filter(|sent| sent.by == self.index && sent.at <= at);
            let mut acks = before.filter_map(|sent| sent.header.ack);
            acks.any(|ack| ack == fin_end.wrapping_sub(1))
        };
        let brings = |sent: &Sent| sent.header.fin && sent.header.payload > 0;
        let overlooked = |sent: &Sent| sent.arrivals.iter().any(|at| has_bytes(*at));
        let mut passes = self.peer.iter().filter(|(_, sent)| brings(sent) && overlooked(sent));
        passes.next().map(|(at, _)| *at)
    }

    fn acked(&self) -> Fact {
        let Some(fin_end) = self.fin_end(self.index) else { return Fact::FALSE };
        let came = |change: &Change| match (change.from, change.to) {
            (State::FinWait1, State::FinWait2 | State::TimeWait) => true,
            (State::Closing, State::TimeWait) => true,
            (State::LastAck, State::Closed) => !self.is_by_reset(change) && self.is_brought(change),
            _ => false,
        };
        let brings = |header: &Header| header.covers(fin_end) && !header.rst;
        let denies = |header: &Header| header.fin;
        let signs = Signs { brings: &brings, denies: &denies, shows: None, lenient: false };
        self.brought(self.change(came), &signs)
    }

    fn is_brought(&self, change: &Change) -> bool {
        matches!(change.cause, Cause::Received(_))
    }

    fn is_by_reset(&self, change: &Change) -> bool {
        matches!(change.cause, Cause::Received(id) if self.run.sent[id].header.rst)
    }

    fn reset(&self) -> Fact {
        let change = self.change(|change| self.is_by_reset(change));
        let brings = |header: &Header| header.rst;
        let denies = |header: &Header| !header.rst;
        let signs = Signs { brings: &brings, denies: &denies, shows: None, lenient: false };
        let fact = self.brought(change, &signs);
        match change {
            Some(change) if !self.is_exact(change) => Fact { to: NEVER, ..fact },
            _ => fact,
        }
    }

    /// Whether the RST bears the number that the end waits for.
    fn is_exact(&self, change: &Change) -> bool {
        let Cause::Received(id) = change.cause else { return true };
        let before = |sent: &&Sent| sent.by == self.index && sent.at <= change.at;
        let acks = self.run.sent.iter().filter(before).filter_map(|sent| sent.header.ack);
        let expected = acks.reduce(|a, b| if b.wrapping_sub(a) as i32 > 0 { b } else { a });
        change.from == State::SynSent || expected == Some(self.run.sent[id].header.seq)
    }

    /// Rules 2 and 4.
    fn aborted(&self) -> Fact {
        let ended = |change: &Change| {
            !self.is_brought(change)
                && matches!(change.to, State::Closed)
                && !matches!(change.from, State::TimeWait | State::Listen)
        };
        if let Some(change) = self.change(ended) {
            let shown = self.first_own(change.at, |header| header.rst).unwrap_or(NEVER);
            return Fact { truth: Some(change.at), from: change.at, to: shown };
        }
        let own = self.run.sent.iter().rev().filter(|sent| sent.by == self.index);
        let silent = own.take_while(|sent| sent.passes.is_empty()).last();
        Fact { from: silent.map_or(NEVER, |sent| sent.at), ..Fact::FALSE }
    }

    fn waited(&self, fin: &Fact, acked: &Fact) -> Fact {
        let over = |change: &Change| change.from == State::TimeWait && !self.is_brought(change);
        let from = fin.from.max(acked.from).saturating_add(TIME_WAIT);
        let Some(change) = self.change(over) else { return Fact { from, ..Fact::FALSE } };
        let passed = self.peer.iter().map(|(at, _)| *at).rfind(|at| *at <= change.at);
        let to = passed.map_or(0, |at| at + TIME_WAIT).max(change.at);
        let starts = |(_, sent): &&(Micros, &Sent)| {
            sent.header.fin && sent.arrivals.iter().any(|at| at + TIME_WAIT == change.at)
        };
        let started = self.peer.iter().find(starts).map(|(at, _)| at + TIME_WAIT);
        Fact { truth: Some(change.at), from: started.unwrap_or(from).min(change.at), to }
    }

    fn order(&self, closed: &Fact, fin: &Fact) -> Order {
        let covers = |header: &Header| {
            self.fin_end(1 - self.index).is_some_and(|number| header.covers(number))
        };
        let shown = self.own.iter().find(|(_, sent)| sent.header.fin);
        let first = self.run.sent.iter().find(|sent| sent.by == self.index && sent.header.fin);
        let is_hidden = first.is_some_and(|first| first.passes.is_empty());
        let by_truth = match (closed.truth, fin.truth) {
            (Some(closed), Some(fin)) => fin <= closed,
            (_, fin) => fin.is_some(),
        };
        match shown.map(|(_, sent)| covers(&sent.header)) {
            Some(false) => Order::ClosedFirst,
            _ if is_hidden => Order::Either,
            _ if by_truth => Order::FinFirst,
            _ => Order::Either,
        }
    }
}
