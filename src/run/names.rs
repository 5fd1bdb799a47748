//! Names of hosts, as a hosts(5) file gives them, and their place in texts.

use core::net::{IpAddr, SocketAddr};
use std::borrow::Cow;
use std::collections::HashMap;

use crate::addr::{Addr, HostPort};
use crate::capture::FileInfo;
use crate::limits::{NAME_BYTES_MAX, QUOTED_CHARS_MAX};

/// What hosts are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    by_addr: HashMap<Addr, String>,
    /// The addresses of every name, also of those that are not shown; in lower case.
    by_name: HashMap<String, Vec<Addr>>,
}

/// Why a line of a hosts file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamesError {
    /// It does not begin with an address.
    #[error("line {line}: `{word}` is not an address")]
    Address {
        /// The line's number, from 1.
        line: usize,
        /// What it begins with, or how that begins.
        word: String,
    },
    /// It has no name, or what follows is none.
    #[error("line {line}: `{word}` is not a host name")]
    Name {
        /// The line's number, from 1.
        line: usize,
        /// What follows the address, or how that begins.
        word: String,
    },
}

impl Names {
    /// Reads a file in the form of hosts(5): on each line an address and its names, of which the
    /// first is shown, as is that of an address's first line; `#` begins a comment.
    pub fn parse(text: &str) -> Result<Names, NamesError> {
        let mut names = Names::default();
        // Windows' editors begin a file with a mark of its encoding.
        let text = text.trim_start_matches('\u{feff}');
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default();
            let mut words = text.split_whitespace();
            let Some(word) = words.next() else { continue };
            // An address may have a zone, which a capture does not show.
            let addr = word.split('%').next().unwrap_or_default().parse::<IpAddr>();
            let addr = addr.map_err(|_| NamesError::Address { line, word: quoted(word) })?.into();
            let name = words.next().unwrap_or_default();
            if !is_name(name) {
                return Err(NamesError::Name { line, word: quoted(name) });
            }
            names.by_addr.entry(addr).or_insert_with(|| name.to_owned());
            [name].into_iter().chain(words).for_each(|name| names.call(addr, name));
        }
        Ok(names)
    }

    fn call(&mut self, addr: Addr, name: &str) {
        self.by_name.entry(name.to_ascii_lowercase()).or_default().push(addr);
    }

    /// The addresses of the host that is called so.
    pub fn addrs(&self, name: &str) -> &[Addr] {
        self.by_name.get(&name.to_ascii_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The same, and for other hosts the names that captures carry.
    pub fn and_of(mut self, files: &[FileInfo]) -> Names {
        let carried = files.iter().flat_map(|file| &file.names);
        for (addr, name) in carried.filter(|(_, name)| is_name(name)) {
            let addr = (*addr).into();
            self.by_addr.entry(addr).or_insert_with(|| name.clone());
            self.call(addr, name);
        }
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_addr.is_empty()
    }

    /// The name of a host, or its address.
    pub fn host(&self, addr: Addr) -> String {
        self.by_addr.get(&addr).cloned().unwrap_or_else(|| addr.to_string())
    }

    /// `name:port`, or address and port.
    pub fn socket(&self, addr: HostPort) -> String {
        match self.by_addr.get(&addr.ip()) {
            Some(name) => format!("{name}:{}", addr.port()),
            None => addr.to_string(),
        }
    }

    /// The text with names in place of addresses, ports kept.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.is_empty() {
            true => text.into(),
            false => replace(text, |addr| self.by_addr.get(&addr.into()).cloned()).into(),
        }
    }

    /// Every host by another address, and by a name that only counts. Its own names find it still.
    pub(super) fn masked(&self, mut stand_in: impl FnMut(Addr) -> Addr) -> Names {
        let mut addrs: Vec<Addr> = self.by_addr.keys().copied().collect();
        addrs.sort_unstable();
        let mut addrs: Vec<Addr> = addrs.into_iter().map(&mut stand_in).collect();
        addrs.sort_unstable();
        let mut names = Names::default();
        for (name, addrs) in &self.by_name {
            addrs.iter().for_each(|addr| names.call(stand_in(*addr), name));
        }
        for (at, addr) in (1..).zip(addrs) {
            let name = format!("host-{at}");
            names.call(addr, &name);
            names.by_addr.insert(addr, name);
        }
        names
    }
}

/// As much of a word as a message has room for.
fn quoted(word: &str) -> String {
    let cut: String = word.chars().take(QUOTED_CHARS_MAX).collect();
    if cut.len() < word.len() { cut + "..." } else { cut }
}

