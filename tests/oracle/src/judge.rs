//! Which states a claim may have at a moment, given what became true and what can be known of it.

use finwait::infer::event::Event;
use finwait::infer::state::State;

use crate::facts::{Fact, Facts, Order};
use crate::witness::Claim;
use crate::{Micros, NEVER};

/// A set of states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States(u16);

impl States {
    /// Whether the state is in it.
    pub fn has(self, state: State) -> bool {
        self.0 & 1 << state as u16 > 0
    }

    /// Its state, if it has one only.
    pub fn only(self) -> Option<State> {
        let mut states = State::ALL.into_iter().filter(|state| self.has(*state));
        states.next().filter(|_| states.next().is_none())
    }

    /// Both sets together.
    pub fn or(self, other: States) -> States {
        States(self.0 | other.0)
    }

    fn add(&mut self, state: State) {
        self.0 |= 1 << state as u16;
    }
}

impl std::fmt::Display for States {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> =
            State::ALL.iter().filter(|state| self.has(**state)).map(|s| s.name()).collect();
        f.write_str(&names.join("|"))
    }
}

/// One set of values of the facts.
#[derive(Clone, Copy, Default)]
struct Values {
    simultaneous: bool,
    shaken: bool,
    closed: bool,
    fin: bool,
    acked: bool,
    waited: bool,
}

impl Facts {
    /// The states that a claim may have at a moment.
    pub fn states_at(&self, now: Micros) -> States {
        let mut states = States::default();
        let [opened, unopened] = self.opened.may_be(now);
        if unopened {
            for state in [State::Unknown, State::Closed, State::Listen] {
                states.add(state);
            }
        }
        let [reset, unreset] = self.reset.may_be(now);
        let [aborted, alive] = self.aborted.may_be(now);
        if opened && (reset || aborted) {
            states.add(State::Closed);
        }
        if opened && unreset && alive {
            self.living(now, &mut states);
        }
        states
    }

    fn living(&self, now: Micros, states: &mut States) {
        let facts =
            [&self.simultaneous, &self.shaken, &self.closed, &self.fin, &self.acked, &self.waited];
        let may = facts.map(|fact| fact.may_be(now));
        for bits in 0..1 << facts.len() {
            let value = |at: usize| bits >> at & 1 == 1;
            let possible = (0..facts.len()).all(|at| may[at][usize::from(!value(at))]);
            if possible {
                let [simultaneous, shaken, closed, fin, acked, waited] =
                    [0, 1, 2, 3, 4, 5].map(value);
                self.add(Values { simultaneous, shaken, closed, fin, acked, waited }, states);
            }
        }
    }

    fn add(&self, values: Values, states: &mut States) {
        let both_orders = |first: State, second: State| match self.order {
            Order::ClosedFirst => [first; 2],
            Order::FinFirst => [second; 2],
            Order::Either => [first, second],
        };
        let Values { simultaneous, shaken, closed, fin, acked, waited } = values;
        let found = match (closed, fin, acked) {
            _ if !shaken && self.active && !simultaneous => [State::SynSent; 2],
            _ if !shaken => [State::SynRcvd; 2],
            (false, false, _) => [State::Established; 2],
            (false, true, _) => [State::CloseWait; 2],
            (true, false, false) => [State::FinWait1; 2],
            (true, false, true) => [State::FinWait2; 2],
            (true, true, false) => both_orders(State::Closing, State::LastAck),
            (true, true, true) if waited => [State::Closed; 2],
            (true, true, true) => both_orders(State::TimeWait, State::Closed),
        };
        for state in found {
            states.add(state);
        }
    }

    /// The states that the socket itself names.
    pub fn own_word(&self) -> States {
        let mut states = States::default();
        for state in &self.own_word {
            states.add(spelled(*state));
        }
        states
    }

    /// The moments at which the possible states change.
    pub fn edges(&self) -> Vec<Micros> {
        let facts = [
            &self.opened,
            &self.simultaneous,
            &self.shaken,
            &self.closed,
            &self.fin,
            &self.acked,
            &self.reset,
            &self.aborted,
            &self.waited,
        ];
        let edges = facts.iter().flat_map(|fact| [fact.from, fact.to]);
        edges.filter(|at| *at != NEVER).collect()
    }

    /// Whether what a confirmed claim says happened between its moment and its confirmation.
    /// `None` where the two stacks may differ.
    pub fn holds(&self, claim: &Claim) -> Option<bool> {
        let until = claim.confirmed?;
        let within = |fact: &Fact| {
            fact.truth.is_some_and(|truth| claim.at <= truth + self.lag && truth <= until)
        };
        let happened = |fact: &Fact| fact.truth.is_some_and(|truth| truth <= until);
        match claim.transition.event {
            Event::RecvSyn if self.active => Some(within(&self.simultaneous)),
            Event::RecvSyn => Some(within(&self.opened)),
            Event::RecvSynAck | Event::RecvAckOfSyn if self.simultaneous.truth.is_some() => None,
            Event::RecvSynAck | Event::RecvAckOfSyn => Some(within(&self.shaken)),
            Event::RecvFin => Some(within(&self.fin)),
            Event::RecvAckOfFin => Some(within(&self.acked)),
            Event::RecvFinAckingFin => {
                let both = happened(&self.fin) && happened(&self.acked);
                Some(both && (within(&self.fin) || within(&self.acked)))
            }
            Event::RecvRst if self.reset.to == NEVER => None,
            Event::RecvRst | Event::RecvRefusal => Some(within(&self.reset)),
            _ => None,
        }
    }
}

/// smoltcp's state in finwait's words.
pub fn spelled(state: smoltcp::socket::tcp::State) -> State {
    use smoltcp::socket::tcp::State as Own;
    match state {
        Own::Closed => State::Closed,
        Own::Listen => State::Listen,
        Own::SynSent => State::SynSent,
        Own::SynReceived => State::SynRcvd,
        Own::Established => State::Established,
        Own::FinWait1 => State::FinWait1,
        Own::FinWait2 => State::FinWait2,
        Own::CloseWait => State::CloseWait,
        Own::Closing => State::Closing,
        Own::LastAck => State::LastAck,
        Own::TimeWait => State::TimeWait,
    }
}
