//! How much was read, and what of it was not used.

use crate::decode::skip::SkipCounts;
use crate::decode::tunnel::Tunnels;
use crate::flow::kinds::{Kinds, Only};
use crate::time::{Span, Timestamp};

/// What was read, in numbers.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Packets of the input.
    pub packets: u64,
    /// TCP segments that were used.
    pub segments: u64,
    /// Of which kinds these are, and those that were copies.
    pub kinds: Kinds,
    /// Connections.
    pub connections: u64,
    /// Wireshark's streams.
    pub streams: u32,
    /// The earliest packet's time.
    pub first_ts: Option<Timestamp>,
    /// The latest packet's time, or a later one until which the capture went on.
    pub last_ts: Option<Timestamp>,
    /// The latest packet's time, if the capture went on after it.
    pub last_packet_ts: Option<Timestamp>,
    /// Packets whose clock ran backwards against the one before.
    pub backwards: u64,
    /// By how much it ran backwards at most, against the newest packet before.
    pub backwards_most: Span,
    /// Packets that were not used, by reason.
    pub skipped: SkipCounts,
    /// Segments whose four-tuple found no room.
    pub beyond_connections_max: u64,
    /// Connections that were forgotten because there was no room for others.
    pub forgotten_for_room: u64,
    /// Headers quoted by ICMP errors, or broken, whose four-tuple found no room.
    pub beyond_seen_tuples_max: u64,
    /// Fragmented packets that had to go before they were whole.
    pub fragments_forced_out: u64,
    /// The tunnels that were opened.
    pub tunnels: Tunnels,
}

impl Totals {
    /// To which kind of segments the capture is limited, if it is.
    pub fn only(&self) -> Option<Only> {
        self.kinds.only(self.segments)
    }
}
