//! The states of RFC 9293 section 3.3.2, and how firmly one is known.

use core::fmt;

use serde::Serialize;

/// The state of one endpoint, `UNKNOWN` where the capture does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// The capture does not tell.
    #[default]
    Unknown,
    /// No connection at all.
    Closed,
    /// Waiting for anybody's SYN.
    Listen,
    /// Sent a SYN, waits for its answer.
    SynSent,
    /// Received a SYN and answered it, waits for the ACK.
    SynRcvd,
    /// Open; data flows.
    Established,
    /// Closed first, its FIN not acknowledged yet.
    #[serde(rename = "FIN_WAIT_1")]
    FinWait1,
    /// Closed first, FIN acknowledged, waits for the peer's FIN.
    #[serde(rename = "FIN_WAIT_2")]
    FinWait2,
    /// Both FINs crossed; waits for the ACK of its own.
    Closing,
    /// Closed; repeats the last ACK if need be, for 2MSL.
    TimeWait,
    /// The peer has closed, the application here has not.
    CloseWait,
    /// Closed second, waits for the ACK of its FIN.
    LastAck,
}

impl State {
    /// Every state, in the order of a connection's life.
    pub const ALL: [State; 12] = [
        State::Unknown,
        State::Closed,
        State::Listen,
        State::SynSent,
        State::SynRcvd,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::Closing,
        State::TimeWait,
        State::CloseWait,
        State::LastAck,
    ];

    /// The name as the RFC and the JSON contract spell it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Unknown => "UNKNOWN",
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN_SENT",
            State::SynRcvd => "SYN_RCVD",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN_WAIT_1",
            State::FinWait2 => "FIN_WAIT_2",
            State::Closing => "CLOSING",
            State::TimeWait => "TIME_WAIT",
            State::CloseWait => "CLOSE_WAIT",
            State::LastAck => "LAST_ACK",
        }
    }

    /// The state of that name, in any case and with `-` for `_`.
    pub fn from_name(name: &str) -> Option<State> {
        let spelled = name.to_ascii_uppercase().replace('-', "_");
        State::ALL.into_iter().find(|state| state.name() == spelled)
    }

    /// Whether both ends have agreed on sequence numbers (RFC 9293 section 3.3.2).
    pub const fn is_synchronized(self) -> bool {
        matches!(
            self,
            State::Established
                | State::FinWait1
                | State::FinWait2
                | State::Closing
                | State::TimeWait
                | State::CloseWait
                | State::LastAck
        )
    }

    /// Whether a host lists a connection's socket in that state.
    pub const fn is_listed(self) -> bool {
        !matches!(self, State::Unknown | State::Closed | State::Listen)
    }

    /// Whether the application has nothing left to do with the connection: it is closed, or waits
    /// for 2MSL only.
    pub const fn is_over(self) -> bool {
        matches!(self, State::Closed | State::TimeWait)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a state is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The endpoint itself sent what only that state sends.
    Observed,
    /// A segment on its way to the endpoint is taken as delivered.
    Inferred,
    /// The time that passed without a segment proves or implies it.
    Timer,
    /// Nothing showed it.
    Assumed,
}

impl Basis {
    /// Every basis, the firmest first.
    pub const ALL: [Basis; 4] = [Basis::Observed, Basis::Inferred, Basis::Timer, Basis::Assumed];

    /// The word of the JSON contract.
    pub const fn name(self) -> &'static str {
        match self {
            Basis::Observed => "observed",
            Basis::Inferred => "inferred",
            Basis::Timer => "timer",
            Basis::Assumed => "assumed",
        }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_by_its_name() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        assert_eq!(State::from_name("close-wait"), Some(State::CloseWait));
        assert_eq!(State::from_name("FIN_WAIT"), None);
    }
}
