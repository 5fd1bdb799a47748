//! What tcpdump printed of a capture against the capture itself.
//!
//! `testdata/text` holds what tcpdump 4.99.3 prints of our own recordings, with each of its
//! options that change the print; how they were made stands in testdata/README.md. What others do
//! to such a text (wrap it, quote it, print it in the old style) is done here.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use finwait::capture::text::Clock;
use finwait::capture::{FileInfo, Merge, Source};
use finwait::history::{History, Role};
use finwait::infer::Params;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::{Pipeline, Totals};
use finwait::time::Timestamp;

/// A capture that was read to its end.
pub struct Read {
    /// Its connections, by number.
    pub histories: Vec<History>,
    /// Its packets in numbers.
    pub totals: Totals,
    /// What it says about itself.
    pub info: FileInfo,
}

impl Read {
    fn all(mut merge: Merge) -> Read {
        let pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
        let mut pipeline = pipeline.decoding_tunnels();
        while let Ok(Some(packet)) = merge.next_packet() {
            pipeline.packet(&packet);
        }
        let info = merge.sources()[0].info().clone();
        let (mut histories, totals) = pipeline.finish();
        histories.sort_by_key(|history| history.id);
        Read { histories, totals, info }
    }

    /// Reads a file.
    pub fn file(path: &Path) -> Result<Read, String> {
        Ok(Read::all(Merge::open(&[path]).map_err(|error| error.to_string())?))
    }

    fn text(text: &str) -> Read {
        Read::bytes(text.as_bytes().to_vec())
    }

    fn bytes(bytes: Vec<u8>) -> Read {
        let bytes = std::io::Cursor::new(bytes);
        let source = Source::from_reader("text", Box::new(bytes)).expect("a text of tcpdump");
        Read::all(Merge::new(vec![source]))
    }

    /// All that is claimed, in words; times from the first packet on, if there are any.
    pub fn claims(&self, with_times: bool) -> String {
        let mut all = format!("{} packets\n", self.totals.packets);
        // A text has microseconds only.
        let micros = |ts: Timestamp| ts.as_nanos().div_euclid(1_000);
        let start = micros(self.totals.first_ts.unwrap_or_default());
        for history in &self.histories {
            let [client, server] = Role::BOTH.map(|role| history.addr(role));
            let counts = Role::BOTH.map(|role| {
                let tally = &history.side(role).tally;
                (tally.segments, tally.bytes, tally.retransmitted)
            });
            let tunnel = self.totals.tunnels.get(history.tuple.tunnel());
            let tunnel = tunnel.map_or(String::new(), |tunnel| format!(" in {tunnel}"));
            let close = history.close().map(|close| close.name());
            let first = history.closed_first().map(|first| first.name());
            let _ = writeln!(
                all,
                "{} {client} {server} {} {} {close:?} {first:?} {} {counts:?}{tunnel}",
                history.stream,
                history.roles_from.name(),
                history.handshake().name(),
                history.zeek,
            );
            for it in &history.transitions {
                let time = if with_times { micros(it.at.ts) - start } else { 0 };
                let role = history.role(it.end).name();
                let confirmed = it.confirmed.frame;
                let (frame, basis) = (it.at.frame, it.basis);
                let _ = writeln!(
                    all,
                    "  {time} {role} {} {} {frame} {:?} {basis} {confirmed}",
                    it.from, it.to, it.event
                );
            }
            for it in &history.refuted {
                let _ = writeln!(all, "  refuted {} {} {}", it.state, it.at.frame, it.by.frame);
            }
        }
        all
    }

    fn has_times(&self) -> bool {
        self.info.text.as_ref().is_none_or(|text| text.clock != Clock::None)
    }
}

/// The first claim that differs, the text's and the capture's.
pub fn difference(text: &Read, capture: &Read) -> Option<String> {
    let with_times = text.has_times();
    let (ours, theirs) = (text.claims(with_times), capture.claims(with_times));
    if ours == theirs {
        return None;
    }
    let lines = || ours.lines().chain(std::iter::repeat("nothing"));
    let pair = lines().zip(theirs.lines().chain(["nothing"])).find(|(ours, theirs)| ours != theirs);
    Some(format!("{:?}", pair.unwrap_or_default()))
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// The committed texts: file name, recording, options.
fn samples() -> Vec<(String, String, String)> {
    let mut samples = Vec::new();
    for entry in std::fs::read_dir(testdata().join("text")).expect("texts").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let (recording, options) = name.trim_end_matches(".txt").split_once('.').expect("a dot");
        let capture = recording.replace('+', "/") + ".pcap";
        samples.push((name.clone(), capture, options.to_owned()));
    }
    samples.sort();
    samples
}

