//! One connection in everything that finwait reads: each container, link type and tunnel gives the
//! history that the connection has on the bare wire. README's list of formats is made of these
//! lists; `FINWAIT_UPDATE=1 cargo test --test it formats` writes it.

use std::io::Write;
use std::path::Path;

use finwait::capture::{Compression, Merge, Source};
use finwait::decode::tuple::FourTuple;
use finwait::history::{History, Role};
use finwait::infer::Params;
use finwait::limits::{CONNECTIONS_MAX, TUNNEL_DEPTH_MAX};
use finwait::pipeline::{Pipeline, Totals};
use finwait::run::{self, Options};

use crate::files::Folder;

/// A packet: nanoseconds and bytes.
type Packet = (u64, Vec<u8>);
type Wrap = fn(&[u8]) -> Vec<u8>;

/// What happened on a connection, without frames and times.
fn told(history: &History) -> String {
    let steps = history.transitions.iter().map(|it| (it.end, it.from, it.to, it.event, it.basis));
    let tallies = history.sides.iter().map(|side| (side.tally.segments, side.tally.bytes));
    format!("{:?}", (steps.collect::<Vec<_>>(), tallies.collect::<Vec<_>>(), history.close()))
}

/// Reads a capture to its end.
fn read(capture: &[u8], decode_tunnels: bool) -> (Vec<History>, Totals) {
    let source = Source::from_reader("test", Box::new(std::io::Cursor::new(capture.to_vec())));
    let mut merge = Merge::new(vec![source.expect("a capture")]);
    let pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
    let mut pipeline = if decode_tunnels { pipeline.decoding_tunnels() } else { pipeline };
    while let Some(packet) = merge.next_packet().expect("a whole capture") {
        pipeline.packet(&packet);
    }
    let (mut all, totals) = pipeline.finish();
    all.sort_by_key(|history| history.id);
    (all, totals)
}

/// The histories of a capture's connections, and whether they are in tunnels.
fn histories(capture: &[u8]) -> (Vec<String>, Vec<FourTuple>) {
    let (all, _) = read(capture, true);
    (all.iter().map(told).collect(), all.iter().map(|history| history.tuple).collect())
}

/// Why packets of a capture gave no segment.
fn skipped(capture: &[u8], decode_tunnels: bool) -> Vec<(&'static str, u64)> {
    read(capture, decode_tunnels).1.skipped.iter().collect()
}

/// The IP packets of a recording.
fn recording(name: &str) -> Vec<Packet> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    let mut source = Source::open(root.join(name).join("server.pcap")).expect("a recording");
    assert_eq!(source.info().link_types[0].0, 101, "recordings are raw IP");
    let mut packets = Vec::new();
    while let Some(packet) = source.next_packet().expect("whole") {
        let mut data = packet.data.to_vec();
        // What the snap length cut is put back, so that lengths stay true in whatever is around.
        data.resize(packet.orig_len as usize, 0);
        packets.push((packet.ts.as_nanos() as u64, data));
    }
    packets
}

fn recordings() -> [Vec<Packet>; 2] {
    [recording("four-segment-close"), recording("fin-lost-ipv6")]
}

fn pcap(link: u16, packets: &[Packet]) -> Vec<u8> {
    let mut bytes = 0xa1b2_3c4d_u32.to_le_bytes().to_vec();
    bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0]);
    bytes.extend(u32::from(link).to_le_bytes());
    for (ts, data) in packets {
        let length = data.len() as u64;
        for word in [ts / 1_000_000_000, ts % 1_000_000_000, length, length] {
            bytes.extend((word as u32).to_le_bytes());
        }
        bytes.extend(data);
    }
    bytes
}

fn big_micros(packets: &[Packet]) -> Vec<u8> {
    let mut bytes = 0xa1b2_c3d4_u32.to_be_bytes().to_vec();
    bytes.extend([0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 101]);
    for (ts, data) in packets {
        let length = data.len() as u64;
        for word in [ts / 1_000_000_000, ts % 1_000_000_000 / 1000, length, length] {
            bytes.extend((word as u32).to_be_bytes());
        }
        bytes.extend(data);
    }
    bytes
}

