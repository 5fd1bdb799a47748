//! IPv4 and IPv6: addresses, and where the TCP segment begins and ends.
//!
//! A packet that carries something else, or is a fragment, is left at once by [`read`];
//! [`read_any`] takes it apart as far as the same headers go.
//!
//! Only etherparse's header slices are used: its packet slices refuse what a snap length cut or
//! what segmentation offload left without a length, and their lax forms cost ten times as much.
//! The length of the segment comes from the IP header. The captured length may be shorter (snap
//! length) or longer (Ethernet padding) and says nothing about it.

use etherparse::err::{ipv4, ipv6};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use crate::limits::EXTENSION_HEADERS_MAX;

use super::rest::Rest;
use super::skip::Skip;

/// Protocol numbers, which are IPv6's next-header values too.
pub(crate) mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const GRE: u8 = 47;
    pub const AUTHENTICATION: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION_OPTIONS: u8 = 60;
    pub const MOBILITY: u8 = 135;
}

/// Which part of a fragmented packet a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The packet's identification.
    pub id: u32,
    /// Bytes of the packet's payload before this part.
    pub offset: u32,
    /// Whether another part follows.
    pub more: bool,
}

/// An IP packet and what it carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct IpPacket<'a> {
    /// 4 or 6.
    pub version: u8,
    /// Source address. A number, because arrays are passed through memory, which costs as much as
    /// reading the header.
    pub source: u128,
    /// Destination address.
    pub destination: u128,
    /// IPv4 identification; zero on IPv6.
    pub id: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// What the payload is; of a fragment's payload, what the whole packet's begins with.
    pub protocol: u8,
    /// If it is a fragment, which.
    pub part: Option<Part>,
    /// What follows the IP headers: a TCP segment, unless any packet was asked for.
    pub payload: Rest<'a>,
}

/// Reads the IP headers in front of a TCP segment.
#[inline(always)]
pub(super) fn read(packet: Rest<'_>) -> Result<IpPacket<'_>, Skip> {
    read_as::<false>(packet)
}

/// Reads the IP headers of any packet.
#[cold]
pub(super) fn read_any(packet: Rest<'_>) -> Result<IpPacket<'_>, Skip> {
    read_as::<true>(packet)
}

/// The version field decides, not the EtherType in front.
#[inline(always)]
fn read_as<const ANY: bool>(packet: Rest<'_>) -> Result<IpPacket<'_>, Skip> {
    let [first] = *packet.peek::<1>()?;
    match first >> 4 {
        4 => read_v4::<ANY>(packet),
        6 => read_v6::<ANY>(packet),
        _ => Err(Skip::Malformed),
    }
}

#[inline(always)]
fn read_v4<const ANY: bool>(packet: Rest<'_>) -> Result<IpPacket<'_>, Skip> {
    let header = Ipv4HeaderSlice::from_slice(packet.data).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(len) => packet.lacks(len.required_len),
        ipv4::HeaderSliceError::Content(_) => Skip::Malformed,
    })?;
    // A host's own capture of a segment above 64 KiB, made for segmentation offload, has a total
    // length of zero: then the packet ends where the frame ends.
    let mut payload = match header.total_len() {
        0 => packet,
        total => packet.with_len(u32::from(total)),
    };
    payload.drop_front(header.slice().len())?;

    let protocol = header.protocol().0;
    if !ANY && !leads_to_tcp(protocol) {
        return Err(Skip::NotTcp);
    }
    let mut carried = Carried { protocol, part: None, payload };
    if !header.is_fragmenting_payload() {
        carried = after_extensions::<ANY>(protocol, payload)?;
    } else if !ANY {
        return Err(Skip::Fragment);
    } else {
        carried.part = Some(Part {
            id: header.identification().into(),
            offset: u32::from(header.fragments_offset().value()) * 8,
            more: header.more_fragments(),
        });
    }
    let Carried { protocol, part, payload } = carried;
    Ok(IpPacket {
        version: 4,
        source: u32::from_be_bytes(header.source()).into(),
        destination: u32::from_be_bytes(header.destination()).into(),
        id: header.identification(),
        ttl: header.ttl(),
        protocol,
        part,
        payload,
    })
}

#[inline(always)]
fn read_v6<const ANY: bool>(packet: Rest<'_>) -> Result<IpPacket<'_>, Skip> {
    let header = Ipv6HeaderSlice::from_slice(packet.data).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(len) => packet.lacks(len.required_len),
        ipv6::HeaderSliceError::Content(_) => Skip::Malformed,
    })?;
    let mut payload = packet;
    payload.drop_front(header.slice().len())?;
    let next = header.next_header().0;
    payload = match header.payload_length() {
        0 => jumbo_length(next, payload).map_or(payload, |len| payload.with_len(len)),
        len => payload.with_len(u32::from(len)),
    };
    let Carried { protocol, part, payload } = after_extensions::<ANY>(next, payload)?;
    Ok(IpPacket {
        version: 6,
        source: u128::from_be_bytes(header.source()),
        destination: u128::from_be_bytes(header.destination()),
        id: 0,
        ttl: header.hop_limit(),
        protocol,
        part,
        payload,
    })
}

/// Whether TCP may follow after the protocol: TCP itself, or a header that can stand before it.
#[inline(always)]
fn leads_to_tcp(protocol: u8) -> bool {
    matches!(
        protocol,
        protocol::TCP
            | protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION_OPTIONS
            | protocol::MOBILITY
    )
}

/// What stands behind all extension headers.
pub(super) struct Carried<'a> {
    pub protocol: u8,
    pub part: Option<Part>,
    pub payload: Rest<'a>,
}