#[test]
fn every_form_of_the_text_tells_what_the_capture_tells() {
    let mut options_met = BTreeSet::new();
    for (name, capture, options) in samples() {
        let text = Read::file(&testdata().join("text").join(&name)).expect("a text");
        let capture = Read::file(&testdata().join("kernel").join(&capture)).expect("a capture");
        options_met.insert(options.clone());
        match options.as_str() {
            "q" => {
                assert_eq!(text.totals.packets, capture.totals.packets);
                let quiet: u64 = text.totals.skipped.iter().map(|(_, count)| count).sum();
                assert_eq!(quiet, text.totals.packets, "no flags, no states");
            }
            "t" => {
                // Without times nothing ends by itself, and what is late is not known to be.
                let timers = |line: &&str| !line.contains("timer") && !line.contains("refuted");
                let claims = |read: &Read| {
                    let all = read.claims(false);
                    all.lines().filter(timers).collect::<Vec<_>>().join("\n")
                };
                assert_eq!(claims(&text), claims(&capture), "{name}");
                assert!(!text.has_times());
            }
            _ => assert_eq!(difference(&text, &capture), None, "{name}"),
        }
    }
    let all =
        ["A", "S", "X", "e", "n", "number", "q", "t", "tt", "ttt", "tttt", "ttttt", "v", "vv", "x"];
    assert_eq!(options_met, all.map(str::to_owned).into());
}

/// A text, and what it is printed of.
fn plain() -> (String, Read) {
    let text = std::fs::read_to_string(testdata().join("text/last-ack-lost+server.n.txt"));
    let capture = Read::file(&testdata().join("kernel/last-ack-lost/server.pcap"));
    (text.expect("a text"), capture.expect("a capture"))
}

fn assert_same(text: &str, capture: &Read) {
    assert_eq!(difference(&Read::text(text), capture), None, "{text}");
}

/// Breaks lines at blanks, as mail clients do.
fn wrapped(text: &str, columns: usize, indent: &str) -> String {
    let mut wrapped = String::new();
    for line in text.lines() {
        let mut length = 0;
        for word in line.split(' ') {
            if length > 0 && length + 1 + word.len() > columns {
                wrapped += "\n";
                wrapped += indent;
                length = indent.len();
            } else if length > 0 {
                wrapped.push(' ');
                length += 1;
            }
            wrapped += word;
            length += word.len();
        }
        wrapped.push('\n');
    }
    wrapped
}

/// Breaks lines at a column, whatever stands there.
fn broken(text: &str, columns: usize) -> String {
    let mut broken = String::new();
    for line in text.lines() {
        let letters: Vec<char> = line.chars().collect();
        for piece in letters.chunks(columns) {
            broken += piece.iter().collect::<String>().trim_end();
            broken.push('\n');
        }
    }
    broken
}

/// What versions before 4.0 print in place of a line.
fn old_style(line: &str) -> String {
    let Some((before, rest)) = line.split_once("Flags [") else { return line.to_owned() };
    let (flags, rest) = rest.split_once("], ").expect("flags");
    let letters: String = flags.chars().filter(|letter| *letter != '.').collect();
    let field = |name: &str| {
        let value = rest.split_once(name)?.1;
        Some(value.split([',', ':']).next().unwrap_or(value).to_owned())
    };
    let length = field("length ").expect("a length");
    let mut old = format!("{before}{}", if letters.is_empty() { "." } else { &letters });
    if let Some((_, seq)) = rest.split_once("seq ") {
        let range = seq.split(',').next().unwrap_or_default();
        let range = if range.contains(':') { range.to_owned() } else { format!("{range}:{range}") };
        let _ = write!(old, " {range}({length})");
    }
    field("ack ").into_iter().for_each(|ack| old += &format!(" ack {ack}"));
    old += &format!(" win {}", field("win ").expect("a window"));
    if let Some((_, options)) = rest.split_once("options [") {
        let options = options.split(']').next().unwrap_or_default();
        let options = options.replace("TS val ", "timestamp ").replace(" ecr ", " ");
        old += &format!(" <{}>", options.replace("sack ", "sack sack "));
    }
    old + " (DF)"
}

#[test]
fn the_old_style_tells_the_same() {
    let (text, capture) = plain();
    let old: Vec<String> = text.lines().map(old_style).collect();
    assert!(old[0].contains(": S ") && old[0].contains("win "), "{}", old[0]);
    let old = old.join("\n") + "\n";
    assert_same(&old, &capture);
    assert_same(&old.replace(" IP ", " "), &capture);
    assert_same(&old.replace(" > ", ">"), &capture);
    for columns in [40, 60, 72, 80] {
        assert_same(&wrapped(&old, columns, ""), &capture);
    }
}