fn pcapng(packets: &[Packet]) -> Vec<u8> {
    let block = |kind: u32, body: Vec<u8>| {
        let length = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &length].concat()
    };
    let header = [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255];
    let mut bytes = block(0x0a0d_0d0a, header.to_vec());
    bytes.extend(block(1, vec![101, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0]));
    for (ts, data) in packets {
        let length = (data.len() as u32).to_le_bytes();
        let ts = [((ts >> 32) as u32).to_le_bytes(), (*ts as u32).to_le_bytes()].concat();
        let mut body = [&[0; 4][..], &ts, &length, &length, data].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        bytes.extend(block(6, body));
    }
    bytes
}

fn packed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match compression {
        Compression::Gzip => {
            let mut packer = flate2::write::GzEncoder::new(&mut out, Default::default());
            packer.write_all(bytes).expect("packed");
        }
        Compression::Zstd => zstd::stream::copy_encode(bytes, &mut out, 3).expect("packed"),
        Compression::Lz4 => {
            let mut packer = lz4_flex::frame::FrameEncoder::new(&mut out);
            packer.write_all(bytes).expect("packed");
            packer.finish().expect("packed");
        }
        Compression::Xz => {
            let packer = lzma_rust2::XzWriter::new(&mut out, Default::default());
            let mut packer = packer.expect("a packer");
            packer.write_all(bytes).expect("packed");
            packer.finish().expect("packed");
        }
        Compression::Bzip2 => {
            let mut packer = bzip2::write::BzEncoder::new(&mut out, Default::default());
            packer.write_all(bytes).expect("packed");
        }
    }
    out
}

/// The EtherType of an IP packet.
fn ethertype(ip: &[u8]) -> [u8; 2] {
    if ip[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] }
}

/// Headers, then the packet's EtherType, then the packet.
fn typed(headers: &[&[u8]], ip: &[u8]) -> Vec<u8> {
    [&headers.concat()[..], &ethertype(ip), ip].concat()
}

fn plain(header: &[u8], rest: &[u8]) -> Vec<u8> {
    [header, rest].concat()
}

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const SNAP: [u8; 6] = [0xaa, 0xaa, 3, 0, 0, 0];

fn ethernet(ip: &[u8]) -> Vec<u8> {
    typed(&[&MACS], ip)
}

/// PPP's protocol and the packet.
fn ppp(ip: &[u8]) -> Vec<u8> {
    plain(if ip[0] >> 4 == 4 { &[0, 0x21] } else { &[0, 0x57] }, ip)
}

fn wlan(ip: &[u8]) -> Vec<u8> {
    typed(&[&[0x88, 1], &[0; 22], &[0, 0], &SNAP], ip)
}

/// Several packets in one frame (A-MSDU).
fn wlan_several(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = [&[0x88, 1][..], &[0; 22], &[0x80, 0]].concat();
    for ip in packets {
        frame.resize((frame.len() - 26).next_multiple_of(4) + 26, 0);
        let length = (ip.len() as u16 + 8).to_be_bytes();
        frame.extend(typed(&[&MACS, &length, &SNAP], ip));
    }
    frame
}

fn cisco_hdlc(ip: &[u8]) -> Vec<u8> {
    typed(&[&[0x0f, 0]], ip)
}

fn frame_relay(ip: &[u8]) -> Vec<u8> {
    plain(&[0x18, 0x41, 3, if ip[0] >> 4 == 4 { 0xcc } else { 0x8e }], ip)
}

fn llc(before: usize, ip: &[u8]) -> Vec<u8> {
    typed(&[&vec![0; before], &SNAP], ip)
}

const JUNIPER: &str = "Juniper (Ethernet, PPPoE, PPP, multilink PPP, frame relay, HDLC, ATM)";

