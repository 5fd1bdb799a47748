//! What a pcapng capture says beside its packets: who holds a connection, comments, filters and
//! names, as they stand in every output.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// Runs the program, which must succeed.
fn printed(args: &[&str]) -> String {
    let out =
        Command::new(env!("CARGO_BIN_EXE_finwait")).args(args).output().expect("finwait runs");
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

fn block(kind: u32, body: &[u8], out: &mut Vec<u8>) {
    let length = (body.len() as u32 + 12).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(length);
    out.extend(body);
    out.extend(length);
}

fn options(all: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, value) in all {
        bytes.extend(code.to_le_bytes());
        bytes.extend((value.len() as u16).to_le_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// A segment without payload from or to the client.
fn segment(port: u16, to_server: bool, flags: u8, seq: u32, ack: u32) -> Vec<u8> {
    let (client, server) = (([10, 9, 0, 1], port), ([10, 9, 0, 2], 6800_u16));
    let (from, to) = if to_server { (client, server) } else { (server, client) };
    let mut packet = vec![0x45, 0, 0, 40, 0, seq as u8 ^ flags, 0x40, 0, 64, 6, 0, 0];
    packet.extend(from.0);
    packet.extend(to.0);
    packet.extend(from.1.to_be_bytes());
    packet.extend(to.1.to_be_bytes());
    packet.extend(seq.to_be_bytes());
    packet.extend(ack.to_be_bytes());
    packet.extend([0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
    packet
}

const SERVER: &[u8] = b"PID: 4711\nCmd: /opt/shop/leaky\nArgs: leaky --port 6800";

/// Connections of which the server never closes its end, taken on the server: the process stands
/// by ptcpdump's comments, or by Apple's blocks.
fn capture(name: &str, is_apple: bool) -> String {
    let mut file = Vec::new();
    let mut header = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    header.extend([1, 0, 0, 0]);
    header.extend([0xff; 8]);
    header.extend(options(&[(1, b"taken by Ann at 10.9.0.2")]));
    block(0x0a0d_0d0a, &header, &mut file);
    let mut interface = vec![101, 0, 0, 0, 0, 0, 0, 0];
    interface.extend(options(&[(2, b"eth7"), (11, b"\0tcp port 6800"), (1, b"behind the NAT")]));
    block(1, &interface, &mut file);
    block(4, &options(&[(1, b"\x0a\x09\0\x02shop.example\0"), (0, b"")]), &mut file);
    if is_apple {
        let process = [&4711_u32.to_le_bytes()[..], &options(&[(2, b"leaky")])].concat();
        block(0x8000_0001, &process, &mut file);
    }
    let mut at = 1_700_000_000_000_000_u64;
    for port in 2000..2006 {
        let life = [
            (true, 2, 100, 0),
            (false, 18, 300, 101),
            (true, 16, 101, 301),
            (true, 17, 101, 301),
            (false, 16, 301, 102),
        ];
        for (to_server, flags, seq, ack) in life {
            let packet = segment(port, to_server, flags, seq, ack);
            let mut body = vec![0; 4];
            body.extend(((at >> 32) as u32).to_le_bytes());
            body.extend((at as u32).to_le_bytes());
            body.extend([40, 0, 0, 0, 40, 0, 0, 0]);
            body.extend(packet);
            let way = if to_server { [1, 0, 0, 0] } else { [2, 0, 0, 0] };
            let owner: (u16, &[u8]) = if is_apple { (0x8001, &[0; 4]) } else { (1, SERVER) };
            let mut said = vec![(2, &way[..]), owner];
            if flags == 17 {
                said.push((1, b"why does 10.9.0.1 go?\x1b[31m"));
            }
            body.extend(options(&said));
            block(6, &body, &mut file);
            at += 10_000;
        }
    }
    // Until long after, so that the ends count as never closed.
    let late = segment(3000, true, 2, 1, 0);
    let end = at + 900_000_000;
    let mut body = vec![0; 4];
    body.extend(((end >> 32) as u32).to_le_bytes());
    body.extend((end as u32).to_le_bytes());
    body.extend([40, 0, 0, 0, 40, 0, 0, 0]);
    body.extend(late);
    block(6, &body, &mut file);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("notes");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join(name);
    std::fs::write(&path, file).expect("written");
    path.to_string_lossy().into_owned()
}

#[test]
fn processes_that_a_capture_names_stand_wherever_a_holder_does() {
    for (name, is_apple) in [("ptcpdump.pcapng", false), ("apple.pcapng", true)] {
        let file = &capture(name, is_apple);
        for threads in ["1", "2"] {
            let report = printed(&["--threads", threads, file]);
            let held = "held by leaky (pid 4711, 6 sockets), as the capture notes";
            let flat = report.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(held), "{report}");
        }
        let show = printed(&["show", "0", file]);
        assert!(show.contains("  held by leaky (pid 4711), as the capture notes"), "{show}");
        let list = printed(&["list", file]);
        assert_eq!(list.matches("leaky/4711").count(), 6, "{list}");
        let netstat = printed(&["netstat", "--host", "10.9.0.2", file]);
        assert!(netstat.contains("4711/leaky") && !netstat.contains("Host "), "{netstat}");
        let line: Value =
            serde_json::from_str(printed(&["show", "0", "--format", "jsonl", file]).trim())
                .expect("JSON");
        assert_eq!(line["noted_owners"]["server"][0]["program"], "leaky");
        assert_eq!(line["noted_owners"]["client"].as_array().map(Vec::len), Some(0));
        assert_eq!(line["comments"][0]["frames"][0], 4);
        let sockets = printed(&["netstat", "--host", "10.9.0.2", "--format", "jsonl", file]);
        let socket: Value =
            serde_json::from_str(sockets.lines().next().expect("a socket")).expect("JSON");
        assert_eq!(socket["noted_owners"][0]["pid"], 4711);
    }
}

#[test]
fn a_copy_has_the_processes_that_its_packets_name() {
    let files = [&capture("copied-apple.pcapng", true), &capture("copied-ptcpdump.pcapng", false)];
    for (at, sources) in [&files[..1], &files[1..], &files[..]].into_iter().enumerate() {
        let copy = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("notes/copy-{at}"));
        let copy = copy.to_string_lossy();
        let mut args = vec!["extract", "--port", "2001", "--format", "pcapng", "-o", &copy];
        args.extend(sources.iter().map(|source| source.as_str()));
        printed(&args);
        let list = printed(&["list", &copy]);
        assert_eq!(list.matches("leaky/4711").count(), 1, "{list}");
        let show = printed(&["show", "0", &copy]);
        assert!(show.contains("why does 10.9.0.1 go?"), "{show}");
        let Ok(said) = Command::new("tshark").args(["-n", "-r", &copy]).output() else { continue };
        let complaints = String::from_utf8_lossy(&said.stderr).into_owned();
        let complaints: Vec<_> = complaints.lines().filter(|it| !it.contains("root")).collect();
        assert!(said.status.success() && complaints.is_empty(), "{complaints:?}");
    }
}

#[test]
fn comments_filters_interfaces_and_names_are_shown() {
    let file = &capture("shown.pcapng", false);
    let report = printed(&[file]);
    for part in ["eth7", "taken by Ann", "behind the NAT", "tcp port 6800", "shop.example:6800"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let show = printed(&["show", "1", file]);
    assert!(show.contains(" frame 9: why does 10.9.0.1 go?\u{fffd}[31m"), "{show}");
    assert!(!show.contains("PID: 4711") && show.contains("shop.example:6800"), "{show}");
    let asked = |host: &str| printed(&["netstat", "--host", host, file]).lines().count();
    assert_eq!(asked("shop.example"), asked("10.9.0.2"));
    let names = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("notes/hosts");
    std::fs::write(&names, "10.9.0.2 mine\n").expect("written");
    let named = printed(&["--names", &names.to_string_lossy(), file]);
    assert!(named.contains("mine:6800") && !named.contains("shop.example"), "{named}");
}

#[test]
fn of_several_captures_each_has_its_notes() {
    let (one, other) = (&capture("one.pcapng", true), &capture("other.pcapng", false));
    let list = printed(&["list", one, other]);
    assert_eq!(list.matches("leaky/4711").count(), 6, "{list}");
    let piped = format!("cat {one} | {} list - {other}", env!("CARGO_BIN_EXE_finwait"));
    let out = Command::new("sh").args(["-c", &piped]).output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&out.stdout), list);
}

#[test]
fn a_capture_that_grows_has_its_notes_too() {
    for (name, is_apple) in [("grows.pcapng", false), ("grows-apple.pcapng", true)] {
        let file = &capture(name, is_apple);
        let told = printed(&["watch", file]);
        let (lines, report) = told.split_once("\n\n").expect("lines, then the report");
        assert_eq!(report, printed(&["report", file]));
        for part in ["server shop.example:6800 never closed", "held by leaky (pid 4711"] {
            assert!(lines.contains(part), "{part}: {lines}");
        }
        let masked = printed(&["watch", "--mask", file]);
        for secret in ["10.9.0.", "Ann", "eth7", "NAT", "tcp port", "shop."] {
            assert!(!masked.contains(secret), "{secret}\n{masked}");
        }
    }
}

#[cfg(unix)]
#[test]
fn what_a_capture_says_of_itself_is_there_when_it_is_interrupted() {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::Stdio;

    let file = std::fs::read(capture("interrupted.pcapng", false)).expect("just written");
    let mut watch = Command::new(env!("CARGO_BIN_EXE_finwait"))
        .args(["watch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("finwait");
    let mut pipe = watch.stdin.take().expect("a pipe");
    let mut out = BufReader::new(watch.stdout.take().expect("a pipe"));
    // The head of the section alone; then the rest, and no end.
    let (head, rest) = file.split_at(60);
    pipe.write_all(head).and_then(|()| pipe.flush()).expect("it reads");
    std::thread::sleep(std::time::Duration::from_millis(100));
    pipe.write_all(rest).and_then(|()| pipe.flush()).expect("it reads");
    let mut line = String::new();
    while !line.contains("close-wait-leak") {
        line.clear();
        assert!(out.read_line(&mut line).expect("text") > 0, "the leak is told");
    }
    let interrupted = Command::new("kill").args(["-INT", &watch.id().to_string()]).status();
    assert!(interrupted.expect("kill").success());
    let mut report = String::new();
    out.read_to_string(&mut report).expect("text");
    for part in ["eth7", "taken by Ann", "behind the NAT", "tcp port 6800", "shop.example:6800"] {
        assert!(report.contains(part), "{part}: {report}");
    }
    watch.wait().expect("it ends");
}

#[test]
fn a_masked_report_has_nothing_that_somebody_wrote() {
    let file = &capture("masked.pcapng", false);
    for command in [&["report"][..], &["list"], &["show", "0"], &["netstat"]] {
        for format in [&[][..], &["--format", "jsonl"]] {
            let page = printed(&[command, format, &["--mask", file]].concat());
            for secret in
                ["10.9.0.", "Ann", "eth7", "NAT", "tcp port", "shop.", "why does", "leaky"]
            {
                assert!(!page.contains(secret), "{command:?}: {secret}\n{page}");
            }
            assert!(page.contains("program-1"), "{command:?}\n{page}");
        }
    }
}
