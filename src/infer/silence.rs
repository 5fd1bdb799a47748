//! What passing time proves: TIME_WAIT ends after 2MSL, and whoever stops repeating has given up.

use crate::decode::tuple::End;
use crate::infer::endpoint::{Endpoint, Repeats, TURNAROUND_UNKNOWN, in_flight};
use crate::infer::event::Event;
use crate::infer::state::{Basis, State};
use crate::infer::trail::Moment;
use crate::infer::{Connection, DOUBTS_MAX, Params};
use crate::time::{Span, Timestamp};

/// The longest retransmission timeout of the usual stacks (Linux: TCP_RTO_MAX).
const RTO_MAX: Span = Span::from_secs(120);
/// A retransmission timeout before any is seen (RFC 6298 section 2.1).
pub(super) const RTO_INITIAL: Span = Span::from_secs(1);
/// How long a SYN may stay alone before it is taken for abandoned: older stacks wait three seconds
/// before they repeat it.
pub(super) const SYN_ALONE_MAX: Span = Span::from_secs(4);
/// The shortest interval counted on before the next repeat: a tail loss probe comes much sooner
/// than the retransmission timeout that follows it (RFC 8985 section 7).
const INTERVAL_MIN: Span = Span::from_millis(400);
/// A repeat is late when this and an eighth of its interval have passed, which is how coarse
/// Linux's timer wheel is.
const LATE: Span = Span::from_millis(200);

/// So often a FIN must have been repeated before it shows that its sender stopped: one that was
/// acknowledged unseen looks the same as one that was given up, until it has been repeated more
/// often than a lost ACK would make it.
pub(super) const FIN_REPEATS_MIN: u16 = 2;

/// So often a closed window must have been probed before it shows that its sender stopped: it has
/// something to send, and goes on for as long as it hears nothing else.
const PROBES_MIN: u16 = 2;

/// So often at least most stacks repeat data before they give up (RFC 1122 section 4.2.3.5 asks for
/// 100 seconds; Linux: 15, BSD: 12; Windows: 5). With fewer it may be a program's own timeout.
const REPEATS_MIN: u16 = 8;

/// When an endpoint's next repeat is due, and how long after that its absence counts.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Timestamp,
    patience: Span,
}

impl Due {
    fn is_late(&self, now: Timestamp) -> bool {
        now.since(self.at) > self.patience
    }
}

impl Connection {
    /// Nothing came up to `now`.
    pub fn on_silence(&mut self, now: Timestamp, params: &Params) {
        for end in End::BOTH {
            self.settle_drained(end, now);
            match self.end(end).state {
                State::TimeWait => self.expire_time_wait(end, now, params),
                State::Closed | State::Unknown | State::Listen | State::FinWait2 => {}
                _ => self.expire_repeats(end, now),
            }
        }
    }

    fn expire_time_wait(&mut self, end: End, now: Timestamp, params: &Params) {
        let over = Moment::silent(self.end(end).time_wait_since.after(params.msl.times(2)));
        if now >= over.ts {
            self.step_as(end, Event::TwoMslPassed, Basis::Timer, over);
        }
    }

    /// Had it not given up, it would have repeated once more; or it heard the newest answer, after
    /// several that it did not.
    fn expire_repeats(&mut self, end: End, now: Timestamp) {
        let Some(due) = next_repeat(self.end(end), self.end(end.peer())) else { return };
        if !due.is_late(now) || self.hears_at_last(end) {
            return;
        }
        let at = Moment::silent(due.at);
        let endpoint = self.end(end);
        // A host that does not find its neighbour any more sends nothing, and holds the socket.
        let goes_on = matches!(endpoint.state, State::Established | State::CloseWait)
            && endpoint.repeats.count < REPEATS_MIN;
        let basis = if goes_on { Basis::Assumed } else { Basis::Timer };
        self.step_as(end, Event::GaveUp, basis, at);
    }

    /// Whether the end is taken to have given up.
    pub(super) fn has_given_up(&self, end: End) -> bool {
        self.trail.last(end).is_some_and(|last| last.event == Event::GaveUp)
    }