#[test]
fn styles_may_be_mixed() {
    let (text, capture) = plain();
    let date = |line: &str| line.replacen(&line[..0], "1970-01-01 ", 1);
    let mixed: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(at, line)| match at % 3 {
            0 => line.to_owned(),
            1 => old_style(line),
            _ => format!("{}\n\t0x0000:  4500 0034 0000 4000  E..4..@.", date(line)),
        })
        .collect();
    assert_same(&(mixed.join("\n") + "\n"), &capture);
}

#[test]
fn what_people_do_to_a_text_does_not_matter() {
    let (text, capture) = plain();
    let each =
        |line: &dyn Fn(&str) -> String| text.lines().map(|it| line(it) + "\n").collect::<String>();
    for columns in [60, 72, 76, 80, 100] {
        for indent in ["", "    ", "\t"] {
            assert_same(&wrapped(&text, columns, indent), &capture);
        }
    }
    assert_same(
        &wrapped(&text, 72, "").lines().map(|it| format!("> {it}\n")).collect::<String>(),
        &capture,
    );
    assert_same(&each(&|line| format!("    {line}")), &capture);
    assert_same(&each(&|line| format!("| {line}  ")), &capture);
    assert_same(&each(&|line| line.replace('>', "&gt;").replace(' ', "\u{a0}")), &capture);
    assert_same(&each(&|line| format!("{line}\r")), &capture);
    assert_same(&each(&|line| format!("{line}\n")), &capture);
    assert_same(text.trim_end(), &capture);
    let talk = "Hi all,\nthis is what we see (10.0.0.1 > 10.0.0.2: why?):\n\ntcpdump: listening on eth0, \
                link-type EN10MB (Ethernet), capture size 96 bytes\n";
    let end =
        "^C\n14 packets captured\n15 packets received by filter\n1 packet dropped\n\n-- \nme\n";
    assert_same(&format!("{talk}{text}{end}"), &capture);
    assert_same(&format!("\u{feff}{text}"), &capture);
    let utf16: Vec<u8> =
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(difference(&Read::bytes(utf16), &capture), None, "as PowerShell writes it");
}

