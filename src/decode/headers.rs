//! Where a packet's IP headers stand, for who changes them.

use super::icmp;
use super::ip::{self, IpPacket};
use super::link::{self, Inside};
use super::rest::Rest;
use super::tunnel::{self, Path};
use crate::capture::{LinkType, Packet};
use crate::limits::TUNNEL_DEPTH_MAX;

pub(crate) use super::ip::{extension_size, protocol};

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
pub fn ip_headers(packet: &Packet<'_>, decode_tunnels: bool) -> Vec<IpHeader> {
    let Packet { link, data, orig_len, .. } = *packet;
    let mut found = Vec::new();
    if let Ok(inside) = link::inside(link, Rest::new(data, orig_len)) {
        follow(inside, data, (decode_tunnels, Path::default(), 0), &mut found);
    }
    found
}

/// Where hardware addresses, of six bytes each, stand in front of these IP headers: in the packet's
/// own header, if its link type is Ethernet, and in frames in tunnels and pseudowires.
pub fn hardware_addresses(packet: &Packet<'_>, headers: &[IpHeader]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut outer_end = (packet.link == LinkType::EN10MB).then_some(0);
    for header in headers {
        // What a link header of another kind says is not looked at.
        let mut at = outer_end.unwrap_or(header.at).max(header.at.saturating_sub(HEADERS_MAX));
        while at < header.at {
            let frame = &packet.data[at..];
            if leads_to(header.at - at, frame, link::in_ethernet(Rest::new(frame, 0)).ok()) {
                found.extend([at, at + 6]);
                // Tags may look like another frame's addresses.
                at += link::ethernet_bytes(frame);
                continue;
            }
            let first = match link::in_wlan(Rest::new(frame, 0)) {
                Ok(Inside::Packet(packet)) => Some(packet),
                Ok(Inside::Frames(mut frames)) => frames.next().and_then(Result::ok),
                Err(_) => None,
            };
            if leads_to(header.at - at, frame, first) {
                found.extend([at + 4, at + 10, at + 16]);
                // Between access points there is a fourth.
                if frame.iter().take(2).any(|flags| flags & 3 == 3) {
                    found.push(at + 24);
                }
                at += WLAN_BYTES;
                continue;
            }
            at += 1;
        }
        outer_end = Some(header.payload_at);
    }
    found
}

/// The most bytes in front of an IP header among which others are looked for.
const HEADERS_MAX: usize = 256;
/// The least bytes of an IEEE 802.11 header.
const WLAN_BYTES: usize = 24;

/// Whether the IP packet in the frame stands at that place.
fn leads_to(ip_at: usize, frame: &[u8], packet: Option<Rest<'_>>) -> bool {
    packet.is_some_and(|packet| packet.data.as_ptr().addr() == frame[ip_at..].as_ptr().addr())
}

/// Notes the headers of what is inside; with whether to open tunnels, and those that it is in.
fn follow<'a>(
    inside: Inside<'a>,
    data: &'a [u8],
    (decode_tunnels, mut path, depth): (bool, Path, usize),
    found: &mut Vec<IpHeader>,
) {
    let packet = match inside {
        Inside::Packet(packet) => packet,
        Inside::Frames(frames) => {
            for packet in frames.flatten() {
                follow(Inside::Packet(packet), data, (decode_tunnels, path, depth), found);
            }
            return;
        }
    };
    let Ok(ip) = ip::read_any(packet) else { return };
    found.push(header(&packet, &ip, data, false));
    match ip.protocol {
        _ if ip.part.is_some() => {}
        protocol::ICMP | protocol::ICMPV6 => {
            if let Ok(packet) = icmp::quoted(&ip)
                && let Ok(ip) = ip::read_any(packet)
            {
                found.push(header(&packet, &ip, data, true));
            }
        }
        protocol::TCP => {}
        _ if !decode_tunnels || depth >= TUNNEL_DEPTH_MAX => {}
        _ => {
            if let Ok(inside) = tunnel::open(&ip, &mut path) {
                follow(inside, data, (decode_tunnels, path, depth + 1), found);
            }
        }
    }
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
