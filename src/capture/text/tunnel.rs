//! Tunnels as tcpdump prints them: what carries a packet stands in front of what it carries, in
//! the same line (`GREv0, length 51: IP 10.0.0.1.5 > 10.0.0.2.80: Flags [S], ...`) or in the one
//! above it (`VXLAN, flags [I] (0x08), vni 5`).

use super::Services;
use super::line::{HEADERS, Line, Pair, behind_extensions, hexadecimal, number, read};
use super::names;
use super::printed::{PrintedEnds, PrintedTunnel, PrintedTunnels};

/// What a line says of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// GRE and its key.
    Gre(Option<u32>),
    IpInIp,
    /// PPP in GRE.
    Pptp,
    L2tp,
    Vxlan(u32),
    /// One without a network, of which nothing is read.
    NoNetwork,
    Geneve(u32),
}

/// The segment's line in a line of tunnels, and those from outside to inside.
pub(super) fn read_inside<'a>(
    text: &'a str,
    services: &mut Services,
) -> Option<(Line<'a>, PrintedTunnels)> {
    let mut tunnels = PrintedTunnels::default();
    let mut inside = text;
    for place in &mut tunnels {
        let pair = Pair::find(inside)?;
        let (kind, carried) = carried(&pair)?;
        *place = Some(match kind {
            Kind::Gre(None) => PrintedTunnel::Plain,
            Kind::Gre(Some(key)) => PrintedTunnel::GreKey(key),
            Kind::Vxlan(id) => PrintedTunnel::Vxlan(id),
            Kind::Geneve(id) => PrintedTunnel::Geneve(id),
            Kind::NoNetwork => return None,
            Kind::IpInIp => PrintedTunnel::IpInIp(ends(pair.hosts(), services)?),
            Kind::Pptp => PrintedTunnel::Ppp(ends(pair.hosts(), services)?),
            Kind::L2tp => PrintedTunnel::Ppp(ends(pair.hosts().map(without_port), services)?),
        });
        inside = carried;
        if let Ok(line) = read(inside) {
            return Some((line, tunnels));
        }
    }
    None
}

/// What the innermost tunnel of a line carries, as far as it is there; without one, the line.
pub(super) fn innermost(text: &str) -> &str {
    let mut inside = text;
    for _ in PrintedTunnels::default() {
        match Pair::find(inside).and_then(|pair| carried(&pair)) {
            Some((_, carried)) => inside = carried,
            None => break,
        }
    }
    inside
}

/// The tunnel that a pair of addresses is the ends of, and the text of what it carries, which is
/// empty where that is not there yet.
fn carried<'a>(pair: &Pair<'a>) -> Option<(Kind, &'a str)> {
    if pair.body.starts_with("Flags [") {
        return None;
    }
    let body = behind_extensions(behind_checksum(pair.body.trim_start()));
    if let Some((_, rest)) = body.strip_prefix("l2tp:").and_then(|rest| rest.split_once('{')) {
        return Some((Kind::L2tp, rest.trim_end_matches('}')));
    }
    if begins_ip(body) {
        return Some((Kind::IpInIp, body));
    }
    let (name, rest) = body.split_once([',', ' '])?;
    let (kind, rest) = match name {
        // What cannot be read in it has no payload, or no name.
        "GREv0" | "GREv1" if rest.contains("no-payload") || rest.contains("gre-proto-") => {
            return None;
        }
        "GREv0" | "GREv1" => {
            let (header, rest) = rest.split_once("length ").unwrap_or((rest, ""));
            let key = header.split_once("key=0x").and_then(|(_, key)| hexadecimal(key));
            let kind = if name == "GREv0" { Kind::Gre(key.map(|it| it.0)) } else { Kind::Pptp };
            (kind, number(rest).map_or("", |it| it.1))
        }
        // VXLAN at its old port looks like OTV, and is that.
        "VXLAN" | "VXLAN-GPE" | "OTV" => {
            let word = if name == "OTV" { "instance " } else { "vni " };
            match rest.split_once(word).and_then(|(header, rest)| Some((header, number(rest)?))) {
                Some((header, (id, rest))) => (vxlan(header, id), rest),
                None => (Kind::NoNetwork, ""),
            }
        }
        "Geneve" => match rest.split_once("vni 0x").and_then(|(_, rest)| hexadecimal(rest)) {
            Some((id, rest)) => (Kind::Geneve(id), behind_options(rest)),
            None => (Kind::NoNetwork, ""),
        },
        _ => return None,
    };
    Some((kind, rest.trim_start_matches([':', ' ', '\t'])))
}

