//! IEEE 802.11: data frames in clear, and the headers that drivers put in front of them.

use super::rare::in_llc;
use crate::decode::rest::Rest;
use crate::decode::skip::Skip;

/// The IP packet in a data frame. One that is encrypted, or a fragment, gives none; of several
/// frames in one (A-MSDU) the first counts.
pub(super) fn ip_packet(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    data(&mut packet, 0)?;
    in_llc(packet)
}

/// The same behind radiotap, which says whether data begins at a multiple of four.
pub(super) fn in_radiotap(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    let [_, _, low, high, present @ ..] = *packet.peek::<8>()?;
    let header = packet;
    packet.drop_front(u16::from_le_bytes([low, high]).into())?;
    let pad = match radiotap_flags(u32::from_le_bytes(present), header.data) {
        Some(flags) if flags & 0x20 != 0 => 4,
        _ => 0,
    };
    data(&mut packet, pad)?;
    in_llc(packet)
}

/// Radiotap's flags, which stand behind an eight-byte time, if that is there.
fn radiotap_flags(present: u32, header: &[u8]) -> Option<u8> {
    const TIME: u32 = 1;
    const FLAGS: u32 = 1 << 1;
    const MORE: u32 = 1 << 31;
    if present & FLAGS == 0 {
        return None;
    }
    // Each further word of what is present has the same bit for the next.
    let words = header.get(4..)?.as_chunks::<4>().0;
    let more = words.iter().take_while(|word| u32::from_le_bytes(**word) & MORE != 0).count();
    let mut at = 8 + 4 * more;
    if present & TIME != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    header.get(at).copied()
}

/// The same behind a Prism header, or an AVS header under its link type.
pub(super) fn in_prism(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    const AVS: [u8; 3] = [0x80, 0x21, 0x10];
    const PRISM_BYTES: usize = 144;
    if packet.data.starts_with(&AVS) {
        return in_avs(packet);
    }
    packet.drop_front(PRISM_BYTES)?;
    ip_packet(packet)
}

/// The same behind an AVS header, which says its length.
pub(super) fn in_avs(mut packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    let [_, _, _, _, length @ ..] = *packet.peek::<8>()?;
    packet.drop_front(u32::from_be_bytes(length) as usize)?;
    ip_packet(packet)
}

/// Takes the header of a data frame, which is padded to a multiple of `pad` if that is not 0.
fn data(packet: &mut Rest<'_>, pad: usize) -> Result<(), Skip> {
    const DATA: u8 = 2;
    const QOS: u8 = 0x08;
    const NO_DATA: u8 = 0x04;
    const TO_AND_FROM: u8 = 0x03;
    const MORE_FRAGMENTS: u8 = 0x04;
    const PROTECTED: u8 = 0x40;
    const ORDER: u8 = 0x80;
    let [mut control, mut flags, .., mut sequence, high] = *packet.peek::<24>()?;
    if control >> 2 & 3 != DATA && flags >> 2 & 3 == DATA {
        // Cisco's access points swap the bytes in what they send to their controller.
        (control, flags, sequence) = (flags, control, high);
    }
    let (version, kind, subtype) = (control & 3, control >> 2 & 3, control >> 4);
    let is_part = flags & MORE_FRAGMENTS != 0 || sequence & 0x0f != 0;
    if version != 0 || kind != DATA || subtype & NO_DATA != 0 || flags & PROTECTED != 0 || is_part {
        return Err(Skip::NotIp);
    }
    let mut length = 24;
    if flags & TO_AND_FROM == TO_AND_FROM {
        length += 6;
    }
    let mut is_several = false;
    if subtype & QOS != 0 {
        let qos = packet.data.get(length).ok_or_else(|| packet.lacks(length + 1))?;
        is_several = qos & 0x80 != 0;
        length += 2;
        if flags & ORDER != 0 {
            length += 4;
        }
    }
    if pad > 0 {
        length = length.next_multiple_of(pad);
    }
    packet.drop_front(length)?;
    if is_several {
        // Two addresses and a length, as in Ethernet.
        packet.drop_front(14)?;
    }
    Ok(())
}
