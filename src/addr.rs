//! Who an endpoint is: an IP address, or a name that a text printed in place of one, and a port.
//!
//! Everything between a packet and a report wants addresses that are small, `Copy` and ordered. So
//! a name has an address too, from a range that no host can have, the same for the same name in
//! every text; and where it is printed, the name stands in its place, from one table for the whole
//! process that only grows, up to a bound.

use core::fmt;
use core::hash::{BuildHasher, Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::FixedState;
use serde::{Serialize, Serializer};

use crate::limits::{NAME_BYTES_MAX, NAMES_MAX};

/// Ports from here on may have been given out for one connection only: Linux's default range begins
/// here, and most others above. (Registered ports go on to 49,151 by RFC 6335 section 6.)
pub const EPHEMERAL_PORT_MIN: u16 = 32_768;

/// A host: its address, or its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Addr(IpAddr);

/// A host and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    addr: Addr,
    port: u16,
}

/// What an address of the range stands for.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    host: String,
    /// A service that is not known by a number: its port is 0.
    service: Option<String>,
}

static NAMES: RwLock<BTreeMap<Ipv6Addr, Arc<Name>>> = RwLock::new(BTreeMap::new());

/// The front of the range: multicast with reserved flags (RFC 4291), from which nothing is sent.
const FRONT: (u8, u8) = (0xff, 0x7f);

/// Names that may share a hash and are still told apart; more is somebody's doing.
const PROBES_MAX: u128 = 8;

impl Addr {
    /// A host by its name, and a service of it that has no number. None if there is no room for
    /// another name, or it is longer than names are.
    pub fn named(host: &str, service: Option<&str>) -> Option<Addr> {
        let bits = address_of(host, service).to_bits();
        let places = (0..PROBES_MAX).map(|probe| Ipv6Addr::from_bits(bits ^ probe));
        for addr in places {
            let known = NAMES.read().unwrap_or_else(PoisonError::into_inner).get(&addr).cloned();
            match known {
                Some(name) if name.is(host, service) => return Some(Addr(addr.into())),
                Some(_) => {}
                None => return Addr::add(addr, host, service),
            }
        }
        None
    }

    #[cold]
    fn add(addr: Ipv6Addr, host: &str, service: Option<&str>) -> Option<Addr> {
        if host.len() + service.map_or(0, str::len) > NAME_BYTES_MAX {
            return None;
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_MAX {
            return None;
        }
        let name = Name { host: host.to_owned(), service: service.map(str::to_owned) };
        // Another thread may have been faster, nearly always with the same name.
        let kept = names.entry(addr).or_insert_with(|| Arc::new(name));
        kept.is(host, service).then_some(Addr(addr.into()))
    }

    /// The address, or what stands for the name.
    pub const fn ip(self) -> IpAddr {
        self.0
    }

    /// Whether it is an address, and not a name.
    pub fn is_numeric(self) -> bool {
        self.name().is_none()
    }

    /// Whether it is an IPv6 address. A name may stand for either kind.
    pub fn is_ipv6(self) -> bool {
        self.0.is_ipv6() && self.is_numeric()
    }

    /// The service that is printed for port 0.
    pub fn service(self) -> Option<String> {
        self.name()?.service.clone()
    }

    fn name(self) -> Option<Arc<Name>> {
        let IpAddr::V6(addr) = self.0 else { return None };
        if !addr.octets().starts_with(&[FRONT.0, FRONT.1]) {
            return None;
        }
        NAMES.read().unwrap_or_else(PoisonError::into_inner).get(&addr).cloned()
    }
}

/// As one number: tables are asked for hosts for each connection.
impl Hash for Addr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let bits = match self.0 {
            IpAddr::V4(addr) => addr.to_bits().into(),
            IpAddr::V6(addr) => addr.to_bits(),
        };
        state.write_u128(bits);
    }
}

impl Name {
    fn is(&self, host: &str, service: Option<&str>) -> bool {
        self.host == host && self.service.as_deref() == service
    }
}

fn address_of(host: &str, service: Option<&str>) -> Ipv6Addr {
    let [high, low] = [1, 2].map(|seed| FixedState::with_seed(seed).hash_one((host, service)));
    let mut bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
    let [first, second, ..] = &mut bytes;
    (*first, *second) = FRONT;
    Ipv6Addr::from(bytes)
}

impl From<IpAddr> for Addr {
    fn from(addr: IpAddr) -> Addr {
        Addr(addr)
    }
}

impl From<[u8; 4]> for Addr {
    fn from(addr: [u8; 4]) -> Addr {
        Addr(Ipv4Addr::from(addr).into())
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(&name.host),
            None => self.0.fmt(f),
        }
    }
}

impl Serialize for Addr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Neither an address nor a host's name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither an IP address nor a host's name")]
pub struct NoAddr;

impl FromStr for Addr {
    type Err = NoAddr;

