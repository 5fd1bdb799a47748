//! Tunnels in UDP, told by their port: VXLAN, GENEVE, GTP-U, Teredo, L2TP, AYIYA,
//! CAPWAP.

use super::{Cargo, Ends, Layer, Opened, Path, number24};
use crate::decode::ip::IpPacket;
use crate::decode::rest::Rest;
use crate::decode::skip::Skip;
use crate::limits::GTP_EXTENSIONS_MAX;

mod port {
    pub const L2TP: u16 = 1701;
    pub const GTP_U: u16 = 2152;
    pub const TEREDO: u16 = 3544;
    pub const VXLAN: u16 = 4789;
    pub const VXLAN_GPE: u16 = 4790;
    pub const AYIYA: u16 = 5072;
    pub const CAPWAP: u16 = 5247;
    pub const GENEVE: u16 = 6081;
    /// VXLAN in Linux before the port was assigned.
    pub const LINUX_VXLAN: u16 = 8472;
}

const ETHERNET: u16 = 0x6558;

pub(super) fn open<'a>(ip: &IpPacket<'a>, path: &mut Path) -> Result<Opened<'a>, Skip> {
    let mut payload = ip.payload;
    let [a, b, c, d, ..] = *payload.take::<8>()?;
    let ports = [u16::from_be_bytes([c, d]), u16::from_be_bytes([a, b])];
    // The destination tells; where it does not, it is an answer.
    let known = ports.iter().find_map(|port| {
        Some(match *port {
            port::VXLAN | port::LINUX_VXLAN | port::VXLAN_GPE => vxlan(*port, payload),
            port::GENEVE => geneve(payload),
            port::GTP_U => gtp(ip, payload, path),
            port::TEREDO => teredo(payload),
            port::L2TP => l2tp(ip, payload),
            port::AYIYA => ayiya(payload),
            port::CAPWAP => capwap(payload),
            _ => return None,
        })
    });
    known.unwrap_or(Err(Skip::NotTcp))
}

