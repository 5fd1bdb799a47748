//! The four-tuple: two addresses with their ports, the same whichever way a segment goes.

use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::addr::{Addr, HostPort};
use crate::capture::text::NAMED;

/// One of the two ends of a connection, by the canonical order of its four-tuple. `A` has the
/// lower address and port; which of them is the client is another question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The end with the lower address and port.
    A,
    /// The end with the higher address and port.
    B,
}

impl End {
    /// Both ends, in order.
    pub const BOTH: [End; 2] = [End::A, End::B];

    /// The other end.
    pub const fn peer(self) -> End {
        match self {
            End::A => End::B,
            End::B => End::A,
        }
    }

    /// What is A's and what is B's, with this end's own in front.
    #[inline(always)]
    pub fn own_first<T>(self, [a, b]: [T; 2]) -> [T; 2] {
        if self == End::A { [a, b] } else { [b, a] }
    }

    /// 0 for `A` and 1 for `B`, to index a pair.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A canonical four-tuple, and the tunnel that it is in. VLAN tags, MPLS labels and PPPoE sessions
/// are not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FourTuple {
    addrs: [[u8; 16]; 2],
    ports: [u16; 2],
    version: u8,
    tunnel: u32,
}

/// In a few numbers, which is quicker than byte by byte.
impl Hash for FourTuple {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [low, high] = self.addrs.map(u128::from_be_bytes);
        let [low_port, high_port] = self.ports;
        let rest = u64::from(self.version) << 32 | u64::from(low_port) << 16 | u64::from(high_port);
        match self.version {
            // All of it fits in one number.
            4 => state.write_u128(low << 96 | high << 64 | u128::from(rest)),
            _ => {
                state.write_u128(low);
                state.write_u128(high);
                state.write_u64(rest);
            }
        }
        if self.tunnel != 0 {
            state.write_u32(self.tunnel);
        }
    }
}

impl FourTuple {
    /// The four-tuple of a segment, and the end that sent it.
    ///
    /// IPv4 addresses stand in the last four bytes; `version` (4 or 6, or [`NAMED`]) keeps them
    /// apart from IPv6.
    #[inline]
    pub fn new(version: u8, src: ([u8; 16], u16), dst: ([u8; 16], u16)) -> (FourTuple, End) {
        // As numbers: arrays compare by a call, and are copied through memory.
        let src = (u128::from_be_bytes(src.0), src.1);
        let dst = (u128::from_be_bytes(dst.0), dst.1);
        let (sender, low, high) = if src <= dst { (End::A, src, dst) } else { (End::B, dst, src) };
        let tuple = FourTuple {
            addrs: [low.0.to_be_bytes(), high.0.to_be_bytes()],
            ports: [low.1, high.1],
            version,
            tunnel: 0,
        };
        (tuple, sender)
    }

    /// The same of two IPv4 addresses.
    #[inline(always)]
    pub(super) fn of_v4(src: (u32, u16), dst: (u32, u16)) -> (FourTuple, End) {
        let order = |(addr, port): (u32, u16)| u64::from(addr) << 16 | u64::from(port);
        let (sender, low, high) =
            if order(src) <= order(dst) { (End::A, src, dst) } else { (End::B, dst, src) };
        let tuple = FourTuple {
            addrs: [low.0, high.0].map(|addr| widen_v4(addr.to_be_bytes())),
            ports: [low.1, high.1],
            version: 4,
            tunnel: 0,
        };
        (tuple, sender)
    }

    /// The same four-tuple in a tunnel; 0 is none.
    pub fn in_tunnel(self, tunnel: u32) -> FourTuple {
        FourTuple { tunnel, ..self }
    }

    /// The number of its tunnel (see [`super::tunnel::Tunnels`]), 0 for none.
    pub fn tunnel(&self) -> u32 {
        self.tunnel
    }

    /// Both addresses, of the lower end first, each in the last bytes.
    pub fn addrs(&self) -> [[u8; 16]; 2] {
        self.addrs
    }

    /// Both ports, of the lower end first.
    #[inline(always)]
    pub fn ports(&self) -> (u16, u16) {
        self.ports.into()
    }

