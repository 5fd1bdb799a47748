//! One end of a socket as a table prints it: address and port in the notations of all dialects.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use crate::addr::HostPort;

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// None in particular: `*`, `0.0.0.0`, `::`.
    Any,
    /// Its address. One that maps IPv4 into IPv6 is told as IPv4; a zone is left out.
    Addr(IpAddr),
    /// Its name, where the tool was let resolve addresses.
    Text(Box<str>),
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// None in particular.
    Any,
    /// Its number.
    Number(u16),
    /// The name of its service, where the tool was let look that up.
    Text(Box<str>),
}

/// An address and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The host.
    pub host: Name,
    /// The port.
    pub port: Port,
}

impl Place {
    /// No particular end.
    pub const ANY: Place = Place { host: Name::Any, port: Port::Any };

    /// Reads `10.9.0.2:6800`, `[fd09::2%eth0]:6800`, `fd09::2:6800`, `10.9.0.2.6800`, `*.*` and
    /// the like: the last colon or dot stands before the port.
    pub fn parse(text: &str) -> Option<Place> {
        let (host, port) = text.rsplit_once([':', '.'])?;
        Some(Place { host: Name::parse(host)?, port: Port::parse(port)? })
    }

    /// Address and port, if both are known as numbers.
    pub fn socket(&self) -> Option<HostPort> {
        match (&self.host, &self.port) {
            (Name::Addr(addr), Port::Number(port)) => Some((*addr, *port).into()),
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Name::Any => f.write_str("*:")?,
            Name::Addr(IpAddr::V6(addr)) => write!(f, "[{addr}]:")?,
            Name::Addr(addr) => write!(f, "{addr}:")?,
            Name::Text(name) => write!(f, "{name}:")?,
        }
        match &self.port {
            Port::Any => f.write_str("*"),
            Port::Number(number) => write!(f, "{number}"),
            Port::Text(name) => f.write_str(name),
        }
    }
}

impl Name {
    fn parse(text: &str) -> Option<Name> {
        if matches!(text, "*" | "") {
            return Some(Name::Any);
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or(text);
        // ss writes the zone of an IPv6 address behind the bracket, others before it.
        let bare = bare.split('%').next().unwrap_or(bare);
        match bare.parse::<IpAddr>() {
            Ok(addr) => Some(Name::of(addr)),
            // A name has letters, and no colon: that would be an address cut short.
            Err(_) => (is_name(bare) && !text.starts_with('['))
                .then(|| Name::Text(bare.to_ascii_lowercase().into())),
        }
    }

    /// The host of an address.
    pub fn of(addr: IpAddr) -> Name {
        let addr = match addr {
            IpAddr::V6(addr) => addr.to_ipv4_mapped().map_or(addr.into(), IpAddr::V4),
            addr @ IpAddr::V4(_) => addr,
        };
        if addr.is_unspecified() { Name::Any } else { Name::Addr(addr) }
    }
}

impl Port {
    fn parse(text: &str) -> Option<Port> {
        match text.parse::<u16>() {
            Ok(0) => Some(Port::Any),
            // Rust takes a sign in front, and no tool prints one.
            Ok(number) if text.starts_with(|it: char| it.is_ascii_digit()) => {
                Some(Port::Number(number))
            }
            _ if text == "*" => Some(Port::Any),
            _ => is_name(text).then(|| Port::Text(text.into())),
        }
    }
}

/// Whether text can be a host's or a service's name: it has a letter, and nothing that no name has.
fn is_name(text: &str) -> bool {
    let is_fit = |it: char| it.is_alphanumeric() || matches!(it, '-' | '_' | '.');
    text.contains(|it: char| it.is_alphabetic()) && text.chars().all(is_fit)
}

/// The address that eight or thirty-two hexadecimal digits stand for in `/proc/net`: words of four
/// bytes, each as a little-endian machine holds it.
pub fn from_proc(digits: &str) -> Option<IpAddr> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let word = |at: usize| {
        let digits = digits.get(at..at + 8)?;
        u32::from_str_radix(digits, 16).ok().map(|word| word.to_le_bytes())
    };
    match digits.len() {
        8 => word(0).map(IpAddr::from),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at * 8)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(text: &str) -> Option<String> {
        Place::parse(text)?.socket().map(|socket| socket.to_string())
    }

    #[test]
    fn every_notation_of_an_end_is_read() {
        for text in ["10.9.0.2:6800", "10.9.0.2.6800", "10.9.0.2%eth0:6800"] {
            assert_eq!(socket(text).as_deref(), Some("10.9.0.2:6800"), "{text}");
        }
        for text in ["::ffff:10.9.0.2:6800", "[::ffff:10.9.0.2]:6800", "::ffff:10.9.0.2.6800"] {
            assert_eq!(socket(text).as_deref(), Some("10.9.0.2:6800"), "{text}");
        }
        for text in [
            "[fd09::2]:6800",
            "fd09::2:6800",
            "fd09::2.6800",
            "[fd09::2%12]:6800",
            "[fd09::2]%eth0:6800",
            "fd09::2%lo0.6800",
        ] {
            assert_eq!(socket(text).as_deref(), Some("[fd09::2]:6800"), "{text}");
        }
    }

    #[test]
    fn what_is_no_particular_end_is_none() {
        for text in ["*:*", "*.*", "0.0.0.0:*", ":::*", "[::]:*", "[::]:0", "0.0.0.0:0"] {
            assert_eq!(Place::parse(text), Some(Place::ANY), "{text}");
        }
        assert_eq!(socket("*:6800"), None);
        assert_eq!(Place::parse("*:6800").unwrap().port, Port::Number(6800));
    }

    #[test]
    fn names_are_kept_as_names() {
        let named = Place::parse("RHEL3:6800").unwrap();
        assert_eq!(named, Place { host: Name::Text("rhel3".into()), port: Port::Number(6800) });
        let service = Place::parse("localhost:afs3-fileserver").unwrap();
        assert_eq!(service.port, Port::Text("afs3-fileserver".into()));
        for text in ["", "10.9.0.2", "10.9.0:80", "[fd09:2]:80", "a b:80", "x:+80"] {
            assert_eq!(Place::parse(text).and_then(|it| it.socket()), None, "{text}");
        }
        assert_eq!(Place::parse("fd09:1:2:3:80"), None, "an address that is cut short");
    }

    #[test]
    fn addresses_of_proc_are_words_of_a_little_endian_machine() {
        assert_eq!(from_proc("0200090A").unwrap().to_string(), "10.9.0.2");
        assert_eq!(from_proc("000009FD000000000000000002000000").unwrap().to_string(), "fd09::2");
        assert_eq!(from_proc("0200090"), None);
        assert_eq!(from_proc("é200090"), None);
        assert_eq!(from_proc("+200090A"), None);
    }
}
