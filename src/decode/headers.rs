//! Where a packet's IP headers stand, for who changes them.

use super::ip::{self, IpPacket, protocol};
use super::rest::Rest;
use super::skip::Skip;
use super::tunnel::{self, Path};
use super::{icmp, link};
use crate::limits::TUNNEL_DEPTH_MAX;

/// One IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// Where it begins in the packet.
    pub at: usize,
    /// 4 or 6.
    pub version: u8,
    /// What follows it and its extension headers.
    pub protocol: u8,
    /// Where that begins.
    pub payload_at: usize,
    /// Its length on the wire.
    pub payload_len: u32,
    /// Whether it is not the whole of what was sent: a fragment, or quoted by an ICMP error.
    pub is_part: bool,
    /// Whether an ICMP error quotes it.
    pub is_quoted: bool,
    /// Whether it is a fragment behind the first.
    pub is_part_behind: bool,
}

/// The IP headers of a packet, from outside to inside, as far as they can be followed.
pub fn ip_headers(link: u16, data: &[u8], orig_len: u32, decode_tunnels: bool) -> Vec<IpHeader> {
    let mut found = Vec::new();
    if let Ok(packet) = link::ip_packet(link, Rest::new(data, orig_len)) {
        let _ = follow(packet, data, decode_tunnels, &mut found);
    }
    found
}

fn follow<'a>(
    mut packet: Rest<'a>,
    data: &'a [u8],
    decode_tunnels: bool,
    found: &mut Vec<IpHeader>,
) -> Result<(), Skip> {
    let mut path = Path::default();
    for _ in 0..=TUNNEL_DEPTH_MAX {
        let ip = ip::read_any(packet)?;
        found.push(header(&packet, &ip, data, false));
        if ip.part.is_some() {
            return Ok(());
        }
        if matches!(ip.protocol, protocol::ICMP | protocol::ICMPV6) {
            let packet = icmp::quoted(&ip)?;
            let ip = ip::read_any(packet)?;
            found.push(header(&packet, &ip, data, true));
            return Ok(());
        }
        if !decode_tunnels || ip.protocol == protocol::TCP {
            return Ok(());
        }
        packet = tunnel::open(&ip, &mut path)?;
    }
    Ok(())
}

fn header(packet: &Rest<'_>, ip: &IpPacket<'_>, data: &[u8], is_quoted: bool) -> IpHeader {
    // Both are parts of the packet's bytes.
    let place = |part: &[u8]| part.as_ptr().addr().saturating_sub(data.as_ptr().addr());
    IpHeader {
        at: place(packet.data),
        version: ip.version,
        protocol: ip.protocol,
        payload_at: place(ip.payload.data),
        payload_len: ip.payload.len,
        is_part: is_quoted || ip.part.is_some(),
        is_quoted,
        is_part_behind: ip.part.is_some_and(|part| part.offset > 0),
    }
}
