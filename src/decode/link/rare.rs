//! Link types that are met less often, each with its few bytes in front of IP
//! (<https://www.tcpdump.org/linktypes.html>).

use super::{after_ethertype, in_ethernet, in_ppp, juniper, linktype, pppoe, snap, wlan};
use crate::decode::rest::Rest;
use crate::decode::skip::Skip;

/// The IP packet in a captured packet of the link type.
#[cold]
pub(super) fn ip_packet(link: u16, mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    match link {
        linktype::PPP_HDLC => match packet.peek::<1>()? {
            [0x0f | 0x8f] => in_hdlc(packet),
            _ => in_ppp(packet),
        },
        linktype::PPP_ETHER => {
            let ethertype = pppoe(&mut packet)?;
            after_ethertype(ethertype, packet)
        }
        // A direction stands in the address's place.
        linktype::PPP_PPPD => in_ppp(without(2, packet)?),
        linktype::PPP_WITH_DIR => in_ppp(without(1, packet)?),
        linktype::C_HDLC => in_hdlc(packet),
        linktype::C_HDLC_WITH_DIR => in_hdlc(without(1, packet)?),
        linktype::FRELAY => in_frame_relay(packet),
        linktype::FRELAY_WITH_DIR => in_frame_relay(without(1, packet)?),
        linktype::FDDI => in_llc(without(13, packet)?),
        linktype::TOKEN_RING => in_token_ring(packet),
        linktype::IP_OVER_FC => in_llc(without(16, packet)?),
        linktype::ATM_RFC1483 => in_llc(packet),
        linktype::SUNATM => in_sunatm(packet),
        linktype::APPLE_IP_OVER_IEEE1394 => {
            let [.., high, low] = *packet.take::<18>()?;
            after_ethertype(u16::from_be_bytes([high, low]), packet)
        }
        linktype::IPOIB => {
            // A global routing header, then the type and two bytes of nothing.
            let [.., high, low, _, _] = *packet.take::<44>()?;
            after_ethertype(u16::from_be_bytes([high, low]), packet)
        }
        linktype::ENC => without(12, packet),
        linktype::IPNET => without(24, packet),
        linktype::PFLOG => {
            let [length] = *packet.peek::<1>()?;
            without(usize::from(length).next_multiple_of(4), packet)
        }
        linktype::NFLOG => in_nflog(packet),
        linktype::NETANALYZER => in_ethernet(without(4, packet)?),
        linktype::PKTAP => nested(pktap(packet)?),
        linktype::PPI => nested(ppi(packet)?),
        linktype::IEEE802_11 => wlan::ip_packet(packet),
        linktype::RADIOTAP => wlan::Frame::in_radiotap(packet)?.ip_packet(),
        linktype::PRISM => wlan::Frame::in_prism(packet)?.ip_packet(),
        linktype::IEEE802_11_AVS => wlan::Frame::in_avs(packet)?.ip_packet(),
        linktype::JUNIPER_MLPPP..=linktype::JUNIPER_ATM1
        | linktype::JUNIPER_MONITOR
        | linktype::JUNIPER_PPPOE
        | linktype::JUNIPER_ETHER..=linktype::JUNIPER_CHDLC => juniper::ip_packet(link, packet),
        _ => Err(Skip::UnsupportedLinkType),
    }
}

/// The IEEE 802.11 frame in a captured packet of the link type, if it has one.
pub(super) fn wlan_frame(link: u16, packet: Rest<'_>) -> Option<wlan::Frame<'_>> {
    match link {
        linktype::IEEE802_11 => Some(wlan::Frame::bare(packet)),
        linktype::RADIOTAP => wlan::Frame::in_radiotap(packet).ok(),
        linktype::PRISM => wlan::Frame::in_prism(packet).ok(),
        linktype::IEEE802_11_AVS => wlan::Frame::in_avs(packet).ok(),
        linktype::PPI => match ppi(packet).ok()? {
            (linktype::IEEE802_11, frame) => Some(wlan::Frame::bare(frame)),
            (linktype::RADIOTAP, frame) => wlan::Frame::in_radiotap(frame).ok(),
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
fn pktap(mut packet: Rest<'_>) -> Result<(u16, Rest<'_>), Skip> {
    let [a, b, c, d, _, _, _, _, link_low, link_high, 0, 0] = *packet.peek::<12>()? else {
        return Err(Skip::UnsupportedLinkType);
    };
    packet.drop_front(u32::from_le_bytes([a, b, c, d]) as usize)?;
    Ok((u16::from_le_bytes([link_low, link_high]), packet))
}

/// The per-packet information header, which says the same.
fn ppi(mut packet: Rest<'_>) -> Result<(u16, Rest<'_>), Skip> {
    let [_, _, low, high, link_low, link_high, 0, 0] = *packet.peek::<8>()? else {
        return Err(Skip::UnsupportedLinkType);
    };
    packet.drop_front(u16::from_le_bytes([low, high]).into())?;
    Ok((u16::from_le_bytes([link_low, link_high]), packet))
}

/// What a header leads to that names a link type, which cannot be another such header.
fn nested((link, packet): (u16, Rest<'_>)) -> Result<Rest<'_>, Skip> {
    match link {
        linktype::PKTAP | linktype::PPI => Err(Skip::TooManyHeaders),
        _ => super::ip_packet(link, packet),
    }
}
