//! The words for a whole connection: how it opened, how it closed, who closed first.

use crate::history::{History, Role, Signs};
use crate::infer::RolesFrom;
use crate::infer::event::Event;
use crate::infer::state::{Basis, State};
use crate::infer::trail::Transition;

/// How a connection opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handshake {
    /// SYN, SYN+ACK and ACK.
    Complete,
    /// A RST answered the SYN.
    Refused,
    /// Nothing answered the SYN.
    Unanswered,
    /// SYN and SYN+ACK, and no ACK.
    HalfOpen,
    /// Both ends sent a SYN.
    Simultaneous,
    /// The SYN carried data that was accepted (RFC 7413).
    FastOpen,
    /// The capture began later.
    NotCaptured,
}

/// How a connection closed, or stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// FIN, ACK, FIN, ACK.
    FourSegment,
    /// FIN, FIN+ACK, ACK.
    FinAckSkipsFinWait2,
    /// The FINs crossed.
    Simultaneous,
    /// A RST ended it.
    Reset,
    /// One end has closed.
    HalfClosed,
    /// Both have closed, the last ACK is missing.
    LastAckPending,
    /// An end gave up.
    TimedOut,
    /// A new connection began on the four-tuple first.
    Superseded,
    /// Neither end has closed.
    Open,
}

/// Whose close came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClosedFirst {
    /// The client's.
    Client,
    /// The server's.
    Server,
    /// The FINs crossed.
    Both,
}

const FINS: [Event; 2] = [Event::SentFin, Event::SentUnseenFin];
const RESETS: [Event; 3] = [Event::SentRst, Event::SentRstWithoutSocket, Event::RecvRst];

impl Handshake {
    /// The word of the JSON contract.
    pub const fn name(self) -> &'static str {
        match self {
            Handshake::Complete => "complete",
            Handshake::Refused => "refused",
            Handshake::Unanswered => "unanswered",
            Handshake::HalfOpen => "half-open",
            Handshake::Simultaneous => "simultaneous",
            Handshake::FastOpen => "fast-open",
            Handshake::NotCaptured => "not-captured",
        }
    }
}

impl Close {
    /// The word of the JSON contract.
    pub const fn name(self) -> &'static str {
        match self {
            Close::FourSegment => "four-segment",
            Close::FinAckSkipsFinWait2 => "fin-ack-skips-fin-wait-2",
            Close::Simultaneous => "simultaneous",
            Close::Reset => "reset",
            Close::HalfClosed => "half-closed",
            Close::LastAckPending => "last-ack-pending",
            Close::TimedOut => "timed-out",
            Close::Superseded => "superseded",
            Close::Open => "open",
        }
    }
}

impl ClosedFirst {
    /// The word of the JSON contract.
    pub const fn name(self) -> &'static str {
        match self {
            ClosedFirst::Client => "client",
            ClosedFirst::Server => "server",
            ClosedFirst::Both => "both",
        }
    }

    /// The role, where it was one.
    pub const fn role(self) -> Option<Role> {
        match self {
            ClosedFirst::Client => Some(Role::Client),
            ClosedFirst::Server => Some(Role::Server),
            ClosedFirst::Both => None,
        }
    }
}

impl RolesFrom {
    /// The word of the JSON contract.
    pub const fn name(self) -> &'static str {
        match self {
            RolesFrom::Syn => "syn",
            RolesFrom::SynAck => "syn-ack",
            RolesFrom::Port => "port",
            RolesFrom::FirstPacket => "first-packet",
        }
    }
}

impl From<Role> for ClosedFirst {
    fn from(role: Role) -> ClosedFirst {
        match role {
            Role::Client => ClosedFirst::Client,
            Role::Server => ClosedFirst::Server,
        }
    }
}

/// The words for one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    handshake: Handshake,
    close: Option<Close>,
    closed_first: Option<ClosedFirst>,
}

impl Default for Words {
    fn default() -> Self {
        Words { handshake: Handshake::NotCaptured, close: None, closed_first: None }
    }
}

impl History {
    /// How it opened.
    pub fn handshake(&self) -> Handshake {
        self.digest.words.handshake
    }

    /// How it closed or stands; `None` where it never opened.
    pub fn close(&self) -> Option<Close> {
        self.digest.words.close
    }

    /// Whose close came first: the first FIN, unless the other end's crossed it, or the RST of an
    /// end that had not sent a FIN. `None` too where the other end's FIN may have been before it,
    /// among what the capture misses.
    pub fn closed_first(&self) -> Option<ClosedFirst> {
        self.digest.words.closed_first
    }

