//! `extract` copies the packets of a connection byte for byte, and tshark, where it is installed,
//! reads the copy without complaint and shows the same connection in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use finwait::capture::{Format, Source};

/// Runs the program.
fn finwait(args: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_finwait"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(args)
        .output()
        .expect("finwait runs");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

/// A folder that goes away with its value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("finwait-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// `extract` of what comes through a pipe, with a folder of its own for what it keeps.
#[cfg(unix)]
fn piped(folder: &Folder, args: &[&str]) -> std::process::Child {
    use std::process::Stdio;

    Command::new(env!("CARGO_BIN_EXE_finwait"))
        .env("TMPDIR", &folder.0)
        .arg("extract")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("finwait runs")
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
}

/// Asks again and again, for so long as a loaded machine may take.
#[cfg(unix)]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    use std::time::{Duration, Instant};

    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
#[test]
fn control_c_loses_neither_the_packets_of_a_pipe_nor_leaves_a_file() {
    use std::io::Write;

    let bytes = std::fs::read("testdata/services/leaks/server.pcap").expect("a recording");
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    let begun = |name: &str| {
        let folder = Folder::new(name);
        let mut child = piped(&folder, &["--id", "3"]);
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(first).and_then(|()| pipe.flush()).expect("it reads");
        // It catches signals before it keeps the first byte.
        let kept = || std::fs::read_dir(&folder.0).expect("there").flatten();
        let has_bytes = || kept().any(|file| file.metadata().is_ok_and(|it| it.len() > 0));
        wait_until("it keeps what comes", has_bytes);
        (folder, child, pipe)
    };
    let (folder, child, mut pipe) = begun("interrupted");
    interrupt(&child);
    // tcpdump writes what it has, and ends.
    pipe.write_all(rest).expect("it still reads");
    drop(pipe);
    let out = child.wait_with_output().expect("it ends");
    let whole = ["extract", "--id", "3", "testdata/services/leaks/server.pcap"];
    let whole = Command::new(env!("CARGO_BIN_EXE_finwait")).args(whole).output().expect("runs");
    assert_eq!((out.status.code(), out.stdout), (Some(0), whole.stdout));
    assert_eq!(std::fs::read_dir(&folder.0).expect("there").count(), 0);
    // Who asks twice does not want to wait.
    let (folder, mut child, pipe) = begun("interrupted-twice");
    // Two that come at once may be taken for one.
    wait_until("it ends", || {
        let has_ended = child.try_wait().expect("it runs").is_some();
        if !has_ended {
            interrupt(&child);
        }
        has_ended
    });
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(130));
    assert_eq!(std::fs::read_dir(&folder.0).expect("there").count(), 0);
    drop(pipe);
}

#[cfg(unix)]
#[test]
fn messages_call_a_pipe_standard_input() {
    use std::io::Write;

    let bytes = std::fs::read("testdata/services/leaks/server.pcap").expect("a recording");
    let cut = &bytes[..bytes.len() - 5];
    let damaged = [&bytes[..], &[0xff; 64]].concat();
    let text =
        b"11:01:29.836089 IP 10.9.0.1.40000 > 10.9.0.2.80: Flags [S], seq 1, win 1, length 0\n";
    for (bytes, says) in [
        (cut, "finwait: warning: standard input: ends at byte"),
        (&damaged, "finwait: standard input: damaged at byte"),
        (&b"nonsense"[..], "finwait: standard input: is "),
        (text, "finwait: standard input: is text, so there are no packets to copy"),
        (b"", "finwait: standard input: is empty"),
    ] {
        let folder = Folder::new("messages");
        let mut child = piped(&folder, &["-"]);
        child.stdin.take().expect("a pipe").write_all(bytes).expect("it reads");
        let out = child.wait_with_output().expect("it ends");
        let said = String::from_utf8(out.stderr).expect("text");
        assert!(said.starts_with(says) && !said.contains("finwait-"), "{said}");
    }
}

/// Frame, nanoseconds, original length and bytes of a packet.
type Packet = (u64, i64, u32, Vec<u8>);

/// Every packet.
fn packets(path: &str) -> (Format, Vec<Packet>) {
    let mut source = Source::open(path).expect("a capture");
    let mut packets = Vec::new();
    while let Some(packet) = source.next_packet().expect("a whole capture") {
        let ts = packet.ts.as_nanos();
        packets.push((packet.frame, ts, packet.orig_len, packet.raw.to_vec()));
    }
    (source.info().format, packets)
}

