//! Hosts and ports as a text prints them, in the bytes of a four-tuple.
//!
//! A host's name becomes the address that stands for it. A service's name becomes the port that
//! it is known for; one that is not known is a name of its host.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

use super::numbers::Socket;
use super::printed::NAMED;
use super::services;
use crate::addr::Addr;

/// Services that stand in a text by name, and the ports that they are known for.
pub type Services = BTreeMap<&'static str, u16>;

/// The IP version, and both ends; none if there is no room for another name.
pub(super) fn sockets(
    source: (&str, &str),
    target: (&str, &str),
    services: &mut Services,
) -> Option<(u8, [Socket; 2])> {
    let ends = [end(source, services)?, end(target, services)?];
    let version = match ends.map(|(addr, _)| addr) {
        [IpAddr::V4(_), IpAddr::V4(_)] => 4,
        [IpAddr::V6(_), IpAddr::V6(_)] => 6,
        _ => NAMED,
    };
    let sockets = ends.map(|(addr, port)| match addr {
        IpAddr::V6(addr) => (addr.octets(), port),
        IpAddr::V4(addr) if version == 4 => (u128::from(u32::from(addr)).to_be_bytes(), port),
        IpAddr::V4(addr) => (addr.to_ipv6_mapped().octets(), port),
    });
    Some((version, sockets))
}

fn end((host, port): (&str, &str), services: &mut Services) -> Option<(IpAddr, u16)> {
    let port = match port.parse() {
        Ok(port) => port,
        Err(_) => match services::find(port) {
            Some((name, known)) => *services.entry(name).or_insert(known),
            None => return Some((Addr::named(host, Some(port))?.ip(), 0)),
        },
    };
    let addr = match (host.parse::<Ipv4Addr>(), host.parse::<Ipv6Addr>()) {
        (Ok(addr), _) => addr.into(),
        (_, Ok(addr)) => addr.into(),
        _ => Addr::named(host, None)?.ip(),
    };
    Some((addr, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(source: (&str, &str), target: (&str, &str)) -> (u8, [Socket; 2]) {
        super::sockets(source, target, &mut Services::new()).unwrap()
    }

    #[test]
    fn addresses_of_one_family_are_that_family() {
        let (version, ends) = sockets(("10.0.0.1", "5"), ("10.0.0.2", "80"));
        assert_eq!((version, ends[0].0[12..].to_vec()), (4, vec![10, 0, 0, 1]));
        let (version, ends) = sockets(("::1", "5"), ("fe80::2", "http"));
        assert_eq!((version, ends[0].0[15], ends[1].1), (6, 1, 80));
    }

    #[test]
    fn a_name_stands_beside_any_address() {
        let (version, ends) = sockets(("cd-zhangmin", "1748"), ("220.181.37.55", "80"));
        assert_eq!((version, ends[1].0[10..].to_vec()), (NAMED, vec![255, 255, 220, 181, 37, 55]));
        assert_eq!(IpAddr::from(ends[0].0), Addr::named("cd-zhangmin", None).unwrap().ip());
    }

    #[test]
    fn a_service_that_is_not_known_is_one_all_the_same() {
        let other = ("10.0.0.2", "1");
        let [ours, theirs] =
            ["our-service", "their-service"].map(|port| sockets(("10.0.0.1", port), other));
        assert_eq!(sockets(("10.0.0.1", "our-service"), other), ours);
        assert_ne!(ours, theirs);
    }

    #[test]
    fn known_services_are_remembered() {
        let mut services = Services::new();
        super::sockets(("a", "ssh"), ("b", "our-service"), &mut services).unwrap();
        assert_eq!(services, [("ssh", 22)].into());
    }
}
