//! Where a packet's IP headers stand, for who changes them.

use super::icmp;
use super::ip::{self, IpPacket, protocol};
use super::link::{self, Inside};
use super::rest::Rest;
use super::tunnel::{self, Path};
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
    if let Ok(inside) = link::inside(link, Rest::new(data, orig_len)) {
        follow(inside, data, (decode_tunnels, Path::default(), 0), &mut found);
    }
    found
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
