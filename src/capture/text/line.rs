//! One packet's line, without its time: between whom, and what TCP said, as it was printed.
//!
//! tcpdump's words have changed little in thirty years, and much around them has: what stands
//! before the addresses (link-level headers, interfaces, the IP header of `-v`), the old style
//! (`F 1:1(0) ack 1 win 65535`) and the new (`Flags [F.], seq 1, ack 2, win 65535, length 0`).
//! So the addresses are looked for, as the first `SOURCE > TARGET:`, and behind them the same words
//! are taken in any order, whichever the style.

use super::options;
use super::printed::{PrintedOptions, Unused};

/// The flags that have a letter, as they stand in the header.
pub(super) mod flag {
    pub const FIN: u16 = 0x01;
    pub const SYN: u16 = 0x02;
    pub const RST: u16 = 0x04;
    pub const ACK: u16 = 0x10;
    pub const URG: u16 = 0x20;
}

const LETTERS: [(char, u16); 9] = [
    ('F', flag::FIN),
    ('S', flag::SYN),
    ('R', flag::RST),
    ('P', 0x08),
    ('.', flag::ACK),
    ('U', flag::URG),
    ('E', 0x40),
    ('W', 0x80),
    ('e', 0x100),
];

/// A TCP segment's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The sender's host and port as they stand.
    pub source: (&'a str, &'a str),
    /// The receiver's.
    pub target: (&'a str, &'a str),
    /// Whether an interface stands in front, as with `-i any`: one packet may be there twice.
    pub names_interface: bool,
    /// IPv4 identification and TTL, where `-v` printed them.
    pub ip_id: Option<u16>,
    pub ttl: Option<u8>,
    /// Whether nothing that matters can follow on another line.
    pub is_whole: bool,
    /// Whether a list of options has begun and not ended.
    pub is_open: bool,
    pub tcp: Tcp,
}

/// What TCP said, numbers as printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tcp {
    pub flags: u16,
    pub seq: Option<u32>,
    pub ack: Option<u32>,
    pub payload: u32,
    pub window: u16,
    pub wrong_checksum: bool,
    pub options: PrintedOptions,
}

/// Reads a packet's line, from behind its time.
pub(super) fn read(text: &str) -> Result<Line<'_>, Unused> {
    let Some(pair) = Pair::find(text) else { return Err(without_addresses(text)) };
    if is_fragment(text, &pair) {
        return Err(Unused::Fragment);
    }
    let body = Body::read(pair.body)?;
    let (Some(source), Some(target)) = (port_apart(pair.source), port_apart(pair.target)) else {
        return Err(Unused::NotTcp);
    };
    // Before 4.0, `-v` put the IP header behind everything.
    let ip = |word| after(pair.before, word).or_else(|| body.ip.and_then(|ip| after(ip, word)));
    Ok(Line {
        source,
        target,
        names_interface: names_interface(pair.before),
        ip_id: ip(" id ").and_then(|id| id.try_into().ok()),
        ttl: ip("ttl ").and_then(|ttl| ttl.try_into().ok()),
        is_whole: body.is_whole,
        is_open: body.is_open,
        tcp: body.tcp,
    })
}

/// The number behind a word.
fn after(text: &str, word: &str) -> Option<u32> {
    let (_, rest) = text.split_once(word)?;
    number(rest.trim_start()).map(|(number, _)| number)
}

/// A number at the front, and what follows.
pub(super) fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// What a line is that has no `SOURCE > TARGET:`.
fn without_addresses(text: &str) -> Unused {
    let flags = text.split_once("Flags [").and_then(|(_, rest)| rest.split_once(']'));
    let is_tcp = flags.is_some_and(|(flags, _)| new_flags(flags).is_some());
    if is_tcp || text.contains(" win ") || text.contains(" ack ") {
        Unused::Unreadable
    } else if ["IP ", "IP6 ", "ip: ", "ip6: "].iter().any(|start| text.starts_with(start)) {
        Unused::NotTcp
    } else {
        Unused::NotIp
    }
}

/// `enp0s3 In  IP `: a name, then a direction.
fn names_interface(before: &str) -> bool {
    before.split_ascii_whitespace().nth(1).is_some_and(is_direction)
}