/// Link types: what README calls it, its number, and the packet in it.
const LINKS: [(&str, u16, Wrap); 58] = [
    ("raw IP", 101, |ip| ip.to_vec()),
    ("raw IP", 12, |ip| ip.to_vec()),
    ("raw IP", 14, |ip| ip.to_vec()),
    ("Ethernet", 1, ethernet),
    ("VLAN and QinQ tags", 1, |ip| typed(&[&MACS, &[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2]], ip)),
    ("MPLS", 1, |ip| plain(&[&MACS[..], &[0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 64]].concat(), ip)),
    ("Ethernet pseudowires", 1, |ip| {
        plain(&[&MACS[..], &[0x88, 0x47, 0, 1, 1, 64, 0, 0, 0, 7]].concat(), &ethernet(ip))
    }),
    ("PPPoE", 1, |ip| plain(&[&MACS[..], &[0x88, 0x64, 0x11, 0, 0, 5, 0, 42]].concat(), &ppp(ip))),
    ("MAC-in-MAC", 1, |ip| plain(&[&MACS[..], &[0x88, 0xe7, 0, 0, 0, 7]].concat(), &ethernet(ip))),
    ("FabricPath", 1, |ip| plain(&[&MACS[..], &[0x89, 3, 0, 1]].concat(), &ethernet(ip))),
    ("VN-tags", 1, |ip| typed(&[&MACS, &[0x89, 0x26, 0, 0, 0, 1]], ip)),
    ("E-tags", 1, |ip| typed(&[&MACS, &[0x89, 0x3f, 0, 0, 0, 1, 0, 0]], ip)),
    ("LLC and SNAP", 1, |ip| typed(&[&MACS, &[1, 0], &SNAP], ip)),
    ("Linux cooked v1", 113, |ip| typed(&[&[0; 14]], ip)),
    ("Linux cooked v2", 276, |ip| plain(&ethertype(ip), &[&[0; 18][..], ip].concat())),
    ("BSD loopback", 0, |ip| plain(&[if ip[0] >> 4 == 4 { 2 } else { 30 }, 0, 0, 0], ip)),
    ("BSD loopback", 108, |ip| plain(&[0, 0, 0, if ip[0] >> 4 == 4 { 2 } else { 24 }], ip)),
    ("IEEE 802.11 in clear", 105, wlan),
    ("radiotap", 127, |ip| plain(&[0, 0, 9, 0, 2, 0, 0, 0, 0], &wlan(ip))),
    ("radiotap", 127, |ip| {
        let padded = typed(&[&[0x88, 1], &[0; 22], &[0, 0, 0, 0], &SNAP], ip);
        let time = [0, 0, 17, 0, 3, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x20];
        plain(&time, &padded)
    }),
    ("Prism and AVS", 119, |ip| plain(&[0; 144], &wlan(ip))),
    ("Prism and AVS", 163, |ip| plain(&[0x80, 0x21, 0x10, 1, 0, 0, 0, 8], &wlan(ip))),
    ("PPI", 192, |ip| plain(&[0, 0, 8, 0, 105, 0, 0, 0], &wlan(ip))),
    ("PPP", 9, |ip| plain(&[0xff, 3], &ppp(ip))),
    ("PPP", 50, |ip| plain(&[0xff, 3], &ppp(ip))),
    ("PPP", 51, |ip| plain(&[0x11, 0, 0, 5, 0, 42], &ppp(ip))),
    ("PPP", 166, |ip| plain(&[1, 3], &ppp(ip))),
    ("PPP", 204, |ip| plain(&[1, 0xff, 3], &ppp(ip))),
    ("Cisco HDLC", 104, cisco_hdlc),
    ("Cisco HDLC", 50, cisco_hdlc),
    ("Cisco HDLC", 205, |ip| plain(&[1], &cisco_hdlc(ip))),
    ("frame relay", 107, frame_relay),
    ("frame relay", 206, |ip| plain(&[0], &frame_relay(ip))),
    ("FDDI", 10, |ip| llc(13, ip)),
    ("token ring", 6, |ip| llc(14, ip)),
    ("IP over Fibre Channel", 122, |ip| llc(16, ip)),
    ("ATM", 100, |ip| llc(0, ip)),
    ("ATM", 123, |ip| plain(&[0x82, 0, 0, 5], &llc(0, ip))),
    ("ATM", 100, |ip| plain(&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0], &ethernet(ip))),
    ("IP over FireWire", 138, |ip| typed(&[&[0; 16]], ip)),
    ("IP over InfiniBand", 242, |ip| [&[0; 40][..], &ethertype(ip), &[0, 0], ip].concat()),
    ("NFLOG", 239, |ip| {
        let length = (ip.len() as u16 + 4).to_le_bytes();
        plain(&[&[2, 0, 0, 0, 5, 0, 10, 0, 65, 0, 0, 0][..], &length, &[9, 0]].concat(), ip)
    }),
    ("pflog and enc", 117, |ip| plain(&[&[61][..], &[0; 63]].concat(), ip)),
    ("pflog and enc", 109, |ip| plain(&[0; 12], ip)),
    ("Apple PKTAP", 258, |ip| {
        plain(&[&[108, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0][..], &[0; 96]].concat(), &ethernet(ip))
    }),
    (JUNIPER, 178, |ip| plain(&[b'M', b'G', b'C', 0x81, 0, 2, 9, 9], &ethernet(ip))),
    (JUNIPER, 179, |ip| plain(&[b'M', b'G', b'C', 2, 2, 0, 0, 0], ip)),
    (JUNIPER, 179, |ip| plain(b"MGC\x01", &ppp(ip))),
    (JUNIPER, 180, |ip| plain(b"MGC\x01", &frame_relay(ip))),
    (JUNIPER, 181, |ip| plain(b"MGC\x01", &cisco_hdlc(ip))),
    (JUNIPER, 137, |ip| plain(b"MGC\x01\0\0\0\0", &llc(0, ip))),
    (JUNIPER, 135, |ip| plain(b"MGC\x01\0\0\0\0\0\0\0\0", &llc(0, ip))),
    (JUNIPER, 130, |ip| plain(b"MGC\x01\x54\0\0\x01\xff\x03", &ppp(ip))),
    (JUNIPER, 130, |ip| plain(b"MGC\0\x47\0\0\0\0\0\0\0", ip)),
    (JUNIPER, 130, |ip| plain(b"MGC\x01\x47\0\0\0\x01\0\0\0\xff\x03", &ppp(ip))),
    (JUNIPER, 130, |ip| plain(b"MGC\x01\0\x07", &ppp(ip))),
    (JUNIPER, 130, |ip| plain(b"MGC\x01", &ppp(ip))),
    (JUNIPER, 167, |ip| plain(b"MGC\x01", &ethernet(ip))),
];

