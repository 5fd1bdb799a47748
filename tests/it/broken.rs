//! Captures cut at every byte and with every byte changed: each gives a result or one clear line,
//! and nothing panics or hangs.

use std::io::{Cursor, Write};
use std::path::Path;

use finwait::capture::{Ending, Merge, Source};
use finwait::run::{Options, analyse};

/// Small recordings, which differ in what they hold.
const RECORDINGS: [&str; 7] = [
    "four-segment-close",
    "fin-lost-ipv6",
    "stale-syn",
    "last-ack-lost",
    "simultaneous-close",
    "port-reuse-after-reset",
    "simultaneous-open",
];

fn recording(name: &str) -> Option<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    std::fs::read(root.join(name).join("server.pcap")).ok()
}

/// The packets of a recording in pcapng, with a comment to each.
fn as_pcapng(pcap: &[u8]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let length = (body.len() as u32 + 12).to_be_bytes();
        [&kind.to_be_bytes()[..], &length, body, &length].concat()
    };
    let mut bytes =
        block(0x0a0d_0d0a, &[&[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0][..], &[255; 8]].concat());
    bytes
        .extend(block(1, &[0, 101, 0, 0, 0, 0, 0, 0, 0, 2, 0, 3, b'l', b'o', b'0', 0, 0, 0, 0, 0]));
    let source = Source::from_reader("test", Box::new(Cursor::new(pcap.to_vec())));
    let mut source = source.expect("a recording");
    while let Some(packet) = source.next_packet().expect("whole") {
        let micros = packet.ts.as_nanos() as u64 / 1000;
        let lengths = [packet.data.len() as u32, packet.orig_len].map(u32::to_be_bytes);
        let mut body =
            [&[0; 4][..], &micros.to_be_bytes(), &lengths.concat(), packet.data].concat();
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend([0, 1, 0, 2, b'h', b'i', 0, 0, 0, 0, 0, 0]);
        bytes.extend(block(6, &body));
    }
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).expect("written");
    packer.finish().expect("written")
}

/// Reads a capture to its end, and gives how many packets it had and whether it was whole.
fn read(bytes: &[u8]) -> (u64, bool) {
    let is_clear = |message: &str| {
        assert!(message.len() > 20 && !message.contains('\n'), "{message}");
    };
    match Source::from_reader("test", Box::new(Cursor::new(bytes.to_vec()))) {
        Err(error) => {
            is_clear(&error.to_string());
            (0, false)
        }
        Ok(source) => {
            let options = Options { decode_tunnels: true, ..Options::default() };
            let analysis = analyse(Merge::new(vec![source]), &options, &mut ());
            analysis.errors.iter().for_each(|error| is_clear(&error.to_string()));
            analysis.cuts.iter().for_each(|cut| is_clear(&cut.to_string()));
            (analysis.totals.packets, analysis.is_complete())
        }
    }
}

fn captures() -> Vec<Vec<u8>> {
    let plain: Vec<Vec<u8>> = RECORDINGS.into_iter().filter_map(recording).collect();
    let first = plain[0].clone();
    let others = [as_pcapng(&first), gzip(&first), gzip(&as_pcapng(&plain[1]))];
    plain.into_iter().chain(others).collect()
}

#[test]
fn a_capture_cut_at_any_byte_gives_what_stood_before() {
    let captures = captures();
    assert!(captures.len() >= 10);
    for (at, capture) in captures.iter().enumerate() {
        let (all, whole) = read(capture);
        assert!(whole && all > 0);
        let mut before = 0;
        for cut in 1..capture.len() {
            let (packets, _) = read(&capture[..cut]);
            assert!(packets >= before && packets <= all, "capture {at} cut at {cut}");
            before = packets;
        }
    }
}

#[test]
fn a_capture_with_any_byte_changed_gives_a_result_or_a_message() {
    let plain = recording(RECORDINGS[0]).expect("a recording");
    for capture in [plain.clone(), as_pcapng(&plain), gzip(&plain)] {
        for at in 0..capture.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut broken = capture.clone();
                broken[at] ^= change;
                read(&broken);
            }
        }
    }
}

#[test]
fn a_cut_is_told_as_a_cut() {
    let plain = recording(RECORDINGS[0]).expect("a recording");
    let cut = plain[..plain.len() - 3].to_vec();
    let mut source = Source::from_reader("test", Box::new(Cursor::new(cut))).expect("a capture");
    while source.next_packet().expect("no damage").is_some() {}
    assert!(matches!(source.ending(), Some(Ending::Cut(_))));
}
