//! `finwait watch` as somebody uses it: a pipe that grows, findings that become true while nothing
//! comes, their end, and Ctrl-C. Captures are recorded ones, handed over in pieces.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

fn recording(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/services").join(name).join("server.pcap")
}

/// A capture's bytes up to the first packet that comes so many seconds after the first, and from
/// there on.
fn cut(name: &str, seconds: u64) -> (Vec<u8>, Vec<u8>) {
    let bytes = std::fs::read(recording(name)).expect("a recording");
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, begin) = (24, u64::from(word(24)));
    while u64::from(word(at)) < begin + seconds {
        at += 16 + word(at + 8) as usize;
    }
    (bytes[..at].to_vec(), bytes[at..].to_vec())
}

/// The lines of an output, each within a minute of the one before.
fn lines_of(out: impl Read + Send + 'static) -> impl Iterator<Item = String> {
    let (told, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if told.send(line).is_err() {
                return;
            }
        }
    });
    core::iter::from_fn(move || match lines.recv_timeout(Duration::from_secs(60)) {
        Ok(line) => Some(line),
        Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => panic!("no line comes within a minute"),
    })
}

fn watch(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_finwait"))
        .arg("watch")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("finwait")
}

/// The lines up to the first that has all of these words.
fn lines_to(lines: &mut impl Iterator<Item = String>, words: &[&str]) -> Vec<String> {
    let mut seen = Vec::new();
    for line in lines {
        seen.push(line);
        let line = seen.last().unwrap();
        if words.iter().all(|word| line.contains(word)) {
            return seen;
        }
    }
    panic!("{words:?} is not in {seen:#?}");
}