    /// The tuple as bytes, for [`FourTuple::from_bytes`].
    pub fn to_bytes(&self) -> [u8; 41] {
        let mut bytes = [0; 41];
        let [low, high] = self.addrs;
        bytes[..16].copy_from_slice(&low);
        bytes[16..32].copy_from_slice(&high);
        bytes[32..34].copy_from_slice(&self.ports[0].to_be_bytes());
        bytes[34..36].copy_from_slice(&self.ports[1].to_be_bytes());
        bytes[36] = self.version;
        bytes[37..41].copy_from_slice(&self.tunnel.to_be_bytes());
        bytes
    }

    /// The tuple that [`FourTuple::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8; 41]) -> FourTuple {
        let mut addrs = [[0; 16]; 2];
        addrs[0].copy_from_slice(&bytes[..16]);
        addrs[1].copy_from_slice(&bytes[16..32]);
        let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let tunnel = u32::from_be_bytes([bytes[37], bytes[38], bytes[39], bytes[40]]);
        FourTuple { addrs, ports: [port(32), port(34)], version: bytes[36], tunnel }
    }

    /// The tuple with other addresses of the same version. Its ends stay what they are, whichever
    /// of them is now the lower.
    pub fn with_addrs(&self, mut other: impl FnMut(Addr) -> Addr) -> FourTuple {
        let addrs = End::BOTH.map(|end| match other(self.endpoint(end).ip()).ip() {
            IpAddr::V4(addr) if self.version == NAMED => addr.to_ipv6_mapped().octets(),
            IpAddr::V4(addr) => widen_v4(addr.octets()),
            IpAddr::V6(addr) => addr.octets(),
        });
        FourTuple { addrs, ..*self }
    }

    /// The addresses as numbers and the ports, where it is nothing but two of IPv4 each.
    #[inline]
    pub fn plain_v4(&self) -> Option<([u32; 2], [u16; 2])> {
        let [low, high] = self.addrs.map(u128::from_be_bytes);
        let narrow = [u32::try_from(low), u32::try_from(high)];
        match (self.version, narrow) {
            _ if self.tunnel != 0 => None,
            (4, [Ok(low), Ok(high)]) if (low, self.ports[0]) <= (high, self.ports[1]) => {
                Some(([low, high], self.ports))
            }
            _ => None,
        }
    }

    /// Whether it is nothing but these IPv4 addresses and ports, in their order.
    #[inline(always)]
    pub(crate) fn is_v4(&self, addrs: [[u8; 4]; 2], ports: [u16; 2]) -> bool {
        // Numbers one by one: arrays are put together in memory first. Their order is no matter.
        let is = |own, addr| u128::from_ne_bytes(own) == u128::from_ne_bytes(widen_v4(addr));
        let ([low, high], [own_low, own_high]) = (addrs, self.addrs);
        (self.version, self.tunnel, self.ports) == (4, 0, ports)
            && is(own_low, low)
            && is(own_high, high)
    }

    /// Address and port of one end.
    pub fn endpoint(&self, end: End) -> HostPort {
        let bytes = self.addrs[end.index()];
        let addr = match self.version {
            4 => IpAddr::V4(Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15])),
            NAMED => IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical(),
            _ => IpAddr::V6(Ipv6Addr::from(bytes)),
        };
        HostPort::new(addr.into(), self.ports[end.index()])
    }
}

/// An IPv4 address in the form that [`FourTuple::new`] takes.
#[inline]
pub fn widen_v4(addr: [u8; 4]) -> [u8; 16] {
    u128::from(u32::from_be_bytes(addr)).to_be_bytes()
}

impl fmt::Display for FourTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <-> {}", self.endpoint(End::A), self.endpoint(End::B))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_tuple() {
        let client = (widen_v4([10, 9, 0, 2]), 45990);
        let server = (widen_v4([10, 9, 0, 1]), 6800);
        let (out, from_client) = FourTuple::new(4, client, server);
        let (back, from_server) = FourTuple::new(4, server, client);
        assert_eq!(out, back);
        assert_eq!((from_client, from_server), (End::B, End::A));
        assert_eq!(out.endpoint(from_client).to_string(), "10.9.0.2:45990");
        assert_eq!(out.to_string(), "10.9.0.1:6800 <-> 10.9.0.2:45990");
    }

    #[test]
    fn an_endpoint_that_talks_to_itself_is_one_tuple() {
        let here = ([1; 16], 7);
        assert_eq!(FourTuple::new(6, here, here).1, End::A);
    }
}