fn is_name(word: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '.' | '_');
    (1..=NAME_BYTES_MAX).contains(&word.len()) && word.chars().all(is_letter)
}

/// Replaces addresses in a text, where `by` knows something else for them.
pub(super) fn replace(text: &str, mut by: impl FnMut(IpAddr) -> Option<String>) -> String {
    let is_part =
        |letter: char| letter.is_ascii_hexdigit() || matches!(letter, '.' | ':' | '[' | ']');
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begins) = rest.find(is_part) {
        let (before, from) = rest.split_at(begins);
        replaced += before;
        let ends = from.find(|letter| !is_part(letter)).unwrap_or(from.len());
        let (word, after) = from.split_at(ends);
        // What ends a sentence or a clause is no part of an address.
        let addr = word.trim_end_matches(['.', ':']);
        let is_whole = !before.ends_with(|letter: char| letter.is_alphanumeric());
        let other = is_whole.then(|| other(addr, &mut by)).flatten();
        replaced += other.as_deref().unwrap_or(addr);
        replaced += word.get(addr.len()..).unwrap_or_default();
        rest = after;
    }
    replaced + rest
}

/// What stands for an address, alone or with a port.
fn other(word: &str, by: &mut impl FnMut(IpAddr) -> Option<String>) -> Option<String> {
    if let Ok(addr) = word.parse::<IpAddr>() {
        return by(addr);
    }
    let socket: SocketAddr = word.parse().ok()?;
    let other = by(socket.ip())?;
    Some(match other.parse::<IpAddr>() {
        Ok(addr) => SocketAddr::new(addr, socket.port()).to_string(),
        Err(_) => format!("{other}:{}", socket.port()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_is_read() {
        let text = "# hosts\n127.0.0.1 localhost\n10.9.0.2\tdb.example db # the leaking one\n\n\
                    10.9.0.2 later\nfe80::1%lo0 here\n::1 localhost ip6\n";
        let names = Names::parse(text).unwrap();
        assert_eq!(names.host("10.9.0.2".parse().unwrap()), "db.example");
        assert_eq!(names.host("fe80::1".parse().unwrap()), "here");
        assert_eq!(names.host("10.9.0.3".parse().unwrap()), "10.9.0.3");
        assert_eq!(names.socket("10.9.0.2:6800".parse().unwrap()), "db.example:6800");
        assert_eq!(names.socket("[::1]:80".parse().unwrap()), "localhost:80");
        let addr = |text: &str| text.parse::<Addr>().unwrap();
        assert_eq!(Names::parse(&format!("\u{feff}{text}")).unwrap(), names);
        for name in ["db.example", "db", "LATER"] {
            assert_eq!(names.addrs(name), [addr("10.9.0.2")]);
        }
        assert_eq!(names.addrs("localhost"), [addr("127.0.0.1"), addr("::1")]);
        assert!(names.addrs("the").is_empty());
        let masked = names.masked(|_| addr("192.0.2.1"));
        assert_eq!(masked.addrs("db.example"), [addr("192.0.2.1")]);
        let refused = |text: &str| Names::parse(text).unwrap_err().to_string();
        assert_eq!(refused("\nlocalhost 127.0.0.1"), "line 2: `localhost` is not an address");
        assert_eq!(refused("127.0.0.1"), "line 1: `` is not a host name");
        assert!(refused("127.0.0.1 a\u{1b}[31mb").contains("is not a host name"));
        let long = "é".repeat(20_000);
        let cut = "é".repeat(QUOTED_CHARS_MAX);
        assert_eq!(refused(&long), format!("line 1: `{cut}...` is not an address"));
        assert_eq!(
            refused(&format!("::1 {long}")),
            format!("line 1: `{cut}...` is not a host name")
        );
    }

    #[test]
    fn addresses_in_a_text_become_names() {
        let names = Names::parse("10.9.0.2 db\n2001:db8::1 web").unwrap();
        let text = "10.9.0.2:6800, [2001:db8::1]:80 and 2001:db8::1: from 10.9.0.1 to 10.9.0.2.";
        let named = "db:6800, web:80 and web: from 10.9.0.1 to db.";
        assert_eq!(names.text(text), named);
        for text in ["110.9.0.2", "x10.9.0.2", "10.9.0.22:80", "11:01:29 added é", "", "10.9.0.2/8"]
        {
            let same = text == "10.9.0.2/8";
            assert_eq!(names.text(text) == text, !same, "{text}");
        }
    }
}
