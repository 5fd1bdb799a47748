//! One packet's line, without its time: between whom, and what TCP said, as it was printed.
//!
//! tcpdump's words have changed little in thirty years, and much around them has: what stands
//! before the addresses (link-level headers, interfaces, the IP header of `-v`), the old style
//! (`F 1:1(0) ack 1 win 65535`) and the new (`Flags [F.], seq 1, ack 2, win 65535, length 0`).
//! So the addresses are looked for, as the first `SOURCE > TARGET:`; what stands behind them,
//! `body` reads.

use super::body::{Body, Tcp, new_flags};
use super::printed::Unused;
use crate::limits::EXTENSION_HEADERS_MAX;

/// A host and a port as they stand.
type Socket<'a> = (&'a str, &'a str);

/// A TCP segment's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// The sender's.
    pub source: Socket<'a>,
    /// The receiver's.
    pub target: Socket<'a>,
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

/// Reads a packet's line, from behind its time.
pub(super) fn read(text: &str) -> Result<Line<'_>, Unused> {
    let Some(pair) = Pair::find(text) else { return Err(without_addresses(text)) };
    if is_fragment(text, &pair) {
        return Err(Unused::Fragment);
    }
    let Some((source, target, body)) = sockets(&pair) else {
        return Err(Body::read(pair.body).err().unwrap_or(Unused::NotTcp));
    };
    let body = Body::read(body)?;
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

/// Hosts and ports, and what stands behind them. Behind extension headers the ports stand alone.
fn sockets<'a>(pair: &Pair<'a>) -> Option<(Socket<'a>, Socket<'a>, &'a str)> {
    let rest = behind_extensions(pair.body);
    match Pair::find(rest).filter(|ports| rest.len() < pair.body.len() && ports.before.is_empty()) {
        Some(ports) => Some(((pair.source, ports.source), (pair.target, ports.target), ports.body)),
        None => Some((port_apart(pair.source)?, port_apart(pair.target)?, pair.body)),
    }
}

/// What is printed behind the headers that can stand between IP and TCP.
pub(super) fn behind_extensions(body: &str) -> &str {
    let mut rest = body;
    for _ in 0..EXTENSION_HEADERS_MAX {
        let options = rest.strip_prefix("HBH ").or_else(|| rest.strip_prefix("DSTOPT "));
        let routing = rest.strip_prefix("RT6 (").and_then(|rest| rest.split_once(") "));
        let authentication = rest.strip_prefix("AH(").and_then(|rest| rest.split_once("): "));
        rest = match (options, routing.or(authentication)) {
            (Some(rest), _) => behind_options(rest),
            (None, Some((_, rest))) => rest,
            (None, None) => break,
        };
    }
    rest
}

/// `-v` prints each option in parentheses, as it does IP's header.
fn behind_options(mut rest: &str) -> &str {
    while let Some((option, behind)) = rest.strip_prefix('(').and_then(|it| it.split_once(") ")) {
        if HEADERS.iter().any(|header| option.starts_with(&header[1..])) {
            break;
        }
        rest = behind;
    }
    rest
}

/// What IP's header begins with, as `-v` prints it.
pub(super) const HEADERS: [&str; 4] = ["(tos ", "(class ", "(hlim ", "(flowlabel "];

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

/// The same in hexadecimal.
pub(super) fn hexadecimal(text: &str) -> Option<(u32, &str)> {
    let end = text.bytes().position(|it| !it.is_ascii_hexdigit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
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

pub(super) fn is_direction(word: &str) -> bool {
    matches!(word, "In" | "Out" | "B" | "M" | "P")
}

/// The addresses of a line, and what stands around them.
pub(super) struct Pair<'a> {
    pub before: &'a str,
    source: &'a str,
    target: &'a str,
    pub body: &'a str,
}

impl<'a> Pair<'a> {
    /// The two hosts as they stand, with their ports if they have some.
    pub fn hosts(&self) -> [&'a str; 2] {
        [self.source, self.target]
    }

    /// The first `SOURCE > TARGET:`, with or without blanks around the `>`. Link-level addresses
    /// have a comma in place of the colon.
    pub fn find(text: &'a str) -> Option<Pair<'a>> {
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

/// Arrows in front of and in a line's addresses: link-level headers have some, and `-v` has one
/// with a wrong checksum.
const ARROWS_MAX: usize = 8;

pub(super) fn is_address(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_%".contains(&byte) || byte >= 0x80;
    !text.is_empty() && text.bytes().all(fits) && text.bytes().any(|it| it.is_ascii_alphanumeric())
}

/// Host and port: what stands behind the last dot is the port.
fn port_apart(text: &str) -> Option<Socket<'_>> {
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
        || pair.body.starts_with("frag (")
}

#[cfg(test)]
mod tests {
    use super::super::printed::PrintedOptions;
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
            checksum: 0,
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
            assert_eq!(Tcp { wrong_checksum: false, checksum: 0, ..line.tcp }, plain, "{text}");
            let checksum = hexadecimal(text.split_once("cksum 0x").map_or("0", |it| it.1));
            assert_eq!(Some(line.tcp.checksum.into()), checksum.map(|it| it.0), "{text}");
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
    fn extension_headers_may_stand_in_front_of_the_ports() {
        let plain = line("IP6 ::1.5 > ::2.80: Flags [S], seq 7, win 1, length 0");
        for headers in [
            "DSTOPT",
            "HBH (padn) DSTOPT (padn)",
            "RT6 (len=2, type=4, segleft=0, last-entry=0, tag=0, [0]fe80::3)",
            "AH(spi=0x00000007,seq=0x1,icv=0x05):",
        ] {
            let text =
                format!("IP6 ::1 > ::2: {headers} 5 > 80: Flags [S], seq 7, win 1, length 0");
            assert_eq!(line(&text), plain, "{headers}");
        }
        // A fragment that is the whole packet looks like the first of several.
        let part = "IP6 ::1 > ::2: frag (0|20) 5 > 80: Flags [S], seq 7, win 1, length 0";
        assert_eq!(read(part).err(), Some(Unused::Fragment));
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
