//! Segments by hand: run them, exchange their directions, send each twice; and the segments of every
//! recording.

use std::path::{Path, PathBuf};

use finwait::capture::{Merge, Packet};
use finwait::decode::tuple::{End, FourTuple};
use finwait::decode::{Decoded, decode};
use finwait::history::{History, Role};
use finwait::infer::Params;
use finwait::infer::trail::Moment;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::Pipeline;
use finwait::time::Timestamp;

/// The histories of a capture of these segments that ends at `end`, by number.
pub fn histories(segments: &[Decoded], end: Timestamp) -> Vec<History> {
    let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
    segments.iter().for_each(|decoded| pipeline.decoded(decoded));
    pipeline.silence(end);
    let mut histories = pipeline.finish().0;
    histories.sort_by_key(|history| history.id);
    histories
}

/// The histories of a capture that ends with its last segment.
pub fn histories_at_once(segments: &[Decoded]) -> Vec<History> {
    let last = segments.iter().map(|decoded| decoded.segment.ts).max();
    histories(segments, last.unwrap_or_default())
}

/// Every capture of every recording.
pub fn captures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut captures = Vec::new();
    for kind in ["kernel", "observer"] {
        for folder in std::fs::read_dir(root.join(kind)).expect("recordings").flatten() {
            for point in ["client", "middle", "server"] {
                captures.push(folder.path().join(format!("{point}.pcap")));
            }
        }
    }
    captures.sort();
    captures
}

/// The segments of every capture of every recording, by name; their frames are counted anew.
pub fn recordings() -> Vec<(String, Vec<Decoded>)> {
    captures().iter().map(|path| (path.display().to_string(), segments(path))).collect()
}

fn segments(path: &Path) -> Vec<Decoded> {
    let mut source = Merge::open(&[path]).expect("a capture");
    let mut segments = Vec::new();
    while let Some(packet) = source.next_packet().expect("whole") {
        let frame = segments.len() as u64 + 1;
        let decoded = decode(&Packet { frame, ..packet });
        segments.extend(decoded.ok());
    }
    segments
}

/// The same segment between addresses whose order is the other, so that end A is end B.
pub fn mirrored(decoded: &Decoded) -> Decoded {
    let flipped = |end: End| {
        let endpoint = decoded.tuple.endpoint(end);
        let bytes = match endpoint.ip().ip() {
            std::net::IpAddr::V4(addr) => {
                let mut bytes = [0; 16];
                bytes[12..].copy_from_slice(&addr.octets().map(|byte| !byte));
                bytes
            }
            std::net::IpAddr::V6(addr) => addr.octets().map(|byte| !byte),
        };
        (bytes, endpoint.port())
    };
    let version = if decoded.tuple.endpoint(End::A).ip().ip().is_ipv4() { 4 } else { 6 };
    let (own, peer) = (flipped(decoded.sender), flipped(decoded.sender.peer()));
    let (tuple, sender) = FourTuple::new(version, own, peer);
    assert_ne!(sender, decoded.sender, "the order of the ends has changed");
    Decoded { tuple, sender, ..*decoded }
}

/// What is told of a mirrored capture, said of the capture itself. What happened at one moment has
/// no order between the ends: each end's own comes by itself, the client's first.
pub fn unmirrored(history: &History, original: FourTuple) -> History {
    let mut history = history.clone();
    (history.tuple, history.client) = (original, history.client.peer());
    history.transitions.iter_mut().for_each(|transition| transition.end = transition.end.peer());
    history.refuted.iter_mut().for_each(|refuted| refuted.end = refuted.end.peer());
    history.facts.iter_mut().for_each(|fact| fact.end = fact.end.peer());
    by_role(&history)
}

/// Each end's own transitions, refutations and facts by themselves, the client's first.
pub fn by_role(history: &History) -> History {
    let mut history = history.clone();
    let client = history.client;
    let role = |end: End| if end == client { Role::Client } else { Role::Server };
    history.transitions.sort_by_key(|transition| role(transition.end));
    history.refuted.sort_by_key(|refuted| role(refuted.end));
    history.facts.sort_by_key(|fact| (role(fact.end), fact.kind.index()));
    history
}

/// The segments, each followed by a copy of its packet.
pub fn twice(segments: &[Decoded]) -> Vec<Decoded> {
    let mut copies = Vec::with_capacity(segments.len() * 2);
    for decoded in segments.iter().flat_map(|decoded| [decoded, decoded]) {
        let mut copy = *decoded;
        copy.segment.frame = copies.len() as u64 + 1;
        copies.push(copy);
    }
    copies
}

/// What is told of a capture that holds every packet twice, with the frames of the one that holds
/// each once.
pub fn once(history: &History) -> History {
    let frame = |frame: u64| frame.div_ceil(2);
    let moment = |at: &mut Moment| at.frame = frame(at.frame);
    let mut history = history.clone();
    [&mut history.first, &mut history.last].into_iter().for_each(moment);
    for transition in &mut history.transitions {
        [&mut transition.at, &mut transition.confirmed].into_iter().for_each(moment);
    }
    for refuted in &mut history.refuted {
        [&mut refuted.at, &mut refuted.by].into_iter().for_each(moment);
    }
    for fact in &mut history.facts {
        [&mut fact.first, &mut fact.last].into_iter().for_each(moment);
    }
    history.sides.iter_mut().for_each(|side| moment(&mut side.last));
    history
}

/// A capture of the segments as IPv4 packets without payload, which is cut off: a pcap in
/// nanoseconds.
pub fn pcap(segments: &[Decoded]) -> Vec<u8> {
    const SNAPLEN: u32 = 65_535;
    const LINKTYPE_RAW: u32 = 101;
    let mut file = Vec::new();
    for word in [0xA1B2_3C4D, 0x0004_0002, 0, 0, SNAPLEN, LINKTYPE_RAW] {
        file.extend(u32::to_le_bytes(word));
    }
    for decoded in segments {
        let packet = packet(decoded);
        let (seconds, nanos) = (
            decoded.segment.ts.as_nanos() / 1_000_000_000,
            decoded.segment.ts.as_nanos() % 1_000_000_000,
        );
        let length = packet.len() as u32;
        for word in [seconds as u32, nanos as u32, length, length + decoded.segment.payload] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

/// IPv4 and TCP headers of a segment between hosts that are named by its ports.
fn packet(decoded: &Decoded) -> Vec<u8> {
    let segment = &decoded.segment;
    let ports =
        [decoded.sender, decoded.sender.peer()].map(|end| decoded.tuple.endpoint(end).port());
    let length = (40 + segment.payload).min(u32::from(u16::MAX)) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend(segment.ip_id.to_be_bytes());
    packet.extend([0x40, 0, segment.ttl, 6, 0, 0]);
    for port in ports {
        packet.extend([10, 9]);
        packet.extend(port.to_be_bytes());
    }
    ports.iter().for_each(|port| packet.extend(port.to_be_bytes()));
    packet.extend(segment.seq.0.to_be_bytes());
    packet.extend(segment.ack.0.to_be_bytes());
    packet.extend((0x5000 | segment.flags.bits()).to_be_bytes());
    packet.extend(segment.window.to_be_bytes());
    packet.extend([0; 4]);
    packet
}
