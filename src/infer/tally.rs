//! What an endpoint sent, counted.

use crate::decode::segment::{Flags, Segment};
use crate::time::{Span, Timestamp};

/// What an endpoint sent, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Segments, copies of one packet not counted.
    pub segments: u64,
    /// Payload bytes, each number once.
    pub bytes: u64,
    /// Segments that repeat data, SYN, SYN+ACK or FIN.
    pub retransmitted: u64,
    /// Bytes that the peer acknowledged and the capture does not hold.
    pub missing: u64,
    /// Payload bytes sent after the peer's FIN had come.
    pub after_peer_fin: u64,
    /// SYNs, with and without ACK.
    pub syns: u32,
    /// FINs.
    pub fins: u32,
    /// RSTs.
    pub resets: u32,
    /// Longest time that it advertised a closed window.
    pub zero_window: Span,
    /// When that began.
    pub zero_window_since: Timestamp,
}

impl Tally {
    /// Its window was closed from then until then.
    pub fn stalled(&mut self, since: Timestamp, until: Timestamp) {
        if until.since(since) > self.zero_window {
            (self.zero_window, self.zero_window_since) = (until.since(since), since);
        }
    }

    /// Counts a segment by its flags.
    pub(super) fn take(&mut self, segment: &Segment) {
        self.segments += 1;
        let flags = [
            (Flags::SYN, &mut self.syns),
            (Flags::FIN, &mut self.fins),
            (Flags::RST, &mut self.resets),
        ];
        for (flag, count) in flags {
            *count = count.saturating_add(u32::from(segment.has(flag)));
        }
    }
}