/// VXLAN, if `flags [I]` says that it has a network.
fn vxlan(header: &str, id: u32) -> Kind {
    let flags = header.split_once("flags [").and_then(|(_, rest)| rest.split_once(']'));
    match flags {
        Some((flags, _)) if flags.contains('I') => Kind::Vxlan(id),
        _ => Kind::NoNetwork,
    }
}

/// `[udp sum ok]` and the like stand in front with `-v`.
fn behind_checksum(body: &str) -> &str {
    let behind = body.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    behind.map_or(body, |(_, rest)| rest.trim_start())
}

/// Whether an IP packet begins here. `-e` prints no name, and so its addresses or its header.
fn begins_ip(body: &str) -> bool {
    let is_pair = |pair: Pair<'_>| pair.before.is_empty() && pair.hosts()[0].contains(['.', ':']);
    ["IP ", "IP6 "].iter().chain(&HEADERS).any(|start| body.starts_with(start))
        || Pair::find(body).is_some_and(is_pair)
}

/// What stands behind GENEVE's protocol and options.
fn behind_options(rest: &str) -> &str {
    if !rest.starts_with(',') {
        return rest;
    }
    let colon = rest.find(": ").map(|at| at + 1);
    let packet = HEADERS.iter().chain(&["IP ", "IP6 "]);
    let packet = packet.filter_map(|start| rest.find(start));
    let begins = packet.chain(colon).min().unwrap_or(rest.len());
    rest.get(begins..).unwrap_or_default()
}

fn without_port(host: &str) -> &str {
    host.rsplit_once('.').map_or(host, |(host, _)| host)
}

