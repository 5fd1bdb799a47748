//! The transition table: from, event, to, where the rule stands, and why.
//!
//! The rows are data. The engine steps over them, `explain` prints them, the tests walk them, and
//! the compiler refuses two rows for one cell. A cell without a row changes nothing, and
//! [`REFUSALS`] says why: the compiler refuses a cell without either.

use crate::infer::event::Event;
use crate::infer::refusal::{Kind, REFUSALS, Refusal};
use crate::infer::state::State;
use crate::rfc::{Cite, rfc9293};

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The state before.
    pub from: State,
    /// What happened.
    pub on: Event,
    /// The state after.
    pub to: State,
    /// Where the rule stands.
    pub cite: Cite,
    /// The reason, as a reader of the history wants it.
    pub why: &'static str,
}

const fn row(from: State, on: Event, to: State, cite: Cite, why: &'static str) -> Row {
    Row { from, on, to, cite, why }
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

const OPEN: Cite = rfc9293("3.10.1");
const CLOSE: Cite = rfc9293("3.10.4");
const ABORT: Cite = rfc9293("3.10.5");
const IN_LISTEN: Cite = rfc9293("3.10.7.2");
const IN_SYN_SENT: Cite = rfc9293("3.10.7.3");
const ARRIVES: Cite = rfc9293("3.10.7.4");
const IN_CLOSED: Cite = rfc9293("3.10.7.1");
const TIMEOUT: Cite = rfc9293("3.10.8");
const FIGURE: Cite = rfc9293("3.3.2");
const SIMULTANEOUS: Cite = rfc9293("3.5");
const HALF_OPEN: Cite = rfc9293("3.5.1");
const NEW_LIFE: Cite = rfc9293("3.6.1");

/// Every transition there is.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    // Opening.
    row(Closed,      SentSyn,      SynSent,     OPEN,         "active open, seen as its SYN"),
    row(Listen,      RecvSyn,      SynRcvd,     IN_LISTEN,    "passive open: its SYN+ACK shows that the SYN came"),
    row(SynSent,     RecvSynAck,   Established, IN_SYN_SENT,  "its SYN was answered"),
    row(SynSent,     RecvSyn,      SynRcvd,     IN_SYN_SENT,  "both ends opened at once"),
    row(SynSent,     SentSynAck,   SynRcvd,     SIMULTANEOUS, "it answers a SYN while its own is unanswered"),
    row(SynSent,     RecvRefusal,  Closed,      IN_SYN_SENT,  "nobody listens there"),
    row(SynRcvd,     RecvAckOfSyn, Established, ARRIVES,      "the handshake is complete"),
    row(SynRcvd,     RecvSynAck,   Established, ARRIVES,      "both ends opened at once, and its SYN is acknowledged"),
    // Closing.
    row(SynRcvd,     SentFin,      FinWait1,    CLOSE,        "closed before the handshake was complete"),
    row(Established, SentFin,      FinWait1,    CLOSE,        "closed first, seen as its FIN"),
    row(Established, RecvFin,      CloseWait,   ARRIVES,      "the peer closed, the application here has not"),
    row(FinWait1,    RecvAckOfFin, FinWait2,    ARRIVES,      "its FIN is acknowledged, the peer has not closed"),
    row(FinWait1,    RecvFin,      Closing,     ARRIVES,      "the FINs crossed"),
    row(FinWait1,    RecvFinAckingFin, TimeWait, FIGURE,      "one segment closes and acknowledges: FIN_WAIT_2 is skipped"),
    row(FinWait2,    RecvFin,      TimeWait,    ARRIVES,      "the peer closed too"),
    row(Closing,     RecvAckOfFin, TimeWait,    ARRIVES,      "its FIN is acknowledged"),
    row(CloseWait,   SentFin,      LastAck,     CLOSE,        "closed second, seen as its FIN"),
    row(LastAck,     RecvAckOfFin, Closed,      ARRIVES,      "its FIN is acknowledged: nothing is left to do"),
    row(TimeWait,    TwoMslPassed, Closed,      TIMEOUT,      "old segments have died out"),
    // A FIN that the capture missed.
    row(SynRcvd,     SentUnseenFin, FinWait1,   CLOSE,        "the peer acknowledged a FIN that was not captured"),
    row(Established, SentUnseenFin, FinWait1,   CLOSE,        "the peer acknowledged a FIN that was not captured"),
    row(CloseWait,   SentUnseenFin, LastAck,    CLOSE,        "the peer acknowledged a FIN that was not captured"),
    // Aborts.
    row(SynRcvd,     SentRst,      Closed,      ABORT,        "aborted, seen as its RST"),
    row(Established, SentRst,      Closed,      ABORT,        "aborted, seen as its RST"),
    row(FinWait1,    SentRst,      Closed,      ABORT,        "aborted, seen as its RST"),
    row(FinWait2,    SentRst,      Closed,      ABORT,        "aborted, seen as its RST"),
    row(Closing,     SentRst,      Closed,      ABORT,        "aborted, seen as its RST"),
    row(TimeWait,    SentRst,      Closed,      ABORT,        "aborted, seen as its RST"),
    row(CloseWait,   SentRst,      Closed,      ABORT,        "aborted, seen as its RST"),
    row(LastAck,     SentRst,      Closed,      ABORT,        "aborted, seen as its RST"),
    row(Unknown,     SentRst,      Closed,      ABORT,        "aborted, seen as its RST"),
    // Resets received.
    row(SynRcvd,     RecvRst,      Closed,      ARRIVES,      "the peer does not want the connection"),
    row(Established, RecvRst,      Closed,      ARRIVES,      "reset by the peer"),
    row(FinWait1,    RecvRst,      Closed,      ARRIVES,      "reset by the peer"),
    row(FinWait2,    RecvRst,      Closed,      ARRIVES,      "reset by the peer"),
    row(Closing,     RecvRst,      Closed,      ARRIVES,      "reset by the peer"),
    row(CloseWait,   RecvRst,      Closed,      ARRIVES,      "reset by the peer"),
    row(LastAck,     RecvRst,      Closed,      ARRIVES,      "reset by the peer"),
    row(TimeWait,    RecvRst,      Closed,      Cite { rfc: 1337, section: "1" }, "TIME_WAIT assassinated"),
    row(Unknown,     RecvRst,      Closed,      ARRIVES,      "reset by the peer"),
    // A RST from a host without the socket: its state ended before, unseen.
    row(Unknown,     SentRstWithoutSocket, Closed, IN_CLOSED, "it has no socket"),
    row(SynSent,     SentRstWithoutSocket, Closed, IN_CLOSED, "it had given up before the answer came"),
    row(SynRcvd,     SentRstWithoutSocket, Closed, IN_CLOSED, "it had no place for the connection, or none any more"),
    row(Established, SentRstWithoutSocket, Closed, HALF_OPEN, "it had forgotten the connection"),
    row(FinWait1,    SentRstWithoutSocket, Closed, IN_CLOSED, "its socket was gone"),
    row(FinWait2,    SentRstWithoutSocket, Closed, IN_CLOSED, "its socket was gone: nobody was left to read"),
    row(Closing,     SentRstWithoutSocket, Closed, IN_CLOSED, "its socket was gone"),
    row(TimeWait,    SentRstWithoutSocket, Closed, IN_CLOSED, "its TIME_WAIT had ended"),
    row(CloseWait,   SentRstWithoutSocket, Closed, HALF_OPEN, "it had forgotten the connection"),
    row(LastAck,     SentRstWithoutSocket, Closed, IN_CLOSED, "its socket was gone"),
    // Silence.
    row(SynSent,     GaveUp,       Closed,      TIMEOUT,      "its SYN was never answered"),
    row(SynRcvd,     GaveUp,       Closed,      TIMEOUT,      "its SYN+ACK was never acknowledged"),
    row(Established, GaveUp,       Closed,      TIMEOUT,      "its data was never acknowledged"),
    row(CloseWait,   GaveUp,       Closed,      TIMEOUT,      "its data was never acknowledged"),
    row(FinWait1,    GaveUp,       Closed,      TIMEOUT,      "its FIN was never acknowledged"),
    row(Closing,     GaveUp,       Closed,      TIMEOUT,      "its FIN was never acknowledged"),
    row(LastAck,     GaveUp,       Closed,      TIMEOUT,      "its FIN was never acknowledged"),
    // A new connection on the same four-tuple.
    row(Unknown,     Superseded,   Closed,      NEW_LIFE,     "a new connection began on its four-tuple"),
    row(SynSent,     Superseded,   Closed,      NEW_LIFE,     "a new connection began on its four-tuple"),
    row(SynRcvd,     Superseded,   Closed,      NEW_LIFE,     "a new connection began on its four-tuple"),
    row(Established, Superseded,   Closed,      NEW_LIFE,     "a new connection began on its four-tuple"),
    row(FinWait1,    Superseded,   Closed,      NEW_LIFE,     "a new connection began on its four-tuple"),
    row(FinWait2,    Superseded,   Closed,      NEW_LIFE,     "a new connection began on its four-tuple"),
    row(Closing,     Superseded,   Closed,      NEW_LIFE,     "a new connection began on its four-tuple"),
    row(TimeWait,    Superseded,   Closed,      NEW_LIFE,     "a new connection began on its four-tuple"),
    row(CloseWait,   Superseded,   Closed,      NEW_LIFE,     "a new connection began on its four-tuple"),
    row(LastAck,     Superseded,   Closed,      NEW_LIFE,     "a new connection began on its four-tuple"),
    // A capture that begins in the middle.
    row(Unknown,     FoundOpen,    Established, FIGURE,       "segments flow, so it is open; how it opened is not captured"),
];

