//! FINs that may wait: a close() shows only when its FIN leaves, and that waits behind data for
//! which the peer's window, or the network as far as the sender trusts it, has no room.
//!
//! The peer's FIN that comes meanwhile makes CLOSING of it, and not CLOSE_WAIT. Nobody but the
//! endpoint can tell, so what could be either is never certain.

use crate::decode::tuple::End;
use crate::infer::Connection;
use crate::infer::evidence::BY_FIN;
use crate::infer::silence::RTO_INITIAL;
use crate::infer::state::State;
use crate::infer::trail::Moment;
use crate::time::{Span, Timestamp};

impl Connection {
    /// The peer's FIN, which passed at `came`, meets an end that could not send all that it might
    /// have had: its own FIN may wait behind more of it.
    pub(super) fn doubt_unclosed(&mut self, to: End, came: Moment) {
        let endpoint = self.end(to);
        let is_unclosed = match endpoint.state {
            State::SynRcvd | State::Established => true,
            // What left before the FIN came may pass after it, and even after a RST.
            State::CloseWait | State::Closed => endpoint.has_open(&BY_FIN),
            _ => false,
        };
        let closed = self.end(to.peer()).window_closed.is_some();
        if is_unclosed && (closed || (endpoint.limited && !self.is_idle(to, came.ts, Span::ZERO))) {
            self.end_mut(to).may_have_queued_fin = true;
        }
    }

    /// Whether the sender may have more to send than the peer's window, or the network as far as it
    /// trusts it, has room for.
    pub(super) fn is_limited(&self, from: End) -> bool {
        /// What a connection may send at its beginning (RFC 6928).
        const INITIAL_WINDOW: u32 = 10;
        let (endpoint, peer) = (self.end(from), self.end(from.peer()));
        let Some((nxt, acked)) = endpoint.nxt.zip(peer.proven) else { return true };
        let in_flight = nxt.offset_from(acked).max(0).unsigned_abs();
        let trusted = peer.segment_max() * INITIAL_WINDOW;
        // Without the SYN, what a window means is not known.
        let known = peer.opening.first.frame > 0;
        let window = if known { peer.window_bytes(self.scales()) } else { trusted };
        let room = window.min(trusted);
        in_flight.saturating_add(peer.segment_max()) > room || endpoint.tally.retransmitted > 0
    }

    /// Whoever has nothing more to send, and sends nothing, had no FIN waiting behind data. Twice
    /// the initial timeout leaves time for a repeat, had the last ACK been lost.
    pub(super) fn settle_drained(&mut self, end: End, now: Timestamp) {
        let endpoint = self.end(end);
        if !endpoint.may_have_queued_fin || endpoint.state != State::CloseWait {
            return;
        }
        let may_send = self.end(end.peer()).window_closed.is_none();
        if may_send && self.is_idle(end, now, RTO_INITIAL.times(2)) {
            self.end_mut(end).may_have_queued_fin = false;
            self.settle_trail();
        }
    }

    /// Whether the end has sent nothing since all that it had sent was acknowledged, although it
    /// could, for `longer` than its answers take. It may wait for more room where a whole segment
    /// has none (RFC 9293 section 3.8.6.2.1).
    fn is_idle(&self, end: End, now: Timestamp, longer: Span) -> bool {
        let peer = self.end(end.peer());
        let known = peer.opening.first.frame > 0;
        let cramped = known && peer.window_bytes(self.scales()) < peer.segment_max();
        let wait = if cramped { RTO_INITIAL.times(2) } else { Span::ZERO };
        let patience = self.end(end).in_flight().plus(wait).plus(longer);
        self.end(end).drained.is_some_and(|since| now.since(since) > patience)
    }
}