/// An IPv4 packet around the payload.
fn outer(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = ((20 + payload.len()) as u16).to_be_bytes();
    let header = [0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    plain(&header, payload)
}

/// The same of IPv6.
fn outer6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    plain(&[&[0x60, 0, 0, 0, high, low, next, 64][..], &[1; 16], &[2; 16]].concat(), payload)
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    let [long, short] = ((8 + payload.len()) as u16).to_be_bytes();
    outer(17, &plain(&[0xc0, 1, high, low, long, short, 0, 0], payload))
}

/// The number of IP-in-IP for this packet.
fn as_protocol(ip: &[u8]) -> u8 {
    if ip[0] >> 4 == 4 { 4 } else { 41 }
}

fn vxlan(ip: &[u8]) -> Vec<u8> {
    udp(4789, &plain(&[8, 0, 0, 0, 0, 0, 100, 0], &ethernet(ip)))
}

fn gtp(flags: u8, header: &[u8], ip: &[u8]) -> Vec<u8> {
    let length = ((header.len() + ip.len()) as u16).to_be_bytes();
    let fixed = [&[flags, 255][..], &length, &[1, 2, 3, 4]].concat();
    udp(2152, &[&fixed[..], header, ip].concat())
}

/// Tunnels: what README calls it, the packet in it, and whether it counts as another network.
const TUNNELS: [(&str, Wrap, bool); 25] = [
    ("GRE", |ip| outer(47, &typed(&[&[0, 0]], ip)), false),
    ("GRE", |ip| outer6(47, &[&[0x10, 0][..], &ethertype(ip), &[0, 0, 0, 9], ip].concat()), false),
    ("GRE", |ip| outer(47, &[&[0xb0, 0][..], &ethertype(ip), &[7; 12], ip].concat()), true),
    ("GRE", |ip| outer(47, &plain(&[0, 0, 0x65, 0x58], &ethernet(ip))), false),
    ("ERSPAN I to III", |ip| outer(47, &plain(&[0, 0, 0x88, 0xbe], &ethernet(ip))), false),
    (
        "ERSPAN I to III",
        |ip| outer(47, &plain(&[&[0x10, 0, 0x88, 0xbe][..], &[1; 12]].concat(), &ethernet(ip))),
        false,
    ),
    (
        "ERSPAN I to III",
        |ip| {
            let header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
            outer(47, &plain(&[&header[..], &[9; 8]].concat(), &ethernet(ip)))
        },
        false,
    ),
    (
        "PPTP",
        |ip| outer(47, &plain(&[0x30, 1, 0x88, 0x0b, 0, 9, 0, 7, 0, 0, 0, 1, 0xff, 3], &ppp(ip))),
        true,
    ),
    ("EoIP", |ip| outer(47, &plain(&[0x20, 1, 0x64, 0, 0, 9, 7, 0], &ethernet(ip))), true),
    ("IP-in-IP and 6in4", |ip| outer(as_protocol(ip), ip), true),
    ("IP-in-IP and 6in4", |ip| outer6(as_protocol(ip), ip), true),
    ("VXLAN", vxlan, true),
    (
        "VXLAN",
        |ip| {
            let next = if ip[0] >> 4 == 4 { 1 } else { 2 };
            udp(4790, &plain(&[0x0c, 0, 0, next, 0, 0, 100, 0], ip))
        },
        true,
    ),
    ("GENEVE", |ip| udp(6081, &plain(&[0, 0, 0x65, 0x58, 0, 0, 7, 0], &ethernet(ip))), true),
    (
        "GENEVE",
        |ip| {
            let [high, low] = ethertype(ip);
            udp(6081, &plain(&[1, 0, high, low, 0, 0, 7, 0, 1, 2, 3, 4], ip))
        },
        true,
    ),
    ("GTP-U", |ip| gtp(0x30, &[], ip), true),
    ("GTP-U", |ip| gtp(0x34, &[0, 0, 0, 0x85, 1, 0x10, 5, 0], ip), true),
    ("Teredo", |ip| udp(3544, &plain(&[0, 0, 1, 2, 3, 4, 5, 6], ip)), false),
    (
        "L2TPv2",
        |ip| {
            let [high, low] = (ip.len() as u16 + 12).to_be_bytes();
            udp(1701, &plain(&[0x40, 2, high, low, 0, 1, 0, 2, 0xff, 3], &ppp(ip)))
        },
        true,
    ),
    (
        "L2TPv2",
        |ip| udp(1701, &plain(&[0x0a, 2, 0, 1, 0, 2, 0, 0, 0, 0, 0, 2, 0, 0], &ppp(ip))),
        true,
    ),
    (
        "CAPWAP",
        |ip| {
            let mut frame = wlan(ip);
            frame.swap(0, 1);
            frame[22] = 0x71;
            udp(5247, &plain(&[0, 0x10, 3, 0, 0, 0, 0, 0], &frame))
        },
        false,
    ),
    (
        "AYIYA",
        |ip| udp(5072, &[&[0x44, 0x52, 0x11, 41, 0, 0, 0, 0][..], &[7; 36], ip].concat()),
        false,
    ),
    ("GRE", |ip| outer(47, &typed(&[&[0, 0]], &vxlan(ip))), true),
    ("GTP-U", |ip| gtp(0x30, &[], &vxlan(ip)), true),
    (
        "IP-in-IP and 6in4",
        |ip| outer6(60, &[&[4, 0, 1, 4, 0, 0, 0, 0][..], &outer(as_protocol(ip), ip)].concat()),
        true,
    ),
];

