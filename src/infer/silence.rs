//! What passing time proves: TIME_WAIT ends after 2MSL, and whoever stops repeating has given up.

use crate::decode::tuple::End;
use crate::infer::endpoint::Endpoint;
use crate::infer::event::Event;
use crate::infer::state::{Basis, State};
use crate::infer::trail::Moment;
use crate::infer::{Connection, Params};
use crate::time::{Span, Timestamp};

/// The longest retransmission timeout of the usual stacks (Linux: TCP_RTO_MAX).
const RTO_MAX: Span = Span::from_secs(120);
/// A retransmission timeout before any is seen (RFC 6298 section 2.1).
const RTO_INITIAL: Span = Span::from_secs(1);
/// How much later than due a repeat may still be late: one more timeout, and some seconds for
/// older stacks, which begin with three.
const PATIENCE: Span = Span::from_secs(6);

impl Connection {
    /// Nothing came up to `now`.
    pub fn on_silence(&mut self, now: Timestamp, params: &Params) {
        for end in End::BOTH {
            match self.end(end).state {
                State::TimeWait => self.expire_time_wait(end, now, params),
                State::Closed | State::Unknown | State::Listen | State::FinWait2 => {}
                _ => self.expire_repeats(end, now),
            }
        }
    }

    fn expire_time_wait(&mut self, end: End, now: Timestamp, params: &Params) {
        let over = self.end(end).time_wait_since.after(params.msl.times(2));
        if now >= over {
            self.step_as(
                end,
                Event::TwoMslPassed,
                Basis::Timer,
                Moment::silent(over),
                Moment::default(),
            );
        }
    }

    /// Had it not given up, it would have repeated once more.
    fn expire_repeats(&mut self, end: End, now: Timestamp) {
        let endpoint = self.end(end);
        let Some(due) = next_repeat(endpoint) else {
            return;
        };
        if now.since(due) > due.since(endpoint.repeats.last.max(endpoint.edge)).plus(PATIENCE) {
            self.step_as(end, Event::GaveUp, Basis::Timer, Moment::silent(due), Moment::default());
        }
    }
}

/// When the endpoint would repeat next, if it still waits for an answer and has shown that it
/// repeats.
fn next_repeat(endpoint: &Endpoint) -> Option<Timestamp> {
    let repeats = &endpoint.repeats;
    // A FIN that was acknowledged unseen looks the same as one that was given up, until it has
    // been repeated more often than a lost ACK would make it. Closing states end either way.
    let enough = match endpoint.state {
        State::SynSent | State::SynRcvd => 0,
        State::LastAck | State::Closing => 1,
        State::FinWait1 => 2,
        _ => 3,
    };
    if repeats.count < enough {
        return None;
    }
    if repeats.count == 0 {
        return Some(endpoint.edge.after(RTO_INITIAL));
    }
    Some(repeats.last.after(repeats.gap.times(2).min(RTO_MAX)))
}
