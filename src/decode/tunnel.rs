//! Tunnels: which one a packet is in, and the packet in it.
//!
//! What tells connections of equal addresses and ports apart is part of a connection's identity: a
//! GRE key, the network id of VXLAN or GENEVE, the two ends of an IP-in-IP or L2TP tunnel, a GTP-U
//! tunnel. What only says how a packet came (ERSPAN, Teredo, the carriers of VXLAN) is not.

mod gre;
mod names;
mod udp;

pub use names::{Tunnel, Tunnels};

use super::ip::{self, IpPacket, protocol};
use super::link::{self, Inside};
use super::rest::Rest;
use super::skip::Skip;
use crate::limits::TUNNEL_DEPTH_MAX;

/// The part of one tunnel that belongs to the identity of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Layer {
    /// A GRE key (RFC 2890).
    GreKey(u32),
    /// A MikroTik EoIP tunnel's number.
    Eoip(u16),
    /// The two ends of an IP-in-IP tunnel.
    IpInIp(Ends),
    /// The two ends of L2TP or PPTP; session numbers differ by direction.
    Ppp(Ends),
    /// A VXLAN network identifier (RFC 7348).
    Vxlan(u32),
    /// A GENEVE virtual network identifier (RFC 8926).
    Geneve(u32),
    /// The two nodes of a GTP-U tunnel (3GPP TS 29.281).
    Gtp(Ends),
}

/// Two addresses with their IP version, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    pub version: u8,
    pub addrs: [u128; 2],
}

impl Ends {
    fn of(ip: &IpPacket<'_>) -> Ends {
        Ends::new(ip.version, [ip.source, ip.destination])
    }

    pub(super) fn new(version: u8, [one, other]: [u128; 2]) -> Ends {
        Ends { version, addrs: [one.min(other), one.max(other)] }
    }
}

/// The tunnels that a packet is in, from outside to inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Path {
    layers: [Option<Layer>; TUNNEL_DEPTH_MAX],
    /// The innermost GTP-U tunnel's endpoint identifier, and whether its packets come from the
    /// node with the lower address: each direction has its own.
    teid: Option<(u32, bool)>,
}

impl Path {
    /// The path with these layers; of too many only the first.
    pub(super) fn of(layers: impl Iterator<Item = Layer>) -> Path {
        let mut path = Path::default();
        for layer in layers {
            path.push(layer);
        }
        path
    }

    /// The path with another layer inside; false if there is no room for it.
    fn push(&mut self, layer: Layer) -> bool {
        match self.layers.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(layer);
                true
            }
            None => false,
        }
    }

    /// Whether it is no tunnel that counts.
    pub(super) fn is_empty(&self) -> bool {
        self.layers[0].is_none()
    }
}

/// What a tunnel carries.
enum Cargo {
    Ip,
    Ethernet,
    Ppp,
    Wlan,
    /// What the EtherType says.
    Type(u16),
}

/// A tunnel's packet without the tunnel's headers.
struct Opened<'a> {
    layer: Option<Layer>,
    cargo: Cargo,
    payload: Rest<'a>,
}

/// Whether a packet of this protocol may hold a tunnel that is opened.
pub(super) fn is_carrier(protocol: u8) -> bool {
    matches!(protocol, protocol::IPV4 | protocol::IPV6 | protocol::GRE | protocol::UDP)
}

/// Whether a packet is a tunnel's, or one of several inside one another, with a segment in it. Of
/// several packets in one frame the first is looked at.
pub(super) fn holds_segment(ip: &IpPacket<'_>) -> bool {
    let mut path = Path::default();
    let mut carrier = *ip;
    for _ in 0..TUNNEL_DEPTH_MAX {
        let packet = match open(&carrier, &mut path) {
            Ok(Inside::Packet(packet)) => Ok(packet),
            Ok(Inside::Frames(mut frames)) => frames.next().unwrap_or(Err(Skip::NotTcp)),
            Err(why) => Err(why),
        };
        match packet.and_then(ip::read_any) {
            Ok(inner) if inner.part.is_some() => return false,
            Ok(inner) if inner.protocol == protocol::TCP => return true,
            Ok(inner) => carrier = inner,
            Err(_) => return false,
        }
    }
    false
}

/// Takes one tunnel's headers off, and gives the IP packet that is left, or several.
pub(super) fn open<'a>(ip: &IpPacket<'a>, path: &mut Path) -> Result<Inside<'a>, Skip> {
    let opened = match ip.protocol {
        protocol::IPV4 | protocol::IPV6 => {
            let layer = Some(Layer::IpInIp(Ends::of(ip)));
            Opened { layer, cargo: Cargo::Ip, payload: ip.payload }
        }
        protocol::GRE => gre::open(ip)?,
        protocol::UDP => udp::open(ip, path)?,
        _ => return Err(Skip::NotTcp),
    };
    if let Some(layer) = opened.layer
        && !path.push(layer)
    {
        return Err(Skip::TooManyHeaders);
    }
    let packet = match opened.cargo {
        Cargo::Ip => Ok(opened.payload),
        Cargo::Ethernet => link::in_ethernet(opened.payload),
        Cargo::Ppp => link::in_ppp(opened.payload),
        Cargo::Wlan => return link::in_wlan(opened.payload).map_err(counted),
        Cargo::Type(ethertype) => link::after_ethertype(ethertype, opened.payload),
    };
    packet.map(Inside::Packet).map_err(counted)
}

/// A tunnel is no link that could carry something else than IP to be counted by itself.
fn counted(skip: Skip) -> Skip {
    if skip == Skip::NotIp { Skip::NotTcp } else { skip }
}

/// A 24-bit number in network byte order.
fn number24([a, b, c]: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, a, b, c])
}