/// A connection in each tunnel by itself, as a capture.
pub fn in_tunnels() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = Vec::new();
    for packets in recordings() {
        let is_v6 = packets[0].1[0] >> 4 == 6;
        for (name, wrap, _) in TUNNELS {
            if is_v6 || !matches!(name, "Teredo" | "AYIYA") {
                let wrapped: Vec<Packet> = packets.iter().map(|(ts, ip)| (*ts, wrap(ip))).collect();
                all.push((name, pcap(101, &wrapped)));
            }
        }
    }
    all
}

#[test]
fn every_link_type_gives_the_same_history() {
    for packets in recordings() {
        let expected = histories(&pcap(101, &packets));
        assert!(!expected.0.is_empty());
        for (name, link, wrap) in LINKS {
            let wrapped: Vec<Packet> = packets.iter().map(|(ts, ip)| (*ts, wrap(ip))).collect();
            assert_eq!(histories(&pcap(link, &wrapped)), expected, "{name}, {link}");
        }
    }
}

/// What a text tells travels under a link type of our own, which a file cannot claim for itself.
#[test]
fn no_file_brings_packets_in_the_form_of_printed_ones() {
    let text =
        "00:00:01.000000 IP 10.0.0.1.1000 > 10.0.0.2.80: Flags [S], seq 1, win 2, length 0\n";
    let mut source = Source::from_reader("text", Box::new(text.as_bytes())).expect("a text");
    let printed = source.next_packet().expect("whole").expect("a packet").data.to_vec();
    let packets = [(1, printed)];
    let mut ng = pcapng(&packets);
    let at = ng.windows(4).position(|bytes| bytes == [101, 0, 0, 0]).expect("its link type");
    ng[at..at + 2].fill(0xff);
    for capture in [pcap(0xffff, &packets), ng] {
        assert_eq!(skipped(&capture, true), [("unsupported-link-type", 1)]);
    }
}

