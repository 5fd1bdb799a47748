//! The number of threads does not show: what is known of all shares of the four-tuples together is
//! what one thread knows that follows all.

use std::path::{Path, PathBuf};

use finwait::capture::Merge;
use finwait::report::json::{self, Shape};
use finwait::run::{Analysis, Options, read};

use crate::corpus::corpus;
use crate::files::{Folder, records};

/// What is said of a capture by so many threads.
fn said(path: &Path, options: &Options, threads: usize) -> Option<String> {
    let options = Options { threads, ..options.clone() };
    let analysis = read(&[path], &options, &mut ()).ok()?;
    let mut lines = Vec::new();
    json::report(&analysis, Shape::Lines, &mut lines).expect("written");
    let Analysis { totals, files, cuts, errors, .. } = &analysis;
    let rest = format!("{:?} {files:?} {cuts:?} {errors:?}", totals.skipped);
    Some(String::from_utf8(lines).expect("text") + &rest)
}

#[track_caller]
fn assert_that_threads_agree(path: &Path, options: &Options) {
    let one = said(path, options, 1);
    for threads in [2, 16] {
        assert!(said(path, options, threads) == one, "{}: {threads} threads", path.display());
    }
}

fn recordings() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernel");
    let folders = std::fs::read_dir(root).expect("recordings");
    let all = folders.filter_map(|folder| Some(folder.ok()?.path().join("middle.pcap")));
    let mut all: Vec<_> = all.filter(|path| path.exists()).collect();
    all.sort();
    all
}

/// All recordings of bare IP packets as if they had been made at the same time, in Ethernet frames,
/// with addresses of their own or all with the same.
fn all_at_once(has_own_addresses: bool) -> Vec<u8> {
    let (mut header, mut packets) = (Vec::new(), Vec::new());
    for (number, path) in (0_u8..=u8::MAX).zip(&recordings()) {
        let capture = std::fs::read(path).expect("a capture");
        let mut merge = Merge::open(&[path]).expect("a capture");
        let mut first = None;
        while let Some(packet) = merge.next_packet().expect("a packet") {
            if packet.link.0 != 101 || packet.data[0] != 0x45 {
                break;
            }
            header = capture[..24].to_vec();
            let nanos = packet.ts.since(*first.get_or_insert(packet.ts)).as_nanos();
            let mut data = packet.data.to_vec();
            if has_own_addresses {
                (data[13], data[17]) = (number, number);
            }
            let frame = [&[0; 12][..], &[8, 0], &data].concat();
            packets.push((nanos, number, packet.orig_len + 14, frame));
        }
    }
    packets.sort_by_key(|(nanos, number, ..)| (*nanos, *number));
    let mut file = header;
    file[20] = 1;
    for (nanos, _, orig_len, data) in packets {
        let (seconds, nanos) = ((nanos / 1_000_000_000) as u32, (nanos % 1_000_000_000) as u32);
        let numbers = [seconds + 1_000, nanos, data.len() as u32, orig_len];
        numbers.iter().for_each(|number| file.extend(number.to_le_bytes()));
        file.extend(data);
    }
    file
}

#[test]
fn the_number_of_threads_does_not_show_in_what_is_said_of_many_connections() {
    let folder = Folder::new("sharing");
    for has_own_addresses in [true, false] {
        let path = folder.write("all.pcap", &all_at_once(has_own_addresses));
        assert_that_threads_agree(&path, &Options::default());
        let analysis = read(&[&path], &Options::default(), &mut ()).expect("a capture");
        assert!(analysis.totals.connections > 500, "{}", analysis.totals.connections);
        for connections_max in [5, 100] {
            let bounded = Options { connections_max, ..Options::default() };
            assert_that_threads_agree(&path, &bounded);
        }
    }
}

/// A pcap file with times in nanoseconds as pcapng, with a comment on the packet of that number.
fn as_pcapng(pcap: &[u8], commented: Option<usize>) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let length = (body.len() as u32 + 12).to_le_bytes();
        [&kind.to_le_bytes(), &length, body, &length].concat()
    };
    let section = [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0];
    let mut file = block(0x0a0d_0d0a, &[&section[..], &[0xff; 8]].concat());
    // Its name, and nanoseconds.
    let options = [2, 0, 4, 0, b'e', b't', b'h', b'7', 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    file.extend(block(1, &[&[1, 0, 0, 0, 0, 0, 0, 0], &options[..]].concat()));
    for (number, ends) in records(pcap).windows(2).enumerate() {
        let Some((header, data)) = pcap.get(ends[0]..ends[1]).map(|record| record.split_at(16))
        else {
            break;
        };
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four"));
        let nanos = u64::from(word(0)) * 1_000_000_000 + u64::from(word(4));
        let mut body = vec![0; 4];
        body.extend(((nanos >> 32) as u32).to_le_bytes());
        body.extend((nanos as u32).to_le_bytes());
        body.extend_from_slice(&header[8..]);
        body.extend(data);
        body.resize(body.len().next_multiple_of(4), 0);
        if commented == Some(number) {
            body.extend([1, 0, 4, 0, b's', b'e', b'e', b'!', 0, 0, 0, 0]);
        }
        file.extend(block(6, &body));
    }
    file
}

