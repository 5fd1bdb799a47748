//! What moves an endpoint from one state to the next.
//!
//! One segment is up to two events: something *sent* for its sender, which certainly happened, and
//! something *received* for the other end, which is taken to happen and may be refuted later.

use crate::infer::state::Basis;

/// An event in the life of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It sent a SYN without ACK.
    SentSyn,
    /// It sent a SYN with ACK.
    SentSynAck,
    /// It sent its first FIN.
    SentFin,
    /// The peer acknowledged one number more than the capture has data for: a FIN, if the number
    /// was no lost byte.
    SentUnseenFin,
    /// It sent a RST from a socket that it closed by doing so.
    SentRst,
    /// It answered with the RST of a host that has no such socket: the end came unseen, before.
    SentRstWithoutSocket,
    /// A SYN came for it.
    RecvSyn,
    /// The answer to its SYN came.
    RecvSynAck,
    /// The ACK of its SYN came, with or without data.
    RecvAckOfSyn,
    /// A FIN came, and all bytes before it.
    RecvFin,
    /// A FIN came that acknowledges its own FIN as well.
    RecvFinAckingFin,
    /// The ACK of its FIN came.
    RecvAckOfFin,
    /// An acceptable RST came.
    RecvRst,
    /// The RST that refuses its SYN came.
    RecvRefusal,
    /// Two maximum segment lifetimes passed.
    TwoMslPassed,
    /// Its repeats went unanswered and stopped.
    GaveUp,
    /// A new connection began on the same four-tuple.
    Superseded,
    /// The capture began when it was already open.
    FoundOpen,
}

/// A set of events.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Events(u32);

impl Events {
    fn of(events: &[Event]) -> Events {
        Events(events.iter().fold(0, |bits, event| bits | 1 << *event as u32))
    }

    /// Puts it in.
    pub fn add(&mut self, event: Event) {
        self.0 |= Events::of(&[event]).0;
    }

    /// Takes these out, and says whether there were any.
    pub fn remove(&mut self, events: &[Event]) -> bool {
        let found = self.has_any(events);
        self.0 &= !Events::of(events).0;
        found
    }

    /// Whether one of these is in it.
    pub fn has_any(&self, events: &[Event]) -> bool {
        self.0 & Events::of(events).0 != 0
    }
}

impl Event {
    /// Every event, in the order above.
    pub const ALL: [Event; 18] = [
        Event::SentSyn,
        Event::SentSynAck,
        Event::SentFin,
        Event::SentUnseenFin,
        Event::SentRst,
        Event::SentRstWithoutSocket,
        Event::RecvSyn,
        Event::RecvSynAck,
        Event::RecvAckOfSyn,
        Event::RecvFin,
        Event::RecvFinAckingFin,
        Event::RecvAckOfFin,
        Event::RecvRst,
        Event::RecvRefusal,
        Event::TwoMslPassed,
        Event::GaveUp,
        Event::Superseded,
        Event::FoundOpen,
    ];

    /// The cause as the history prints it.
    pub const fn cause(self) -> &'static str {
        match self {
            Event::SentSyn => "sent SYN",
            Event::SentSynAck => "sent SYN+ACK",
            Event::SentFin => "sent FIN",
            Event::SentUnseenFin => "sent FIN, not captured: the peer's ACK covers it",
            Event::SentRst => "sent RST",
            Event::SentRstWithoutSocket => "sent RST: it had no socket any more",
            Event::RecvSyn => "received SYN",
            Event::RecvSynAck => "received SYN+ACK",
            Event::RecvAckOfSyn => "received ACK of its SYN",
            Event::RecvFin => "received FIN",
            Event::RecvFinAckingFin => "received FIN+ACK of its FIN",
            Event::RecvAckOfFin => "received ACK of its FIN",
            Event::RecvRst => "received RST",
            Event::RecvRefusal => "received RST: refused",
            Event::TwoMslPassed => "2MSL passed",
            Event::GaveUp => "gave up: its repeats stopped",
            Event::Superseded => "superseded",
            Event::FoundOpen => "capture began mid-stream",
        }
    }

    /// How an event of this kind is known, when nothing weakens it.
    pub const fn basis(self) -> Basis {
        match self {
            Event::SentSyn
            | Event::SentSynAck
            | Event::SentFin
            | Event::SentRst
            | Event::SentRstWithoutSocket => Basis::Observed,
            Event::TwoMslPassed | Event::GaveUp => Basis::Timer,
            Event::FoundOpen => Basis::Assumed,
            _ => Basis::Inferred,
        }
    }
}
