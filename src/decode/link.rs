//! The link layer: from a captured packet to the IP packet in it.
//!
//! etherparse knows few link types and at most three VLAN tags, so this step is our own. Tags,
//! labels and sessions say by which way a packet came, not between whom, and one leg of a
//! connection often carries a tag that the other lacks: they are taken off and forgotten.

mod juniper;
mod rare;
mod wlan;

use crate::capture::LinkType;
use crate::limits::LINK_HEADERS_MAX;

use super::rest::Rest;
use super::skip::Skip;

/// Bytes of its header, up to and with the EtherType.
const ETHERNET_BYTES: usize = 14;

mod ethertype {
    /// Below this the field is the length of an IEEE 802.3 frame.
    pub const MIN: u16 = 0x0600;
    pub const IPV4: u16 = 0x0800;
    /// A whole Ethernet frame, as in GRE.
    pub const BRIDGED: u16 = 0x6558;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_UPSTREAM: u16 = 0x8848;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const PROVIDER_VLAN: u16 = 0x88a8;
    pub const PROVIDER_BACKBONE: u16 = 0x88e7;
    pub const FABRIC_PATH: u16 = 0x8903;
    pub const VN_TAG: u16 = 0x8926;
    pub const E_TAG: u16 = 0x893f;
    /// Tags of switches older than IEEE 802.1ad.
    pub const OLD_VLAN: u16 = 0x9100;
    pub const OLDER_VLAN: u16 = 0x9200;
}

/// The IP packet in a captured packet of the link type.
#[inline(always)]
pub(super) fn ip_packet(link: LinkType, mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    match link {
        LinkType::EN10MB => {
            let ethertype = ethernet(&mut packet)?;
            after_ethertype(ethertype, packet)
        }
        LinkType::LINUX_SLL => {
            let [.., high, low] = *packet.take::<16>()?;
            after_ethertype(u16::from_be_bytes([high, low]), packet)
        }
        LinkType::LINUX_SLL2 => {
            let [high, low, ..] = *packet.take::<20>()?;
            after_ethertype(u16::from_be_bytes([high, low]), packet)
        }
        LinkType::NULL | LinkType::LOOP => bsd_loopback(packet),
        LinkType::RAW
        | LinkType::DLT_RAW
        | LinkType::OPENBSD_RAW
        | LinkType::IPV4
        | LinkType::IPV6 => Ok(packet),
        LinkType::PPP => in_ppp(packet),
        rare => rare::ip_packet(rare, packet),
    }
}

/// The IP packet in an Ethernet frame.
#[cold]
pub(super) fn in_ethernet(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    let ethertype = ethernet(&mut packet)?;
    after_ethertype(ethertype, packet)
}

/// Bytes of an Ethernet header and of the tags behind it, which hold no addresses.
#[cold]
pub(super) fn ethernet_bytes(frame: &[u8]) -> usize {
    let mut at = ETHERNET_BYTES;
    for _ in 0..=LINK_HEADERS_MAX {
        // The tag's own type stands in front of it.
        let kind = frame.get(at.saturating_sub(2)..).and_then(|it| it.first_chunk());
        at += match kind.map(|kind| u16::from_be_bytes(*kind)) {
            Some(
                ethertype::VLAN
                | ethertype::PROVIDER_VLAN
                | ethertype::OLD_VLAN
                | ethertype::OLDER_VLAN,
            ) => 4,
            Some(ethertype::VN_TAG) => 6,
            Some(ethertype::E_TAG) => 8,
            _ => break,
        };
    }
    at
}

/// The IP packet in a PPP frame, with or without address and control.
#[cold]
pub(super) fn in_ppp(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    if packet.data.starts_with(&[0xff, 0x03]) {
        packet.drop_front(2)?;
    }
    let ethertype = ppp_protocol(&mut packet)?;
    after_ethertype(ethertype, packet)
}

