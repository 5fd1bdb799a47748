//! TCP headers of which no segment comes: an ICMP error quotes them, or they are broken or cut.
//!
//! They move no state, but Wireshark takes stream numbers for them, as for any other, if the
//! header is there up to its window.

use super::ip::IpPacket;
use super::segment::{Flags, Segment};
use super::skip::Skip;
use super::tuple::FourTuple;
use super::{Decoded, Moment};
use crate::seq::SeqNum;

/// Bytes of a TCP header that Wireshark reads before it looks for the stream.
const NUMBERED_BYTES: usize = 16;

/// What shows of a segment: its ports and number, its flags if they are there; and whether
/// Wireshark takes a stream number for it.
pub(super) fn of(ip: &IpPacket<'_>, at: Moment) -> Result<(Decoded, bool), Skip> {
    let [a, b, c, d, seq @ ..] = *ip.payload.peek::<8>()?;
    let (tuple, sender) = FourTuple::new(
        ip.version,
        (ip.source.to_be_bytes(), u16::from_be_bytes([a, b])),
        (ip.destination.to_be_bytes(), u16::from_be_bytes([c, d])),
    );
    let flags = match ip.payload.peek::<NUMBERED_BYTES>() {
        Ok([.., high, low, _, _]) => Some(Flags::from_bits(u16::from_be_bytes([*high, *low]))),
        Err(_) => None,
    };
    let segment = Segment {
        ts: at.ts,
        frame: at.frame,
        seq: SeqNum(u32::from_be_bytes(seq)),
        flags: flags.unwrap_or_default(),
        ip_id: ip.id,
        ttl: ip.ttl,
        ..Segment::default()
    };
    Ok((Decoded { tuple, sender, segment }, flags.is_some()))
}
