//! Other addresses in a packet, and checksums that fit them.
//!
//! Every IP header that can be found is changed, in tunnels and in what ICMP errors quote, and the
//! hardware addresses of Ethernet, of Linux cooked captures and of frames in tunnels. Of other link
//! types, which may also name interfaces, users and programs, only the IP packets remain. Checksums
//! are made anew where all that they cover was captured; where the snap length cut it, they are
//! changed as the addresses were (RFC 1624), so that one that did not fit before does not fit then.
//! What a payload says is left as it is.

use core::net::IpAddr;

use etherparse::checksum::Sum16BitWords;

use crate::capture::{LinkType, Packet};
use crate::decode::headers::protocol::{GRE, ICMP, ICMPV6, ROUTING, TCP, UDP};
use crate::decode::headers::{IpHeader, extension_size, hardware_addresses, ip_headers};
use crate::run::Mask;

/// A masked copy of a packet.
pub(super) struct Masked {
    pub kept: Kept,
    /// What it carries is a part of a tunnel's packet, and all of that is zero.
    pub is_blanked: bool,
}

/// What a masked copy holds of a packet.
pub(super) enum Kept {
    /// All of it.
    Whole,
    /// Nothing before its IP headers, and only these parts: where each begins, what was captured of
    /// it, and its bytes on the wire.
    Bare(Vec<(usize, usize, u32)>),
}

/// Replaces the addresses in a packet's captured bytes.
pub(super) fn replace(
    packet: &Packet<'_>,
    decode_tunnels: bool,
    mask: &mut Mask,
    raw: &mut [u8],
) -> Masked {
    let link = packet.link;
    let headers = ip_headers(packet, decode_tunnels);
    for at in hardware_addresses(packet, &headers) {
        replace_macs(at..at + 6, mask, raw);
    }
    // From inside to outside: what is outside covers what is inside.
    let mut is_blanked = false;
    for header in headers.iter().rev() {
        replace_in(header, mask, raw);
        is_blanked |= is_part_of_tunnel(header);
    }
    match link {
        LinkType::LINUX_SLL => replace_macs(6..12, mask, raw),
        LinkType::LINUX_SLL2 => replace_macs(12..18, mask, raw),
        _ if is_silent(link) => {}
        _ => return Masked { kept: Kept::Bare(outermost(&headers, raw.len())), is_blanked },
    }
    Masked { kept: Kept::Whole, is_blanked }
}

/// Whether it carries a part of a tunnel's packet: where that has addresses cannot be known.
fn is_part_of_tunnel(header: &IpHeader) -> bool {
    header.is_part && !header.is_quoted && header.protocol != TCP
}

/// Whether the link type's header says of hosts no more than Ethernet's addresses.
fn is_silent(link: LinkType) -> bool {
    const SILENT: [LinkType; 7] = [
        LinkType::EN10MB,
        LinkType::RAW,
        LinkType::IPV4,
        LinkType::IPV6,
        LinkType::NULL,
        LinkType::LOOP,
        LinkType::PPP,
    ];
    SILENT.contains(&link)
}

/// The IP packets that are in no other.
fn outermost(headers: &[IpHeader], captured: usize) -> Vec<(usize, usize, u32)> {
    let mut parts: Vec<(usize, usize, u32)> = Vec::new();
    for header in headers {
        let len = (header.payload_at - header.at) as u32 + header.payload_len;
        let end = header.at + len as usize;
        if parts.last().is_none_or(|(at, _, len)| header.at >= at + *len as usize) {
            parts.push((header.at, end.min(captured), len));
        }
    }
    parts
}

fn replace_macs(places: core::ops::Range<usize>, mask: &mut Mask, raw: &mut [u8]) {
    for mac in raw.get_mut(places).unwrap_or_default().chunks_exact_mut(6) {
        mask.mac(mac);
    }
}