const STATES: usize = State::ALL.len();
const EVENTS: usize = Event::ALL.len();
const NO_ROW: u8 = u8::MAX;

/// The row of each cell. Two rows for one cell stop the build.
const INDEX: [[u8; EVENTS]; STATES] = {
    let mut index = [[NO_ROW; EVENTS]; STATES];
    let mut at = 0;
    while at < ROWS.len() {
        let cell = &mut index[ROWS[at].from as usize][ROWS[at].on as usize];
        assert!(*cell == NO_ROW, "two rows for one state and event");
        assert!(!ROWS[at].cite.section.is_empty() && !ROWS[at].why.is_empty());
        *cell = at as u8;
        at += 1;
    }
    assert!(ROWS.len() < NO_ROW as usize);
    index
};

/// The refusal of each cell that has no row. A cell with both, or with neither, stops the build.
const REFUSED: [[u8; EVENTS]; STATES] = {
    let mut index = [[NO_ROW; EVENTS]; STATES];
    let mut at = 0;
    while at < REFUSALS.len() {
        let refusal = &REFUSALS[at];
        assert!(!refusal.why.is_empty());
        let mut cell = 0;
        while cell < refusal.from.len() * refusal.on.len() {
            let from = refusal.from[cell / refusal.on.len()] as usize;
            let on = refusal.on[cell % refusal.on.len()] as usize;
            assert!(INDEX[from][on] == NO_ROW, "a row and a refusal for one state and event");
            assert!(index[from][on] == NO_ROW, "two refusals for one state and event");
            index[from][on] = at as u8;
            cell += 1;
        }
        at += 1;
    }
    assert!(REFUSALS.len() < NO_ROW as usize);
    let mut cell = 0;
    while cell < STATES * EVENTS {
        let (from, on) = (cell / EVENTS, cell % EVENTS);
        let filled = INDEX[from][on] != NO_ROW || index[from][on] != NO_ROW;
        assert!(filled, "neither a row nor a refusal for a state and event");
        cell += 1;
    }
    index
};