/// Takes extension headers off (RFC 8200 section 4) until TCP remains, or, if any packet will do,
/// until there is none or a fragment begins. Most have none.
#[inline(always)]
pub(super) fn after_extensions<const ANY: bool>(
    next: u8,
    payload: Rest<'_>,
) -> Result<Carried<'_>, Skip> {
    match next {
        protocol::TCP => Ok(Carried { protocol: next, part: None, payload }),
        extension => after_some_extensions::<ANY>(extension, payload),
    }
}

#[inline(never)]
fn after_some_extensions<const ANY: bool>(
    mut next: u8,
    mut payload: Rest<'_>,
) -> Result<Carried<'_>, Skip> {
    for _ in 0..=EXTENSION_HEADERS_MAX {
        let size = match next {
            protocol::TCP => return Ok(Carried { protocol: next, part: None, payload }),
            protocol::FRAGMENT => {
                let part;
                (next, part) = fragment(&mut payload)?;
                match part {
                    None => continue,
                    Some(_) if ANY => return Ok(Carried { protocol: next, part, payload }),
                    Some(_) if leads_to_tcp(next) => return Err(Skip::Fragment),
                    Some(_) => return Err(Skip::NotTcp),
                }
            }
            other if !leads_to_tcp(other) => {
                let carried = Carried { protocol: other, part: None, payload };
                return if ANY { Ok(carried) } else { Err(Skip::NotTcp) };
            }
            _ => extension_size(next, payload.peek()?),
        };
        [next] = *payload.peek()?;
        payload.drop_front(size)?;
    }
    Err(Skip::TooManyHeaders)
}

/// How long an extension header says it is. The authentication header counts in units of four
/// bytes (RFC 4302 section 2.2), all others in units of eight without the first.
pub(crate) fn extension_size(protocol: u8, &[_, units]: &[u8; 2]) -> usize {
    match protocol {
        protocol::AUTHENTICATION => (usize::from(units) + 2) * 4,
        _ => (usize::from(units) + 1) * 8,
    }
}

/// Takes a fragment header and gives the protocol after it, and which part of a packet the payload
/// is, unless it is the whole (RFC 6946).
fn fragment(payload: &mut Rest<'_>) -> Result<(u8, Option<Part>), Skip> {
    let [next, _, high, low, id @ ..] = *payload.take::<8>()?;
    let field = u16::from_be_bytes([high, low]);
    let part = Part {
        id: u32::from_be_bytes(id),
        offset: u32::from(field & 0xfff8),
        more: field & 1 != 0,
    };
    Ok((next, Some(part).filter(|part| part.offset > 0 || part.more)))
}