/// VXLAN (RFC 7348), and its generic extension, which says what it carries.
fn vxlan(port: u16, mut payload: Rest<'_>) -> Result<Opened<'_>, Skip> {
    const NETWORK: u8 = 0x08;
    const NEXT_PROTOCOL: u8 = 0x04;
    let [flags, _, _, next, a, b, c, _] = *payload.take::<8>()?;
    if flags & NETWORK == 0 {
        return Err(Skip::NotTcp);
    }
    let cargo = match next {
        _ if port != port::VXLAN_GPE || flags & NEXT_PROTOCOL == 0 => Cargo::Ethernet,
        1 | 2 => Cargo::Ip,
        3 => Cargo::Ethernet,
        _ => return Err(Skip::NotTcp),
    };
    Ok(Opened { layer: Some(Layer::Vxlan(number24([a, b, c]))), cargo, payload })
}

/// GENEVE (RFC 8926).
fn geneve(mut payload: Rest<'_>) -> Result<Opened<'_>, Skip> {
    let [first, _, high, low, a, b, c, _] = *payload.take::<8>()?;
    if first >> 6 != 0 {
        return Err(Skip::NotTcp);
    }
    payload.drop_front(usize::from(first & 0x3f) * 4)?;
    let cargo = match u16::from_be_bytes([high, low]) {
        ETHERNET => Cargo::Ethernet,
        ethertype => Cargo::Type(ethertype),
    };
    Ok(Opened { layer: Some(Layer::Geneve(number24([a, b, c]))), cargo, payload })
}

/// A GTP-U packet that carries one of a user's (3GPP TS 29.281 section 5).
fn gtp<'a>(ip: &IpPacket<'_>, mut payload: Rest<'a>, path: &mut Path) -> Result<Opened<'a>, Skip> {
    const G_PDU: u8 = 255;
    const ANY_OPTION: u8 = 0x07;
    const EXTENSION: u8 = 0x04;
    let [flags, kind, _, _, teid @ ..] = *payload.take::<8>()?;
    if flags >> 4 != 3 || kind != G_PDU {
        return Err(Skip::NotTcp);
    }
    let mut next = 0;
    if flags & ANY_OPTION != 0 {
        let [.., extension] = *payload.take::<4>()?;
        next = if flags & EXTENSION != 0 { extension } else { 0 };
    }
    for _ in 0..GTP_EXTENSIONS_MAX {
        if next == 0 {
            break;
        }
        let [words] = *payload.peek::<1>()?;
        let size = usize::from(words) * 4;
        let Some(last) = size.checked_sub(1) else { return Err(Skip::Malformed) };
        next = *payload.data.get(last).ok_or_else(|| payload.lacks(size))?;
        payload.drop_front(size)?;
    }
    if next != 0 {
        return Err(Skip::TooManyHeaders);
    }
    path.teid = Some((u32::from_be_bytes(teid), ip.source <= ip.destination));
    Ok(Opened { layer: Some(Layer::Gtp(Ends::of(ip))), cargo: Cargo::Ip, payload })
}

/// Teredo (RFC 4380 section 5.1.1): IPv6, behind an authentication and an origin at times.
fn teredo(mut payload: Rest<'_>) -> Result<Opened<'_>, Skip> {
    if let [0, 1, client, authentication, ..] = payload.data {
        payload.drop_front(13 + usize::from(*client) + usize::from(*authentication))?;
    }
    if payload.data.starts_with(&[0, 0]) {
        payload.drop_front(8)?;
    }
    match payload.peek::<1>()?[0] >> 4 {
        6 => Ok(Opened { layer: None, cargo: Cargo::Ip, payload }),
        _ => Err(Skip::NotTcp),
    }
}

/// A data message of L2TP version 2 (RFC 2661 section 3.1).
fn l2tp<'a>(ip: &IpPacket<'_>, mut payload: Rest<'a>) -> Result<Opened<'a>, Skip> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    let flags = u16::from_be_bytes(*payload.take()?);
    if flags & CONTROL != 0 || flags & 0x000f != 2 {
        return Err(Skip::NotTcp);
    }
    let length = if flags & LENGTH != 0 { 2 } else { 0 };
    let sequence = if flags & SEQUENCE != 0 { 4 } else { 0 };
    payload.drop_front(length + 4 + sequence)?;
    if flags & OFFSET != 0 {
        let offset = u16::from_be_bytes(*payload.take()?);
        payload.drop_front(offset.into())?;
    }
    Ok(Opened { layer: Some(Layer::Ppp(Ends::of(ip))), cargo: Cargo::Ppp, payload })
}

/// AYIYA (draft-massar-v6ops-ayiya): IPv6 behind an identity and a signature.
fn ayiya(mut payload: Rest<'_>) -> Result<Opened<'_>, Skip> {
    const IPV6: u8 = 41;
    let [identity, signature, operation, next, ..] = *payload.take::<8>()?;
    if operation & 0x0f != 1 || next != IPV6 {
        return Err(Skip::NotTcp);
    }
    payload.drop_front((1 << (identity >> 4)) + usize::from(signature >> 4) * 4)?;
    Ok(Opened { layer: None, cargo: Cargo::Ip, payload })
}

/// A data message of CAPWAP (RFC 5415 section 4.3) that is neither encrypted nor a fragment.
fn capwap(mut payload: Rest<'_>) -> Result<Opened<'_>, Skip> {
    const NATIVE: u8 = 0x01;
    const FRAGMENT: u8 = 0x80;
    const KEEP_ALIVE: u8 = 0x08;
    let [kind, length, binding, flags, ..] = *payload.peek::<8>()?;
    if kind != 0 || flags & (FRAGMENT | KEEP_ALIVE) != 0 {
        return Err(Skip::NotTcp);
    }
    payload.drop_front(usize::from(length >> 3) * 4)?;
    let cargo = if binding & NATIVE != 0 { Cargo::Wlan } else { Cargo::Ethernet };
    Ok(Opened { layer: None, cargo, payload })
}