#[test]
fn several_frames_in_one_are_several_segments() {
    let wraps: [(u16, Wrap); 5] = [
        (105, |frame| frame.to_vec()),
        (127, |frame| plain(&[0, 0, 9, 0, 2, 0, 0, 0, 0], frame)),
        (119, |frame| plain(&[0; 144], frame)),
        (192, |frame| plain(&[0, 0, 8, 0, 105, 0, 0, 0], frame)),
        (101, |frame| outer(47, &plain(&[0, 0, 0x82, 0], frame))),
    ];
    let packets = recording("four-segment-close");
    let (expected, _) = histories(&pcap(101, &packets));
    for count in [1, 2, 3] {
        let several: Vec<Packet> = packets
            .chunks(count)
            .map(|few| {
                let few: Vec<_> = few.iter().map(|(_, ip)| ip.clone()).collect();
                wlan_several(&few)
            })
            .zip(&packets)
            .map(|(frame, (ts, _))| (*ts, frame))
            .collect();
        for (link, wrap) in wraps {
            let wrapped: Vec<_> = several.iter().map(|(ts, frame)| (*ts, wrap(frame))).collect();
            let (found, _) = histories(&pcap(link, &wrapped));
            assert_eq!(found, expected, "{count} in one, {link}");
        }
    }
}

/// Which of two segments in a frame came first, no frame tells: one thread must follow both.
#[test]
fn several_connections_in_one_frame_have_their_order_in_any_number_of_threads() {
    let (ts, syn) = recording("four-segment-close").remove(0);
    let with_port = |port: u8| {
        let mut packet = syn.clone();
        packet[20..22].copy_from_slice(&[0x90, port]);
        packet
    };
    let frames = (0..16).map(|at| (ts, wlan_several(&[0, 1, 2].map(|n| with_port(3 * at + n)))));
    let folder = Folder::new("several");
    let path = folder.write("several.pcap", &pcap(105, &frames.collect::<Vec<_>>()));
    let ports = |threads| {
        let options = Options { threads, ..Options::default() };
        let analysis = run::read(&[&path], &options, &mut ()).expect("a capture");
        let all = analysis.archive.iter().map(|it| (it.stream, it.addr(Role::Client).port()));
        all.collect::<Vec<_>>()
    };
    assert_eq!(ports(1).len(), 48);
    assert_eq!(ports(2), ports(1));
}