fn replace_in(header: &IpHeader, mask: &mut Mask, raw: &mut [u8]) {
    let size = if header.version == 4 { 4 } else { 16 };
    let addrs_at = header.at + if header.version == 4 { 12 } else { 8 };
    let Some(addrs) = raw.get(addrs_at..addrs_at + 2 * size) else { return };
    let before = addrs.to_vec();
    let mut after = Vec::with_capacity(before.len());
    for addr in before.chunks_exact(size) {
        match mask.addr(ip(addr).into()).ip() {
            IpAddr::V4(addr) => after.extend(addr.octets()),
            IpAddr::V6(addr) => after.extend(addr.octets()),
        }
    }
    if let Some(addrs) = raw.get_mut(addrs_at..addrs_at + 2 * size) {
        addrs.copy_from_slice(&after);
    }
    hide_routes(header, raw);
    if header.version == 4 {
        let end =
            raw.get(header.at).map_or(header.at, |first| header.at + usize::from(first & 0x0f) * 4);
        put_sum(raw, header.at..end, header.at + 10, Sum16BitWords::new());
    }
    if is_part_of_tunnel(header) {
        return raw.get_mut(header.payload_at..).unwrap_or_default().fill(0);
    }
    let payload = raw.get(header.payload_at..).unwrap_or_default();
    let Some((field, may_be_none)) = checksum_of(header.protocol, payload) else { return };
    let field = header.payload_at + field;
    let Some(old) = raw.get(field..field + 2).map(|it| [it[0], it[1]]) else { return };
    if header.is_part_behind || (may_be_none && old == [0, 0]) {
        return;
    }
    let end = header.payload_at + header.payload_len as usize;
    let is_whole = !header.is_part && end <= raw.len();
    let is_over_addrs = ![ICMP, GRE].contains(&header.protocol);
    if is_whole {
        let mut pseudo = Sum16BitWords::new();
        if is_over_addrs {
            pseudo = pseudo
                .add_slice(&after)
                .add_2bytes([0, header.protocol])
                .add_4bytes(header.payload_len.to_be_bytes());
        }
        put_sum(raw, header.payload_at..end, field, pseudo);
    } else if is_over_addrs && let Some(place) = raw.get_mut(field..field + 2) {
        let less: Vec<u8> = before.iter().map(|byte| !byte).collect();
        let new = Sum16BitWords::new().add_2bytes(old.map(|byte| !byte)).add_slice(&less);
        place.copy_from_slice(&new.add_slice(&after).ones_complement().to_ne_bytes());
    }
    // UDP's zero says that there is none; the other zero stands for it (RFC 768).
    if header.protocol == UDP
        && let Some(place @ [0, 0]) = raw.get_mut(field..field + 2)
    {
        place.fill(0xff);
    }
}

/// Blanks what may list other addresses: IPv4's options and IPv6's routing headers.
fn hide_routes(header: &IpHeader, raw: &mut [u8]) {
    if header.version == 4 {
        let options = raw.get_mut(header.at + 20..header.payload_at);
        return options.unwrap_or_default().fill(0);
    }
    let mut next = raw.get(header.at + 6).copied().unwrap_or_default();
    let mut at = header.at + 40;
    while at < header.payload_at {
        let Some(start) = raw.get(at..).and_then(|it| it.first_chunk()) else { return };
        let (after, size) = (start[0], extension_size(next, start));
        if next == ROUTING {
            // The checksum is over the last stop's address (RFC 8200 section 8.1), which goes: so
            // the packet has to have come there.
            if let Some(stops_left) = raw.get_mut(at + 3) {
                *stops_left = 0;
            }
            raw.get_mut(at + 8..(at + size).min(header.payload_at)).unwrap_or_default().fill(0);
        }
        (next, at) = (after, at + size);
    }
}