#[test]
fn lines_may_be_broken_within_a_word() {
    let recording = |name: &str, options: &str| {
        let text = testdata().join(format!("text/{}.{options}.txt", name.replace('/', "+")));
        let capture = Read::file(&testdata().join("kernel").join(name.to_owned() + ".pcap"));
        (std::fs::read_to_string(text).expect("a text"), capture.expect("a capture"))
    };
    let mut wrong = Vec::new();
    for (name, options) in [
        ("last-ack-lost/server", "n"),
        ("last-ack-lost/server", "v"),
        ("last-ack-lost/server", "tttt"),
        ("four-segment-close-ipv6/server", "n"),
        ("bridge-any-interface/middle", "e"),
        ("bridge-any-interface/middle", "n"),
    ] {
        let (text, capture) = recording(name, options);
        let mut texts = vec![text.clone()];
        if options == "n" && name.starts_with("last") {
            texts.push(text.lines().map(|line| old_style(line) + "\n").collect());
        }
        for (at, text) in texts.iter().enumerate() {
            for columns in 60..140 {
                let broken = broken(text, columns);
                if let Some(what) = difference(&Read::text(&broken), &capture) {
                    wrong.push(format!("{name} {options} {at}, {columns} columns: {what}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", wrong.len());
}

#[test]
fn the_windump_lines_of_the_textbook_are_read_as_they_stand() {
    let lines = "\
14:00:38.819856 IP cd-zhangmin.1748>220.181.37.55.80: F 1:1(0) ack 1 win 65535
14:00:38.863989 IP 220.181.37.55.80> cd-zhangmin.1748: F 1:1(0) ack 2 win 2920
14:00:38.864412 IP cd-zhangmin.1748>220.181.37.55.80: . ack 2 win 65535
";
    let read = Read::text(lines);
    let mut expected = crate::windump::history();
    let [found] = &read.histories[..] else { panic!("one connection") };
    assert_eq!(found.addr(Role::Client).to_string(), "cd-zhangmin:1748");
    assert_eq!(found.addr(Role::Server).to_string(), "220.181.37.55:80");
    let text = read.info.text.as_ref().expect("a text");
    assert_eq!((text.clock, text.unseen_starts), (Clock::TimeOfDay, 1));
    // All but the client's address, for which the capture has to have one.
    let states = |history: &History| {
        let transitions = history.transitions.iter();
        let all = transitions.map(|it| {
            (history.role(it.end), it.from, it.to, it.at, it.event, it.basis, it.confirmed)
        });
        all.collect::<Vec<_>>()
    };
    assert_eq!(states(found), states(&expected));
    expected.tuple = found.tuple;
    assert_eq!(
        (found.zeek, found.close(), found.sides[0].tally),
        (expected.zeek, expected.close(), expected.sides[0].tally)
    );
}

#[test]
fn a_cut_line_is_a_cut_capture_and_not_a_wrong_number() {
    let (text, _) = plain();
    let lines = text.lines().count() as u64;
    let last = text.lines().last().expect("a line");
    for cut in 30..last.len() - 1 {
        let text = &text[..text.len() - 1 - (last.len() - cut)];
        let bytes = std::io::Cursor::new(text.as_bytes().to_vec());
        let source = Source::from_reader("text", Box::new(bytes)).expect("a text");
        let mut merge = Merge::new(vec![source]);
        let mut packets = 0;
        while merge.next_packet().expect("no error").is_some() {
            packets += 1;
        }
        let ending = merge.sources()[0].ending();
        let is_cut = matches!(ending, Some(finwait::capture::Ending::Cut(_)));
        assert!(is_cut, "{ending:?} after {text}");
        assert_eq!(packets, lines - 1);
    }
}

/// A connection in each tunnel that tcpdump prints in lines of its own, and how it is named.
const IN_TUNNELS: &str = "\
12:00:00.000001 IP 192.0.2.1.50000 > 192.0.2.2.4789: VXLAN, flags [I] (0x08), vni 5
IP 10.0.0.1.5 > 10.0.0.2.80: Flags [S], seq 7, win 64240, options [mss 1460,sackOK,TS val 35 ecr 0,nop,wscale 10], length 0
12:00:00.000002 IP 192.0.2.2.50000 > 192.0.2.1.4789: VXLAN, flags [I] (0x08), vni 5
IP 10.0.0.2.80 > 10.0.0.1.5: Flags [S.], seq 9, ack 8, win 65160, options [mss 1460,sackOK,TS val 38 ecr 35,nop,wscale 10], length 0
12:00:00.000003 IP 192.0.2.1.50000 > 192.0.2.2.4789: VXLAN, flags [I] (0x08), vni 5
ARP, Request who-has 10.0.0.9 tell 10.0.0.1, length 28
12:00:00.000004 IP 192.0.2.1 > 192.0.2.2: GREv0, key=0x2a, seq 9, length 56: IP 10.0.0.1.6 > 10.0.0.2.80: Flags [S], seq 7, win 9, length 0
12:00:00.000005 IP (tos 0x0, ttl 64, id 7, offset 0, flags [none], proto UDP (17), length 94)
    192.0.2.1.50000 > 192.0.2.2.6081: Geneve, Flags [none], vni 0x7, options [class Standard (0x0) type 0x3 len 8]
\tIP (tos 0x0, ttl 64, id 8, offset 0, flags [none], proto TCP (6), length 40)
    10.0.0.1.7 > 10.0.0.2.80: Flags [S], cksum 0x8420 (correct), seq 7, win 9, length 0
";

#[test]
fn tunnels_are_read_without_times_wrapped_and_quoted() {
    let capture = Read::text(IN_TUNNELS);
    let tunnels = capture.histories.iter().filter_map(|history| {
        capture.totals.tunnels.get(history.tuple.tunnel()).map(ToString::to_string)
    });
    assert_eq!(tunnels.collect::<Vec<_>>(), ["vxlan 5", "gre key 42", "geneve 7"]);
    assert_eq!((capture.totals.packets, capture.totals.segments), (5, 4));
    let lines = |line: &dyn Fn(&str) -> String| {
        IN_TUNNELS.lines().map(|it| line(it) + "\n").collect::<String>()
    };
    assert_same(&lines(&|line| format!("> {line}")), &capture);
    assert_same(&lines(&|line| format!("    {line}\r")), &capture);
    for columns in [60, 72, 76, 80, 100] {
        assert_same(&wrapped(IN_TUNNELS, columns, ""), &capture);
    }
    for columns in 70..140 {
        assert_same(&broken(IN_TUNNELS, columns), &capture);
    }
    let without = lines(&|line| match line.strip_prefix("12:00:00.00000") {
        Some(rest) => rest[2..].to_owned(),
        None => line.to_owned(),
    });
    let without = Read::text(&without);
    assert_eq!((without.totals.packets, without.totals.segments), (5, 4));
}

#[test]
fn no_byte_can_be_changed_into_a_panic_or_more_packets_than_lines() {
    let (text, _) = plain();
    let lines: Vec<&str> = text.lines().take(2).collect();
    let plain = format!("{}\n{}\n{}\n", old_style(lines[0]), lines[0], lines[1]);
    // A segment in VXLAN, and one in GRE.
    let tunnels = [0, 1, 6].map(|at| IN_TUNNELS.lines().nth(at).expect("a line")).join("\n");
    let texts = [plain, tunnels];
    for (text, place) in texts.iter().flat_map(|text| (0..text.len()).map(move |at| (text, at))) {
        for value in [b'\n', b' ', b'>', b'[', b'9', 0, 0xff] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[place] = value;
            let lines = bytes.split(|byte| *byte == b'\n').count() as u64;
            let Ok(source) = Source::from_reader("text", Box::new(std::io::Cursor::new(bytes)))
            else {
                continue;
            };
            assert!(Read::all(Merge::new(vec![source])).totals.packets <= lines);
        }
    }
}

#[test]
fn texts_and_captures_are_merged_by_time() {
    let text = testdata().join("text/last-ack-lost+server.tttt.txt");
    let capture = testdata().join("kernel/last-ack-lost/client.pcap");
    let both = Read::all(Merge::open(&[&capture, &text]).expect("both"));
    let [of_text, of_capture] = [&text, &capture].map(|path| Read::file(path).expect("read"));
    assert_eq!(both.totals.packets, of_text.totals.packets + of_capture.totals.packets);
    assert_eq!(both.totals.backwards, 0);
    assert_eq!(both.histories.len(), 1, "it is one connection, seen at two places");
}

#[test]
fn names_of_hosts_and_services_stand_as_they_stood() {
    let text = "\
11:09:50.893716 localhost.48056 > localhost.webcache: S 3760485494:3760485494(0) win 32767 (DF)
11:09:50.893839 localhost.webcache > localhost.48056: R 0:0(0) ack 3760485495 win 0 (DF)
11:09:51.893716 64.125.152.160.above.net.34783 > 10.0.0.1.our-service: S 7:7(0) win 32767 (DF)
11:09:51.893800 fe80::1.5 > fe80::2.http: S 7:7(0) win 32767
";
    let read = Read::text(text);
    let ends: Vec<_> = read
        .histories
        .iter()
        .map(|history| Role::BOTH.map(|role| history.addr(role).to_string()))
        .collect();
    let expected = [
        ["localhost:48056", "localhost:8080"],
        ["64.125.152.160.above.net:34783", "10.0.0.1:our-service"],
        ["[fe80::1]:5", "[fe80::2]:80"],
    ];
    assert_eq!(ends, expected);
    let services = &read.info.text.as_ref().expect("a text").services;
    assert_eq!(services, &[("webcache", 8080), ("http", 80)].into());
}

#[test]
fn what_stands_inside_of_another_packet_is_no_packet_of_its_own() {
    let inner = "10.0.0.1.5 > 10.0.0.2.80: Flags [S], cksum 0x1 (correct), seq 7, win 9, length 0";
    let header = "IP (tos 0x0, ttl 64, id 7, offset 0, flags [DF], proto TCP (6), length 40)";
    let outer = "12:00:00.000001 IP (tos 0x0, ttl 64, id 8, offset 0, flags [none], proto ICMP (1), \
                 length 68)\n    10.0.0.9 > 10.0.0.1: ICMP host 10.0.0.2 unreachable, length 48";
    let vxlan = "12:00:00.000002 IP 10.1.0.1.5 > 10.1.0.2.4789: VXLAN, flags [I] (0x08), vni 5001";
    let text = format!(
        "{outer}\n\t{header}\n    {inner}\n{vxlan}\n{header} {inner}\n12:00:01.000000 {header}\n    \
         {inner}\n"
    );
    let numbered = text.replace("12:00", "    1  12:00");
    let without_times = numbered.replace("12:00:00.000001 ", "").replace("12:00:00.000002 ", "");
    for text in [text, numbered, without_times] {
        let read = Read::text(&text);
        assert_eq!((read.totals.packets, read.totals.segments), (3, 2), "{text}");
        let frames = [read.histories[0].first.frame, read.histories[1].first.frame];
        assert_eq!(frames, [2, 3]);
        let tunnels = [0, 1].map(|at| read.histories[at].tuple.tunnel());
        assert_eq!(tunnels, [1, 0], "what an error quotes is not sent, what a tunnel carries is");
    }
}