#[test]
fn every_tunnel_gives_the_same_history() {
    for packets in recordings() {
        let (expected, tuples) = histories(&pcap(101, &packets));
        for (at, (name, wrap, counts)) in TUNNELS.iter().enumerate() {
            let is_v6 = packets[0].1[0] >> 4 == 6;
            if matches!(*name, "Teredo" | "AYIYA") && !is_v6 {
                continue;
            }
            let wrapped: Vec<Packet> = packets.iter().map(|(ts, ip)| (*ts, wrap(ip))).collect();
            let (found, inside) = histories(&pcap(101, &wrapped));
            assert_eq!(found, expected, "{name}, {at}");
            let bare: Vec<_> = inside.iter().map(|tuple| tuple.in_tunnel(0)).collect();
            assert_eq!(bare, tuples, "{name}, {at}");
            assert!(inside.iter().all(|it| (it.tunnel() > 0) == *counts), "{name}, {at}");
        }
    }
}

#[test]
fn segments_in_tunnels_that_are_not_opened_are_counted() {
    for (name, capture) in in_tunnels() {
        let all = read(&capture, true).1.packets;
        assert_eq!(skipped(&capture, false), [("in-tunnel", all)], "{name}");
    }
}

#[test]
fn tunnels_in_tunnels_are_opened_up_to_a_bound() {
    let packets = recording("four-segment-close");
    let (expected, _) = histories(&pcap(101, &packets));
    let wraps: [(&str, Wrap); 3] = [
        ("GRE", |ip| outer(47, &typed(&[&[0, 0]], ip))),
        ("IP-in-IP", |ip| outer(4, ip)),
        ("VXLAN", vxlan),
    ];
    for (name, wrap) in wraps {
        let mut wrapped = packets.clone();
        for _ in 0..TUNNEL_DEPTH_MAX {
            wrapped.iter_mut().for_each(|(_, packet)| *packet = wrap(packet));
        }
        assert_eq!(histories(&pcap(101, &wrapped)).0, expected, "{name}");
        wrapped.iter_mut().for_each(|(_, packet)| *packet = wrap(packet));
        assert_eq!(skipped(&pcap(101, &wrapped), true), [("too-many-headers", 10)], "{name}");
    }
}

