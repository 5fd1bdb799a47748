//! Link types that are met less often, each with its few bytes in front of IP
//! (<https://www.tcpdump.org/linktypes.html>).

use super::{after_ethertype, in_ethernet, in_ppp, juniper, pppoe, snap, wlan};
use crate::capture::LinkType;
use crate::decode::rest::Rest;
use crate::decode::skip::Skip;

/// The IP packet in a captured packet of the link type.
#[cold]
pub(super) fn ip_packet(link: LinkType, mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    match link {
        LinkType::PPP_SERIAL => match packet.peek::<1>()? {
            [0x0f | 0x8f] => in_hdlc(packet),
            _ => in_ppp(packet),
        },
        LinkType::PPP_ETHER => {
            let ethertype = pppoe(&mut packet)?;
            after_ethertype(ethertype, packet)
        }
        // A direction stands in the address's place.
        LinkType::PPP_PPPD => in_ppp(without(2, packet)?),
        LinkType::PPP_WITH_DIR => in_ppp(without(1, packet)?),
        LinkType::C_HDLC => in_hdlc(packet),
        LinkType::C_HDLC_WITH_DIR => in_hdlc(without(1, packet)?),
        LinkType::FRELAY => in_frame_relay(packet),
        LinkType::FRELAY_WITH_DIR => in_frame_relay(without(1, packet)?),
        LinkType::FDDI => in_llc(without(13, packet)?),
        LinkType::IEEE802 => in_token_ring(packet),
        LinkType::IP_OVER_FC => in_llc(without(16, packet)?),
        LinkType::ATM_RFC1483 => in_llc(packet),
        LinkType::SUNATM => in_sunatm(packet),
        LinkType::APPLE_IP_OVER_IEEE1394 => {
            let [.., high, low] = *packet.take::<18>()?;
            after_ethertype(u16::from_be_bytes([high, low]), packet)
        }
        LinkType::IPOIB => {
            // A global routing header, then the type and two bytes of nothing.
            let [.., high, low, _, _] = *packet.take::<44>()?;
            after_ethertype(u16::from_be_bytes([high, low]), packet)
        }
        LinkType::ENC => without(12, packet),
        LinkType::IPNET => without(24, packet),
        LinkType::PFLOG => {
            let [length] = *packet.peek::<1>()?;
            without(usize::from(length).next_multiple_of(4), packet)
        }
        LinkType::NFLOG => in_nflog(packet),
        LinkType::NETANALYZER => in_ethernet(without(4, packet)?),
        LinkType::PKTAP => nested(pktap(packet)?),
        LinkType::PPI => nested(ppi(packet)?),
        LinkType::IEEE802_11 => wlan::ip_packet(packet),
        LinkType::IEEE802_11_RADIO => wlan::Frame::in_radiotap(packet)?.ip_packet(),
        LinkType::PRISM_HEADER => wlan::Frame::in_prism(packet)?.ip_packet(),
        LinkType::IEEE802_11_RADIO_AVS => wlan::Frame::in_avs(packet)?.ip_packet(),
        LinkType::JUNIPER_MLPPP
        | LinkType::JUNIPER_MLFR
        | LinkType::JUNIPER_ES
        | LinkType::JUNIPER_GGSN
        | LinkType::JUNIPER_MFR
        | LinkType::JUNIPER_ATM2
        | LinkType::JUNIPER_SERVICES
        | LinkType::JUNIPER_ATM1
        | LinkType::JUNIPER_MONITOR
        | LinkType::JUNIPER_PPPOE
        | LinkType::JUNIPER_ETHER
        | LinkType::JUNIPER_PPP
        | LinkType::JUNIPER_FRELAY
        | LinkType::JUNIPER_CHDLC => juniper::ip_packet(link, packet),
        _ => Err(Skip::UnsupportedLinkType),
    }
}

