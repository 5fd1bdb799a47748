//! What Juniper's routers write: a header of their own, extensions, then the interface's link
//! layer, or none.

use super::rare::{in_frame_relay, in_hdlc, in_llc, without};
use super::{in_ethernet, in_ppp, linktype};
use crate::decode::rest::Rest;
use crate::decode::skip::Skip;

/// The IP packet in a captured packet of one of Juniper's link types.
pub(super) fn ip_packet(link: u16, mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
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
        linktype::JUNIPER_ETHER | linktype::JUNIPER_PPPOE => in_ethernet(packet),
        linktype::JUNIPER_PPP => in_ppp(packet),
        linktype::JUNIPER_FRELAY => in_frame_relay(packet),
        linktype::JUNIPER_CHDLC => in_hdlc(packet),
        linktype::JUNIPER_ATM1 => in_llc(without(4, packet)?),
        linktype::JUNIPER_ATM2 => in_llc(without(8, packet)?),
        _ => Err(Skip::UnsupportedLinkType),
    }
}