/// Where a protocol has its checksum, and whether it may have none.
fn checksum_of(protocol: u8, payload: &[u8]) -> Option<(usize, bool)> {
    match protocol {
        // RFC 2784 section 2: present if the first bit says so.
        GRE if payload.first().is_some_and(|flags| flags & 0x80 != 0) => Some((4, false)),
        TCP => Some((16, false)),
        UDP => Some((6, true)),
        ICMP | ICMPV6 => Some((2, false)),
        _ => None,
    }
}

fn ip(bytes: &[u8]) -> IpAddr {
    match (<[u8; 4]>::try_from(bytes), <[u8; 16]>::try_from(bytes)) {
        (Ok(v4), _) => IpAddr::from(v4),
        (_, Ok(v6)) => IpAddr::from(v6),
        _ => IpAddr::from([0; 4]),
    }
}

/// Puts the checksum of these bytes, and of what is summed already, into its place among them.
fn put_sum(raw: &mut [u8], over: core::ops::Range<usize>, field: usize, more: Sum16BitWords) {
    if let Some(place) = raw.get_mut(field..field + 2) {
        place.fill(0);
    }
    let Some(bytes) = raw.get(over) else { return };
    let new = more.add_slice(bytes).ones_complement().to_ne_bytes();
    if let Some(place) = raw.get_mut(field..field + 2) {
        place.copy_from_slice(&new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn packet(link: LinkType, data: &[u8]) -> Packet<'_> {
        Packet::new(link, data, data.len() as u32, Timestamp::default(), 1)
    }

    fn fits(sum: Sum16BitWords) -> bool {
        sum.ones_complement() == 0
    }

    fn masked(data: &[u8]) -> Vec<u8> {
        let mut raw = data.to_vec();
        replace(&packet(LinkType::RAW, data), true, &mut Mask::default(), &mut raw);
        raw
    }

    /// An IPv4 header without a checksum, between 10.0.0.1 and 10.0.0.2, and what it carries.
    fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let len = (20 + payload.len()) as u16;
        let [high, low] = len.to_be_bytes();
        let mut packet = vec![0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(payload);
        packet
    }

    const SEGMENT: [u8; 20] = [0, 80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0];
    const MACS: [u8; 12] = [2, 0xa, 0xb, 0xc, 0xd, 1, 2, 0xa, 0xb, 0xc, 0xd, 2];

    #[test]
    fn frames_in_tunnels_get_other_hardware_addresses_and_gre_its_checksum() {
        let tagged = [&MACS[..], &[0x81, 0, 0, 7, 8, 0], &ipv4(TCP, &SEGMENT)].concat();
        let bridged = [&[0x80, 0, 0x65, 0x58, 0, 0, 0, 0][..], &tagged].concat();
        let found = masked(&ipv4(GRE, &bridged));
        assert!(!found.windows(3).any(|bytes| bytes == [0xa, 0xb, 0xc]), "{found:x?}");
        assert_eq!(found[28 + 12..28 + 18], tagged[12..18], "the tag stays");
        assert!(fits(Sum16BitWords::new().add_slice(&found[20..])), "{found:x?}");
    }

    #[test]
    fn tags_between_tags_are_taken_for_no_addresses() {
        let tags = [0x81, 0, 0, 7, 0x89, 0x26, 0, 1, 0, 2, 0x81, 0, 0, 8, 8, 0];
        let frame = [&MACS[..], &tags, &ipv4(TCP, &SEGMENT)].concat();
        let mut raw = frame.clone();
        let of_ethernet = packet(LinkType::EN10MB, &frame);
        let masked = replace(&of_ethernet, false, &mut Mask::default(), &mut raw);
        assert!(matches!(masked.kept, Kept::Whole) && !masked.is_blanked);
        assert_eq!(raw[12..28], tags);
        assert!(raw[..12] != MACS && raw[40..48] != frame[40..48]);
        // A customer's frame behind the backbone's has addresses of its own.
        let backbone = [&MACS[..], &[0x88, 0xe7, 0, 0, 0, 9], &frame].concat();
        let mut raw = backbone.clone();
        let of_ethernet = packet(LinkType::EN10MB, &backbone);
        replace(&of_ethernet, false, &mut Mask::default(), &mut raw);
        assert!(raw[..12] != MACS && raw[18..30] != MACS);
        assert_eq!(raw[30..46], tags);
    }

    #[test]
    fn a_checksum_of_zero_is_no_missing_one() {
        let datagram = |data: [u8; 2]| {
            let header = [0x12, 0xb5, 0xc0, 1, 0, 10, 0xab, 0xcd];
            masked(&ipv4(UDP, &[&header[..], &data].concat()))
        };
        let found = datagram([0, 0]);
        // What brings the sum to zero.
        let found = datagram([found[26], found[27]]);
        assert_eq!(found[26..28], [0xff, 0xff]);
    }

    #[test]
    fn of_wireless_frames_only_the_ip_packet_remains() {
        let ip = ipv4(TCP, &SEGMENT);
        let header = [&[8, 0, 0, 0][..], &MACS, &[2, 0xa, 0xb, 0xc, 0xd, 3, 0, 0]].concat();
        let frame = [&header[..], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ip].concat();
        let mut raw = frame.clone();
        let whole = packet(LinkType(105), &frame);
        let masked = replace(&whole, false, &mut Mask::default(), &mut raw);
        let Kept::Bare(parts) = masked.kept else { panic!("the whole frame") };
        assert_eq!(parts, [(32, frame.len(), ip.len() as u32)]);
    }

    #[test]
    fn routes_and_parts_of_tunnels_are_blanked() {
        let mut packet = vec![0x47, 0, 0, 40, 0, 1, 0x20, 0, 64, 17, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2, 7, 7, 4, 10, 9, 9, 9, 0]);
        packet.extend([0x55; 12]);
        let of_tunnel = self::packet(LinkType::RAW, &packet);
        let mut raw = packet.clone();
        assert!(replace(&of_tunnel, true, &mut Mask::default(), &mut raw).is_blanked);
        let found = masked(&packet);
        assert_eq!(found, raw);
        assert_eq!((&found[12..16], &found[16..20]), (&[192, 0, 2, 1][..], &[192, 0, 2, 2][..]));
        assert!(found[20..].iter().all(|byte| *byte == 0), "{found:?}");
        assert!(fits(Sum16BitWords::new().add_slice(&found[..28])));
    }

    #[test]
    fn behind_a_route_the_checksum_is_over_the_address_that_stays() {
        let route = [&[TCP, 2, 0, 1, 0, 0, 0, 0][..], &[7; 16]].concat();
        let payload = [&route[..], &SEGMENT].concat();
        let mut packet = vec![0x60, 0, 0, 0, 0, payload.len() as u8, 43, 64];
        packet.extend([[1; 16], [2; 16]].concat());
        packet.extend(payload);
        let found = masked(&packet);
        assert_eq!(found[40..48], [TCP, 2, 0, 0, 0, 0, 0, 0], "no stop is left");
        let pseudo = Sum16BitWords::new().add_slice(&found[8..40]).add_2bytes([0, TCP]);
        assert!(fits(pseudo.add_2bytes([0, SEGMENT.len() as u8]).add_slice(&found[64..])));
    }

    #[test]
    fn a_cut_segments_checksum_changes_as_its_addresses_do() {
        let mut whole = vec![0x45, 0, 0, 44, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        whole.extend([0, 80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
        whole.extend([1, 2, 3, 4]);
        let pseudo = Sum16BitWords::new().add_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        put_sum(&mut whole, 20..44, 36, pseudo.add_2bytes([0, 6 + 24]));
        let anew = masked(&whole);
        let cut = Packet { orig_len: 44, ..packet(LinkType::RAW, &whole[..40]) };
        let mut raw = whole[..40].to_vec();
        replace(&cut, false, &mut Mask::default(), &mut raw);
        assert_eq!(raw[36..38], anew[36..38]);
        assert_ne!(raw[36..38], whole[36..38]);
    }
}
