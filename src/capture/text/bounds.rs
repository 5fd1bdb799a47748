//! Where what is printed of one packet begins and ends, if it stands on several lines: because
//! tcpdump printed several, or because somebody's mail client broke one.

use super::body::Body;
use super::line::{HEADERS, Pair, is_address, is_direction, number, read};
use super::printed::Unused;
use super::tunnel::innermost;

/// Whether a line without a time begins a packet.
pub(super) fn begins(text: &str) -> bool {
    let text = behind_interface(text);
    let protocol = PROTOCOLS.iter().find(|name| text.starts_with(**name));
    if protocol.is_some_and(|name| names_packet(name, text)) || begins_with_link_header(text) {
        return true;
    }
    let Some(pair) = Pair::find(text) else { return false };
    pair.before.is_empty() && !matches!(Body::read(pair.body), Err(Unused::NotTcp))
}

/// Whether a text can be that of a packet, as far as one line shows it.
pub(super) fn is_packet(text: &str) -> bool {
    begins(text) || Pair::find(text).is_some() || goes_on(text, "")
}

/// Whether it is no prose that begins like this: behind IP there are addresses, or its header.
fn names_packet(protocol: &str, text: &str) -> bool {
    let is_ip = ["IP ", "IP6 ", "ip: ", "ip6: "].contains(&protocol);
    let second = text.split_ascii_whitespace().nth(1).unwrap_or_default();
    !is_ip
        || second.starts_with('(')
        || second.trim_end_matches(['.', ':']).contains(['.', ':', '>'])
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
    !text.is_empty() && innermost(text).is_empty()
}

/// Whether a line that ends with the text is the beginning of a packet's only.
pub(super) fn is_cut(text: &str) -> bool {
    goes_on(text, "") || (read(text) == Err(Unused::NotTcp) && Pair::find(text).is_none())
}

/// What else stands in front of a packet's addresses, and leads to them.
const LEADERS: [&str; 2] = ["MPLS (label ", "ethertype IP"];

/// Whether the line goes on in the one below: what it says so far makes no packet.
pub(super) fn goes_on(text: &str, below: &str) -> bool {
    let text = innermost(text);
    if matches!(text, "" | "IP" | "IP6") {
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
            let is_header = text.ends_with("ethertype")
                || HEADERS.iter().chain(&LEADERS).any(|it| text.contains(it));
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
const KEYWORDS: [&str; 32] = [
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
    "GREv0",
    "VXLAN",
    "OTV",
    "Geneve",
    "flags",
    "vni",
    "instance",
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
        _ if is_word(last_part) || begins_with_link_header(below) => false,
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
