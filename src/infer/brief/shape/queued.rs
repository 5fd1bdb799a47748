//! What may wait behind data, as the engine's `queued` has it.

use super::Side;
use crate::infer::brief::clock::Clock;
use crate::infer::brief::closing::Later;
use crate::infer::endpoint::{in_flight, scaled, segment_max};
use crate::infer::queued::{fills, wait_for};
use crate::time::Span;

/// Whether data behind the peer's FIN goes on without a pause from before it.
pub(super) fn goes_on(own: &Side, peer: &Side, later: &Later, clock: Clock) -> bool {
    let silence = Span::from_nanos(clock.nanos(later.moment.0 - own.lane.edge));
    later.segment.payload > 0
        && peer.fin.is_some()
        && own.bytes > 0
        && own.after_peer_fin == 0
        && silence <= in_flight(own.lane.turnaround().unwrap_or_default())
}

/// Whether nothing of `end` can wait for room behind what it has sent, when its peer's FIN passes.
pub(super) fn is_free(end: &Side, peer: &Side, fin: &Later, clock: Clock) -> bool {
    let (room, most) = (scaled(fin.segment.window, peer.shift), segment_max(peer.mss));
    let turnaround = end.lane.turnaround().unwrap_or_default();
    let patience = in_flight(turnaround).plus(wait_for(room, most));
    let silence = Span::from_nanos(clock.nanos(fin.moment.0 - peer.lane.last));
    let is_idle = end.unheard == 0 && silence > patience;
    !fills(end.lane.flight, room, most) || is_idle
}