#[test]
fn a_wait_is_told_while_nothing_comes_and_its_end_when_it_ends() {
    let (first, rest) = cut("closes-late", 30);
    let mut child = watch(&["--close-wait", "1", "-"]);
    let mut pipe = child.stdin.take().unwrap();
    let mut lines = lines_of(child.stdout.take().unwrap());
    pipe.write_all(&first).unwrap();
    pipe.flush().unwrap();
    // The capture goes on by the clock, and not a packet comes.
    lines_to(&mut lines, &["error", "close-wait-leak: server 10.9.0.2:8888 never closed 6"]);
    lines_to(&mut lines, &["warning", "long-close-wait: server 10.9.0.2:8888", "6 such findings"]);
    pipe.write_all(&rest).unwrap();
    drop(pipe);
    lines_to(&mut lines, &["over", "close-wait-leak: server 10.9.0.2:8888 (error), after 65"]);
    lines_to(
        &mut lines,
        &["over", "long-close-wait: server 10.9.0.2:8888 (warning)", "6 findings"],
    );
    // In the end comes the report.
    lines_to(&mut lines, &["Server 10.9.0.2:8888 acknowledged the FIN", "closed only 65 s later"]);
    lines_to(&mut lines, &["States at the end"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_file_is_watched_as_it_happened() {
    let run = |args: &[&str]| {
        let leaks = recording("leaks");
        let mut all = vec!["watch", leaks.to_str().unwrap()];
        all.extend(args);
        let output = Command::new(env!("CARGO_BIN_EXE_finwait")).args(all).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let told = run(&[]);
    let lines: Vec<&str> = told.lines().take_while(|line| !line.is_empty()).collect();
    // A minute after the third client left, and long before the last one did.
    let leak: Vec<_> = lines.iter().filter(|line| line.contains("close-wait-leak")).collect();
    assert_eq!(leak.len(), 1, "{told}");
    assert!(leak[0].contains("never closed 3 of the 14 connections"), "{told}");
    assert!(lines.iter().any(|line| line.contains("so far") && line.contains("CLOSE_WAIT")));
    let grave = run(&["--at-least", "error", "--every", "0"]);
    let lines: Vec<&str> = grave.lines().take_while(|line| !line.is_empty()).collect();
    // The day, and what is of it.
    assert_eq!((lines.len(), lines[0]), (2, "2026-11-24 UTC"), "{grave}");
    let masked = run(&["--mask"]);
    assert!(masked.contains("192.0.2.") && !masked.contains("10.9.0."), "{masked}");
    // The client came first, so it has the first number, as in a report.
    assert!(masked.contains("server 192.0.2.2:6800 never closed"), "{masked}");
}

#[test]
fn what_is_about_many_connections_is_over_when_nothing_is_added_to_it() {
    let run = |args: &[&str], name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        let command = command.args(["watch", "--every", "0"]).args(args).arg(recording(name));
        let output = command.output().expect("finwait");
        String::from_utf8(output.stdout).expect("text")
    };
    let told = run(&[], "idles-out-a-pool");
    let words = "over     idle-timeout: server 10.9.0.2:3000 (note), nothing new for 60 s\n";
    assert!(told.contains(words), "{told}");
    // What is forgotten may well be found again.
    let told = run(&["--max-connections", "60"], "leaks-on-errors");
    let words = "over     time-wait-census: client 10.9.0.1 (note), no longer found\n";
    assert!(told.contains(words), "{told}");
}

/// The packets of recordings, each so many seconds later than it was, one after the other.
fn joined(parts: &[(&str, u32)]) -> Vec<u8> {
    let mut file = Vec::new();
    for (name, later) in parts {
        let mut raw = std::fs::read(recording(name)).expect("a recording");
        let word = |raw: &[u8], at: usize| u32::from_le_bytes(raw[at..at + 4].try_into().unwrap());
        let mut at = 24;
        while at < raw.len() {
            let ts = word(&raw, at) + later;
            raw[at..at + 4].copy_from_slice(&ts.to_le_bytes());
            at += 16 + word(&raw, at + 8) as usize;
        }
        file.extend_from_slice(if file.is_empty() { &raw } else { &raw[24..] });
    }
    file
}

/// What `watch` says of a file of these bytes before the report, and beside it.
fn watched(bytes: &[u8], name: &str, args: &[&str]) -> (String, String) {
    let file = std::env::temp_dir().join(format!("finwait-{name}-{}.pcap", std::process::id()));
    std::fs::write(&file, bytes).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    let output = command.arg("watch").args(args).arg(&file).output().expect("finwait");
    std::fs::remove_file(&file).expect("the file");
    let told = String::from_utf8(output.stdout).expect("text");
    let (lines, _) = told.split_once("\n\n").expect("lines, then the report");
    (lines.to_owned(), String::from_utf8(output.stderr).expect("text"))
}

const DAY: u32 = 86_400;

#[test]
fn days_without_packets_are_told_the_same_each_time_and_nothing_before_it_came() {
    let bytes = joined(&[("keepalive-race", 0), ("keepalive-race", DAY), ("closes-late", 5 * DAY)]);
    let (told, _) = watched(&bytes, "days", &["--every", "0"]);
    for threads in ["1", "2", "3"] {
        let args = ["--every", "0", "--threads", threads];
        assert_eq!(watched(&bytes, "days-again", &args).0, told);
    }
    let begins = ["keepalive-race", "keepalive-race", "closes-late"].map(|name| {
        let raw = std::fs::read(recording(name)).expect("a recording");
        u32::from_le_bytes(raw[24..28].try_into().unwrap()) % DAY
    });
    let (mut begins, mut began) = (begins.into_iter(), 0);
    for line in told.lines() {
        if line.ends_with(" UTC") {
            began = begins.next().expect("a day for each recording");
            continue;
        }
        let what = &line[10..];
        let same = told.lines().filter(|it| it.ends_with(what)).count();
        assert!(same <= 2, "once for each of two recordings that are the same: {told}");
        let parts = line[..8].split(':').map(|part| part.parse::<u32>().expect("a number"));
        let time = parts.fold(0, |all, part| 60 * all + part);
        assert!((began..began + 600).contains(&time), "{line} is not within minutes of {began}");
    }
    assert_eq!(begins.next(), None, "{told}");
}

#[test]
fn a_clock_that_jumps_by_years_takes_few_lines() {
    // What comes last is before what came, too.
    let later = 7_000 * DAY;
    let parts = [("leaks", 0), ("keepalive-race", later), ("closes-late", later), ("leaks", 0)];
    let (told, _) = watched(&joined(&parts), "jumps", &["--every", "0"]);
    assert!(told.lines().count() < 40, "{told}");
}

#[test]
fn a_syn_that_nobody_answers_is_told_once() {
    let raw = std::fs::read(recording("closes-late")).expect("a recording");
    let len = u32::from_le_bytes(raw[32..36].try_into().unwrap()) as usize;
    let mut bytes = raw[..24 + 16 + len].to_vec();
    bytes.extend(&joined(&[("keepalive-race", DAY)])[24..]);
    let (told, _) = watched(&bytes, "one-syn", &["--every", "0"]);
    let syn = told.lines().filter(|line| line.contains("syn-unanswered: "));
    let what: Vec<&str> = syn.map(|line| &line[10..14]).collect();
    assert_eq!(what, ["warn", "over"], "{told}");
}

#[test]
fn progress_is_told_in_lines_where_it_is_asked_for() {
    let bytes = joined(&[("leaks", 0)]);
    let (_, said) = watched(&bytes, "progress", &["--progress", "always"]);
    assert!(said.ends_with(" read\n"), "{said}");
    let (_, said) = watched(&bytes, "no-progress", &[]);
    assert_eq!(said, "");
}

#[test]
fn copies_are_told_of_while_the_capture_goes_on() {
    let raw = std::fs::read(recording("idles-out-a-pool")).expect("a recording");
    let (mut twice, mut at) = (raw[..24].to_vec(), 24);
    while at < raw.len() {
        let len = u32::from_le_bytes(raw[at + 8..at + 12].try_into().unwrap()) as usize;
        let record = &raw[at..at + 16 + len];
        twice.extend(record.repeat(2));
        at += record.len();
    }
    let file = std::env::temp_dir().join(format!("finwait-twice-{}.pcap", std::process::id()));
    std::fs::write(&file, twice).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    let output = command.args(["watch", "--every", "0"]).arg(&file).output().expect("finwait");
    std::fs::remove_file(&file).expect("the file");
    let told = String::from_utf8(output.stdout).expect("text");
    let (lines, _) = told.split_once("\n\n").expect("lines, then the report");
    assert!(lines.contains("note     duplicate-packets: the capture holds "), "{told}");
}

#[test]
fn what_is_over_when_it_is_found_is_told_once() {
    let file = "testdata/kernel/keepalive-to-forgotten-mirrored/middle.pcap";
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    let command = command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.args(["watch", "--every", "0", file]).output().expect("finwait");
    let told = String::from_utf8(output.stdout).expect("text");
    let lines = told.lines().take_while(|line| !line.is_empty());
    let keepalive: Vec<&str> = lines.filter(|line| line.contains("keepalive: ")).collect();
    assert_eq!(keepalive.len(), 1, "{told}");
    assert!(keepalive[0].contains("note     keepalive: server 10.9.0.2:7000 sent 1"), "{told}");
}

/// What `watch` and `report` say of a file that is there, from the verdict on.
fn told_in_the_end(file: &Path) -> [String; 2] {
    [&["watch"][..], &["report"]].map(|command| {
        let output = Command::new(env!("CARGO_BIN_EXE_finwait"))
            .args(command)
            .arg(file)
            .output()
            .expect("finwait");
        assert_eq!(output.status.code(), Some(0), "{}", file.display());
        let told = String::from_utf8(output.stdout).expect("text");
        match command {
            ["watch"] => told.split_once("\n\n").expect("lines, then the report").1.to_owned(),
            _ => told,
        }
    })
}

/// The same packets, as IEEE 802.11 has them: two in each frame (A-MSDU).
fn two_in_each(raw: &[u8]) -> Vec<u8> {
    const RECORD_BYTES: usize = 16;
    let word = |at: usize| u32::from_le_bytes(raw[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut records) = (24, Vec::new());
    while at < raw.len() {
        let end = at + RECORD_BYTES + word(at + 8);
        records.push(&raw[at..end]);
        at = end;
    }
    let mut file = [&raw[..20], &105_u32.to_le_bytes()].concat();
    for pair in records.chunks(2) {
        let mut frame = [&[0x88, 1][..], &[0; 22], &[0x80, 0]].concat();
        for record in pair {
            let ip = &record[RECORD_BYTES..];
            frame.resize((frame.len() - 26).next_multiple_of(4) + 26, 0);
            frame.extend([0; 12]);
            frame.extend((ip.len() as u16 + 8).to_be_bytes());
            frame.extend([0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
            frame.extend(ip);
        }
        file.extend(&pair[0][..8]);
        file.extend((frame.len() as u32).to_le_bytes().repeat(2));
        file.extend(frame);
    }
    file
}

#[test]
fn a_file_that_is_over_ends_with_what_report_says_of_it() {
    for name in ["leaks", "closes-late", "is-scanned", "keepalive-race"] {
        let [watched, reported] = told_in_the_end(&recording(name));
        assert_eq!(watched, reported, "{name}");
    }
    let file = std::env::temp_dir().join(format!("finwait-two-{}.pcap", std::process::id()));
    std::fs::write(&file, two_in_each(&std::fs::read(recording("leaks")).unwrap())).unwrap();
    let [watched, reported] = told_in_the_end(&file);
    std::fs::remove_file(&file).unwrap();
    assert!(reported.contains("never closed 12 of the 14"), "{reported}");
    assert_eq!(watched, reported);
}

#[test]
fn the_report_says_how_many_are_forgotten_and_the_others_keep_their_ids() {
    let file = recording("leaks-on-errors");
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        let output = command.args(args).arg(&file).output().expect("finwait");
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).expect("text")
    };
    let told = run(&["watch", "--max-connections", "60"]);
    let words: Vec<&str> = told.split_whitespace().collect();
    assert!(words.join(" ").contains(" over or never opened, since forgotten"), "{told}");
    // They are counted all the same.
    assert!(told.contains("987 segments in 103 connections"), "{told}");
    let listed = run(&["list", "--state", "server:CLOSE_WAIT"]);
    let listed: Vec<[&str; 2]> = listed
        .lines()
        .map(|row| row.split_whitespace().collect::<Vec<_>>())
        .filter_map(|words| Some([*words.first()?, *words.get(2)?]))
        .collect();
    let (_, shown) = told.split_once("Connections to look at").expect("some");
    let stuck: Vec<&str> = shown.lines().filter(|row| row.contains("FIN_WAIT_2")).collect();
    assert_eq!(stuck.len(), 5, "{told}");
    for row in stuck {
        let words: Vec<&str> = row.split_whitespace().collect();
        let client = words[1].trim_end_matches(',');
        assert!(listed.contains(&[words[0], client]), "{row} is not in {listed:?}");
    }
}

#[test]
fn standard_input_that_is_cut_or_empty_is_called_so() {
    let (first, _) = cut("leaks", 5);
    for (bytes, code, says) in [
        (&first[..first.len() - 5], Some(0), "finwait: warning: standard input: ends at byte"),
        (&[][..], Some(2), "finwait: standard input: is empty"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        let command = command.arg("watch").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.starts_with(says), "{told}");
        assert_eq!(output.status.code(), code);
    }
}

#[cfg(unix)]
#[test]
fn control_c_ends_it_with_the_report() {
    let (first, _) = cut("leaks", 70);
    let mut child = watch(&["-"]);
    let mut pipe = child.stdin.take().unwrap();
    let mut lines = lines_of(child.stdout.take().unwrap());
    pipe.write_all(&first).unwrap();
    pipe.flush().unwrap();
    lines_to(&mut lines, &["close-wait-leak"]);
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    lines_to(&mut lines, &["Server 10.9.0.2:6800 never closed"]);
    lines_to(&mut lines, &["Findings"]);
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(pipe);
}

/// Until then, Ctrl-C ends the program. Where no file tells, half a second has to do.
#[cfg(unix)]
fn wait_until_ctrl_c_is_caught(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
            return std::thread::sleep(Duration::from_millis(500));
        };
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
        if caught.is_some_and(|bits| bits & 1 << (2 - 1) > 0) {
            return;
        }
        assert!(Instant::now() < deadline, "it catches Ctrl-C");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(unix)]
#[test]
fn control_c_does_not_lose_the_report_on_a_pipe() {
    let (first, rest) = cut("leaks", 70);
    let mut child = Command::new(env!("CARGO_BIN_EXE_finwait"))
        .args(["report", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&first).unwrap();
    pipe.flush().unwrap();
    wait_until_ctrl_c_is_caught(child.id());
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    pipe.write_all(&rest).unwrap();
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.starts_with("Server 10.9.0.2:6800 never closed 12 of the 14"), "{told}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn an_end_cannot_be_set() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    let output = command.args(["watch", "--until", "+500"]).arg(recording("leaks")).output();
    let output = output.expect("finwait");
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.starts_with("finwait: --until is for a capture that has ended"), "{said}");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let help = Command::new(env!("CARGO_BIN_EXE_finwait")).args(["watch", "--help"]).output();
    let help = String::from_utf8(help.expect("finwait").stdout).expect("text");
    assert!(help.contains("--close-wait") && !help.contains("--until"), "{help}");
}