/// Why an event changes nothing in a state, if there is no rule for it.
pub fn refusal(from: State, on: Event) -> Option<&'static Refusal> {
    let at = REFUSED.get(from as usize)?.get(on as usize)?;
    REFUSALS.get(usize::from(*at))
}

/// Whether the engine should never ask for the rule of an event in a state.
pub fn is_impossible(from: State, on: Event) -> bool {
    refusal(from, on).is_some_and(|refusal| refusal.kind == Kind::CannotHappen)
}

/// The rule for an event in a state, if the event changes it.
pub fn lookup(from: State, on: Event) -> Option<&'static Row> {
    let row = INDEX.get(from as usize)?.get(on as usize)?;
    ROWS.get(usize::from(*row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_finds_every_row_and_nothing_else() {
        for row in ROWS {
            let found = lookup(row.from, row.on).map(|row| (row.from, row.on, row.to));
            assert_eq!(found, Some((row.from, row.on, row.to)));
        }
        let filled = State::ALL
            .into_iter()
            .flat_map(|state| Event::ALL.map(|event| lookup(state, event)))
            .flatten()
            .count();
        assert_eq!(filled, ROWS.len());
    }

    #[test]
    fn discriminants_are_places_in_the_lists() {
        assert!(State::ALL.iter().enumerate().all(|(at, state)| *state as usize == at));
        assert!(Event::ALL.iter().enumerate().all(|(at, event)| *event as usize == at));
    }

    #[test]
    fn closed_is_left_by_a_syn_only() {
        let leaving: Vec<Event> =
            ROWS.iter().filter(|row| row.from == Closed).map(|row| row.on).collect();
        assert_eq!(leaving, [SentSyn]);
    }

    /// The whole matrix, silent cells too: a change of a rule shows as a change of one line.
    #[test]
    fn the_matrix() {
        let mut lines = Vec::new();
        for state in State::ALL {
            for event in Event::ALL {
                let cell = match (lookup(state, event), refusal(state, event)) {
                    (Some(row), None) => {
                        format!("{:<11}  {}: {}", row.to.name(), row.cite, row.why)
                    }
                    (None, Some(refusal)) => {
                        format!("-            {}: {}", refusal.kind.words(), refusal.why)
                    }
                    both => unreachable!("{state} {event:?}: {both:?}"),
                };
                lines.push(format!("{:<11} {event:<20?} {cell}", state.name()));
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }
}