/// What tshark says; none where it is not installed.
fn tshark(path: &str, fields: &[&str]) -> Option<String> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]);
    command.args(["-r", path, "-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let out = command.output().ok()?;
    let complaints = String::from_utf8_lossy(&out.stderr);
    let complaints: Vec<_> = complaints.lines().filter(|line| !line.contains("root")).collect();
    assert!(out.status.success() && complaints.is_empty(), "{complaints:?}");
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

const DEMO: &str = "testdata/kernel/demo/server.pcap";

/// The frames of a connection by the JSON of `list`: first and last.
fn frames_of(id: u64) -> (u64, u64) {
    let lines = finwait(&["list", "--format", "jsonl", DEMO]);
    let line = lines.lines().nth(id as usize).expect("a connection");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let frame = |name: &str| line[name].as_u64().expect("a frame");
    (frame("first_frame"), frame("last_frame"))
}

#[test]
fn packets_are_copied_byte_for_byte() {
    let folder = Folder::new("extract");
    let (_, all) = packets(&Path::new(env!("CARGO_MANIFEST_DIR")).join(DEMO).to_string_lossy());
    for (name, format) in [("12.pcap", Format::Pcap), ("12.pcapng", Format::Pcapng)] {
        let out = folder.file(name);
        let as_format = if format == Format::Pcap { "pcap" } else { "pcapng" };
        finwait(&["extract", "--id", "12", "--format", as_format, "-o", &out, DEMO]);
        let (found, copied) = packets(&out);
        assert_eq!(found, format);
        let (first, last) = frames_of(12);
        assert_eq!(copied.len() as u64, finwait_frames(12));
        for (_, ts, length, bytes) in &copied {
            let same = all.iter().find(|it| it.1 == *ts && it.3 == *bytes).expect("the packet");
            assert!((first..=last).contains(&same.0) && same.2 == *length);
        }
        let told = |path: &str| tshark(path, &["frame.time_epoch", "tcp.seq_raw", "tcp.flags"]);
        if let (Some(copy), Some(whole)) = (told(&out), told(DEMO)) {
            assert!(copy.lines().all(|line| whole.lines().any(|other| other == line)));
        }
    }
}

#[test]
fn nanoseconds_are_copied_whatever_the_format() {
    const NANOS: [u8; 4] = 0xa1b2_3c4d_u32.to_le_bytes();
    let folder = Folder::new("extract-nanos");
    let mut bytes = std::fs::read(DEMO).expect("a capture");
    bytes[..4].copy_from_slice(&NANOS);
    let file = folder.file("nanos.pcap");
    std::fs::write(&file, &bytes).expect("written");
    let expected = packets(&file).1;
    assert!(expected.iter().any(|(_, ts, ..)| ts % 1000 != 0));
    for format in ["pcap", "pcapng"] {
        let out = folder.file(format);
        finwait(&["extract", "--format", format, "-o", &out, &file]);
        assert_eq!(packets(&out).1, expected, "{format}");
        let times = |path: &str| tshark(path, &["frame.time_epoch"]);
        assert_eq!(times(&out), times(&file), "{format}");
    }
}

fn finwait_frames(id: u64) -> u64 {
    let lines = finwait(&["list", "--format", "jsonl", DEMO]);
    let line: serde_json::Value =
        serde_json::from_str(lines.lines().nth(id as usize).expect("a connection")).expect("JSON");
    line["frames"].as_u64().expect("a count")
}

#[test]
fn the_copy_shows_the_same_connections() {
    let folder = Folder::new("extract-same");
    let out = folder.file("leak.pcap");
    finwait(&["extract", "--state", "CLOSE_WAIT", "-o", &out, DEMO]);
    let list = |path: &str| {
        let lines = finwait(&["list", "--state", "CLOSE_WAIT", "--format", "jsonl", path]);
        let told = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let states = line["history"].as_array().expect("a history").iter();
            let states = states.map(|it| (it["state"].clone(), it["ts"].clone()));
            (line["client"].clone(), line["first_ts"].clone(), states.collect::<Vec<_>>())
        };
        lines.lines().map(told).collect::<Vec<_>>()
    };
    assert_eq!(list(&out), list(DEMO));
    assert!(!list(&out).is_empty());
    if let Some(streams) = tshark(&out, &["tcp.stream"]) {
        let streams: std::collections::BTreeSet<_> = streams.lines().collect();
        assert_eq!(streams.len(), list(DEMO).len());
    }
}

#[test]
fn a_masked_copy_has_other_addresses_and_checksums_that_fit() {
    let folder = Folder::new("extract-mask");
    let (out, plain) = (folder.file("masked.pcap"), folder.file("plain.pcap"));
    finwait(&["extract", "--id", "12", "--mask", "-o", &out, DEMO]);
    finwait(&["extract", "--id", "12", "-o", &plain, DEMO]);
    let lengths = |path: &str| packets(path).1.iter().map(|it| it.3.len()).collect::<Vec<_>>();
    assert_eq!(lengths(&out), lengths(&plain));
    for (_, _, _, bytes) in packets(&out).1 {
        assert!(bytes[12..20] != [10, 9, 0, 1, 10, 9, 0, 2] && bytes[12] == 192, "{bytes:?}");
        let header = bytes[..20].chunks(2).map(|it| u32::from(u16::from_be_bytes([it[0], it[1]])));
        let sum: u32 = header.sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "the header's checksum");
    }
    let report = finwait(&["list", "--mask", "--format", "jsonl", DEMO]);
    let masked = finwait(&["list", "--format", "jsonl", &out]);
    let client = |lines: &str, at: usize| {
        let line = lines.lines().nth(at).expect("a connection").to_owned();
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON")["client"]["addr"].clone()
    };
    assert_eq!(client(&report, 12), client(&masked, 0), "the report's addresses");
    let status = ["ip.checksum.status", "tcp.checksum.status"];
    if let Some(status) = tshark(&out, &status) {
        assert!(!status.contains('0'), "{status}");
    }
}
