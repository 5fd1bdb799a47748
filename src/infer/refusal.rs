//! The cells of the matrix that have no row, each with the reason why nothing moves there.
//!
//! [`table`](super::table) holds rows and refusals together at compile time: a cell that has
//! neither, or both, or two of one, stops the build.

use crate::infer::event::Event;
use crate::infer::state::State;

/// In which way a cell has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The engine never comes to ask; debug builds check it.
    CannotHappen,
    /// It happens, and the state stays what it is.
    ChangesNothing,
}

impl Kind {
    /// The kind in words.
    pub const fn words(self) -> &'static str {
        match self {
            Kind::CannotHappen => "cannot happen",
            Kind::ChangesNothing => "changes nothing",
        }
    }
}

/// Cells without a row: each of the states with each of the events.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// The events.
    pub on: &'static [Event],
    /// The states in which they move nothing.
    pub from: &'static [State],
    /// Whether they happen there at all.
    pub kind: Kind,
    /// Why.
    pub why: &'static str,
}

const fn never(on: &'static [Event], from: &'static [State], why: &'static str) -> Refusal {
    Refusal { on, from, kind: Kind::CannotHappen, why }
}

const fn idle(on: &'static [Event], from: &'static [State], why: &'static str) -> Refusal {
    Refusal { on, from, kind: Kind::ChangesNothing, why }
}

use Event::{
    FoundOpen, GaveUp, RecvAckOfFin, RecvAckOfSyn, RecvFin, RecvFinAckingFin, RecvRefusal, RecvRst,
    RecvSyn, RecvSynAck, SentFin, SentRst, SentRstWithoutSocket, SentSyn, SentSynAck,
    SentUnseenFin, Superseded, TwoMslPassed,
};
use State::{
    CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRcvd, SynSent,
    TimeWait, Unknown,
};

/// Every cell without a row.
#[rustfmt::skip]
pub const REFUSALS: &[Refusal] = &[
    never(&[SentSyn], &[Unknown], "whoever opens was CLOSED before, and is put there first"),
    idle(&[SentSyn],
         &[SynSent, SynRcvd, Established, FinWait1, FinWait2, Closing, TimeWait,
           CloseWait, LastAck],
         "the same SYN is a repeat or a stale copy; another begins a new life once it is answered"),
    never(&[SentSynAck],
          &[Unknown, Closed],
          "it shows that a SYN came in LISTEN, and is taken as that"),
    idle(&[SentSynAck],
         &[SynRcvd, Established, FinWait1, FinWait2, Closing, TimeWait, CloseWait, LastAck],
         "it comes again; what it refutes is undone, not stepped"),
    idle(&[SentFin], &[Unknown], "it answered no SYN that was captured: whose FIN it is, is open"),
    idle(&[SentFin], &[SynSent], "SYN_SENT closes without a FIN (RFC 9293 section 3.10.4)"),
    idle(&[SentUnseenFin],
         &[Unknown, SynSent],
         "too little of it was captured to tell a FIN from a byte"),
    idle(&[SentFin, SentUnseenFin],
         &[Closed],
         "its socket is gone: the network brings an old segment"),
    idle(&[SentFin, SentUnseenFin], &[FinWait1, FinWait2, Closing, TimeWait, LastAck],
         "its FIN is known already, seen or from the peer's ACK"),
    idle(&[SentRst],
         &[SynSent],
         "it refuses a wrong ACK, and waits on (RFC 9293 section 3.10.7.3)"),
    idle(&[SentRstWithoutSocket], &[Closed], "that it has no socket is known"),
    idle(&[RecvSyn], &[Unknown, Closed], "a SYN alone proves nothing of its receiver"),
    idle(&[RecvSyn],
         &[SynRcvd, Established, FinWait1, FinWait2, Closing, TimeWait, CloseWait, LastAck],
         "it draws a SYN+ACK again or a challenge ACK; a new life is no event of the old one"),
    idle(&[RecvSynAck], &[Unknown, Closed], "it asked for none: a RST answers"),
    idle(&[RecvSynAck], &[Established, FinWait1, FinWait2, Closing, TimeWait, CloseWait, LastAck],
         "the answer came before: an ACK answers"),
    never(&[RecvAckOfSyn], &[Unknown, Closed], "it has no SYN out"),
    idle(&[RecvAckOfSyn], &[SynSent], "without a SYN it does not open (RFC 9293 section 3.10.7.3)"),
    idle(&[RecvAckOfSyn], &[Established, FinWait1, FinWait2, Closing, TimeWait, CloseWait, LastAck],
         "its SYN is acknowledged already"),
    idle(&[RecvFin], &[Unknown, Closed, SynSent], "there is no connection that it could close"),
    idle(&[RecvFin],
         &[SynRcvd],
         "what brings it completes the handshake first, or does not arrive"),
    idle(&[RecvFin], &[Closing, TimeWait, CloseWait, LastAck], "the peer's FIN has come before"),
    never(&[RecvFinAckingFin], &[FinWait2, Closing, TimeWait, LastAck],
          "one of the two came before, and the other is taken alone"),
    never(&[RecvFinAckingFin, RecvAckOfFin], &[Unknown, SynSent, SynRcvd, Established, CloseWait],
          "it has no FIN out"),
    never(&[RecvFinAckingFin], &[Closed], "it has no FIN out any more"),
    idle(&[RecvAckOfFin], &[Closed, FinWait2, TimeWait], "its FIN is acknowledged already"),
    idle(&[SentRst, RecvRst], &[Closed], "no socket is left to be closed by it"),
    idle(&[RecvRst],
         &[SynSent],
         "one that does not acknowledge its SYN is ignored (RFC 9293 section 3.10.7.3)"),
    never(&[RecvRefusal],
          &[Unknown, Closed, SynRcvd, Established, FinWait1, FinWait2, Closing, TimeWait,
            CloseWait, LastAck],
          "only a SYN can be refused"),
    never(&[TwoMslPassed],
          &[Unknown, Closed, SynSent, SynRcvd, Established, FinWait1, FinWait2, Closing,
            CloseWait, LastAck],
          "that timer runs in TIME_WAIT only"),
    never(&[GaveUp], &[Unknown, Closed], "nothing of it is repeated"),
    never(&[GaveUp],
          &[FinWait2, TimeWait],
          "it waits and repeats nothing: the end of an orphan is silent"),
    idle(&[Superseded], &[Closed], "it was over before the new life"),
    never(&[FoundOpen],
          &[Closed, SynSent, SynRcvd, Established, FinWait1, FinWait2, Closing, TimeWait,
            CloseWait, LastAck],
          "something of it was seen before"),
    never(&[SentSyn, SentSynAck, SentFin, SentUnseenFin, SentRst, SentRstWithoutSocket,
            RecvSynAck, RecvAckOfSyn, RecvFin, RecvFinAckingFin, RecvAckOfFin, RecvRst, RecvRefusal,
            TwoMslPassed, GaveUp, Superseded, FoundOpen],
          &[Listen], "LISTEN shows by its SYN+ACK only, and is left by the SYN that it answers"),
];
