//! IEEE 802.11: data frames in clear, and the headers that drivers put in front of them.

use super::rare::in_llc;
use crate::decode::rest::Rest;
use crate::decode::skip::Skip;

/// The IP packet in a data frame. One that is encrypted, or a fragment, gives none; of several
/// frames in one (A-MSDU) there is more than one, which [`Frames`] has.
pub(super) fn ip_packet(packet: Rest<'_>) -> Result<Rest<'_>, Skip> {
    Frame::bare(packet).ip_packet()
}

/// A captured 802.11 frame.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    packet: Rest<'a>,
    /// Its header is padded to a multiple of this, if it is not 0.
    pad: usize,
}

impl<'a> Frame<'a> {
    /// One without anything in front.
    pub(in crate::decode) fn bare(packet: Rest<'a>) -> Frame<'a> {
        Frame { packet, pad: 0 }
    }

    /// The one behind radiotap, which says whether data begins at a multiple of four.
    pub(super) fn in_radiotap(mut packet: Rest<'a>) -> Result<Frame<'a>, Skip> {
        let [_, _, low, high, present @ ..] = *packet.peek::<8>()?;
        let header = packet;
        packet.drop_front(u16::from_le_bytes([low, high]).into())?;
        let pad = match radiotap_flags(u32::from_le_bytes(present), header.data) {
            Some(flags) if flags & 0x20 != 0 => 4,
            _ => 0,
        };
        Ok(Frame { packet, pad })
    }

    /// The one behind a Prism header, or an AVS header under its link type.
    pub(super) fn in_prism(mut packet: Rest<'a>) -> Result<Frame<'a>, Skip> {
        const AVS: [u8; 3] = [0x80, 0x21, 0x10];
        const PRISM_BYTES: usize = 144;
        if packet.data.starts_with(&AVS) {
            return Frame::in_avs(packet);
        }
        packet.drop_front(PRISM_BYTES)?;
        Ok(Frame::bare(packet))
    }

    /// The one behind an AVS header, which says its length.
    pub(super) fn in_avs(mut packet: Rest<'a>) -> Result<Frame<'a>, Skip> {
        let [_, _, _, _, length @ ..] = *packet.peek::<8>()?;
        packet.drop_front(u32::from_be_bytes(length) as usize)?;
        Ok(Frame::bare(packet))
    }

    /// The IP packet in it, if it holds one frame only.
    pub(super) fn ip_packet(self) -> Result<Rest<'a>, Skip> {
        match self.content()? {
            (_, true) => Err(Skip::NotTcp),
            (body, false) => in_llc(body),
        }
    }

    /// The frames in it, if it holds several.
    pub(in crate::decode) fn frames(self) -> Option<Frames<'a>> {
        match self.content() {
            Ok((rest, true)) => Some(Frames { rest }),
            _ => None,
        }
    }

    /// What stands behind the header of a data frame, and whether that is several frames.
    fn content(self) -> Result<(Rest<'a>, bool), Skip> {
        let mut packet = self.packet;
        let is_several = data(&mut packet, self.pad)?;
        Ok((packet, is_several))
    }
}

/// The frames in one (A-MSDU, IEEE 802.11 section 9.3.2.2): each has two addresses and its length
/// in front, as in Ethernet, and begins at a multiple of four bytes. Gives the IP packets in them.
pub(in crate::decode) struct Frames<'a> {
    rest: Rest<'a>,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Rest<'a>, Skip>;

    fn next(&mut self) -> Option<Self::Item> {
        const HEADER_BYTES: u32 = 14;
        let mut body = self.rest;
        let [.., high, low] = *body.take::<14>().ok()?;
        let length = u32::from(u16::from_be_bytes([high, low]));
        let step = (HEADER_BYTES + length).next_multiple_of(4);
        if self.rest.drop_front(step as usize).is_err() {
            self.rest = Rest::new(&[], 0);
        }
        Some(in_llc(body.with_len(length)))
    }
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

/// Takes the header of a data frame, which is padded to a multiple of `pad` if that is not 0. Says
/// whether several frames follow.
fn data(packet: &mut Rest<'_>, pad: usize) -> Result<bool, Skip> {
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
    if version != 0 || kind != DATA || subtype & NO_DATA != 0 || is_part {
        return Err(Skip::NotIp);
    }
    if flags & PROTECTED != 0 {
        return Err(Skip::Encrypted);
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
    Ok(is_several)
}