    /// An address, or a name: letters, digits, `-`, `_` and dots, one letter among them. IPv6 may
    /// stand in brackets, as where a port is printed behind it.
    fn from_str(text: &str) -> Result<Addr, NoAddr> {
        if let Ok(addr) = text.parse::<IpAddr>() {
            return Ok(Addr(addr));
        }
        let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        if let Some(Ok(addr)) = inside.map(str::parse::<Ipv6Addr>) {
            return Ok(Addr(addr.into()));
        }
        Some(text).filter(|text| is_name(text)).and_then(|it| Addr::named(it, None)).ok_or(NoAddr)
    }
}

fn is_name(text: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    text.chars().all(fits) && text.chars().any(char::is_alphabetic)
}

impl HostPort {
    /// A port of a host.
    pub const fn new(addr: Addr, port: u16) -> HostPort {
        HostPort { addr, port }
    }

    /// The host.
    pub const fn ip(self) -> Addr {
        self.addr
    }

    /// The port.
    pub const fn port(self) -> u16 {
        self.port
    }
}

impl<A: Into<IpAddr>> From<(A, u16)> for HostPort {
    fn from((addr, port): (A, u16)) -> HostPort {
        HostPort { addr: Addr(addr.into()), port }
    }
}

impl From<SocketAddr> for HostPort {
    fn from(socket: SocketAddr) -> HostPort {
        HostPort { addr: Addr(socket.ip()), port: socket.port() }
    }
}

/// `10.0.0.1:80`, `[::1]:80`, `host:80`.
impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.addr.name(), self.port) {
            (None, port) => SocketAddr::new(self.addr.0, port).fmt(f),
            (Some(name), port) => match &name.service {
                Some(service) if port == 0 => f.pad(&format!("{}:{service}", name.host)),
                _ => f.pad(&format!("{}:{port}", name.host)),
            },
        }
    }
}

impl FromStr for HostPort {
    type Err = NoAddr;

    /// What is printed of it.
    fn from_str(text: &str) -> Result<HostPort, NoAddr> {
        if let Ok(socket) = text.parse::<SocketAddr>() {
            return Ok(socket.into());
        }
        let (host, port) = text.rsplit_once(':').ok_or(NoAddr)?;
        match port.parse() {
            Ok(port) => Ok(HostPort::new(host.parse()?, port)),
            Err(_) if is_name(port) && !host.contains(':') => {
                Addr::named(host, Some(port)).map(|addr| HostPort::new(addr, 0)).ok_or(NoAddr)
            }
            Err(_) => Err(NoAddr),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_host_and_is_printed() {
        let addr = Addr::named("cd-zhangmin", None).unwrap();
        assert_eq!(Addr::named("cd-zhangmin", None), Some(addr));
        assert_ne!(Addr::named("cd-zhangmim", None), Some(addr));
        assert_eq!("cd-zhangmin".parse(), Ok(addr));
        assert_eq!(HostPort::new(addr, 1748).to_string(), "cd-zhangmin:1748");
        assert_eq!(format!("{addr:>12}"), " cd-zhangmin");
        assert_eq!(serde_json::to_string(&addr).unwrap(), "\"cd-zhangmin\"");
        assert!(!addr.is_numeric());
    }

    #[test]
    fn a_service_without_a_number_is_its_hosts() {
        let addr = Addr::named("10.0.0.1", Some("our-service")).unwrap();
        assert_eq!(HostPort::new(addr, 0).to_string(), "10.0.0.1:our-service");
        assert_eq!(
            (addr.to_string().as_str(), addr.service().as_deref()),
            ("10.0.0.1", Some("our-service"))
        );
        assert_ne!(Addr::named("10.0.0.1", None), Some(addr));
    }

    #[test]
    fn addresses_print_as_they_always_did() {
        let v4 = HostPort::from((Ipv4Addr::LOCALHOST, 80));
        let v6 = HostPort::from((Ipv6Addr::LOCALHOST, 80));
        assert_eq!((v4.to_string(), v6.to_string()), ("127.0.0.1:80".into(), "[::1]:80".into()));
        assert_eq!("::1".parse(), Ok(v6.ip()));
        assert!(v6.ip().is_numeric());
        let strange = Addr::from(IpAddr::from(Ipv6Addr::from([0xff7f, 0, 0, 0, 0, 0, 0, 1])));
        assert_eq!(strange.to_string(), "ff7f::1", "no name stands behind it");
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for text in ["10.0.0.1:80", "[::1]:80", "cd-zhangmin:1748", "10.0.0.1:our-service"] {
            assert_eq!(text.parse::<HostPort>().map(|it| it.to_string()), Ok(text.to_owned()));
        }
        for text in ["10.0.0.1", "::1", "a:b:80", "host:", ":80", "host:99999"] {
            assert_eq!(text.parse::<HostPort>(), Err(NoAddr), "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["", "10.0.0", "10.0.0.1:80", "1.2.3.0/24", "a b", "host:80"] {
            assert_eq!(text.parse::<Addr>(), Err(NoAddr), "{text}");
        }
        assert_eq!(Addr::named(&"x".repeat(300), None), None);
    }
}