    /// Its repeats stopped when an answer to the newest had passed. The answers before were lost,
    /// so that this one was not believed either; but that it came explains the silence best.
    fn hears_at_last(&mut self, end: End) -> bool {
        let endpoint = self.end(end);
        let (event, answer) = match endpoint.state {
            // Who passes over more than that has no room for the connection.
            State::SynRcvd if endpoint.handshake_doubts == DOUBTS_MAX => {
                (Event::RecvAckOfSyn, endpoint.ack_candidate)
            }
            State::FinWait1 | State::Closing | State::LastAck => {
                (Event::RecvAckOfFin, endpoint.close_candidate)
            }
            _ => return false,
        };
        let is_answer = answer.frame > 0 && answer.ts >= endpoint.repeats.last;
        is_answer && self.step(end, event, answer)
    }
}

/// When the endpoint would repeat next, if it still waits for an answer of its peer and has shown
/// that it repeats.
fn next_repeat(endpoint: &Endpoint, peer: &Endpoint) -> Option<Due> {
    let repeats = &endpoint.repeats;
    let probes = peer.window_closed.is_some() && repeats.segments == 0;
    let enough = match endpoint.state {
        State::SynSent | State::SynRcvd => 0,
        State::FinWait1 | State::LastAck | State::Closing => FIN_REPEATS_MIN,
        _ if probes => PROBES_MIN,
        _ => 3,
    };
    // Where nothing of the peer is captured, its answers are not either; but no answer makes an
    // end repeat so often.
    let is_unseen = endpoint.state != State::SynSent && peer.tally.segments == 0;
    if repeats.count < if is_unseen { enough + 2 } else { enough } {
        return None;
    }
    let round_trip = endpoint.in_flight().plus(peer.in_flight());
    let mut due = repeats.next(endpoint.state, endpoint.edge, round_trip);
    if probes {
        // One that waited for the neighbour's address passes late, and the next seems early.
        due.patience = due.patience.plus(repeats.gap.times(2));
    }
    // Whoever sends something later, and not that again, was answered.
    (repeats.count == 0 || endpoint.last.ts <= due.at).then_some(due)
}

/// When the sender of a SYN to which nothing came gave up, if that shows at `now`.
pub(super) fn syn_given_up(
    sent: Timestamp,
    repeats: &Repeats,
    now: Timestamp,
) -> Option<Timestamp> {
    let round_trip = in_flight(TURNAROUND_UNKNOWN).times(2);
    let due = repeats.next(State::SynSent, sent, round_trip);
    due.is_late(now).then_some(due.at)
}

/// When the sender of a FIN gave up that its peer, of which something was captured, has not
/// answered, if that shows at `now`.
pub(super) fn fin_given_up(
    repeats: &Repeats,
    round_trip: Span,
    now: Timestamp,
) -> Option<Timestamp> {
    // All states in which an end waits for the ACK of its FIN are alike.
    let due = repeats.next(State::FinWait1, repeats.since, round_trip);
    (repeats.count >= FIN_REPEATS_MIN && due.is_late(now)).then_some(due.at)
}

impl Repeats {
    /// The next one by an end in that state of what it first sent at `since`.
    fn next(&self, state: State, since: Timestamp, round_trip: Span) -> Due {
        if self.count == 0 {
            return Due { at: since.after(RTO_INITIAL), patience: SYN_ALONE_MAX };
        }
        let shortest = match state {
            State::SynSent | State::SynRcvd => RTO_INITIAL,
            _ => INTERVAL_MIN,
        };
        let interval = self.gap.times(2).max(shortest).min(RTO_MAX);
        // The wheel turns late by a little, never early.
        let lateness = Span::from_nanos(interval.as_nanos() / 32);
        let at = self.last.after(interval).after(lateness);
        // Repeats that the peer's answers ask for come sooner than the timer: that one waits for a
        // round trip, and with many stacks for a second at least (RFC 6298 section 2.4).
        let longest = interval.max(RTO_INITIAL.plus(round_trip));
        let wheel = Span::from_nanos(longest.as_nanos() / 8);
        let sooner = Span::from_nanos(longest.as_nanos() - interval.as_nanos());
        Due { at, patience: LATE.plus(wheel).plus(sooner) }
    }
}