#[test]
fn commands_tell_why_packets_were_passed_over() {
    let packets = recording("four-segment-close");
    let folder = Folder::new("passed-over");
    let encrypted: Wrap = |ip| {
        let mut frame = wlan(ip);
        frame[1] |= 0x40;
        frame
    };
    let cases: [(u16, Wrap, &str); 3] = [
        (101, vxlan, "10 segments in tunnels, which --decode-tunnels opens"),
        (105, encrypted, "10 frames that Wi-Fi encrypted: decrypt them first, with airdecap-ng"),
        (147, |ip| ip.to_vec(), "10 packets of a link type that is not read"),
    ];
    for (link, wrap, told) in cases {
        let wrapped: Vec<Packet> = packets.iter().map(|(ts, ip)| (*ts, wrap(ip))).collect();
        let file = folder.write("capture.pcap", &pcap(link, &wrapped));
        for command in ["report", "list", "netstat", "check", "extract"] {
            let out = std::process::Command::new(env!("CARGO_BIN_EXE_finwait"))
                .arg(command)
                .arg(&file)
                .output()
                .expect("finwait runs");
            let said = [out.stdout, out.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
            assert!(said.concat().contains(told), "{command}: {said:?}");
        }
    }
}

/// An IPv4 or IPv6 packet in fragments of so many bytes.
fn fragments(ip: &[u8], size: usize) -> Vec<Vec<u8>> {
    let header = if ip[0] >> 4 == 4 { usize::from(ip[0] & 15) * 4 } else { 40 };
    let (head, payload) = ip.split_at(header);
    let last = payload.len().div_ceil(size) - 1;
    let fragment = |(at, piece): (usize, &[u8])| {
        let (offset, more) = ((at * size) as u16, u16::from(at < last));
        let mut head = head.to_vec();
        if ip[0] >> 4 == 4 {
            head[2..4].copy_from_slice(&((header + piece.len()) as u16).to_be_bytes());
            head[6..8].copy_from_slice(&((offset / 8) | (more << 13)).to_be_bytes());
            return plain(&head, piece);
        }
        head[4..6].copy_from_slice(&((8 + piece.len()) as u16).to_be_bytes());
        let next = core::mem::replace(&mut head[6], 44);
        let [high, low] = (offset | more).to_be_bytes();
        // The packets differ in their sequence numbers, and so must their identifications.
        let id = [ip[44] ^ ip[24], ip[45], ip[46], ip[47] ^ ip[53] ^ ip[51]];
        [&head[..], &[next, 0, high, low], &id, piece].concat()
    };
    payload.chunks(size).enumerate().map(fragment).collect()
}

#[test]
fn fragments_in_any_order_give_the_same_history() {
    for packets in recordings() {
        let (expected, _) = histories(&pcap(101, &packets));
        for (size, reverse) in [(8, false), (8, true), (16, false), (24, true), (800, false)] {
            let mut pieces = Vec::new();
            for (ts, ip) in &packets {
                let mut all = fragments(ip, size);
                if reverse {
                    all.reverse();
                }
                pieces.extend(all.into_iter().map(|piece| (*ts, piece)));
            }
            let (found, _) = histories(&pcap(101, &pieces));
            assert_eq!(found, expected, "fragments of {size} bytes, reversed: {reverse}");
            let tunnelled: Vec<Packet> = packets
                .iter()
                .enumerate()
                .flat_map(|(at, (ts, ip))| {
                    let mut whole = vxlan(ip);
                    whole[4..6].copy_from_slice(&(at as u16).to_be_bytes());
                    fragments(&whole, size).into_iter().map(|piece| (*ts, piece))
                })
                .collect();
            assert_eq!(histories(&pcap(101, &tunnelled)).0, expected, "carriers in fragments");
        }
    }
}

#[test]
fn every_container_gives_the_same_history() {
    for packets in recordings() {
        let plain = pcap(101, &packets);
        let expected = histories(&plain);
        assert_eq!(histories(&big_micros(&packets)), expected, "pcap, big-endian");
        assert_eq!(histories(&pcapng(&packets)), expected, "pcapng");
        for compression in Compression::ALL {
            assert_eq!(histories(&packed(compression, &plain)), expected, "{compression}");
        }
    }
}

/// Names in the order of their lists, each once.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

#[test]
fn readme_lists_what_is_read() {
    const BEGIN: &str = "<!-- what is read: cargo test --test it formats -->\n";
    const END: &str = "<!-- end of what is read -->\n";
    let list = format!(
        "| | |\n|---|---|\n| files | pcap (microseconds, nanoseconds, modified), pcapng |\n\
         | beside packets | names, comments, filters, interfaces, drop counts and the end of a \
         pcapng capture; processes by Apple's tcpdump and by ptcpdump |\n\
         | compression | {} |\n| link types | {} |\n| tunnels, with `--decode-tunnels` | {} |\n\
         | always | IPv4, IPv6 with extension headers and AH, fragments of both, ICMP errors that \
         quote a segment, packets cut by the snap length |\n",
        names(Compression::ALL.iter().map(|it| it.name())),
        names(LINKS.iter().map(|(name, ..)| *name)),
        names(TUNNELS.iter().map(|(name, ..)| *name)),
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("a README");
    let (before, rest) = readme.split_once(BEGIN).expect("where the list begins");
    let (found, after) = rest.split_once(END).expect("where it ends");
    if std::env::var_os("FINWAIT_UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{list}{END}{after}")).expect("written");
        return;
    }
    assert_eq!(found, list, "FINWAIT_UPDATE=1 cargo test --test it formats writes it");
}
