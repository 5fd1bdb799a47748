//! GRE (RFC 2784, RFC 2890) and what is sent in it: IP, bridged Ethernet, ERSPAN of all three
//! types, PPP (PPTP, RFC 2637), MikroTik's EoIP, the wireless frames of Aruba's access points.

use super::{Cargo, Ends, Layer, Opened};
use crate::decode::ip::IpPacket;
use crate::decode::rest::Rest;
use crate::decode::skip::Skip;

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGEMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

mod protocol {
    pub const BRIDGED: u16 = 0x6558;
    pub const EOIP: u16 = 0x6400;
    pub const ERSPAN: u16 = 0x88be;
    pub const ERSPAN_3: u16 = 0x22eb;
    pub const PPP: u16 = 0x880b;
}

pub(super) fn open<'a>(ip: &IpPacket<'a>) -> Result<Opened<'a>, Skip> {
    let mut payload = ip.payload;
    let [a, b, c, d] = *payload.take::<4>()?;
    let (flags, protocol) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let ends = Ends::of(ip);
    match (flags & VERSION, protocol) {
        (0, _) if flags & ROUTING != 0 => Err(Skip::NotTcp),
        (0, _) => version_0(flags, protocol, payload),
        (1, protocol::EOIP) => {
            let [_, _, low, high] = *payload.take::<4>()?;
            let layer = Some(Layer::Eoip(u16::from_le_bytes([low, high])));
            Ok(Opened { layer, cargo: Cargo::Ethernet, payload })
        }
        (1, protocol::PPP) if flags & SEQUENCE != 0 => {
            let acknowledgement = if flags & ACKNOWLEDGEMENT != 0 { 4 } else { 0 };
            // Payload length and call id stand where the key does.
            payload.drop_front(8 + acknowledgement)?;
            Ok(Opened { layer: Some(Layer::Ppp(ends)), cargo: Cargo::Ppp, payload })
        }
        _ => Err(Skip::NotTcp),
    }
}

fn version_0(flags: u16, protocol: u16, mut payload: Rest<'_>) -> Result<Opened<'_>, Skip> {
    if flags & CHECKSUM != 0 {
        payload.drop_front(4)?;
    }
    let mut layer = None;
    if flags & KEY != 0 {
        layer = Some(Layer::GreKey(u32::from_be_bytes(*payload.take()?)));
    }
    if flags & SEQUENCE != 0 {
        payload.drop_front(4)?;
    }
    let cargo = match protocol {
        protocol::BRIDGED => Cargo::Ethernet,
        protocol::ERSPAN => {
            // Type I has no header of its own, and no sequence number tells it from type II.
            if flags & SEQUENCE != 0 {
                payload.drop_front(8)?;
            }
            Cargo::Ethernet
        }
        protocol::ERSPAN_3 => erspan_3(&mut payload)?,
        0x8200..=0x8370 | 0x9000 => Cargo::Wlan,
        ethertype => Cargo::Type(ethertype),
    };
    Ok(Opened { layer, cargo, payload })
}

/// Takes an ERSPAN type III header (draft-foschiano-erspan), whose last bit says whether a platform
/// header follows, and whose frame type says what was mirrored.
fn erspan_3(payload: &mut Rest<'_>) -> Result<Cargo, Skip> {
    let [.., high, low] = *payload.take::<12>()?;
    if low & 1 != 0 {
        payload.drop_front(8)?;
    }
    match high >> 2 & 0x1f {
        0 => Ok(Cargo::Ethernet),
        2 => Ok(Cargo::Ip),
        _ => Err(Skip::NotTcp),
    }
}
