//! The names that tools have for the states.

use crate::infer::state::State;

/// The state that any of the tools calls so: ss writes `FIN-WAIT-2`, Linux's netstat `FIN_WAIT2`,
/// Windows `SYN_RECEIVED`, BSD and lsof mostly as the RFC does.
pub fn named(word: &str) -> Option<State> {
    let spelled = word.to_ascii_uppercase().replace(['-', '_'], "");
    let state = match spelled.as_str() {
        "ESTAB" => State::Established,
        "LISTENING" => State::Listen,
        "SYNRECV" | "SYNRECEIVED" | "SYNRCD" => State::SynRcvd,
        "CLOSE" | "UNCONN" | "IDLE" | "BOUND" => State::Closed,
        _ => {
            let is_it = |state: &State| state.name().replace('_', "") == spelled;
            return State::ALL.into_iter().filter(|it| *it != State::Unknown).find(is_it);
        }
    };
    Some(state)
}

/// The state of that number in Linux's `/proc/net/tcp` (`include/net/tcp_states.h`).
pub const fn numbered(number: u8) -> Option<State> {
    Some(match number {
        1 => State::Established,
        2 => State::SynSent,
        3 | 12 => State::SynRcvd,
        4 => State::FinWait1,
        5 => State::FinWait2,
        6 => State::TimeWait,
        7 | 13 => State::Closed,
        8 => State::CloseWait,
        9 => State::LastAck,
        10 => State::Listen,
        11 => State::Closing,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_known_by_every_spelling() {
        for state in State::ALL.into_iter().filter(|state| *state != State::Unknown) {
            for name in [state.name().to_string(), state.name().replace('_', "-")] {
                assert_eq!(named(&name), Some(state), "{name}");
            }
        }
        for (name, state) in [
            ("ESTAB", State::Established),
            ("SYN-RECV", State::SynRcvd),
            ("SYN_RECEIVED", State::SynRcvd),
            ("FIN_WAIT1", State::FinWait1),
            ("FIN_WAIT2", State::FinWait2),
            ("LISTENING", State::Listen),
            ("CLOSE", State::Closed),
        ] {
            assert_eq!(named(name), Some(state), "{name}");
        }
        assert_eq!(named("UNKNOWN"), None);
        assert_eq!(named("ABHÖREN"), None);
    }
}
