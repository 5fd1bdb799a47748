//! FINs that may wait: a close() shows only when its FIN leaves, and that waits behind data for
//! which the peer's window, or the network as far as the sender trusts it, has no room.
//!
//! The peer's FIN that comes meanwhile makes CLOSING of it, and not CLOSE_WAIT. Nobody but the
//! endpoint can tell, so what could be either is never certain.

use crate::decode::tuple::End;
use crate::infer::evidence::BY_FIN;
use crate::infer::silence::RTO_INITIAL;
use crate::infer::state::State;
use crate::infer::{Connection, DOUBTS_MAX};
use crate::time::{Span, Timestamp};

/// A flight of this many KiB or more.
const FLIGHT_MAX: u8 = 15;

/// Bytes on their way, in KiB and rounded up: as precise as is needed to tell whether there was
/// room for more.
pub(super) const fn flight_kib(bytes: u32) -> u8 {
    let kib = bytes.div_ceil(1 << 10);
    if kib < FLIGHT_MAX as u32 { kib as u8 } else { FLIGHT_MAX }
}

/// Whether such a flight leaves no room for another segment of that size: in a window of so many
/// bytes, or in what the network is trusted with at the beginning.
pub(super) fn fills(flight: u8, room: u32, segment_max: u32) -> bool {
    /// What a connection may send at its beginning (RFC 6928).
    const INITIAL_WINDOW: u32 = 10;
    let room = room.min(segment_max * INITIAL_WINDOW);
    (u32::from(flight) << 10) + segment_max > room || flight == FLIGHT_MAX
}

/// How long an end may wait for more room where a whole segment has none (RFC 9293 section
/// 3.8.6.2.1).
pub(super) fn wait_for(room: u32, segment_max: u32) -> Span {
    if room < segment_max { RTO_INITIAL.times(2) } else { Span::ZERO }
}

impl Connection {
    /// The peer's FIN passes, or its window is `window` when the FIN shows to have come, and the
    /// end could not send all that it might have had: its own FIN may wait behind more of it.
    pub(super) fn doubt_unclosed(&mut self, to: End, window: u16, now: Timestamp) {
        let endpoint = self.end(to);
        let is_unclosed = match endpoint.state {
            State::SynRcvd | State::Established => true,
            // Whoever is taken to have given up may go on.
            State::Closed if self.has_given_up(to) => true,
            // What left before the FIN came may pass after it, and even after a RST.
            State::CloseWait | State::Closed => endpoint.has_open(&BY_FIN),
            _ => false,
        };
        if is_unclosed && self.is_limited(to, window) && !self.is_idle(to, window, now, Span::ZERO)
        {
            self.end_mut(to).may_have_queued_fin = true;
        }
    }

    /// An end in CLOSE_WAIT sends more, and sent the newest before that at `edge`. If it goes on
    /// without a pause from before the peer's FIN came, the FIN of its own may wait behind that:
    /// a sender that paces has more to send than is on its way.
    pub(super) fn doubt_close_wait(&mut self, end: End, edge: Timestamp, now: Timestamp) {
        let Some(entered) = self.trail.newest_to(end, State::CloseWait) else { return };
        // What passes before the ACK of that FIN may have been sent before it came.
        let came = entered.confirmed.ts.max(entered.at.ts);
        if edge < came && self.is_in_flight(end, edge, now) {
            self.end_mut(end).may_have_queued_fin = true;
            self.trail.assume(end, State::CloseWait);
        }
    }

    /// The end learns that the peer's window is open again.
    pub(super) fn set_free(&mut self, end: End) {
        self.end_mut(end).flight = FLIGHT_MAX;
    }

    /// Whether, when it last sent, the peer's window, or the network as far as the sender trusts
    /// it, had no room for another segment.
    fn is_limited(&self, end: End, window: u16) -> bool {
        let (endpoint, peer) = (self.end(end), self.end(end.peer()));
        let room = self.window_of(end.peer(), window).unwrap_or(u32::MAX);
        fills(endpoint.flight, room, peer.segment_max()) || endpoint.tally.retransmitted > 0
    }

    /// The window in bytes, unless its SYN was not captured: what it means is not known then. Where
    /// only a scale is not known, the window counts as the smallest that it may be.
    fn window_of(&self, end: End, window: u16) -> Option<u32> {
        let endpoint = self.end(end);
        let known = endpoint.opening.first.frame > 0 || window == 0;
        known.then(|| endpoint.scaled(window, self.scales()))
    }

    /// Whoever has nothing more to send, and sends nothing, had no FIN waiting behind data. Twice
    /// the initial timeout leaves time for a repeat, had the last ACK been lost.
    pub(super) fn settle_drained(&mut self, end: End, now: Timestamp) {
        let endpoint = self.end(end);
        if !endpoint.may_have_queued_fin || endpoint.state != State::CloseWait {
            return;
        }
        let window = self.end(end.peer()).window;
        if self.is_idle(end, window, now, RTO_INITIAL.times(2)) {
            self.end_mut(end).may_have_queued_fin = false;
            self.settle_trail();
        }
    }

    /// Whether the end sends nothing although all that it had sent was acknowledged, for `longer`
    /// than its answers take.
    fn is_idle(&self, end: End, window: u16, now: Timestamp, longer: Span) -> bool {
        let (endpoint, peer) = (self.end(end), self.end(end.peer()));
        let room = self.window_of(end.peer(), window).unwrap_or(u32::MAX);
        let patience = endpoint.in_flight().plus(wait_for(room, peer.segment_max())).plus(longer);
        // Whoever repeats again and again what was acknowledged has not got the ACK.
        let is_heard = endpoint.repeats.count < u16::from(DOUBTS_MAX);
        let is_drained = is_heard && endpoint.nxt.is_some_and(|nxt| peer.has_proven(nxt));
        room > 0 && is_drained && now.since(peer.last.ts) > patience
    }
}