/// The IEEE 802.11 frame in a captured packet of the link type, if it has one.
pub(super) fn wlan_frame(link: LinkType, packet: Rest<'_>) -> Option<wlan::Frame<'_>> {
    match link {
        LinkType::IEEE802_11 => Some(wlan::Frame::bare(packet)),
        LinkType::IEEE802_11_RADIO => wlan::Frame::in_radiotap(packet).ok(),
        LinkType::PRISM_HEADER => wlan::Frame::in_prism(packet).ok(),
        LinkType::IEEE802_11_RADIO_AVS => wlan::Frame::in_avs(packet).ok(),
        LinkType::PPI => match ppi(packet).ok()? {
            (LinkType::IEEE802_11, frame) => Some(wlan::Frame::bare(frame)),
            (LinkType::IEEE802_11_RADIO, frame) => wlan::Frame::in_radiotap(frame).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The packet behind so many bytes.
pub(super) fn without(count: usize, mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    packet.drop_front(count)?;
    Ok(packet)
}

/// LLC and SNAP, then the packet.
pub(super) fn in_llc(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    let ethertype = snap(&mut packet)?;
    after_ethertype(ethertype, packet)
}

/// Cisco's HDLC: address, control, EtherType.
pub(super) fn in_hdlc(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    let [_, _, high, low] = *packet.take::<4>()?;
    after_ethertype(u16::from_be_bytes([high, low]), packet)
}

/// Frame relay: an address of two to four bytes, then a network layer protocol identifier
/// (RFC 2427), or an EtherType in Cisco's own form.
pub(super) fn in_frame_relay(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    const IPV4: u8 = 0xcc;
    const IPV6: u8 = 0x8e;
    const SNAP: u8 = 0x80;
    let mut is_last = false;
    for _ in 0..4 {
        let [byte] = *packet.take::<1>()?;
        is_last = byte & 1 != 0;
        if is_last {
            break;
        }
    }
    if !is_last {
        return Err(Skip::Malformed);
    }
    let [control, ..] = *packet.peek::<2>()?;
    if control != 3 {
        let ethertype = u16::from_be_bytes(*packet.take()?);
        return after_ethertype(ethertype, packet);
    }
    packet.drop_front(1)?;
    if packet.data.starts_with(&[0]) {
        packet.drop_front(1)?;
    }
    match packet.take::<1>()? {
        [IPV4 | IPV6] => Ok(packet),
        [SNAP] => match *packet.take::<5>()? {
            [0, 0, 0, high, low] => after_ethertype(u16::from_be_bytes([high, low]), packet),
            // Bridged Ethernet without its check sequence.
            [0, 0x80, 0xc2, 0, 7] => in_ethernet(packet),
            _ => Err(Skip::NotIp),
        },
        _ => Err(Skip::NotIp),
    }
}

/// Token ring: a routing field follows where the source address's first bit says so.
fn in_token_ring(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    let [.., source, _, _, _, _, _] = *packet.take::<14>()?;
    if source & 0x80 != 0 {
        let [length, _] = *packet.peek::<2>()?;
        packet.drop_front(usize::from(length & 0x1f))?;
    }
    in_llc(packet)
}

/// ATM as Solaris captures it, of which LLC is read.
fn in_sunatm(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    const LLC: u8 = 2;
    match packet.take::<4>()? {
        [kind, ..] if kind & 0x0f == LLC => in_llc(packet),
        _ => Err(Skip::NotIp),
    }
}

/// Linux's netfilter log: attributes in the byte order of the host, one of which is the packet.
fn in_nflog(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    const PAYLOAD: u16 = 9;
    packet.drop_front(4)?;
    loop {
        let [a, b, c, d] = *packet.peek::<4>()?;
        let (mut length, mut kind) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        // Kinds are small, so the byte order shows.
        if kind & 0xff == 0 && kind != 0 {
            (length, kind) = (length.swap_bytes(), kind.swap_bytes());
        }
        let length = usize::from(length);
        if length < 4 {
            return Err(Skip::Malformed);
        }
        if kind & 0x7fff == PAYLOAD {
            return without(4, packet.with_len(length as u32));
        }
        packet.drop_front(length.next_multiple_of(4))?;
    }
}

/// Apple's packet tap: a header that says its own length and the link type behind it.
fn pktap(mut packet: Rest<'_>) -> Result<(LinkType, Rest<'_>), Skip> {
    let [a, b, c, d, _, _, _, _, link_low, link_high, 0, 0] = *packet.peek::<12>()? else {
        return Err(Skip::UnsupportedLinkType);
    };
    packet.drop_front(u32::from_le_bytes([a, b, c, d]) as usize)?;
    Ok((LinkType(u16::from_le_bytes([link_low, link_high]).into()), packet))
}

/// The per-packet information header, which says the same.
fn ppi(mut packet: Rest<'_>) -> Result<(LinkType, Rest<'_>), Skip> {
    let [_, _, low, high, link_low, link_high, 0, 0] = *packet.peek::<8>()? else {
        return Err(Skip::UnsupportedLinkType);
    };
    packet.drop_front(u16::from_le_bytes([low, high]).into())?;
    Ok((LinkType(u16::from_le_bytes([link_low, link_high]).into()), packet))
}

/// What a header leads to that names a link type, which cannot be another such header.
fn nested((link, packet): (LinkType, Rest<'_>)) -> Result<Rest<'_>, Skip> {
    match link {
        LinkType::PKTAP | LinkType::PPI => Err(Skip::TooManyHeaders),
        _ => super::ip_packet(link, packet),
    }
}