/// What one captured packet holds.
pub(super) enum Inside<'a> {
    /// An IP packet.
    Packet(Rest<'a>),
    /// Several IEEE 802.11 frames.
    Frames(wlan::Frames<'a>),
}

/// The IP packets in a captured packet of the link type.
#[cold]
pub(super) fn inside(link: LinkType, packet: Rest<'_>) -> Result<Inside<'_>, Skip> {
    match rare::wlan_frame(link, packet).and_then(wlan::Frame::frames) {
        Some(frames) => Ok(Inside::Frames(frames)),
        None => ip_packet(link, packet).map(Inside::Packet),
    }
}

/// The IP packets in an IEEE 802.11 frame.
#[cold]
pub(super) fn in_wlan(packet: Rest<'_>) -> Result<Inside<'_>, Skip> {
    inside(LinkType::IEEE802_11, packet)
}

/// Takes an Ethernet header and gives its EtherType.
#[inline(always)]
fn ethernet(packet: &mut Rest<'_>) -> Result<u16, Skip> {
    let [.., high, low] = *packet.take::<14>()?;
    Ok(u16::from_be_bytes([high, low]))
}

/// Takes headers off until an IP packet remains. Most have none.
#[inline(always)]
pub(super) fn after_ethertype(ethertype: u16, packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    match ethertype {
        ethertype::IPV4 | ethertype::IPV6 => Ok(packet),
        tag => after_tags(tag, packet),
    }
}

#[inline(never)]
fn after_tags(mut ethertype: u16, mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    for _ in 0..=LINK_HEADERS_MAX {
        ethertype = match ethertype {
            ethertype::IPV4 | ethertype::IPV6 => return Ok(packet),
            ethertype::VLAN
            | ethertype::PROVIDER_VLAN
            | ethertype::OLD_VLAN
            | ethertype::OLDER_VLAN => {
                let [_, _, high, low] = *packet.take::<4>()?;
                u16::from_be_bytes([high, low])
            }
            ethertype::MPLS | ethertype::MPLS_UPSTREAM => mpls(&mut packet)?,
            ethertype::PPPOE_SESSION => pppoe(&mut packet)?,
            ethertype::PROVIDER_BACKBONE => {
                // A service tag, then the customer's whole frame (IEEE 802.1ah).
                packet.drop_front(4)?;
                ethernet(&mut packet)?
            }
            ethertype::BRIDGED => ethernet(&mut packet)?,
            ethertype::FABRIC_PATH => {
                packet.drop_front(2)?;
                ethernet(&mut packet)?
            }
            ethertype::VN_TAG => {
                let [.., high, low] = *packet.take::<6>()?;
                u16::from_be_bytes([high, low])
            }
            ethertype::E_TAG => {
                let [.., high, low] = *packet.take::<8>()?;
                u16::from_be_bytes([high, low])
            }
            0..ethertype::MIN => snap(&mut packet)?,
            _ => return Err(Skip::NotIp),
        };
    }
    Err(Skip::TooManyHeaders)
}

/// Takes one MPLS label (RFC 3032). Nothing names what follows the last label; by convention the
/// first nibble tells (RFC 4928): an IP version, or zero for the control word of an Ethernet
/// pseudowire (RFC 4385).
fn mpls(packet: &mut Rest<'_>) -> Result<u16, Skip> {
    let [_, _, bottom_of_stack, _] = *packet.take::<4>()?;
    if bottom_of_stack & 1 == 0 {
        return Ok(ethertype::MPLS);
    }
    let [first] = *packet.peek::<1>()?;
    match first >> 4 {
        4 => Ok(ethertype::IPV4),
        6 => Ok(ethertype::IPV6),
        0 => {
            packet.drop_front(4)?;
            ethernet(packet)
        }
        _ => Err(Skip::NotIp),
    }
}

/// Takes a PPPoE session header (RFC 2516 section 4) and the PPP protocol after it.
fn pppoe(packet: &mut Rest<'_>) -> Result<u16, Skip> {
    packet.drop_front(6)?;
    ppp_protocol(packet)
}

/// Takes a PPP protocol field, which is one byte when compressed (RFC 1661 section 6.5), and gives
/// the EtherType for the same.
fn ppp_protocol(packet: &mut Rest<'_>) -> Result<u16, Skip> {
    let [first] = *packet.take::<1>()?;
    let protocol = match first & 1 {
        1 => u16::from(first),
        _ => u16::from_be_bytes([first, packet.take::<1>()?[0]]),
    };
    match protocol {
        0x0021 => Ok(ethertype::IPV4),
        0x0057 => Ok(ethertype::IPV6),
        0x0281 => Ok(ethertype::MPLS),
        0x0283 => Ok(ethertype::MPLS_UPSTREAM),
        _ => Err(Skip::NotIp),
    }
}

/// Takes an LLC and a SNAP header (RFC 1042) and gives the EtherType in it.
fn snap(packet: &mut Rest<'_>) -> Result<u16, Skip> {
    match *packet.take::<8>()? {
        [0xaa, 0xaa, 0x03, 0, 0, 0, high, low] => Ok(u16::from_be_bytes([high, low])),
        // A bridged Ethernet frame, with or without its check sequence, behind two bytes of padding
        // (RFC 2684 section 5.2).
        [0xaa, 0xaa, 0x03, 0, 0x80, 0xc2, 0, 1 | 7] => {
            packet.drop_front(2)?;
            Ok(ethertype::BRIDGED)
        }
        _ => Err(Skip::NotIp),
    }
}

/// Takes the address family in front of a BSD loopback packet. It stands in the byte order of the
/// machine that captured, which nobody noted, and each system has its own number for IPv6: 24 on
/// NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS.
fn bsd_loopback(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    let family = u32::from_le_bytes(*packet.take::<4>()?);
    match family.min(family.swap_bytes()) {
        2 | 24 | 28 | 30 => Ok(packet),
        _ => Err(Skip::NotIp),
    }
}

#[cfg(test)]
mod tests {
    use super::super::packets::{IPV4, IPV6, ethernet, ipv4, ipv6};
    use super::{LINK_HEADERS_MAX, LinkType, Rest, Skip, ip_packet};

    /// The link step gives the IP packet and what is left of an original length 100 greater.
    fn check(link: u32, header: &[u8], ip: &[u8]) {
        let bytes = [header, ip].concat();
        let packet =
            ip_packet(LinkType(link), Rest::new(&bytes, bytes.len() as u32 + 100)).unwrap();
        assert_eq!((packet.data, packet.len as usize), (ip, ip.len() + 100));
    }

    fn refused(link: u32, bytes: &[u8]) -> Skip {
        ip_packet(LinkType(link), Rest::new(bytes, bytes.len() as u32)).unwrap_err()
    }

    #[test]
    fn ethernet_carries_both_versions() {
        check(1, &ethernet(IPV4, &[]), &ipv4(6, b"hello"));
        check(1, &ethernet(IPV6, &[]), &ipv6(6, b"hello"));
        assert_eq!(refused(1, &ethernet(0x0806, &[0; 28])), Skip::NotIp);
    }

    #[test]
    fn any_stack_of_vlan_tags_is_opened() {
        let tags = [0, 1, 0x91, 0, 0, 2, 0x92, 0, 0, 3, 0x81, 0, 0, 4, 0x08, 0];
        check(1, &ethernet(0x88a8, &tags), &ipv4(6, &[]));
    }

    #[test]
    fn too_many_link_headers_are_refused() {
        let tags = |count: usize| [[0, 1, 0x81, 0]].repeat(count - 1).concat();
        let full = [tags(LINK_HEADERS_MAX), vec![0, 1, 8, 0]].concat();
        check(1, &ethernet(0x8100, &full), &ipv4(6, &[]));
        let over = [tags(LINK_HEADERS_MAX + 1), vec![0, 1, 8, 0], ipv4(6, &[])].concat();
        assert_eq!(refused(1, &ethernet(0x8100, &over)), Skip::TooManyHeaders);
    }

    #[test]
    fn mpls_labels_lead_to_ip_by_its_first_nibble() {
        check(1, &ethernet(0x8847, &[0, 1, 0, 64, 0, 2, 1, 64]), &ipv4(6, &[]));
        check(1, &ethernet(0x8848, &[0, 1, 1, 64]), &ipv6(6, &[]));
        assert_eq!(refused(1, &ethernet(0x8847, &[0, 1, 1, 64, 0x10])), Skip::NotIp);
    }

    #[test]
    fn an_ethernet_pseudowire_is_opened_behind_its_control_word() {
        let inner = ethernet(0x8100, &[0, 9, 0x86, 0xdd]);
        let headers = [&[0, 1, 1, 64, 0, 0, 0, 7][..], &inner].concat();
        check(1, &ethernet(0x8847, &headers), &ipv6(6, &[]));
    }

    #[test]
    fn a_customer_frame_is_opened_behind_its_backbone_tag() {
        let inner = ethernet(0x8100, &[0, 9, 8, 0]);
        let headers = [&[0, 0, 0, 7][..], &inner].concat();
        check(1, &ethernet(0x88e7, &headers), &ipv4(6, &[]));
    }

    #[test]
    fn pppoe_sessions_are_opened_and_discovery_is_not_ip() {
        let session = [0x11, 0, 0, 5, 0, 42];
        let v4 = [&session[..], &[0, 0x21]].concat();
        check(1, &ethernet(0x8864, &v4), &ipv4(6, &[]));
        let v6 = [&session[..], &[0x57]].concat();
        check(1, &ethernet(0x8864, &v6), &ipv6(6, &[]));
        let lcp = [&session[..], &[0xc0, 0x21]].concat();
        assert_eq!(refused(1, &ethernet(0x8864, &lcp)), Skip::NotIp);
        assert_eq!(refused(1, &ethernet(0x8863, &lcp)), Skip::NotIp);
    }

    #[test]
    fn a_length_field_leads_through_llc_and_snap() {
        let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
        check(1, &ethernet(40, &snap), &ipv4(6, &[]));
        assert_eq!(refused(1, &ethernet(40, &[0x42; 40])), Skip::NotIp);
    }

    #[test]
    fn linux_cooked_captures_are_opened() {
        let sll = [0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0];
        check(113, &sll, &ipv4(6, &[]));
        let sll2 = [0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        check(276, &sll2, &ipv6(6, &[]));
        let tagged = [&[0x81, 0][..], &sll2[2..], &[0, 5, 8, 0]].concat();
        check(276, &tagged, &ipv4(6, &[]));
    }

    #[test]
    fn bsd_loopback_has_many_numbers_for_ipv6_in_two_byte_orders() {
        for link in [0, 108] {
            for family in [24, 28, 30] {
                check(link, &[family, 0, 0, 0], &ipv6(6, &[]));
                check(link, &[0, 0, 0, family], &ipv6(6, &[]));
            }
            check(link, &[2, 0, 0, 0], &ipv4(6, &[]));
            check(link, &[0, 0, 0, 2], &ipv4(6, &[]));
            assert_eq!(refused(link, &[0, 0, 0, 7, 0x45]), Skip::NotIp);
        }
    }

    #[test]
    fn raw_ip_has_no_header() {
        for link in [12, 14, 101, 228] {
            check(link, &[], &ipv4(6, &[]));
        }
        for link in [12, 14, 101, 229] {
            check(link, &[], &ipv6(6, &[]));
        }
    }

    #[test]
    fn ppp_comes_with_and_without_address_and_control() {
        check(9, &[0xff, 3, 0, 0x21], &ipv4(6, &[]));
        check(9, &[0, 0x57], &ipv6(6, &[]));
        check(9, &[0x21], &ipv4(6, &[]));
    }

    #[test]
    fn other_link_types_are_refused() {
        assert_eq!(refused(195, &ipv4(6, &[])), Skip::UnsupportedLinkType);
    }
}