    /// Whether nothing of it was captured before a RST.
    pub fn is_only_reset(&self) -> bool {
        let has_reset = || self.sides.iter().any(|side| side.tally.resets > 0);
        self.handshake() == Handshake::NotCaptured && has_reset()
    }

    /// Finds the words.
    pub(super) fn words(&self) -> Words {
        let close = self.find_close();
        let closed_first = self.find_closed_first(close.is_some());
        Words { handshake: self.find_handshake(), close, closed_first }
    }

    fn find_handshake(&self) -> Handshake {
        let went = |role, event| self.went(role).meets(Signs::event(event));
        if Role::BOTH.iter().any(|role| went(*role, Event::FoundOpen)) {
            return Handshake::NotCaptured;
        }
        if Role::BOTH.iter().all(|role| went(*role, Event::SentSyn)) {
            return Handshake::Simultaneous;
        }
        if went(Role::Client, Event::RecvRefusal) {
            return Handshake::Refused;
        }
        if !went(Role::Server, Event::RecvSyn) {
            let asked = went(Role::Client, Event::SentSyn);
            return if asked { Handshake::Unanswered } else { Handshake::NotCaptured };
        }
        if self.side(Role::Client).fast_open {
            return Handshake::FastOpen;
        }
        let open = self.went(Role::Server).meets(Signs::state(State::Established));
        if self.side(Role::Client).acked_syn || open {
            return Handshake::Complete;
        }
        Handshake::HalfOpen
    }

    fn find_close(&self) -> Option<Close> {
        let went = self.went(Role::Client).or(self.went(Role::Server));
        let passed = |state| went.meets(Signs::state(state));
        let by = |event| went.meets(Signs::event(event));
        if !passed(State::Established) && !FINS.into_iter().any(by) {
            return None;
        }
        let both_closed = self.both_closed_in_order();
        if !both_closed && RESETS.into_iter().any(by) {
            return Some(Close::Reset);
        }
        if both_closed {
            return Some(match () {
                () if passed(State::Closing) => Close::Simultaneous,
                () if passed(State::FinWait2) => Close::FourSegment,
                () => Close::FinAckSkipsFinWait2,
            });
        }
        if by(Event::Superseded) {
            return Some(Close::Superseded);
        }
        if by(Event::GaveUp) {
            return Some(Close::TimedOut);
        }
        let has_closed =
            |role: &Role| FINS.iter().any(|fin| self.went(*role).meets(Signs::event(*fin)));
        match Role::BOTH.iter().filter(|role| has_closed(role)).count() {
            0 => Some(Close::Open),
            1 => Some(Close::HalfClosed),
            _ => Some(Close::LastAckPending),
        }
    }

    fn find_closed_first(&self, opened: bool) -> Option<ClosedFirst> {
        let went = self.went(Role::Client).or(self.went(Role::Server));
        if went.meets(Signs::state(State::Closing)) {
            return Some(ClosedFirst::Both);
        }
        let first = self.first_close().filter(|_| opened)?;
        let role = self.role(first.end);
        // A FIN that passes later was none of those that may have come before.
        let later = || self.by_event(role.peer(), &[Event::SentFin]).is_some();
        let is_assumed = first.event == Event::SentFin && first.basis == Basis::Assumed;
        (!is_assumed || later()).then(|| role.into())
    }

    /// Whether an end has closed, by a FIN or a RST, and which did so first cannot be told.
    pub fn closed_by_either_first(&self) -> bool {
        let has_closed = self.close().is_some() && self.first_close().is_some();
        has_closed && self.closed_first().is_none()
    }

    /// The first close that the record knows of.
    fn first_close(&self) -> Option<&Transition> {
        const CLOSES: [Event; 4] =
            [Event::SentFin, Event::SentUnseenFin, Event::SentRst, Event::SentRstWithoutSocket];
        self.transitions.iter().find(|it| CLOSES.contains(&it.event))
    }

    /// The transition by which a role sent its FIN.
    pub fn fin_of(&self, role: Role) -> Option<&Transition> {
        self.by_event(role, &FINS)
    }

    /// Whether both FINs were sent and acknowledged: what a RST ends after that is a remnant.
    fn both_closed_in_order(&self) -> bool {
        Role::BOTH.into_iter().all(|role| {
            const ACKED: Event = Event::RecvAckOfFin;
            let last_ack = |it: &Transition| it.from == State::LastAck && it.event == ACKED;
            let went = self.went(role);
            went.meets(Signs::state(State::TimeWait))
                || went.meets(Signs::event(ACKED)) && self.transitions_of(role).any(last_ack)
        })
    }
}
