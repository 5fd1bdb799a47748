//! ICMP errors (RFC 792, RFC 4443), which quote the segment that they are about.
//!
//! At least the ports and the sequence number are quoted. Whoever can send packets can send such
//! an error, so it moves no state; it is a fact of the connection that it names.

use super::ip::{self, IpPacket, protocol};
use super::rest::Rest;
use super::skip::Skip;
use super::{Decoded, Moment, glimpse};

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IcmpError {
    /// No socket, or a firewall that says so.
    PortUnreachable,
    /// No way to the host or its network, or one that is forbidden.
    Unreachable,
    /// Too large for a link on the way, and not to be fragmented.
    TooBig,
    /// The hop limit ran out, or not all fragments came in time.
    TimeExceeded,
    /// Something in the headers was not understood.
    ParameterProblem,
}

impl IcmpError {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            IcmpError::PortUnreachable => "port unreachable",
            IcmpError::Unreachable => "host or network unreachable",
            IcmpError::TooBig => "packet too big",
            IcmpError::TimeExceeded => "time exceeded",
            IcmpError::ParameterProblem => "parameter problem",
        }
    }

    fn of(protocol: u8, kind: u8, code: u8) -> Option<IcmpError> {
        Some(match (protocol, kind, code) {
            (protocol::ICMP, 3, 3) | (protocol::ICMPV6, 1, 4) => IcmpError::PortUnreachable,
            (protocol::ICMP, 3, 4) | (protocol::ICMPV6, 2, _) => IcmpError::TooBig,
            (protocol::ICMP, 3, _) | (protocol::ICMPV6, 1, _) => IcmpError::Unreachable,
            (protocol::ICMP, 11, _) | (protocol::ICMPV6, 3, _) => IcmpError::TimeExceeded,
            (protocol::ICMP, 12, _) | (protocol::ICMPV6, 4, _) => IcmpError::ParameterProblem,
            _ => return None,
        })
    }
}

/// What an ICMP error quotes.
pub(super) fn quoted<'a>(packet: &IpPacket<'a>) -> Result<Rest<'a>, Skip> {
    let mut payload = packet.payload;
    let [kind, code, ..] = *payload.take::<8>()?;
    IcmpError::of(packet.protocol, kind, code).map(|_| payload).ok_or(Skip::NotTcp)
}

/// The error in an ICMP packet, and the segment that it quotes: its ports and number, and as sender
/// the one who is told; and whether Wireshark takes a stream number for that.
pub(super) fn error(packet: &IpPacket<'_>, at: Moment) -> Result<(IcmpError, Decoded, bool), Skip> {
    let mut payload = packet.payload;
    let [kind, code, ..] = *payload.take::<8>()?;
    let error = IcmpError::of(packet.protocol, kind, code).ok_or(Skip::NotTcp)?;
    let quoted = ip::read_any(payload)?;
    let is_first = quoted.part.is_none_or(|part| part.offset == 0);
    if quoted.protocol != protocol::TCP || !is_first {
        return Err(Skip::NotTcp);
    }
    let (decoded, is_numbered) = glimpse::of(&quoted, at)?;
    Ok((error, decoded, is_numbered && quoted.part.is_none()))
}