/// The length in a hop-by-hop header's jumbo payload option (RFC 2675 section 2). Without one, a
/// payload length of zero means what a total length of zero means in IPv4.
fn jumbo_length(next: u8, payload: Rest<'_>) -> Option<u32> {
    const PAD1: u8 = 0;
    const JUMBO_PAYLOAD: u8 = 0xc2;
    if next != protocol::HOP_BY_HOP {
        return None;
    }
    let size = extension_size(next, payload.peek().ok()?);
    let mut options = payload.data.get(2..size)?;
    loop {
        options = match options {
            [PAD1, rest @ ..] => rest,
            [JUMBO_PAYLOAD, 4, a, b, c, d, ..] => {
                return Some(u32::from_be_bytes([*a, *b, *c, *d]));
            }
            [_, len, rest @ ..] => rest.get(usize::from(*len)..)?,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::packets::{ipv4, ipv4_with, ipv6};
    use super::*;

    const SEGMENT: [u8; 20] = [9; 20];

    fn read_whole(bytes: &[u8]) -> Result<IpPacket<'_>, Skip> {
        read(Rest::new(bytes, bytes.len() as u32))
    }

    /// The packet holds the segment and nothing else.
    fn check(bytes: &[u8]) {
        assert_eq!(read_whole(bytes).unwrap().payload.data, SEGMENT);
    }

    fn refused(bytes: &[u8]) -> Skip {
        read_whole(bytes).unwrap_err()
    }

    #[test]
    fn ipv4_gives_its_fields() {
        let packet = ipv4(6, &SEGMENT);
        let ip = read_whole(&packet).unwrap();
        assert_eq!((ip.version, ip.id, ip.ttl), (4, 0x1234, 64));
        assert_eq!((ip.source, ip.destination), (0x0a00_0002, 0x0a00_0001));
    }

    #[test]
    fn ipv4_options_are_stepped_over() {
        check(&ipv4_with(&[0x94, 4, 0, 0], 6, &SEGMENT));
    }

    #[test]
    fn padding_is_trimmed() {
        check(&[ipv4(6, &SEGMENT), vec![0; 6]].concat());
        check(&[ipv6(6, &SEGMENT), vec![0; 6]].concat());
    }

    #[test]
    fn a_length_of_zero_is_taken_from_the_frame() {
        for mut packet in [ipv4(6, &SEGMENT), ipv6(6, &SEGMENT)] {
            let len_at = if packet[0] == 0x45 { 2 } else { 4 };
            packet[len_at..len_at + 2].fill(0);
            let ip = read(Rest::new(&packet, 178_000)).unwrap();
            let header_len = packet.len() - SEGMENT.len();
            assert_eq!(ip.payload.len as usize, 178_000 - header_len);
        }
    }

    #[test]
    fn a_jumbo_payload_option_gives_the_length() {
        let jumbo = [0xc2, 4, 0, 1, 0, 8];
        let alone = [&[6, 0][..], &jumbo].concat();
        let after_padding = [&[6, 1, 0, 1, 1, 0][..], &jumbo, &[1, 2, 0, 0]].concat();
        for hop_by_hop in [alone, after_padding] {
            let mut packet = ipv6(0, &[&hop_by_hop, &SEGMENT[..]].concat());
            packet[4..6].fill(0);
            let ip = read(Rest::new(&packet, 70_000)).unwrap();
            assert_eq!(ip.payload.len as usize, 0x10008 - hop_by_hop.len());
        }
    }

    #[test]
    fn extension_headers_are_stepped_over() {
        let chain: [&[u8]; 6] = [
            &[43, 0, 5, 2, 0, 0, 0, 0],
            &[60, 0, 4, 0, 0, 0, 0, 0],
            &[44, 1, 1, 4, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0],
            &[51, 0, 0, 0, 0, 0, 0, 7],
            &[6, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0],
            &SEGMENT,
        ];
        check(&ipv6(0, &chain.concat()));
        check(&ipv4(51, &chain[4..].concat()));
    }

    #[test]
    fn fragments_are_refused_and_counted_as_what_they_carry() {
        for flags_and_offset in [0x2000_u16, 1] {
            let mut packet = ipv4(6, &SEGMENT);
            packet[6..8].copy_from_slice(&flags_and_offset.to_be_bytes());
            assert_eq!(refused(&packet), Skip::Fragment);
            packet[9] = 17;
            assert_eq!(refused(&packet), Skip::NotTcp);
        }
        for offset_and_more in [1, 8] {
            let header = |next| [next, 0, 0, offset_and_more, 0, 0, 0, 7];
            assert_eq!(refused(&ipv6(44, &header(6))), Skip::Fragment);
            assert_eq!(refused(&ipv6(44, &header(17))), Skip::NotTcp);
        }
    }

    #[test]
    fn an_endless_chain_of_extension_headers_is_refused() {
        let chain = |count: usize| {
            let mut headers = [60, 0, 1, 4, 0, 0, 0, 0].repeat(count);
            headers[8 * (count - 1)] = 6;
            ipv6(60, &[headers, SEGMENT.to_vec()].concat())
        };
        check(&chain(EXTENSION_HEADERS_MAX));
        assert_eq!(refused(&chain(EXTENSION_HEADERS_MAX + 1)), Skip::TooManyHeaders);
    }

    #[test]
    fn other_protocols_and_tunnels_are_not_tcp() {
        for protocol in [1, 4, 17, 41, 47, 50, 58, 59] {
            assert_eq!(refused(&ipv4(protocol, &SEGMENT)), Skip::NotTcp);
            assert_eq!(refused(&ipv6(protocol, &SEGMENT)), Skip::NotTcp);
        }
    }

    #[test]
    fn lengths_that_contradict_each_other_are_malformed() {
        assert_eq!(refused(&[0x44; 40]), Skip::Malformed);
        assert_eq!(refused(&[0x50; 40]), Skip::Malformed);
        let mut shorter_than_its_header = ipv4(6, &SEGMENT);
        shorter_than_its_header[3] = 19;
        assert_eq!(refused(&shorter_than_its_header), Skip::Malformed);
        assert_eq!(refused(&ipv6(60, &[6, 9, 0, 0, 0, 0, 0, 0])), Skip::Malformed);
        assert_eq!(refused(&ipv4(6, &SEGMENT)[..12]), Skip::Malformed);
    }
}