/// Who follows pcapng in shares must not lose what is said of a packet.
#[test]
fn the_number_of_threads_does_not_show_in_what_is_said_of_pcapng() {
    let folder = Folder::new("sharing-pcapng");
    let pcap = all_at_once(true);
    let last = records(&pcap).len() - 2;
    for commented in [None, Some(0), Some(last / 2), Some(last)] {
        let path = folder.write("all.pcapng", &as_pcapng(&pcap, commented));
        assert_that_threads_agree(&path, &Options::default());
        let comments = said(&path, &Options::default(), 2).expect("read").matches("see!").count();
        assert_eq!(comments > 0, commented.is_some(), "{commented:?} {comments}");
    }
    let plain = folder.write("all.pcap", &pcap);
    let path = folder.write("all.pcapng", &as_pcapng(&pcap, None));
    let totals = |path| read(&[path], &Options::default(), &mut ()).expect("read").totals;
    assert_eq!(format!("{:?}", totals(path)), format!("{:?}", totals(plain)));
}

/// A process is named in front of packets that bear its name, in blocks of either kind.
#[test]
fn the_number_of_threads_does_not_show_in_who_holds_the_sockets() {
    let folder = Folder::new("sharing-pktap");
    let plain = all_at_once(true);
    let mut header = [0; 108];
    // Its length, the link type behind it, outgoing, and the process.
    (header[0], header[8], header[36]) = (108, 1, 2);
    (header[52], header[56]) = (7, b'x');
    let mut tapped = plain[..24].to_vec();
    for ends in records(&plain).windows(2).take(400) {
        let (record, data) = plain[ends[0]..ends[1]].split_at(16);
        tapped.extend(&record[..8]);
        for length in record[8..].as_chunks::<4>().0 {
            tapped.extend((u32::from_le_bytes(*length) + 108).to_le_bytes());
        }
        tapped.extend([&header, data].concat());
    }
    let mut file = as_pcapng(&tapped, None);
    file[36..38].copy_from_slice(&258_u16.to_le_bytes());
    let simple = {
        let (begin, packets) = file.split_at(68);
        let mut simple = begin.to_vec();
        let mut packets = packets;
        while let Some((block, rest)) = packets.get(4..8).and_then(|length| {
            packets.split_at_checked(u32::from_le_bytes(length.try_into().ok()?) as usize)
        }) {
            let body = [&block[24..28], &block[28..block.len() - 4]].concat();
            let length = (body.len() as u32 + 12).to_le_bytes();
            simple.extend([&[3, 0, 0, 0], &length, &body[..], &length].concat());
            packets = rest;
        }
        simple
    };
    tapped[20..22].copy_from_slice(&258_u16.to_le_bytes());
    // As often as pcap, of which nothing is taken at hand then.
    let named = |path: &Path| {
        let said = said(path, &Options::default(), 2).expect("read");
        said.matches("\"pid\":7").count()
    };
    let expected = named(&folder.write("tapped.pcap", &tapped));
    assert!(expected > 10, "{expected}");
    for file in [file, simple] {
        let path = folder.write("tapped.pcapng", &file);
        assert_that_threads_agree(&path, &Options::default());
        assert_eq!(named(&path), expected);
    }
}

/// Where a capture ends while SYNs of several four-tuples wait for their answers, these end in the
/// order in which their four-tuples began.
#[test]
fn the_number_of_threads_does_not_show_wherever_a_capture_ends() {
    let folder = Folder::new("sharing-ends");
    let whole = all_at_once(true);
    let places = records(&whole);
    for part in 1..40 {
        let end = places[places.len() * part / 40];
        let path = folder.write("part.pcap", &whole[..end]);
        let said = |threads| said(&path, &Options::default(), threads);
        assert!(said(2) == said(1), "{part} of 40");
    }
}

#[test]
fn the_number_of_threads_does_not_show_in_what_is_said_of_recordings() {
    for path in recordings() {
        assert_that_threads_agree(&path, &Options::default());
    }
}

#[test]
fn the_number_of_threads_does_not_show_in_what_is_said_of_the_corpus() {
    let Some(corpus) = corpus() else { return };
    let files = std::fs::read_dir(corpus).expect("captures");
    for path in files.filter_map(|file| Some(file.ok()?.path())) {
        assert_that_threads_agree(&path, &Options::default());
        // The format makes no difference to what is in tunnels.
        if !path.to_string_lossy().contains(".pcapng") {
            let options = Options { decode_tunnels: true, ..Options::default() };
            assert_that_threads_agree(&path, &options);
        }
    }
}