/// The two ends of a tunnel; none if there is no room for another name.
fn ends([source, target]: [&str; 2], services: &mut Services) -> Option<PrintedEnds> {
    let (version, [(source, _), (target, _)]) =
        names::sockets((source, "0"), (target, "0"), services)?;
    Some(PrintedEnds { version, addrs: [source, target] })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: &str = "10.0.0.1.5 > 10.0.0.2.80: Flags [S], seq 7, win 1, length 0";
    const HEADER: &str =
        "(tos 0x0, ttl 64, id 7, offset 0, flags [none], proto TCP (6), length 40)";
    const HOSTS: &str = "IP 192.0.2.1 > 192.0.2.2:";

    fn tunnels(text: &str) -> Option<Vec<PrintedTunnel>> {
        let (line, tunnels) = read_inside(text, &mut Services::new())?;
        assert_eq!((line.source.1, line.target.1, line.tcp.seq), ("5", "80", Some(7)), "{text}");
        Some(tunnels.into_iter().flatten().collect())
    }

    fn hosts(last: u8) -> PrintedEnds {
        let addr = |last| u128::from(u32::from_be_bytes([192, 0, 2, last])).to_be_bytes();
        PrintedEnds { version: 4, addrs: [addr(last), addr(last + 1)] }
    }

    #[test]
    fn what_stands_in_front_names_the_tunnel() {
        let udp = "IP 192.0.2.1.50000 > 192.0.2.2";
        for (text, tunnel) in [
            (format!("{HOSTS} GREv0, length 44: IP {SEGMENT}"), PrintedTunnel::Plain),
            (
                format!(
                    "{HOSTS} GREv0, Flags [key present], key=0x2a, length 44 IP {HEADER} {SEGMENT}"
                ),
                PrintedTunnel::GreKey(42),
            ),
            (
                format!("{HOSTS} GREv0, key=0x2a, proto IPv4 (0x0800), length 44: {SEGMENT}"),
                PrintedTunnel::GreKey(42),
            ),
            (
                format!("{HOSTS} GREv1, call 7, seq 1, length 56: IP {SEGMENT}"),
                PrintedTunnel::Ppp(hosts(1)),
            ),
            (format!("{HOSTS} IP {SEGMENT}"), PrintedTunnel::IpInIp(hosts(1))),
            (format!("{HOSTS} {SEGMENT}"), PrintedTunnel::IpInIp(hosts(1))),
            (
                format!("{udp}.4789: VXLAN, flags [I] (0x08), vni 5 IP {SEGMENT}"),
                PrintedTunnel::Vxlan(5),
            ),
            (
                format!(
                    "{udp}.8472: [udp sum ok] OTV, flags [I] (0x08), overlay 0, instance 5 IP {SEGMENT}"
                ),
                PrintedTunnel::Vxlan(5),
            ),
            (
                format!("{udp}.4790: VXLAN-GPE, flags [IP], vni 5: IP {SEGMENT}"),
                PrintedTunnel::Vxlan(5),
            ),
            (
                format!(
                    "{udp}.6081: Geneve, Flags [none], vni 0x7f, options [4 bytes]: IP {SEGMENT}"
                ),
                PrintedTunnel::Geneve(127),
            ),
            (
                format!(
                    "{udp}.6081: Geneve, Flags [none], vni 0x7f, proto IPv4 (0x0800), options [class Standard (0x1) type 0x3 len 8] {HEADER} {SEGMENT}"
                ),
                PrintedTunnel::Geneve(127),
            ),
            (format!("{udp}.1701:  l2tp:[L](1/2) {{IP {SEGMENT}}}"), PrintedTunnel::Ppp(hosts(1))),
        ] {
            assert_eq!(tunnels(&text), Some(vec![tunnel]), "{text}");
        }
    }

    #[test]
    fn tunnels_stand_in_one_another_up_to_a_bound() {
        let nested = |depth: usize| {
            let outer: String = (0..depth).map(|_| format!("{HOSTS} ")).collect();
            tunnels(&format!("{outer}IP {SEGMENT}"))
        };
        let most = PrintedTunnels::default().len();
        assert_eq!(nested(most).map(|all| all.len()), Some(most));
        assert_eq!(nested(most + 1), None);
        let two = format!("{HOSTS} GREv0, length 94: IP 192.0.2.3 > 192.0.2.4: IP {SEGMENT}");
        assert_eq!(
            tunnels(&two),
            Some(vec![PrintedTunnel::Plain, PrintedTunnel::IpInIp(hosts(3))])
        );
    }

    #[test]
    fn what_has_no_segment_in_it_is_none() {
        for text in [
            format!("{HOSTS} GREv0, seq 0, length 120: gre-proto-0x88be"),
            format!("{HOSTS} GREv1, call 1792, no-payload, length 62"),
            format!(
                "{HOSTS} ICMP 10.0.0.2 tcp port 80 unreachable, length 36 IP {HEADER} {SEGMENT}"
            ),
            format!("IP 192.0.2.1.5 > 192.0.2.2.4789: VXLAN, flags [.] (0x00), vni 5 IP {SEGMENT}"),
            format!(
                "{HOSTS} GREv0, length 88: IP 172.28.2.3 > 66.59.111.190: ICMP echo reply, id 5"
            ),
        ] {
            assert_eq!(tunnels(&text), None, "{text}");
        }
    }

    #[test]
    fn what_a_tunnel_carries_may_be_printed_below_it() {
        for (text, inner) in [
            ("IP 1.1.1.1.5 > 2.2.2.2.4789: VXLAN, flags [I] (0x08), vni 5", ""),
            ("IP 1.1.1.1 > 2.2.2.2: GREv0, Flags [none], length 88", ""),
            ("IP 1.1.1.1.5 > 2.2.2.2.6081: Geneve, Flags [none], vni 0x5, options [8 bytes]", ""),
            ("IP 1.1.1.1 > 2.2.2.2: GREv0, length 48: ARP, Request", "ARP, Request"),
            ("ARP, Request", "ARP, Request"),
        ] {
            assert_eq!(innermost(text), inner);
        }
    }
}
