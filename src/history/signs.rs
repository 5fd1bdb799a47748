//! What there is in a history, a bit each: whoever looks for something that is not there need not
//! read it. Nearly all connections are ordinary, and nearly all findings look for what is not.

use crate::history::{Close, Handshake, History, Role};
use crate::infer::event::Event;
use crate::infer::fact::FactKind;
use crate::infer::state::State;

/// A set of signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs(u128);

// Where each kind of sign begins.
const EVENTS: u32 = State::ALL.len() as u32;
const FACTS: u32 = EVENTS + Event::ALL.len() as u32;
const HANDSHAKES: u32 = FACTS + FactKind::ALL.len() as u32;
const CLOSES: u32 = HANDSHAKES + 8;
const OTHERS: u32 = CLOSES + 10;
const _: () = assert!(OTHERS + 8 <= u128::BITS, "every sign has its bit");

impl Signs {
    /// There was another connection on the four-tuple before.
    pub const PREDECESSOR: Signs = Signs(1 << OTHERS);
    /// An end's repeats are unanswered when the record ends.
    pub const UNANSWERED: Signs = Signs(1 << (OTHERS + 1));
    /// An end repeated something.
    pub const RETRANSMITTED: Signs = Signs(1 << (OTHERS + 2));
    /// An end closed its window.
    pub const ZERO_WINDOW: Signs = Signs(1 << (OTHERS + 3));
    /// No end sent any payload.
    pub const NO_DATA: Signs = Signs(1 << (OTHERS + 4));
    /// Nothing was seen of one end.
    pub const ONE_WAY: Signs = Signs(1 << (OTHERS + 5));
    /// Its server never came to ESTABLISHED.
    pub const SERVER_NOT_OPEN: Signs = Signs(1 << (OTHERS + 6));
    /// Both ends sent a SYN, with or without ACK.
    pub const BOTH_SYNS: Signs = Signs(1 << (OTHERS + 7));

    /// A transition into that state.
    pub const fn state(state: State) -> Signs {
        Signs(1 << state as u32)
    }

    /// A transition by that event.
    pub const fn event(event: Event) -> Signs {
        Signs(1 << (EVENTS + event as u32))
    }

    /// A transition into that state by that event.
    pub(super) const fn transition(to: State, event: Event) -> Signs {
        const _: () = assert!(FACTS <= u32::BITS, "half a register is enough");
        Signs((1_u32 << to as u32 | 1 << (EVENTS + event as u32)) as u128)
    }

    /// A fact of that kind.
    pub const fn fact(kind: FactKind) -> Signs {
        Signs(1 << (FACTS + kind.index() as u32))
    }

    /// That handshake.
    pub const fn handshake(handshake: Handshake) -> Signs {
        Signs(1 << (HANDSHAKES + handshake as u32))
    }

    /// That close.
    pub const fn close(close: Close) -> Signs {
        Signs(1 << (CLOSES + close as u32))
    }

    /// The signs of both.
    #[must_use]
    pub const fn or(self, other: Signs) -> Signs {
        Signs(self.0 | other.0)
    }

    /// A number in whose highest bits every sign has a part, to keep something for each of a few
    /// sets.
    #[inline]
    pub(crate) const fn mixed(self) -> u64 {
        let (low, high) = (self.0 as u64, (self.0 >> u64::BITS) as u64);
        let mixed = low.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed.wrapping_add(high.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    /// Whether there is a sign that both have.
    #[inline]
    pub const fn meets(self, other: Signs) -> bool {
        self.0 & other.0 != 0
    }

    /// Those of a history whose words are known.
    pub(super) fn of(history: &History) -> Signs {
        let [client, server] = Role::BOTH.map(|role| history.went(role));
        let mut signs = Signs::handshake(history.handshake()).or(client).or(server);
        if let Some(close) = history.close() {
            signs = signs.or(Signs::close(close));
        }
        for fact in &history.facts {
            signs = signs.or(Signs::fact(fact.kind));
        }
        let [client, server] = &history.sides;
        let either = |is: fn(&super::Side) -> bool| is(client) || is(server);
        let others = [
            (history.predecessor.is_some(), Signs::PREDECESSOR),
            (either(|side| side.unanswered_at_end > 0), Signs::UNANSWERED),
            (either(|side| side.tally.retransmitted > 0), Signs::RETRANSMITTED),
            (either(|side| side.tally.zero_window.as_nanos() > 0), Signs::ZERO_WINDOW),
            (!either(|side| side.tally.bytes > 0), Signs::NO_DATA),
            (either(|side| side.tally.segments == 0), Signs::ONE_WAY),
            (
                !history.went(Role::Server).meets(Signs::state(State::Established)),
                Signs::SERVER_NOT_OPEN,
            ),
            (client.tally.syns > 0 && server.tally.syns > 0, Signs::BOTH_SYNS),
        ];
        others.into_iter().filter(|(is_so, _)| *is_so).fold(signs, |all, (_, sign)| all.or(sign))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_has_a_bit_of_its_own() {
        let states = State::ALL.map(Signs::state);
        let events = Event::ALL.map(Signs::event);
        let facts = FactKind::ALL.map(Signs::fact);
        let others = [
            Signs::PREDECESSOR,
            Signs::UNANSWERED,
            Signs::RETRANSMITTED,
            Signs::ZERO_WINDOW,
            Signs::NO_DATA,
            Signs::ONE_WAY,
            Signs::SERVER_NOT_OPEN,
            Signs::BOTH_SYNS,
            Signs::handshake(Handshake::Complete),
            Signs::handshake(Handshake::NotCaptured),
            Signs::close(Close::FourSegment),
            Signs::close(Close::Open),
        ];
        let mut seen = Signs::default();
        for sign in states.into_iter().chain(events).chain(facts).chain(others) {
            assert!(sign.0.count_ones() == 1 && !sign.meets(seen), "{sign:?}");
            seen = seen.or(sign);
        }
    }
}