fn is_direction(word: &str) -> bool {
    matches!(word, "In" | "Out" | "B" | "M" | "P")
}

/// The addresses of a line, and what stands around them.
struct Pair<'a> {
    before: &'a str,
    source: &'a str,
    target: &'a str,
    body: &'a str,
}

impl<'a> Pair<'a> {
    /// The first `SOURCE > TARGET:`, with or without blanks around the `>`. Link-level addresses
    /// have a comma in place of the colon.
    fn find(text: &'a str) -> Option<Pair<'a>> {
        for (at, _) in text.match_indices('>').take(ARROWS_MAX) {
            let (before, rest) = (text.get(..at)?.trim_end(), text.get(at + 1..)?.trim_start());
            let begins = before.rfind([' ', '\t']).map_or(0, |blank| blank + 1);
            let ends = rest.find([' ', '\t']).unwrap_or(rest.len());
            let (source, target) = (before.get(begins..)?, rest.get(..ends)?);
            // `truncated-ip - 88 bytes missing!10.0.0.1.80`
            let source = source.rsplit('!').next().unwrap_or(source);
            let Some(target) = target.strip_suffix(':') else { continue };
            if is_address(source) && is_address(target) {
                let (before, body) = (before.get(..begins)?, rest.get(ends..)?.trim_start());
                return Some(Pair { before, source, target, body });
            }
        }
        None
    }
}

/// Whether a line without a time begins a packet.
pub(super) fn begins(text: &str) -> bool {
    let text = behind_interface(text);
    if PROTOCOLS.iter().any(|name| text.starts_with(name)) || begins_with_link_header(text) {
        return true;
    }
    let Some(pair) = Pair::find(text) else { return false };
    pair.before.is_empty() && !matches!(Body::read(pair.body), Err(Unused::NotTcp))
}

/// Whether a text can be that of a packet, as far as one line shows it.
pub(super) fn is_packet(text: &str) -> bool {
    begins(text) || Pair::find(text).is_some() || goes_on(text, "")
}

/// What stands behind an interface's name and direction (`eth0  In  ifindex 2 `), or behind a
/// direction alone, as in Linux cooked captures with `-e`.
fn behind_interface(text: &str) -> &str {
    let mut words = text.splitn(2, [' ', '\t']);
    let (first, mut rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !is_direction(first) {
        let Some((direction, behind)) = rest.trim_start().split_once([' ', '\t']) else {
            return text;
        };
        if !is_direction(direction) {
            return text;
        }
        rest = behind;
    }
    let rest = rest.trim_start();
    match rest.strip_prefix("ifindex ").and_then(number) {
        Some((_, rest)) => rest.trim_start(),
        None => rest,
    }
}

/// `-e`: one hardware address or two, and what they carry.
fn begins_with_link_header(text: &str) -> bool {
    let is_hardware = |word: &str| {
        let parts = word.split(':').map(|part| {
            (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        parts.clone().count() == 6 && parts.into_iter().all(|fits| fits)
    };
    let mut words = text.split_ascii_whitespace();
    let is_first = words.next().is_some_and(is_hardware);
    is_first
        && words.next().is_some_and(|word| matches!(word, ">" | "ethertype") || is_hardware(word))
}

/// Arrows in front of and in a line's addresses: link-level headers have some, and `-v` has one
/// with a wrong checksum.
const ARROWS_MAX: usize = 8;

/// Words looked at behind the flags. A list of options is one; what dissectors print is not looked
/// at but for the IP header that old versions put last.
const WORDS_MAX: usize = 256;

/// What a packet's line begins with where no time stands in front.
const PROTOCOLS: [&str; 20] = [
    "IP ",
    "IP6 ",
    "ip: ",
    "ip6: ",
    "ARP, ",
    "arp ",
    "rarp ",
    "STP ",
    "LLDP, ",
    "AF IPv4 ",
    "AF IPv6 ",
    "ICMP6, ",
    "MPLS (",
    "PPPoE ",
    "802.1Q ",
    "Loopback, ",
    "CDPv",
    "LACPv",
    "EAP ",
    "IS-IS, ",
];

/// Whether a packet inside of another is printed in the line below, where it looks like one of
/// its own.
pub(super) fn is_tunnel(text: &str) -> bool {
    [": VXLAN", " VXLAN, ", " OTV, ", "Geneve, "].iter().any(|name| text.contains(name))
}

/// Whether a line that ends with the text is the beginning of a packet's only.
pub(super) fn is_cut(text: &str) -> bool {
    goes_on(text, "") || (read(text) == Err(Unused::NotTcp) && Pair::find(text).is_none())
}

/// What stands in front of a packet's addresses, and leads to them.
const HEADERS: [&str; 6] =
    ["(tos ", "(class ", "(hlim ", "(flowlabel ", "MPLS (label ", "ethertype IP"];

/// Whether the line goes on in the one below: what it says so far makes no packet.
pub(super) fn goes_on(text: &str, below: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    match read(text) {
        Ok(line) => {
            let is_new = text.contains("Flags [");
            let may_follow = is_new || below.starts_with(['<', '(', '[']) || is_torn(text, below);
            line.is_open || (!line.is_whole && may_follow)
        }
        Err(Unused::Unreadable) => true,
        _ if is_unfinished(text) => true,
        // The headers of `-v` and `-e` have lines to themselves, or the line broke before the
        // addresses.
        Err(Unused::NotTcp | Unused::NotIp) => {
            let is_header =
                text.ends_with("ethertype") || HEADERS.iter().any(|it| text.contains(it));
            let is_torn = text.ends_with('>') || below.starts_with('>') || is_torn(text, below);
            Pair::find(text).is_none() && (is_header || is_torn)
        }
        Err(_) => false,
    }
}

/// Whether the text ends within its first address.
pub(super) fn is_unfinished(text: &str) -> bool {
    let (before, address) = text.rsplit_once([' ', '\t']).unwrap_or(("", text));
    let leads_there = matches!(before, "IP" | "IP6") || before.ends_with(':');
    leads_there && is_address(address) && Pair::find(text).is_none()
}

/// Words that are printed around and behind the addresses.
const KEYWORDS: [&str; 25] = [
    "IP",
    "IPv4",
    "IPv6",
    "ethertype",
    "Flags",
    "none",
    "cksum",
    "correct",
    "incorrect",
    "seq",
    "ack",
    "win",
    "urg",
    "options",
    "length",
    "mss",
    "nop",
    "eol",
    "wscale",
    "sackOK",
    "sack",
    "TS",
    "val",
    "ecr",
    "timestamp",
];

/// Whether what stands below was broken off within a word: some mail clients and terminals break
/// lines at a column, whatever stands there. Hardly any two numbers follow each other in a line,
/// and no word begins with a comma.
pub(super) fn is_torn(text: &str, below: &str) -> bool {
    let last = text.rsplit([' ', '\t']).next().unwrap_or_default();
    let first = below.split([' ', '\t']).next().unwrap_or_default();
    let (Some(end), Some(begin)) = (last.chars().next_back(), first.chars().next()) else {
        return false;
    };
    let behind = first.trim_start_matches(|it: char| it.is_ascii_digit());
    // The second number of an old timestamp is the last.
    let is_second = |text: &str| text.contains("timestamp ") && behind.starts_with(['>', ',']);
    let is_word = |word: &str| KEYWORDS.contains(&word);
    let has_addresses = Pair::find(text).is_some();
    let is_end = |it: char| !it.is_ascii_alphanumeric();
    let last_part = last.rsplit(is_end).next().unwrap_or_default();
    let first_part = first.split(is_end).next().unwrap_or_default();
    let has_parts = !last_part.is_empty() && !first_part.is_empty();
    let is_joined_word = has_parts && is_word(&[last_part, first_part].concat());
    match (end, begin) {
        _ if is_joined_word => true,
        _ if is_word(last_part) => false,
        (_, ',' | ':' | ']' | ')') => true,
        (_, '.') => first.len() > 1,
        ('[' | '(', _) => true,
        ('.', _) => last.len() > 1,
        ('0'..='9', '0'..='9') => !is_second(last_words(text)),
        ('0'..='9', '(' | '>') => !has_addresses,
        (':', '0'..='9') => has_addresses,
        // The receiver's address, which ends with a colon.
        _ => !has_addresses && last.len() > 1 && first.ends_with(':') && text.contains('>'),
    }
}

/// The last two words of a text.
fn last_words(text: &str) -> &str {
    let at = text.rmatch_indices([' ', ',', '<']).nth(1).map_or(0, |(at, _)| at + 1);
    text.get(at..).unwrap_or_default()
}

fn is_address(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_%".contains(&byte) || byte >= 0x80;
    !text.is_empty() && text.bytes().all(fits) && text.bytes().any(|it| it.is_ascii_alphanumeric())
}

/// Host and port: what stands behind the last dot is the port.
fn port_apart(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once('.').filter(|(host, port)| !host.is_empty() && !port.is_empty())
}

/// A fragment: `(frag 1109:1472@0+)`, or `flags [+]` and an offset in the header of `-v`.
fn is_fragment(text: &str, pair: &Pair<'_>) -> bool {
    let header = pair.before;
    let offset = after(header, " offset ").or_else(|| after(header, "@"));
    text.contains("(frag ")
        || header.contains("flags [+")
        || offset.is_some_and(|offset| offset > 0)
        || pair.body == "tcp"
}

/// What stands behind the addresses.
struct Body<'a> {
    tcp: Tcp,
    /// `ttl 64, id 0, len 64`.
    ip: Option<&'a str>,
    is_whole: bool,
    is_open: bool,
}

impl<'a> Body<'a> {
    fn read(text: &'a str) -> Result<Body<'a>, Unused> {
        if text.starts_with("[|tcp]") {
            return Err(Unused::CutHeader);
        }
        if text.strip_prefix("tcp ").and_then(number).is_some() {
            return Err(Unused::Quiet);
        }
        let (flags, rest, is_new) = match text.strip_prefix("Flags [") {
            Some(rest) => {
                let (flags, rest) = rest.split_once(']').ok_or(Unused::Unreadable)?;
                (new_flags(flags).ok_or(Unused::Unreadable)?, rest, true)
            }
            None => {
                let end = text.find([' ', ',']).unwrap_or(text.len());
                let (flags, rest) = text.split_at_checked(end).ok_or(Unused::NotTcp)?;
                // A line may break anywhere behind the addresses.
                if "Flags [".starts_with(text) {
                    return Err(Unused::Unreadable);
                }
                let flags = old_flags(flags).ok_or(Unused::NotTcp)?;
                // It may break within the first number, too.
                if rest.bytes().all(|byte| byte == b' ' || byte.is_ascii_digit()) {
                    return Err(Unused::Unreadable);
                }
                (flags, rest, false)
            }
        };
        let mut words = Words { flags, ..Words::default() };
        words.take(rest);
        let complete = words.window.is_some();
        match (is_new, complete) {
            (_, true) => Ok(words.body(is_new)),
            (true, false) => Err(words.why_not()),
            // A UDP payload's first letter looks like flags.
            (false, false) if words.ack.is_none() && words.seq.is_none() => Err(Unused::NotTcp),
            (false, false) => Err(words.why_not()),
        }
    }
}

fn letters(text: &str) -> Option<u16> {
    text.chars().try_fold(0, |flags, letter| {
        LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, flag)| flags | flag)
    })
}

fn new_flags(text: &str) -> Option<u16> {
    if text == "none" { Some(0) } else { letters(text).filter(|_| !text.is_empty()) }
}

/// In the old style `.` means that there is no letter to print, and `ack` tells the ACK.
fn old_flags(text: &str) -> Option<u16> {
    let flags = letters(text).filter(|_| !text.is_empty())?;
    Some(flags & !flag::ACK)
}

/// The words behind the flags, as they come.
#[derive(Default)]
struct Words<'a> {
    flags: u16,
    /// First and last number, and the length in parentheses.
    seq: Option<(u32, u32)>,
    in_parentheses: Option<u32>,
    ack: Option<u32>,
    window: Option<u32>,
    length: Option<u32>,
    options: PrintedOptions,
    is_open: bool,
    is_cut: bool,
    is_malformed: bool,
    wrong_checksum: bool,
    ip: Option<&'a str>,
}

impl<'a> Words<'a> {
    /// Takes all words; what is behind the length is payload.
    fn take(&mut self, mut rest: &'a str) {
        for _ in 0..WORDS_MAX {
            rest = rest.trim_start_matches([' ', ',', '\t']);
            if rest.is_empty() || self.length.is_some() {
                return;
            }
            rest = self.word(rest).unwrap_or_else(|| skip_word(rest));
        }
    }

    /// Takes the word at the front, if it is one that matters.
    fn word(&mut self, text: &'a str) -> Option<&'a str> {
        let counted = |name| {
            let rest = text.strip_prefix(name)?;
            number(rest.trim_start())
        };
        if let Some((ack, rest)) = counted("ack ") {
            self.ack.get_or_insert(ack);
            return Some(rest);
        }
        if let Some((window, rest)) = counted("win ") {
            self.window.get_or_insert(window);
            return Some(rest);
        }
        if let Some((length, rest)) = counted("length ") {
            self.length = Some(length);
            return Some(rest);
        }
        if let Some((_, rest)) = counted("urg ") {
            self.flags |= flag::URG;
            return Some(rest);
        }
        if let Some(rest) = text.strip_prefix("seq ") {
            return self.numbers(rest.trim_start());
        }
        if let Some(rest) = text.strip_prefix("options [") {
            let (list, rest) = in_brackets(rest);
            self.options = options::read(list);
            return Some(rest);
        }
        match text.chars().next()? {
            '<' => {
                let list = text.get(1..)?;
                self.is_open = !list.contains('>');
                let (list, rest) = list.split_once('>').unwrap_or((list, ""));
                self.options = options::read(list);
                Some(rest)
            }
            '[' => {
                let (inside, rest) = in_brackets(text.get(1..)?);
                self.is_cut |= inside == "|tcp";
                self.is_malformed |= inside.starts_with("bad hdr length");
                self.wrong_checksum |= inside.starts_with("bad tcp cksum");
                Some(rest)
            }
            '(' => {
                let (inside, rest) = text.get(1..)?.split_once(')')?;
                self.wrong_checksum |= inside.starts_with("incorrect");
                let is_ip = inside.contains("ttl ");
                self.ip = self.ip.or(is_ip.then_some(inside));
                Some(rest)
            }
            '0'..='9' if self.window.is_none() => {
                let (_, rest) = number(text)?;
                if rest.starts_with(':') { self.numbers(text) } else { None }
            }
            _ => None,
        }
    }

    /// `1`, `1:518` or `1:518(517)`.
    fn numbers(&mut self, text: &'a str) -> Option<&'a str> {
        let (first, rest) = number(text)?;
        let (last, rest) = match rest.strip_prefix(':').and_then(number) {
            Some((last, rest)) => (last, rest),
            None => (first, rest),
        };
        let length = rest.strip_prefix('(').and_then(number);
        self.seq.get_or_insert((first, last));
        match length {
            Some((length, rest)) => {
                self.in_parentheses.get_or_insert(length);
                Some(rest.strip_prefix(')').unwrap_or(rest))
            }
            None => Some(rest),
        }
    }

    /// What the words make, once a window is among them.
    fn body(self, is_new: bool) -> Body<'a> {
        let range = self.seq.map(|(first, last)| last.wrapping_sub(first));
        // A length that is not that of the numbers was broken off.
        let has_length = self.length.is_some_and(|it| range.is_none_or(|range| it >= range));
        let (ack_flag, mut options) = (self.flags & flag::ACK != 0, self.options);
        // tcpdump stops at an option that it does not understand.
        options.incomplete |= self.is_cut || (is_new && self.length.is_none());
        let ack = if is_new { self.ack.filter(|_| ack_flag) } else { self.ack };
        Body {
            tcp: Tcp {
                flags: self.flags | if ack.is_some() { flag::ACK } else { 0 },
                seq: self.seq.map(|(first, _)| first),
                ack,
                payload: self.length.or(self.in_parentheses).or(range).unwrap_or_default(),
                window: self.window.unwrap_or_default().min(u32::from(u16::MAX)) as u16,
                wrong_checksum: self.wrong_checksum,
                options,
            },
            ip: self.ip,
            is_whole: has_length || self.is_cut || self.options.incomplete,
            is_open: self.is_open,
        }
    }

    fn why_not(&self) -> Unused {
        match (self.is_cut, self.is_malformed) {
            (true, _) => Unused::CutHeader,
            (_, true) => Unused::Malformed,
            _ => Unused::Unreadable,
        }
    }
}

/// What is behind the next blank or comma.
fn skip_word(text: &str) -> &str {
    let end = text.find([' ', ',', '\t']).unwrap_or(text.len());
    text.get(end..).unwrap_or_default()
}

/// What stands before the bracket that closes, and behind it.
fn in_brackets(text: &str) -> (&str, &str) {
    let mut open = 1_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => open += 1,
            b']' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return (text.get(..at).unwrap_or(text), text.get(at + 1..).unwrap_or_default());
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line<'_> {
        read(text).unwrap_or_else(|why| panic!("{why:?}: {text}"))
    }

    #[test]
    fn both_styles_say_the_same() {
        let old =
            line("IP 10.0.0.1.5 > 10.0.0.2.80: P 1:518(517) ack 7 win 229 <nop,nop,timestamp 3 4>");
        let new = line(
            "IP 10.0.0.1.5 > 10.0.0.2.80: Flags [P.], seq 1:518, ack 7, win 229, options \
             [nop,nop,TS val 3 ecr 4], length 517: HTTP: GET / HTTP/1.1, length 9",
        );
        assert_eq!(old.tcp, new.tcp);
        assert_eq!((old.source, old.target), (("10.0.0.1", "5"), ("10.0.0.2", "80")));
        let expected = Tcp {
            flags: 0x18,
            seq: Some(1),
            ack: Some(7),
            payload: 517,
            window: 229,
            wrong_checksum: false,
            options: PrintedOptions { timestamps: Some((3, 4)), ..PrintedOptions::default() },
        };
        assert_eq!(old.tcp, expected);
    }

    #[test]
    fn what_stands_around_does_not_matter() {
        let plain = line("IP 10.0.0.1.5 > 10.0.0.2.80: S 7:7(0) win 1 <mss 1460>").tcp;
        for text in [
            "10.0.0.1.5>10.0.0.2.80: S 7:7(0) win 1 <mss 1460> (DF)",
            "10.0.0.1.5> 10.0.0.2.80: S [tcp sum ok] 7:7(0) win 1 <mss 1460> (DF) (ttl 64, id 0, len 44)",
            "10.0.0.1.5 > 10.0.0.2.80: S, cksum 0x0f61 (correct), 7:7(0) win 1 <mss 1460>",
            "0:50:da:c3:6e:63 0:6:5b:87:24:b9 0800 74: 10.0.0.1.5 > 10.0.0.2.80: S 7:7(0) win 1 <mss 1460>",
            "00:50:da:c3:6e:63 > 00:06:5b:87:24:b9, ethertype IPv4 (0x0800), length 74: 10.0.0.1.5 > \
             10.0.0.2.80: Flags [S], seq 7, win 1, options [mss 1460], length 0",
            "IP (tos 0x0, ttl 64, id 3, offset 0, flags [DF], proto TCP (6), length 64, bad cksum 0 \
             (->3cb6)!) 10.0.0.1.5 > 10.0.0.2.80: Flags [S], cksum 0xfe34 (incorrect -> 0x0cf9), seq \
             7, win 1, options [mss 1460], length 0",
            "eth0  In  IP 10.0.0.1.5 > 10.0.0.2.80: Flags [S], seq 7, win 1, options [mss 1460], length 0",
            "IP truncated-ip - 4 bytes missing! 10.0.0.1.5 > 10.0.0.2.80: S 7:7(0) win 1 <mss 1460>",
            "truncated-ip - 4 bytes missing!10.0.0.1.5 > 10.0.0.2.80: S 7:7(0) win 1 <mss 1460>",
        ] {
            let line = line(text);
            assert_eq!(Tcp { wrong_checksum: false, ..line.tcp }, plain, "{text}");
            assert_eq!(line.tcp.wrong_checksum, text.contains("(incorrect"), "{text}");
            assert_eq!(line.source, ("10.0.0.1", "5"), "{text}");
            assert_eq!(line.names_interface, text.starts_with("eth0"), "{text}");
        }
    }

    #[test]
    fn the_ip_header_is_read_where_it_is_printed() {
        let new = line(
            "IP (tos 0x0, ttl 63, id 45241, offset 0, flags [DF], proto TCP (6), length 52) \
             10.0.0.1.5 > 10.0.0.2.80: Flags [.], cksum 0x1 (correct), ack 1, win 2, length 0",
        );
        let old = line("10.0.0.1.5 > 10.0.0.2.80: . ack 1 win 2 (DF) (ttl 63, id 45241, len 52)");
        assert_eq!((new.ip_id, new.ttl), (Some(45_241), Some(63)));
        assert_eq!((old.ip_id, old.ttl), (Some(45_241), Some(63)));
    }

    #[test]
    fn hosts_and_services_have_names() {
        let line =
            line("IP 64.125.152.160.above.net.34783 > fe80::1.http-alt: R 0:0(0) ack 9 win 0");
        assert_eq!(line.source, ("64.125.152.160.above.net", "34783"));
        assert_eq!(line.target, ("fe80::1", "http-alt"));
        assert_eq!((line.tcp.flags, line.tcp.ack), (0x14, Some(9)));
    }

    #[test]
    fn options_that_tcpdump_gave_up_on_are_incomplete() {
        let cut = line("IP 1.1.1.1.5 > 2.2.2.2.6: Flags [.], ack 7, win 5840, options [[bad opt]");
        assert!(cut.tcp.options.incomplete && cut.tcp.payload == 0);
        let old = line("IP 1.1.1.1.5 > 2.2.2.2.6: . ack 7 win 5840 <[bad opt]>");
        assert!(old.tcp.options.incomplete);
        let none = line(
            "IP 1.1.1.1.5 > 2.2.2.2.6: Flags [none], cksum 0xf5 (correct), seq 7, [ack 2 != 0 while \
             ACK flag not set], win 512, length 0",
        );
        assert_eq!((none.tcp.flags, none.tcp.ack, none.tcp.window), (0, None, 512));
    }

    #[test]
    fn everything_else_is_told_apart() {
        for (text, why) in [
            ("ARP, Request who-has 10.0.0.1 tell 10.0.0.2, length 46", Unused::NotIp),
            ("arp who-has 192.168.1.151 tell 192.168.1.2", Unused::NotIp),
            ("IP 10.0.0.1.53 > 10.0.0.2.5353: UDP, length 84", Unused::NotTcp),
            ("10.0.0.1.53 > 10.0.0.2.5353: S 84 a win", Unused::NotTcp),
            ("IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 64", Unused::NotTcp),
            (
                "IP 1.1.1.1 > 2.2.2.2: IP6 ::1.5 > ::2.6: Flags [.], ack 1, win 1, length 0",
                Unused::NotTcp,
            ),
            ("IP 10.0.0.1.5 > 10.0.0.2.80: tcp 517", Unused::Quiet),
            ("IP 10.0.0.1.5 > 10.0.0.2.80: [|tcp]", Unused::CutHeader),
            ("IP 10.0.0.1 > 10.0.0.2: tcp", Unused::Fragment),
            (
                "10.0.0.1.5 > 10.0.0.2.80: . 1:1461(1460) ack 1 win 1 (frag 1109:1472@0+)",
                Unused::Fragment,
            ),
            ("IP 10.0.0.1.5 > 10.0.0.2.80: Flags [.], ack 1", Unused::Unreadable),
            (
                "IP 10.0.0.1.5 > 10.0.0.2.80: Flags [U] [bad hdr length 40 - too long, > 32]",
                Unused::Malformed,
            ),
            (
                "84:b5:9c:be:30:48 > 0c:c4:7a:08:e9:12 Information, Flags [Command], length 52",
                Unused::NotIp,
            ),
            ("IP 10.0.0.1.5 -> 10.0.0.2.80 Flags [.], ack 1, win 5", Unused::Unreadable),
        ] {
            assert_eq!(read(text).err(), Some(why), "{text}");
        }
    }
}
