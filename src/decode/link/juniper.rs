//! What Juniper's routers write: a header of their own, extensions, then the interface's link
//! layer, or none.

use super::rare::{in_frame_relay, in_hdlc, in_llc, without};
use super::{after_ethertype, ethertype, in_ethernet, in_ppp};
use crate::capture::LinkType;
use crate::decode::rest::Rest;
use crate::decode::skip::Skip;

/// The IP packet in a captured packet of one of Juniper's link types.
pub(super) fn ip_packet(link: LinkType, mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    const NO_LINK_LAYER: u8 = 0x02;
    const EXTENSIONS: u8 = 0x80;
    let [b'M', b'G', b'C', flags] = *packet.take::<4>()? else {
        return Err(Skip::Malformed);
    };
    if flags & EXTENSIONS != 0 {
        let length = u16::from_be_bytes(*packet.take()?);
        packet.drop_front(length.into())?;
    }
    if flags & NO_LINK_LAYER != 0 {
        // The address family stands there instead.
        return without(4, packet);
    }
    match link {
        LinkType::JUNIPER_ETHER | LinkType::JUNIPER_PPPOE => in_ethernet(packet),
        LinkType::JUNIPER_PPP => in_ppp(packet),
        LinkType::JUNIPER_MLPPP => in_multilink_ppp(packet),
        LinkType::JUNIPER_FRELAY => in_frame_relay(packet),
        LinkType::JUNIPER_CHDLC => in_hdlc(packet),
        LinkType::JUNIPER_ATM1 => in_llc(without(4, packet)?),
        LinkType::JUNIPER_ATM2 => in_llc(without(8, packet)?),
        _ => Err(Skip::UnsupportedLinkType),
    }
}

/// Multilink PPP. In front of it stands the cookie of the card that joined the links, which its
/// first byte names and which may say that no PPP follows; or, on older cards, two bytes that
/// number the bundle; or, on one link of it, nothing.
fn in_multilink_ppp(packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    const PROTOCOL: u8 = 0xf0;
    const MPLS: u8 = 0x20;
    match *packet.data {
        // Link services.
        [0x54, ..] => in_ppp(without(4, packet)?),
        // Adaptive services.
        [0x40 | 0x47, _, _, _, _, protocol, _, _, first, ..] => {
            let packet = without(8, packet)?;
            match (protocol & PROTOCOL, first >> 4) {
                (MPLS, _) => after_ethertype(ethertype::MPLS, packet),
                (_, 4 | 6) => Ok(packet),
                _ => in_ppp(packet),
            }
        }
        [0xff, 0x03, ..] => in_ppp(packet),
        [_, _, high, low, ..] if is_ppp_protocol([high, low]) => in_ppp(without(2, packet)?),
        [_, _, 0xff, 0x03, ..] => in_ppp(without(2, packet)?),
        _ => in_ppp(packet),
    }
}

/// Whether these bytes are a protocol of PPP that leads to IP.
fn is_ppp_protocol(bytes: [u8; 2]) -> bool {
    matches!(u16::from_be_bytes(bytes), 0x0021 | 0x0057 | 0x0281 | 0x0283)
}
