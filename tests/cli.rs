//! The binary as a script sees it: exit codes, formats, pipes, filters, and captures that are
//! damaged or cut. Captures are made here, packet by packet.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Whether a member has the right type or value.
type Is = fn(&Value) -> bool;

/// A pcap file with raw IPv4 packets.
struct Pcap(Vec<u8>);

impl Pcap {
    fn new() -> Pcap {
        let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
        bytes.extend([0; 8]);
        bytes.extend(65_535_u32.to_le_bytes());
        bytes.extend(101_u32.to_le_bytes());
        Pcap(bytes)
    }

    /// A segment from or to the client with that port, without payload.
    fn segment(
        mut self,
        at: f64,
        port: u16,
        to_server: bool,
        flags: u8,
        seq: u32,
        ack: u32,
    ) -> Pcap {
        let (client, server) = (([10, 9, 0, 1], port), ([10, 9, 0, 2], 6800_u16));
        let (from, to) = if to_server { (client, server) } else { (server, client) };
        let mut packet = vec![0x45, 0, 0, 40, 0, self.0.len() as u8, 0x40, 0, 64, 6, 0, 0];
        packet.extend(from.0);
        packet.extend(to.0);
        packet.extend(from.1.to_be_bytes());
        packet.extend(to.1.to_be_bytes());
        packet.extend(seq.to_be_bytes());
        packet.extend(ack.to_be_bytes());
        packet.extend([0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
        let (seconds, micros) = (at as u32, ((at - at.floor()) * 1e6).round() as u32);
        for word in [1_700_000_000 + seconds, micros, 40, 40] {
            self.0.extend(word.to_le_bytes());
        }
        self.0.extend(packet);
        self
    }

    /// A connection whose client closes first, in three segments if the server closes at all.
    fn connection(self, at: f64, port: u16, server_closes: bool) -> Pcap {
        let opened = self
            .segment(at, port, true, SYN, 100, 0)
            .segment(at + 0.010, port, false, SYN | ACK, 300, 101)
            .segment(at + 0.020, port, true, ACK, 101, 301)
            .segment(at + 1.000, port, true, FIN | ACK, 101, 301);
        match server_closes {
            true => opened.segment(at + 1.010, port, false, FIN | ACK, 301, 102).segment(
                at + 1.020,
                port,
                true,
                ACK,
                102,
                302,
            ),
            false => opened.segment(at + 1.040, port, false, ACK, 301, 102),
        }
    }

    fn save(&self, name: &str) -> PathBuf {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, &self.0).unwrap();
        path
    }
}

/// Five connections that the server never closes, and one that closes in order 100 s later.
fn leak(name: &str) -> PathBuf {
    let stuck =
        (0..5).fold(Pcap::new(), |pcap, at| pcap.connection(f64::from(at), 2000 + at, false));
    stuck.connection(100.0, 3000, true).save(name)
}

fn clean(name: &str) -> PathBuf {
    Pcap::new().connection(0.0, 3000, true).save(name)
}

fn finwait(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a command that succeeds, and returns its standard output.
fn printed(args: &[&str]) -> String {
    let output = finwait(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn lines(args: &[&str]) -> Vec<Value> {
    printed(args).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs a command that fails with 2, and returns its messages.
fn refused(args: &[&str]) -> String {
    let output = finwait(args);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

fn str_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_capture_goes_on_until_it_is_said_to_end() {
    let silent =
        (0..3).fold(Pcap::new(), |pcap, at| pcap.connection(f64::from(at), 2000 + at, false));
    let silent = silent.save("silent.pcap");
    let code =
        |until: &[&str]| finwait(&[&["check", str_of(&silent)], until].concat()).status.code();
    assert_eq!(code(&[]), Some(0));
    assert_eq!(code(&["--until", "+30"]), Some(0));
    assert_eq!(code(&["--until", "+64"]), Some(1));
    assert_eq!(code(&["--until", "2023-11-14T22:14:30Z"]), Some(1));
    // An end before the last packet is none; but a time in whole seconds may be.
    for wrong in ["2020-01-01T00:00:00Z", "+1"] {
        let said = refused(&["check", str_of(&silent), "--until", wrong]);
        assert!(said.contains("before the last packet, which came at 2023-"), "{said}");
    }
    assert!(refused(&["check", str_of(&silent), "--until", "soon"]).contains("with its zone"));
    for beyond in ["9999-12-31T23:59:59Z", "1600-01-01T00:00:00+01:00", "+1e300", "+8e9"] {
        let said = refused(&["check", str_of(&silent), "--until", beyond]);
        assert!(
            said.contains("out of range: times go from 1677-") && said.contains("2262-"),
            "{said}"
        );
    }
    let told = printed(&["report", "--until", "+64", str_of(&silent)]);
    assert!(told.contains("for >= 63 s"), "{told}");
    assert!(told.contains("until 2023-11-14 22:14:24.000000"), "{told}");
    assert!(told.contains("(given; 61 s after the last packet)"), "{told}");
    let told = lines(&["report", "--until", "+64", "--format", "jsonl", str_of(&silent)]);
    let summary = told.last().unwrap();
    assert_eq!(summary["last_packet_ts"], "2023-11-14T22:13:23.040000000Z");
    assert_eq!((&summary["end_from"], &summary["connections"]), (&"until".into(), &3.into()));
    let told = lines(&["report", "--format", "jsonl", str_of(&silent)]);
    assert!(told.last().unwrap().get("end_from").is_none());
}

#[test]
fn what_is_extracted_waits_as_long_as_its_capture() {
    let leak = leak("waiting.pcap");
    let part = leak.with_extension("pcapng");
    let extract = ["extract", "--state", "CLOSE_WAIT", str_of(&leak), "-o", str_of(&part)];
    let out = finwait(&[&extract[..], &["--format", "pcapng"]].concat());
    assert!(!text(&out.stderr).contains("went on"), "{}", text(&out.stderr));
    let whole = lines(&["report", "--format", "jsonl", str_of(&leak)]);
    let leaks = |lines: &[Value]| {
        let leak = lines.iter().find(|line| line["name"] == "close-wait-leak").unwrap();
        (leak["duration_s"].clone(), leak["evidence"]["oldest_s"].clone())
    };
    for threads in ["1", "2", "3"] {
        let of_part = ["report", "--threads", threads, "--format", "jsonl", str_of(&part)];
        let of_part = lines(&of_part);
        assert_eq!(leaks(&of_part), leaks(&whole));
        let (summary, all) = (of_part.last().unwrap(), whole.last().unwrap());
        assert_eq!((&summary["last_ts"], &summary["end_from"]), (&all["last_ts"], &"file".into()));
    }
    // Of a part that somebody cuts off it, it is not told when that ended.
    let bytes = fs::read(&part).unwrap();
    let (mut at, mut packet) = (0, 0..0);
    while at < bytes.len() {
        let word = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().unwrap());
        let next = at + word(at + 4) as usize;
        packet = if word(at) == 6 { at..next } else { packet };
        at = next;
    }
    let less = leak.with_extension("less.pcapng");
    fs::write(&less, [&bytes[..packet.start], &bytes[packet.end..]].concat()).unwrap();
    let of_less = lines(&["report", "--format", "jsonl", str_of(&less)]);
    assert!(of_less.last().unwrap().get("end_from").is_none());
    // What is given counts more.
    let cut = ["report", "--until", "+30", "--format", "jsonl", str_of(&part)];
    assert_eq!(lines(&cut).last().unwrap()["last_ts"], "2023-11-14T22:13:50.000000000Z");
    let out = finwait(&[&extract[..], &["--format", "pcap"]].concat());
    let said = text(&out.stderr);
    let end = said.split("give --until ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let of_part = lines(&["report", "--until", end, "--format", "jsonl", str_of(&part)]);
    assert_eq!(leaks(&of_part), leaks(&whole));
}

#[test]
fn bad_usage_and_unreadable_files_are_2() {
    let capture = clean("usage.pcap");
    let capture = str_of(&capture);
    refused(&["--no-such-option", capture]);
    refused(&["report", "--format", "yaml", capture]);
    assert!(refused(&["no-such-file.pcap"]).contains("no-such-file.pcap"));
    refused(&["/dev/null"]);
    refused(&["show", "7", capture]);
    refused(&["show", "x", capture]);
    assert!(refused(&["show"]).contains("no connection is named"));
    refused(&["show", "--stream", "9", capture]);
    refused(&["explain", "no-such-name"]);
    refused(&["list", "--state", "OPEN", capture]);
    assert!(
        refused(&["list", "--finding", "close-wait-leek", capture]).contains("close-wait-leak")
    );
    assert!(refused(&["--allow", "close-wait-leek", capture]).contains("close-wait-leak"));
    refused(&["--set", "close-wait-leak.hold_s=x", capture]);
    refused(&["--msl", "-1", capture]);
    refused(&["--max-connections", "0", capture]);
}

#[test]
fn options_may_stand_before_the_command() {
    let capture = leak("before.pcap");
    let capture = str_of(&capture);
    let list = printed(&["list", "--format", "jsonl", capture]);
    assert_eq!(printed(&["--format", "jsonl", "list", capture]), list);
    let masked = ["--format=jsonl", "--mask", "--threads", "1", "list", capture];
    assert_eq!(printed(&masked), printed(&["list", "--mask", "--format", "jsonl", capture]));
    assert_eq!(printed(&["--color", "never", capture]), printed(&["report", capture]));
    // An option's value is no command, and what is named behind a command is none.
    assert!(refused(&["--names", "list", capture]).contains("list: cannot read it"));
    let hint = |args: &[&str]| refused(args).contains("nor is it a command");
    assert!(hint(&["lst", capture]) && hint(&["--color", "never", "lst"]));
    assert!(!hint(&["list", capture, "nosuch"]) && !hint(&[capture, "nosuch"]));
    assert!(!hint(&["list", "lst"]));
    // Where a report for a job tells of the file that is not there, too.
    for format in ["json", "junit", "github"] {
        assert!(hint(&["lst", "--format", format]) && !hint(&["list", "lst", "--format", "json"]));
    }
    assert!(refused(&["chekc"]).contains("did you mean `check`?"));
    assert!(refused(&["nosuch"]).contains("`finwait help` lists them"));
}

#[test]
fn help_and_version_are_0() {
    for args in [&["--help"][..], &["--version"], &["help"], &["list", "--help"], &["help", "show"]]
    {
        printed(args);
    }
}

/// On a terminal there is help where no capture is named; but a gate that was given none must fail.
#[cfg(target_os = "linux")]
#[test]
fn without_a_file_a_terminal_gets_help_and_a_check_fails() {
    let finwait = env!("CARGO_BIN_EXE_finwait");
    for (command, code) in [("list", 0), ("check", 2), ("netstat", 0)] {
        let line = format!("{finwait} {command}");
        let out =
            Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output();
        // It makes the terminal, and is not everywhere.
        let Ok(out) = out else { return };
        let said = text(&out.stdout);
        assert_eq!(out.status.code(), Some(code), "{said}");
        assert!(said.contains(&format!("finwait {command}")), "{said}");
        assert_eq!(said.contains("no FILE is named"), code == 2, "{said}");
    }
}

#[test]
fn the_first_line_is_the_verdict() {
    let report = printed(&[str_of(&leak("verdict.pcap"))]);
    let first = report.lines().next().unwrap();
    for word in ["10.9.0.2:6800", "5 of the 6", "CLOSE_WAIT", "had closed first"] {
        assert!(first.contains(word), "{first}");
    }
    let report = printed(&["report", str_of(&clean("verdict-clean.pcap"))]);
    assert!(report.starts_with("Nothing is wrong: 1 connection, 1 closed by the client first"));
}

#[test]
fn a_verdict_counts_no_connection_twice() {
    let first = |capture: &Path| {
        let report = printed(&["report", str_of(capture)]);
        report.lines().next().unwrap().to_owned()
    };
    let never_opened = Pcap::new().segment(0.0, 2000, true, SYN, 0, 0).save("lone-syn.pcap");
    assert_eq!(first(&never_opened), "Nothing is wrong: 1 connection, 1 never opened.");
    let open = Pcap::new()
        .segment(0.0, 2000, true, SYN, 0, 0)
        .segment(0.01, 2000, false, SYN | ACK, 0, 1)
        .segment(0.02, 2000, true, ACK, 1, 1);
    let half_closed = Pcap::new().connection(0.0, 2000, false).save("half-closed.pcap");
    let told = first(&open.save("open.pcap"));
    assert_eq!(told, "Nothing is wrong: 1 connection, 1 not closed yet.");
    let told = first(&half_closed);
    let kinds = "1 connection, 1 closed by the client first (1 of them not on both sides yet); but";
    assert!(told.contains(kinds), "{told}");
}

#[test]
fn the_verdict_says_how_many_have_the_same() {
    let unanswered = (0..4)
        .fold(Pcap::new(), |pcap, at| pcap.segment(f64::from(at), 2000 + at, true, SYN, 100, 0));
    let capture = unanswered.connection(20.0, 3000, true).save("verdict-many.pcap");
    let report = printed(&[str_of(&capture)]);
    let first = report.lines().next().unwrap();
    assert!(
        first
            .ends_with("in 1 s, and it gave up (the same on 3 more connections of 10.9.0.2:6800)."),
        "{first}"
    );
}

/// Captures that together raise one finding more than the table has rows for.
#[test]
fn the_table_shows_a_last_finding_instead_of_counting_it() {
    let names = [
        "both-fins-repeated",
        "demo",
        "fin-wait-2-orphan-times-out",
        "four-segment-close-server-first",
        "peer-rebooted",
        "plain-options",
        "syn-in-window",
    ];
    let captures = names.map(|name| format!("testdata/kernel/{name}/middle.pcap"));
    let report = printed(&captures.each_ref().map(String::as_str));
    let is_finding = |line: &&str| {
        [" error ", " warning ", " note "].iter().any(|severity| line.starts_with(severity))
    };
    assert_eq!(report.lines().filter(is_finding).count(), 13, "{report}");
    assert!(!report.contains(" of 1 kind\n"), "{report}");
}

/// A row of the table of findings, cell by cell.
fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

/// The rows of a report's table of findings.
fn finding_rows(report: &str) -> Vec<Vec<&str>> {
    let lines = report.lines().skip_while(|line| *line != "Findings").skip(2);
    let is_row = |line: &&str| !line.is_empty() && !line.starts_with(" -");
    lines.take_while(is_row).map(cells).collect()
}

#[test]
fn what_the_table_has_no_room_for_is_counted_in_findings() {
    let folder = Path::new("testdata/kernel");
    let names = fs::read_dir(folder).expect("recordings").map(|it| it.expect("one").path());
    let captures = names.map(|name| name.join("middle.pcap")).filter(|it| it.exists());
    let captures: Vec<PathBuf> = captures.collect();
    let captures: Vec<&str> = captures.iter().map(|it| str_of(it)).collect();
    let report = printed(&captures);
    let rows = finding_rows(&report);
    let (rows, last): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.len() > 1);
    let number = |text: &str| text.replace(',', "").parse::<usize>().expect("a number");
    let words: Vec<&str> = last.iter().flatten().flat_map(|it| it.split_whitespace()).collect();
    let ["and", beyond, "other", "findings", "of", kinds, "kinds:", ref named @ ..] = words[..]
    else {
        panic!("{words:?}")
    };
    let shown: usize = rows.iter().map(|row| number(row[3])).sum();
    let options = ["--format", "jsonl"];
    let lines = lines(&[&options[..], &captures].concat());
    let all: Vec<&Value> = lines.iter().filter(|line| line["type"] == "finding").collect();
    assert_eq!(shown + number(beyond), all.len(), "{report}");
    let told: BTreeSet<&str> = rows.iter().map(|row| row[1]).collect();
    let found: BTreeSet<&str> = all.iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(told.len() + number(kinds), found.len(), "{report}");
    // Those without a row are named, each with its number.
    let named: BTreeSet<&str> = named.chunks(2).map(|pair| pair[0]).collect();
    assert_eq!(&told | &named, found, "{report}");
}

/// A leak beside kinds of which there are more, and which stand before it in the alphabet.
const LEAK_AMONG_OTHERS: [&str; 3] = [
    "testdata/services/leaks-on-errors/server.pcap",
    "testdata/services/accept-queue-full/server.pcap",
    "testdata/services/reboots/server.pcap",
];

#[test]
fn the_findings_begin_with_what_the_verdict_tells() {
    let report = printed(&LEAK_AMONG_OTHERS);
    assert!(report.starts_with("Server 10.9.0.2:8443 never closed 12 of the 100"), "{report}");
    let first = &finding_rows(&report)[0];
    let leak = ["error", "close-wait-leak", "server 10.9.0.2:8443", "1"];
    assert_eq!((&first[..4], first[5]), (&leak[..], "12 stuck"), "{report}");
    let (_, next) = report.split_once("Go on with\n").expect("the commands");
    for command in ["finwait list --finding close-wait-leak ", "finwait explain close-wait-leak\n"]
    {
        assert!(next.contains(command), "{report}");
    }
    let (_, id) = next.split_once("finwait show ").expect("one to show");
    let id = id.split_whitespace().next().expect("its id");
    let list =
        printed(&[&["list", "--finding", "close-wait-leak"], &LEAK_AMONG_OTHERS[..]].concat());
    assert!(list.lines().any(|row| row.trim_start().starts_with(&format!("{id} "))), "{id}");
    let format = |format| printed(&[&["--format", format], &LEAK_AMONG_OTHERS[..]].concat());
    let markdown = format("markdown");
    let row = markdown.lines().find(|line| line.contains("| `")).expect("a row");
    assert!(row.contains("`close-wait-leak`") && row.contains("| 12 stuck |"), "{row}");
    let html = format("html");
    let row = html.split("class=\"issue\"").nth(1).expect("a row");
    assert!(row.contains("#close-wait-leak"), "{row}");
}

#[cfg(unix)]
#[test]
fn a_report_goes_on_with_what_prints_something() {
    // What is found is of the capture.
    let capture = "testdata/observer/capture-twice/middle.pcap";
    let commands = next_commands(&[capture]);
    assert_eq!(commands[..2], [vec!["list", capture], vec!["show", "0", capture]]);
    assert_eq!(commands[2], ["explain", "duplicate-packets"]);
    // What came from standard input is gone, and the names of a masked report are no files'.
    let leak = leak("go-on.pcap");
    let file = fs::File::open(&leak).expect("a capture");
    let out = Command::new(env!("CARGO_BIN_EXE_finwait")).arg("--no-config").stdin(file).output();
    let report = text(&out.expect("finwait").stdout);
    assert!(report.contains(" finwait show 0 --no-config FILE "), "{report}");
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mask.toml");
    fs::write(&config, "").expect("written");
    let options = ["--mask", "--config", str_of(&config)];
    let commands = next_commands(&[&options[..], &[str_of(&leak)]].concat());
    assert_eq!(commands[1], ["show", "0", "--mask", "--config", "FILE", "FILE"]);
    let commands = next_commands(&["--mask", str_of(&leak), capture]);
    assert_eq!(commands[1], ["show", "0", "--mask", "FILE..."]);
}

/// The commands that a report goes on with, each as a shell splits it.
#[cfg(unix)]
fn next_commands(args: &[&str]) -> Vec<Vec<String>> {
    let report = printed(args);
    let (_, next) = report.split_once("Go on with\n").expect("the commands");
    let split = |line: &str| {
        // What a command does stands two blanks behind it.
        let command = line.trim_start().split("  ").next().unwrap_or_default();
        let script = format!("printf '%s\\n' {command}");
        let out = Command::new("sh").args(["-c", &script]).output().expect("a shell");
        text(&out.stdout).lines().skip(1).map(str::to_owned).collect()
    };
    next.lines().take(3).map(split).collect()
}

#[cfg(unix)]
#[test]
fn what_a_report_goes_on_with_finds_the_same() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let capture = leak("it's $HOME.pcap");
    let capture = str_of(&capture);
    let config = capture.replace(".pcap", ".toml");
    fs::write(&config, "msl = 20\n").expect("written");
    let options = ["--close-wait", "1", "--set=close-wait-leak.stuck_min=1", "--until", "+200"];
    let more = ["--config", &config, "--msl", "4.5", "--allow", "idle-connection"];
    let [list, show, _] = &next_commands(&[&options[..], &more, &[capture]].concat())[..] else {
        panic!("three commands");
    };
    let given = ["--config", &config, "--msl", "4.5", "--until", "+200", "--close-wait", "1"];
    let sets = ["--set", "close-wait-leak.stuck_min=1", "--allow", "idle-connection", capture];
    let given = [&given[..], &sets].concat();
    assert_eq!(list[..2], ["list", "--finding"]);
    assert!(list[3..] == given && show[2..] == given, "{list:?} {show:?}");
    // What they print is there, and a name that no text can hold is not printed.
    for command in [list, show] {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        assert!(printed(&command).lines().count() > 1);
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let odd = folder.join(OsStr::from_bytes(b"odd-\xff.pcap"));
    fs::copy(capture, &odd).expect("copied");
    let out = Command::new(env!("CARGO_BIN_EXE_finwait")).arg("--no-config").arg(&odd).output();
    let report = text(&out.expect("finwait").stdout);
    assert!(report.contains(" finwait show 0 --no-config FILE "), "{report}");
}

#[test]
fn nothing_on_a_pipe_is_coloured_unless_asked_for() {
    let capture = leak("colour.pcap");
    let capture = str_of(&capture);
    for args in
        [&["report", capture][..], &["list", capture], &["show", "0", capture], &["explain"]]
    {
        assert!(!printed(args).contains('\x1b'), "{args:?}");
        let coloured = [args, &["--color", "always"]].concat();
        assert!(printed(&coloured).contains('\x1b'), "{args:?}");
    }
}

#[test]
fn json_lines_come_in_the_order_of_the_contract() {
    let lines = lines(&["--format", "jsonl", str_of(&leak("order.pcap"))]);
    let types: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    let mut expected = vec!["capture"];
    expected.extend(["connection"; 6]);
    let findings = types.iter().filter(|kind| **kind == "finding").count();
    expected.extend(vec!["finding"; findings]);
    expected.push("summary");
    assert_eq!(types, expected);
    assert_eq!(lines[0]["files"][0]["link_types"], serde_json::json!(["RAW"]));
    let ids: Vec<u64> = lines[1..7].iter().map(|line| line["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5]);
    assert!(lines.iter().any(|line| line["name"] == "close-wait-leak"));
}

#[test]
fn every_member_of_the_contract_is_there() {
    let lines = lines(&["--format", "jsonl", str_of(&leak("members.pcap"))]);
    let all = |line: &Value, members: &[(&str, Is)]| {
        for (name, is_right) in members {
            assert!(line.get(name).is_some_and(is_right), "{name}: {line}");
        }
    };
    let is_ts: Is = |value| value.as_str().is_some_and(|ts| ts.len() == 30);
    let is_host: Is = |value| value["addr"].is_string() && value["port"].is_u64();
    let is_sent: Is = |value| {
        ["segments", "bytes", "retransmitted_segments"].iter().all(|name| value[name].is_u64())
    };
    let is_both: Is = |value| value.get("client").is_some() && value.get("server").is_some();
    let connection = &lines[6];
    let numbers: [(&str, Is); 5] = [
        ("id", Value::is_u64),
        ("stream", Value::is_u64),
        ("first_frame", Value::is_u64),
        ("last_frame", Value::is_u64),
        ("frames", Value::is_u64),
    ];
    all(connection, &numbers);
    all(
        connection,
        &[
            ("client", is_host),
            ("server", is_host),
            ("roles_from", Value::is_string),
            ("first_ts", is_ts),
            ("last_ts", is_ts),
            ("duration_s", Value::is_f64),
            ("handshake", Value::is_string),
            ("close", Value::is_string),
            ("closed_first", Value::is_string),
            ("zeek_conn_state", Value::is_string),
            ("final", is_both),
            ("dwell_s", is_both),
            ("client_sent", is_sent),
            ("server_sent", is_sent),
            ("history", Value::is_array),
            ("refuted", Value::is_array),
            ("findings", Value::is_array),
        ],
    );
    let entry = &connection["history"][1];
    assert_eq!(entry["endpoint"], "server");
    assert_eq!(entry["from"], "LISTEN");
    assert_eq!(entry["state"], "SYN_RCVD");
    assert_eq!(entry["basis"], "inferred");
    assert_eq!(entry["confirmed_frame"], 27);
    assert!(connection["history"][0].get("confirmed_frame").is_none());
    let finding = lines.iter().find(|line| line["name"] == "close-wait-leak").unwrap();
    all(
        finding,
        &[
            ("severity", |value| value == "error"),
            ("message", Value::is_string),
            ("connection", Value::is_null),
            ("endpoint", |value| value == "server"),
            ("host", is_host),
            ("ts", is_ts),
            ("duration_s", Value::is_f64),
            ("frames", Value::is_array),
            ("evidence", |value| value["stuck"] == 5),
        ],
    );
    all(
        lines.last().unwrap(),
        &[
            ("packets", |value| value == 31),
            ("tcp_segments", |value| value == 31),
            ("connections", |value| value == 6),
            ("first_ts", is_ts),
            ("last_ts", is_ts),
            ("skipped", |value| value.as_object().is_some_and(|it| it.is_empty())),
            ("capture_dropped", |value| value == 0),
            ("limits_hit", Value::is_object),
            ("findings", |value| value["error"] == 1 && value["warning"].is_u64()),
            ("complete", |value| value == true),
        ],
    );
}

#[test]
fn words_are_those_of_the_contract() {
    let lines = lines(&["--format", "jsonl", str_of(&leak("words.pcap"))]);
    let words = |at: usize| {
        let line = &lines[at];
        ["handshake", "close", "closed_first", "zeek_conn_state", "roles_from"]
            .map(|name| line[name].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(words(1), ["complete", "half-closed", "client", "S2", "syn"]);
    assert_eq!(words(6), ["complete", "fin-ack-skips-fin-wait-2", "client", "SF", "syn"]);
}

#[test]
fn what_one_connection_raised_for_the_capture_is_among_its_findings() {
    let capture = Pcap::new()
        .connection(0.0, 3000, true)
        .segment(2.0, 2000, true, ACK, 101, 301)
        .segment(2.1, 2000, false, ACK, 301, 601)
        .save("named.pcap");
    let lines = lines(&["--format", "jsonl", str_of(&capture)]);
    let gap = lines.iter().find(|line| line["name"] == "capture-gap").unwrap();
    assert_eq!(gap["connection"], 1);
    let names = lines[2]["findings"].as_array().unwrap();
    assert!(names.iter().any(|name| name == "capture-gap"), "{names:?}");
    assert!(!lines[1]["findings"].as_array().unwrap().iter().any(|name| name == "capture-gap"));
    assert!(printed(&["show", "1", str_of(&capture)]).contains("capture-gap"));
}

#[test]
fn only_what_is_inferred_is_confirmed() {
    // The client's FIN without what went before: nothing shows that the server had not closed.
    let capture = Pcap::new()
        .segment(0.0, 2000, true, FIN | ACK, 101, 301)
        .segment(0.1, 2000, false, ACK, 301, 102)
        .save("assumed.pcap");
    let lines = lines(&["--format", "jsonl", str_of(&capture)]);
    let history = lines[1]["history"].as_array().unwrap();
    assert!(history.iter().any(|entry| entry["basis"] == "assumed"));
    for entry in history {
        assert!(entry["basis"] == "inferred" || entry.get("confirmed_ts").is_none(), "{entry}");
    }
}

#[test]
fn a_text_without_a_packet_is_2() {
    let error = refused(&["README.md"]);
    assert!(error.contains("README.md: is neither a capture nor printed packets"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    let error = refused(&["show", "demo.pcap"]);
    assert!(error.trim_end().ends_with("prints it, then FILE"), "{error}");
}

#[test]
fn a_syn_to_a_socket_of_before_is_not_said_to_be_without_any_answer() {
    let page = printed(&["show", "1", "testdata/kernel/time-wait-refused/middle.pcap"]);
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(page.contains("40001 got no SYN+ACK from server 10.9.0.2:7000 to 5 SYNs"), "{page}");
    let before = "the server's end of connection 0 on the same ports was then in TIME_WAIT";
    assert!(page.contains(before), "{page}");
}

#[test]
fn what_no_connection_matches_is_said_of_one_and_of_many() {
    let one = "testdata/kernel/four-segment-close/server.pcap";
    let said = |file: &str, command: &str| text(&finwait(&[command, "--port", "1", file]).stderr);
    for command in ["list", "extract"] {
        let of_one = said(one, command);
        assert!(of_one.ends_with("the only connection does not match these filters\n"), "{of_one}");
        let of_many = said("testdata/kernel/demo/server.pcap", command);
        assert!(of_many.ends_with("none of the 19 connections matches these filters\n"));
    }
}

#[test]
fn frames_to_look_at_stand_in_order() {
    for name in ["demo", "close-wait-reset", "fin-known-after-the-reset"] {
        let capture = format!("testdata/kernel/{name}/server.pcap");
        let lines = lines(&["--format", "jsonl", &capture]);
        for finding in lines.iter().filter(|line| line["type"] == "finding") {
            let frames = finding["frames"].as_array().unwrap();
            assert!(frames.iter().map(|it| it.as_u64().unwrap()).is_sorted(), "{finding}");
        }
    }
}

#[test]
fn a_list_of_nothing_has_no_head() {
    let out = finwait(&["list", "--port", "1", str_of(&leak("nothing.pcap"))]);
    assert!(out.stdout.is_empty() && out.status.success(), "{}", text(&out.stdout));
    assert!(text(&out.stderr).contains("matches these filters"), "{}", text(&out.stderr));
}

#[test]
fn the_verdict_says_why_who_waits_is_not_judged() {
    let capture = leak("waits.pcap");
    let capture = str_of(&capture);
    let verdict = |options: &[&str]| {
        let report = printed(&[options, &[capture]].concat());
        report.lines().next().unwrap_or_default().to_owned()
    };
    let soon = "the capture ends too soon to judge that";
    let names = ["close-wait-leak", "long-close-wait", "fin-wait-2-stuck"];
    let allowed: Vec<&str> = names.iter().flat_map(|name| ["--allow", name]).collect();
    let early = verdict(&[&allowed[..], &["--close-wait", "9999"]].concat());
    assert!(early.contains(soon), "{early}");
    let verdict = verdict(&[&allowed[..], &["--close-wait", "1"]].concat());
    assert!(verdict.contains("had not yet closed") && !verdict.contains(soon), "{verdict}");
}

#[test]
fn a_stale_syn_is_a_segment_of_the_connection_that_it_comes_to() {
    let capture = Pcap::new()
        .connection(0.0, 3000, false)
        .segment(2.0, 3000, true, SYN, 50_000, 0)
        .segment(2.1, 3000, false, ACK, 301, 102)
        .segment(2.2, 3000, true, ACK, 102, 301)
        .save("stale.pcap");
    let lines = lines(&["--format", "jsonl", str_of(&capture)]);
    let summary = lines.last().unwrap();
    assert_eq!(lines[1]["frames"], summary["tcp_segments"]);
    let ladder = printed(&["show", "0", str_of(&capture)]);
    let rows: Vec<&str> = ladder.lines().filter(|row| row.contains('│')).collect();
    let place = |sign: &str| rows.iter().position(|row| row.contains(sign)).unwrap();
    assert!(place("S 49900:49900(0)") < place(". 2:2(0) ack 1"), "{ladder}");
}

#[test]
fn json_is_one_object_with_the_same_members() {
    let capture = leak("object.pcap");
    let lines = lines(&["--format", "jsonl", str_of(&capture)]);
    let object: Value =
        serde_json::from_str(&printed(&["--format", "json", str_of(&capture)])).unwrap();
    assert_eq!(object["capture"], lines[0]);
    assert_eq!(object["connections"].as_array().unwrap()[..], lines[1..7]);
    assert_eq!(object["findings"].as_array().unwrap()[..], lines[7..lines.len() - 1]);
    assert_eq!(object["summary"], lines[lines.len() - 1]);
}

#[test]
fn standard_input_is_read_with_and_without_a_dash() {
    let capture = leak("stdin.pcap");
    let direct = printed(&["list", str_of(&capture)]);
    for args in [&["list"][..], &["list", "-"]] {
        let file = fs::File::open(&capture).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        let output = command.args(args).stdin(file).output().unwrap();
        assert_eq!(text(&output.stdout), direct);
    }
    let file = fs::File::open(&capture).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    let output = command.args(["show", "3"]).stdin(file).output().unwrap();
    assert!(text(&output.stdout).contains("CLOSE_WAIT+"));
    let file = fs::File::open(&capture).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_finwait")).stdin(file).output().unwrap();
    assert!(text(&output.stdout).contains("standard input (pcap"), "{}", text(&output.stdout));
}

#[test]
fn a_settings_file_that_is_none_is_told_of_in_one_line() {
    let settings = leak("with-settings.pcap").with_extension("toml");
    fs::write(&settings, "strict = true\nmsl =\n").expect("written");
    let said = refused(&["--config", str_of(&settings), str_of(&leak("with-settings.pcap"))]);
    assert!(said.contains("with-settings.toml: line 2, column 6: "), "{said}");
    assert!(!said.contains('\u{fffd}') && said.trim().lines().count() == 1, "{said}");
}

#[cfg(unix)]
#[test]
fn what_stands_beside_a_capture_is_not_read_without_end() {
    let capture = leak("with-endless.pcap");
    for option in [&["--config"][..], &["--names"], &["--sockets"], &["check", "--baseline"]] {
        let (option, command) = option.split_last().unwrap();
        let said = refused(&[command, &[*option, "/dev/zero", str_of(&capture)]].concat());
        let told = "/dev/zero: cannot read it: it has more than the";
        assert!(said.contains(told) && said.trim().lines().count() == 1, "{option}: {said}");
    }
}

#[test]
fn a_closed_pipe_is_0_and_silent() {
    let many = (0..3000).fold(Pcap::new(), |pcap, at| pcap.connection(0.0, 1000 + at, true));
    let capture = many.save("pipe.pcap");
    for args in [&["--format", "jsonl"][..], &["--format", "json"], &["list"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        let mut child = command
            .args(args)
            .arg(&capture)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 2];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(text(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
    }
}

#[test]
fn a_cut_file_is_a_warning_and_strict_makes_it_an_error() {
    let whole = leak("whole.pcap");
    let bytes = fs::read(&whole).unwrap();
    let cut = Pcap(bytes[..bytes.len() - 5].to_vec()).save("cut.pcap");
    let output = finwait(&["--format", "jsonl", str_of(&cut)]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text(&output.stderr).contains("warning: ") && text(&output.stderr).contains("cut.pcap")
    );
    let last = text(&output.stdout).lines().last().map(str::to_string).unwrap();
    let summary: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&summary["complete"], &summary["packets"]), (&false.into(), &30.into()));
    let message = refused(&["--strict", str_of(&cut)]);
    assert!(!message.contains("warning"), "{message}");
}

#[test]
fn damage_is_an_error_after_the_report() {
    let whole = leak("undamaged.pcap");
    let mut bytes = fs::read(&whole).unwrap();
    // The twenty-first packet claims four gigabytes.
    let at = 24 + 20 * 56;
    bytes[at + 8..at + 12].fill(0xff);
    let damaged = Pcap(bytes).save("damaged.pcap");
    let output = finwait(&["--format", "jsonl", str_of(&damaged)]);
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    for part in ["damaged.pcap", "byte 1144", "frame 21"] {
        assert!(message.contains(part), "{message}");
    }
    let last = text(&output.stdout).lines().last().map(str::to_string).unwrap();
    let summary: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&summary["complete"], &summary["packets"]), (&false.into(), &20.into()));
    assert!(text(&finwait(&[str_of(&damaged)]).stdout).starts_with("As far as the capture could"));
}

#[test]
fn what_was_written_behind_a_capture_is_read_as_its_continuation() {
    let (first, second) = (Pcap::new().connection(0.0, 3000, true), Pcap::new());
    let second = second.connection(10.0, 3001, true);
    let both = Pcap([&first.0[..], &second.0].concat()).save("appended.pcap");
    for threads in ["1", "3"] {
        let out = finwait(&["report", "--threads", threads, "--format", "jsonl", str_of(&both)]);
        let summary: Value =
            serde_json::from_str(text(&out.stdout).lines().last().unwrap()).unwrap();
        assert_eq!(summary["last_ts"], "2023-11-14T22:13:31.020000000Z", "{summary}");
        assert_eq!((&summary["packets"], &summary["connections"]), (&12.into(), &2.into()));
        let said = text(&out.stderr);
        assert!(
            out.status.success() && said.contains("another capture follows the first"),
            "{said}"
        );
    }
    assert!(printed(&[str_of(&both)]).contains("appended.pcap (pcap, 2 in one file, RAW)"));
}

#[test]
fn the_capture_begins_with_its_earliest_packet() {
    let late = Pcap::new().segment(5.0, 3001, true, SYN, 1, 0).connection(2.0, 3000, true);
    let late = late.save("late.pcap");
    let listed = lines(&["report", "--format", "jsonl", str_of(&late)]);
    assert_eq!(listed.last().unwrap()["first_ts"], "2023-11-14T22:13:22.000000000Z");
    assert!(printed(&["netstat", "--at", "+0.5", str_of(&late)]).contains("ESTABLISHED"));
}

#[test]
fn no_packets_are_written_of_a_connection_that_is_not_there() {
    let path = leak("missing.pcap");
    let copy = path.with_extension("copy");
    for [named, other] in [["--id=0", "--id=99"], ["--id=99", "--open"], ["--stream=99", "--id=0"]]
    {
        let out = finwait(&["extract", named, other, "-o", str_of(&copy), str_of(&path)]);
        assert_eq!(out.status.code(), Some(2));
        assert!(text(&out.stderr).contains(" 99"), "{}", text(&out.stderr));
        assert!(out.stdout.is_empty() && !copy.exists());
    }
}

#[test]
fn who_masks_packets_is_told_what_stays_in_them() {
    let leak = leak("masked-packets.pcap");
    let copy = leak.with_extension("masked");
    let extract = ["extract", str_of(&leak), "-o", str_of(&copy)];
    let said = |more: &[&str]| text(&finwait(&[&extract[..], more].concat()).stderr);
    assert!(said(&["--mask"]).contains("warning: --mask leaves payload"));
    assert!(!said(&[]).contains("payload"));
    assert!(!said(&["--mask", "--port", "1"]).contains("payload"));
}

#[test]
fn several_files_are_one_capture_in_time_order() {
    let whole = leak("rotated.pcap");
    let bytes = fs::read(&whole).unwrap();
    let (header, packets) = bytes.split_at(24);
    let (first, second) = packets.split_at(13 * 56);
    let part = |packets: &[u8], name| Pcap([header, packets].concat()).save(name);
    let (first, second) = (part(first, "rotated-1.pcap"), part(second, "rotated-2.pcap"));
    let rows = |files: &[&str]| lines(&[&["list", "--format", "jsonl"], files].concat());
    assert_eq!(rows(&[str_of(&second), str_of(&first)]), rows(&[str_of(&whole)]));
}

#[test]
fn filters_choose() {
    let capture = leak("filters.pcap");
    let rows = |filters: &[&str]| {
        let args = [&["list", "--format", "jsonl", str_of(&capture)], filters].concat();
        lines(&args).iter().map(|line| line["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(rows(&[]), [0, 1, 2, 3, 4, 5]);
    assert_eq!(rows(&["--state", "CLOSE_WAIT"]), [0, 1, 2, 3, 4]);
    assert_eq!(rows(&["--state", "client:close-wait"]), [0; 0]);
    assert_eq!(rows(&["--state", "server:CLOSED", "--state", "CLOSE_WAIT"]), [0, 1, 2, 3, 4, 5]);
    assert_eq!(rows(&["--port", "2003"]), [3]);
    assert_eq!(rows(&["--port", "6800", "--open"]), [0, 1, 2, 3, 4]);
    assert_eq!(rows(&["--host", "10.9.0.3"]), [0; 0]);
    assert_eq!(rows(&["--finding", "long-close-wait"]), [0, 1, 2, 3, 4]);
    assert_eq!(rows(&["--finding", "close-wait-leak"]), [0, 1, 2, 3, 4]);
    assert_eq!(rows(&["--finding", "fin-ack-skips-fin-wait-2"]), [5]);
    assert_eq!(rows(&["--finding", "close-wait-leak", "--close-wait", "1000"]), [0; 0]);
    let table = printed(&["list", str_of(&capture), "--state", "CLOSE_WAIT"]);
    assert_eq!(table.lines().count(), 6);
    assert!(table.lines().nth(1).unwrap().contains("long-close-wait"));
}

#[test]
fn options_change_what_is_found() {
    let capture = leak("options.pcap");
    let found = |options: &[&str]| {
        let lines = lines(&[&["--format", "jsonl", str_of(&capture)], options].concat());
        let names = lines.iter().filter(|line| line["type"] == "finding");
        names.filter(|line| line["name"] == "close-wait-leak").count()
    };
    assert_eq!(found(&[]), 1);
    assert_eq!(found(&["--close-wait", "1000"]), 0);
    assert_eq!(found(&["--allow", "close-wait-leak"]), 0);
    assert_eq!(found(&["--set", "close-wait-leak.stuck_min=6"]), 0);
    let waiting = |msl: &str| {
        let lines = lines(&["list", "--format", "jsonl", "--msl", msl, str_of(&capture)]);
        lines[5]["final"]["client"].clone()
    };
    assert_eq!((waiting("30"), waiting("0")), ("TIME_WAIT".into(), "CLOSED".into()));
}

#[test]
fn netstat_puts_each_host_on_its_own_side() {
    let capture = leak("netstat.pcap");
    let rows = |args: &[&str]| {
        let table = printed(&[&["netstat", str_of(&capture)], args].concat());
        let split = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        table.lines().map(split).collect::<Vec<_>>()
    };
    let server = rows(&["--host", "10.9.0.2"]);
    assert_eq!(server[0][..2], ["Active", "Internet"]);
    assert_eq!(server[1][..4], ["Proto", "Recv-Q", "Send-Q", "Local"]);
    assert_eq!(server.len(), 2 + 5, "the one that closed in order is gone: {server:?}");
    for (at, row) in server[2..].iter().enumerate() {
        let peer = format!("10.9.0.1:{}", 2000 + at);
        assert_eq!(row[..6], ["tcp", "-", "-", "10.9.0.2:6800", &peer, "CLOSE_WAIT"]);
    }
    assert_eq!(server[2][6..], ["100", "s", "confirmed", "0"]);
    assert_eq!(rows(&[]).len(), 2 + 11);
    let ss = rows(&["--ss", "--host", "10.9.0.1", "--at", "+0.5"]);
    assert_eq!(ss.len(), 1 + 1);
    assert_eq!(ss[1][..5], ["ESTAB", "-", "-", "10.9.0.1:2000", "10.9.0.2:6800"]);
}

#[test]
fn netstat_is_of_the_moment() {
    let capture = leak("moment.pcap");
    let at = |at: &str| -> Vec<(String, String)> {
        let args = ["netstat", "--format", "jsonl", "--at", at, str_of(&capture)];
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        lines(&args).iter().map(|it| (word(&it["endpoint"]), word(&it["state"]))).collect()
    };
    let pair = |client: &str, server: &str| {
        vec![("client".to_owned(), client.to_owned()), ("server".to_owned(), server.to_owned())]
    };
    assert_eq!(at("+0"), pair("SYN_SENT", "SYN_RCVD"));
    assert_eq!(at("+0.015"), pair("ESTABLISHED", "SYN_RCVD"));
    assert_eq!(at("2023-11-14T22:13:20.020Z"), pair("ESTABLISHED", "ESTABLISHED"));
    assert_eq!(at("2023-11-14T23:13:20.5+01:00"), pair("ESTABLISHED", "ESTABLISHED"));
    assert_eq!(at("end"), at("+101.02"));
    let socket = &lines(&["netstat", "--format", "jsonl", "--at", "+3", str_of(&capture)])[0];
    assert_eq!(socket["type"], "socket");
    assert_eq!(socket["ts"], "2023-11-14T22:13:23.000000000Z");
    assert_eq!(socket["local"], serde_json::json!({"addr": "10.9.0.1", "port": 2000}));
    assert_eq!(socket["remote"], serde_json::json!({"addr": "10.9.0.2", "port": 6800}));
    assert_eq!((&socket["for_s"], &socket["frame"]), (&1.96.into(), &5.into()));
    let object = printed(&["netstat", "--format", "json", str_of(&capture)]);
    let object: Value = serde_json::from_str(&object).unwrap();
    assert_eq!(object["sockets"].as_array().unwrap().len(), 11);
    for outside in ["+102", "2023-11-14T22:13:19Z", "2030-01-01T00:00:00Z"] {
        let message = refused(&["netstat", "--at", outside, str_of(&capture)]);
        assert!(message.contains("outside the capture"), "{message}");
    }
    for wrong in ["-1", "now", "2023-11-14", "12:00"] {
        refused(&["netstat", "--at", wrong, str_of(&capture)]);
    }
}

#[test]
fn a_moment_that_was_printed_is_one_of_the_capture() {
    let (demo, end) = ("testdata/kernel/demo/server.pcap", "+68.4");
    let counts = printed(&["netstat", "--counts", demo]);
    assert!(counts.contains(&format!("{end} s")), "{counts}");
    let at = |at: &str| printed(&["netstat", "--at", at, "--format", "jsonl", demo]);
    assert_eq!(at(end), at("end"));
    assert!(refused(&["netstat", "--at", "+68.5", demo]).contains("outside the capture"));
}

#[test]
fn a_census_counts_what_the_table_shows() {
    let capture = leak("census.pcap");
    let capture = str_of(&capture);
    let every = ["netstat", "--counts", "--every", "0.5", "--format", "jsonl", capture];
    let census = lines(&every);
    assert_eq!(census.len(), 204, "101.02 s in steps of 0.5 s, and the end");
    for (at, line) in census.iter().enumerate().step_by(7) {
        let ts = line["ts"].as_str().unwrap();
        let table = lines(&["netstat", "--at", ts, "--format", "jsonl", capture]);
        for (state, count) in line["states"].as_object().unwrap() {
            let there = table.iter().filter(|socket| socket["state"] == state.as_str()).count();
            assert_eq!(count, there, "{state} at {ts}, moment {at}");
        }
    }
    let page = printed(&["netstat", "--counts", "--host", "10.9.0.2", capture]);
    assert!(page.starts_with("Sockets of 10.9.0.2 by state, at 60 moments in 101 s"), "{page}");
    assert!(page.contains("█████") && !page.contains("FIN_WAIT_2"), "{page}");
    let [few, many] = ["15", "1"].map(|step| {
        let page = printed(&["netstat", "--counts", "--every", step, capture]);
        page.split_once("In numbers").expect("numbers").1.to_owned()
    });
    let head = "\n state        +0 s  +15 s  +30 s  +45 s  +60 s  +75 s  +90 s  +101 s\n";
    assert!(few.starts_with(head), "{few}");
    assert!(many.starts_with(", at 7 of the 103 moments\n state "), "{many}");
    refused(&["netstat", "--counts", "--every", "0", capture]);
    refused(&["netstat", "--counts", "--every", "0.000001", capture]);
    refused(&["netstat", "--counts", "--at", "+1", capture]);
    refused(&["netstat", "--every", "1", capture]);
}

#[test]
fn a_capture_without_a_packet_has_no_moment() {
    let empty = Pcap::new().save("no-moment.pcap");
    let empty = str_of(&empty);
    for options in [&[][..], &["--counts"], &["--counts", "--every", "1"]] {
        let table = printed(&[&["netstat", empty], options].concat());
        assert!(table.contains(": there is no packet, and so no moment"), "{table}");
        let object = printed(&[&["netstat", "--format", "json", empty], options].concat());
        for text in [table, object] {
            assert!(!text.contains("1970"), "{text}");
        }
    }
    let object = printed(&["netstat", "--counts", "--format", "json", empty]);
    let object: Value = serde_json::from_str(&object).unwrap();
    assert_eq!(object, serde_json::json!({"census": []}));
    assert!(refused(&["netstat", "--at", "+1", empty]).contains("no moment but its end"));
}

#[test]
fn netstat_says_that_a_host_is_not_in_the_capture() {
    let output = finwait(&["netstat", "--host", "10.9.0.9", str_of(&leak("no-host.pcap"))]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("no connection of the capture has an end"));
}

/// Files with hosts' socket tables.
fn table(name: &str) -> String {
    format!("{}/testdata/sockets/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_classic_listing_names_the_process() {
    let stuck = [2174, 2175, 2178, 2181, 2186].into_iter().enumerate();
    let stuck = stuck.fold(Pcap::new(), |pcap, (at, port)| pcap.connection(at as f64, port, false));
    let capture = stuck.connection(100.0, 3000, true).save("oracle.pcap");
    let capture = str_of(&capture);
    let listing = table("made/oracle-lsof-i.txt");
    let report = printed(&["--sockets", &listing, capture]);
    let first = report.lines().next().unwrap();
    assert!(first.contains("held by oracle (pid 4711, 5 sockets, fds 11 to 15)"), "{first}");
    let list = printed(&["list", "--sockets", &listing, "--port", "2174", capture]);
    assert!(list.contains("oracle/4711"), "{list}");
    let line = &lines(&["show", "0", "--format", "jsonl", "--sockets", &listing, capture])[0];
    let on_host = &line["on_host"]["server"];
    assert_eq!(on_host["outcome"], "agrees");
    assert_eq!(on_host["owners"][0]["program"], "oracle");
    assert_eq!(
        (&on_host["owners"][0]["pid"], &on_host["owners"][0]["fd"]),
        (&4711.into(), &11.into())
    );
    assert!(line["on_host"]["client"].is_null());
    let capture_line = &lines(&["--format", "jsonl", "--sockets", &listing, capture])[0];
    let entry = &capture_line["socket_tables"][0];
    assert_eq!((&entry["tools"][0], &entry["agrees"]), (&"lsof".into(), &5.into()));
}

#[test]
fn netstat_sets_the_hosts_own_table_beside_its_own() {
    let when = fs::read_to_string(table("holders/sockets/server.when.txt")).unwrap();
    let at = when.lines().next().unwrap();
    let known = table("holders/sockets/server.netstat-antp.txt");
    let mut bytes = fs::read_to_string(&known).unwrap();
    bytes += "tcp 0 0 10.9.0.2:6800 10.9.0.77:4000 ESTABLISHED 77/elsewhere\n";
    bytes += "tcp 0 0 10.9.0.2:6800 nonsense ESTABLISHED 77/elsewhere\n";
    let own = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("own-table.txt");
    fs::write(&own, bytes).unwrap();
    let capture = table("holders/server.pcap");
    let options = ["--sockets", str_of(&own), "--snapshot-at", at, "--host", "10.9.0.2", &capture];
    let output = finwait(&[&["netstat", "--at", at], &options[..]].concat());
    assert_eq!(output.status.code(), Some(0));
    let warning = text(&output.stderr);
    assert!(warning.contains("1 line cannot be read: line 17 has no address"), "{warning}");
    let page = text(&output.stdout);
    let row = |part: &str| {
        let line =
            page.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{page}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let unread = row("10.9.0.2:6803");
    assert_eq!(unread[1..3], ["108", "0"]);
    assert!(unread[5] == "CLOSE_WAIT" && unread.contains(&"agrees".to_owned()), "{unread:?}");
    assert!(unread.last().unwrap().ends_with("/python3"), "{unread:?}");
    assert!(row("10.9.0.77:4000").join(" ").ends_with("- - - only there 77/elsewhere"), "{page}");
    assert_eq!(page.matches("lacks it").count(), 1, "{page}");
    // At another moment the owners stay, and the queues are not known.
    let output = finwait(&[&["netstat", "--at", "end"], &options[..]].concat());
    assert!(text(&output.stderr).contains("was taken at another moment; --at "));
    let page = text(&output.stdout);
    let unread = page.lines().find(|line| line.contains("10.9.0.2:6803")).unwrap();
    let words: Vec<&str> = unread.split_whitespace().collect();
    assert_eq!((words[1], words.last().unwrap().ends_with("/python3")), ("-", true), "{unread}");
    let args = [&["netstat", "--format", "json", "--at", at], &options[..]].concat();
    let object: Value = serde_json::from_slice(&finwait(&args).stdout).unwrap();
    let host_socket = &object["host_sockets"][0];
    assert_eq!(host_socket["outcome"], "capture-lacks");
    assert_eq!(host_socket["remote"], "10.9.0.77:4000");
    let sockets = object["sockets"].as_array().unwrap();
    let outcomes =
        |word: &str| sockets.iter().filter(|it| it["on_host"]["outcome"] == word).count();
    assert_eq!((outcomes("agrees"), outcomes("host-lacks")), (8, 1));
}

#[cfg(unix)]
#[test]
fn a_table_may_come_through_a_pipe_and_stays_with_what_a_report_goes_on_with() {
    let capture = "testdata/sockets/holders/server.pcap";
    let (at, table) =
        ("2026-11-24T15:06:41.804270293Z", table("holders/sockets/server.ss-tanp.txt"));
    let options = ["--close-wait", "1", "--snapshot-at", at, "--sockets"];
    let named = [&options[..], &[&table, capture]].concat();
    let piped = Command::new(env!("CARGO_BIN_EXE_finwait"))
        .args(options)
        .args(["-", capture])
        .stdin(fs::File::open(&table).unwrap())
        .output()
        .unwrap();
    let piped = text(&piped.stdout);
    assert_eq!(piped.lines().next(), printed(&named).lines().next());
    assert!(piped.contains("held by leaky") && piped.contains("--sockets FILE "), "{piped}");
    assert!(refused(&["--sockets", "-", capture]).contains("give --snapshot-at as well"));
    assert!(refused(&["--sockets", "-", "--snapshot-at", at, "-"]).contains("named 2 times"));
    let hosts = Pcap::new().save("hosts-of-a-report");
    fs::write(&hosts, "10.9.0.2 broker\n").unwrap();
    let commands = next_commands(&[&["--names", str_of(&hosts)], &named[..]].concat());
    let options: Vec<&str> = commands[1].iter().map(String::as_str).collect();
    for option in [["--names", str_of(&hosts)], ["--sockets", &table], ["--snapshot-at", at]] {
        assert!(options.windows(2).any(|words| words == option), "{option:?}: {options:?}");
    }
    assert!(printed(&options).contains("broker:"));
    let commands = next_commands(&[&["--mask", "--names", str_of(&hosts)], &named[..]].concat());
    assert!(!commands.concat().join(" ").contains(".txt"), "{commands:?}");
}

#[test]
fn a_host_may_be_named_as_it_is_printed_or_as_a_socket_has_it() {
    let v6 = "testdata/kernel/four-segment-close-ipv6/server.pcap";
    let all = printed(&["list", v6]);
    assert!(all.contains("[fd09::1]:"), "{all}");
    assert_eq!(printed(&["list", "--host", "[fd09::1]", v6]), all);
    assert!(printed(&["netstat", "--host", "[fd09::1]", v6]).contains("TIME_WAIT"));
    let v4 = "testdata/kernel/four-segment-close/server.pcap";
    assert_eq!(printed(&["list", "--host", "::ffff:10.9.0.1", v4]), printed(&["list", v4]));
    refused(&["list", "--host", "[10.9.0.1]", v4]);
}

#[test]
fn a_masked_report_masks_socket_tables() {
    let tables = ["holders/sockets/server.ss-tanp.txt", "made/oracle-lsof-i.txt"].map(table);
    let capture = table("holders/server.pcap");
    let options = ["--mask", "--sockets", &tables[0], "--sockets", &tables[1], &capture];
    for command in [
        &["report"][..],
        &["report", "--format", "jsonl"],
        &["netstat"],
        &["netstat", "--ss"],
        &["netstat", "--format", "jsonl"],
        &["list"],
        &["show", "0"],
    ] {
        let page = printed(&[command, &options[..]].concat());
        for secret in ["10.9.0.", "rhel3", "server.ss", "oracle-lsof", "holders", "leaky"] {
            assert!(!page.contains(secret), "{command:?}: {secret}\n{page}");
        }
        assert!(page.contains("program-"), "{command:?}\n{page}");
    }
}

#[test]
fn a_file_that_is_no_socket_table_is_2() {
    let capture = table("holders/server.pcap");
    let message = refused(&["--sockets", &capture, &capture]);
    assert!(message.contains("is not a socket table"), "{message}");
    assert!(refused(&["--sockets", "no-such-table.txt", &capture]).contains("no-such-table.txt"));
    assert!(refused(&["--sockets", "-", &capture]).contains("--sockets takes a file"));
    refused(&["--snapshot-at", "end", &capture]);
    refused(&["--sockets", &table("made/oracle-lsof-i.txt"), "--snapshot-at", "noon", &capture]);
}

#[test]
fn a_table_from_after_the_capture_is_said_to_be_late() {
    let capture = table("holders/server.pcap");
    let sockets = table("holders/sockets/server.ss-tanp.txt");
    let late = ["--sockets", &sockets, "--snapshot-at", "2030-01-01T00:00:00Z", &capture];
    let said = |args: &[&str]| printed(args).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said(&late).contains("after the capture's end, and is compared with that"));
    let early = ["--sockets", &sockets, "--snapshot-at", "2020-01-01T00:00:00Z", &capture];
    assert!(said(&early).contains("before the capture's start, and is compared with that"));
}

#[test]
fn show_draws_both_lifelines() {
    let capture = leak("show.pcap");
    let page = printed(&["show", "0", str_of(&capture)]);
    for part in [
        "handshake complete, close half-closed, the client closed first",
        "SYN_SENT │─ S 0:0(0)",
        "FIN_WAIT_1 │─ F. 1:1(0) ack 1",
        "│ CLOSE_WAIT+",
        "│ ✓CLOSE_WAIT",
        ">= 100 s",
        "RFC 9293 section 3.10.7.4",
        "tcp.stream == 0",
        "finwait explain long-close-wait",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert_eq!(printed(&["show", "--stream", "0", str_of(&capture)]), page);
    let line = printed(&["show", "0", str_of(&capture), "--format", "jsonl"]);
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["id"], 0);
}

#[test]
fn everything_is_explained() {
    let all: Value = serde_json::from_str(&printed(&["explain", "--format", "json"])).unwrap();
    let names: Vec<&str> =
        all.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"CLOSE_WAIT") && names.contains(&"close-wait-leak"));
    let list = printed(&["explain"]);
    for name in names {
        assert!(list.contains(name), "{name}");
        let text = printed(&["explain", name]);
        assert!(text.lines().count() > 8, "{name}");
        // A pager on a terminal of eighty columns breaks nothing.
        let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= 80, "{name}: {widest}");
    }
    let leak = printed(&["explain", "close-wait-leak"]);
    assert!(
        leak.contains("a single one is only a long-close-wait.\n\n  - `stuck`: CLOSE_WAIT lasted")
    );
    assert!(leak.contains("\n\nHow it is inferred\n  Connections are counted per service"));
    assert!(printed(&["explain", "close-wait"]).starts_with("CLOSE_WAIT"));
}

#[test]
fn the_demo_shows_a_leak_and_can_be_saved() {
    assert!(printed(&["demo"]).lines().next().unwrap().contains("CLOSE_WAIT"));
    let saved = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("demo.pcap");
    printed(&["demo", "--save", str_of(&saved)]);
    assert!(printed(&[str_of(&saved)]).contains("close-wait-leak"));
}

#[test]
fn a_report_file_is_written_whole_or_not_at_all() {
    let capture = leak("output.pcap");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("output");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let target = folder.join("report.txt");
    fs::write(&target, "before").unwrap();
    refused(&["no-such-file.pcap", "-o", str_of(&target)]);
    assert_eq!(fs::read_to_string(&target).unwrap(), "before");
    let stdout = printed(&[str_of(&capture), "-o", str_of(&target), "--color", "always"]);
    assert_eq!(stdout, "");
    assert_eq!(fs::read_to_string(&target).unwrap(), printed(&[str_of(&capture)]));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left behind");
    refused(&[str_of(&capture), "-o", str_of(&folder.join("no/such/folder"))]);
    assert!(refused(&[str_of(&capture), "-o", str_of(&capture)]).contains("is the capture itself"));
}

#[test]
fn an_output_that_cannot_be_written_is_2() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let capture = leak("full.pcap");
    let capture = str_of(&capture);
    for args in [&[capture][..], &["extract", capture], &["--help"], &["help", "list"], &["-V"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        let output = command.args(args).stdout(full.try_clone().unwrap()).output().unwrap();
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(told.starts_with("finwait: cannot write to standard output: "), "{told}");
        assert_eq!(told.matches("os error").count(), 1, "{told}");
    }
    let told = refused(&["extract", "-o", "/dev/full", capture]);
    assert!(told.starts_with("finwait: /dev/full: cannot write it: "), "{told}");
    assert_eq!(told.matches("os error").count(), 1, "{told}");
}

#[test]
fn progress_goes_to_standard_error() {
    let capture = clean("progress.pcap");
    let plain = printed(&[str_of(&capture)]);
    assert_eq!(printed(&[str_of(&capture), "--progress", "always"]), plain);
    let told = text(&finwait(&["--progress", "always", str_of(&capture)]).stderr);
    assert!(told.lines().eq(["360 B of 360 B read"]), "{told}");
}

#[test]
fn progress_is_shown_while_a_pipe_is_slow() {
    let bytes = fs::read(clean("slow.pcap")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    command.args(["--progress", "always", "-"]).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    for piece in bytes.chunks(60) {
        pipe.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(500));
    }
    drop(pipe);
    let told = text(&child.wait_with_output().unwrap().stderr);
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines.len() > 1 && lines.iter().all(|line| line.ends_with(" B read")), "{told}");
    assert_eq!(lines.last(), Some(&"360 B read"), "{told}");
}

#[test]
fn names_from_paths_cannot_move_the_cursor() {
    let capture = Pcap(fs::read(leak("plain.pcap")).unwrap()).save("a\x1b[31mb.pcap");
    assert!(!printed(&[str_of(&capture)]).contains('\x1b'));
    let mut child = Command::new(env!("CARGO_BIN_EXE_finwait"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(capture).unwrap()).unwrap();
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn a_timer_has_no_frame() {
    let capture = leak("timer.pcap");
    // The last packet that another connection needs for time to pass.
    let later = Pcap(fs::read(&capture).unwrap()).connection(300.0, 3001, true).save("later.pcap");
    let page = printed(&["show", "5", str_of(&later)]);
    assert!(page.contains("· 2MSL passed ·") && page.contains("CLOSED@"), "{page}");
    let line = &lines(&["show", "5", "--format", "jsonl", str_of(&later)])[0];
    let last = line["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["basis"], "timer");
    assert!(last["frame"].is_null());
    assert_eq!(line["dwell_s"]["client"]["TIME_WAIT"], 60.0);
}

#[test]
fn ordinary_segments_are_folded() {
    let opened = Pcap::new()
        .segment(0.0, 2000, true, SYN, 100, 0)
        .segment(0.1, 2000, false, SYN | ACK, 300, 101)
        .segment(0.2, 2000, true, ACK, 101, 301);
    let busy = (0..214).fold(opened, |pcap, at| {
        pcap.segment(1.0 + f64::from(at), 2000, at % 2 > 0, ACK, [301, 101][at as usize % 2], 0)
    });
    let page = printed(&["show", "0", str_of(&busy.save("busy.pcap"))]);
    assert!(page.contains("segments, ") && page.contains("… "), "{page}");
    assert!(page.lines().count() < 50);
}

/// What a segment refutes stands at that segment's time, not at the connection's end.
#[test]
fn a_page_has_every_row_at_its_time() {
    let capture = "testdata/kernel/accept-queue-overflow/middle.pcap";
    let page = printed(&["--format", "html", capture]);
    let ladder =
        page.split("<table class=\"ladder\">").nth(1).and_then(|it| it.split("</table>").next());
    let rows: Vec<&str> = ladder.expect("a ladder").split("<tr>").skip(2).collect();
    let time = |row: &&str| {
        let cell = row.split("<td class=\"number\">").nth(1).and_then(|it| it.split('<').next());
        cell.expect("a time").parse::<f64>().expect("seconds")
    };
    assert!(rows.iter().map(time).is_sorted(), "{rows:#?}");
    let refuted: Vec<f64> = rows.iter().filter(|row| row.contains('✗')).map(time).collect();
    assert_eq!(refuted, [1.034415, 3.050382]);
}

/// What the report on a terminal has of hosts' own tables, the pages to be sent on have as well.
#[test]
fn a_page_tells_what_the_hosts_own_tables_say() {
    let when = fs::read_to_string(table("holders/sockets/server.when.txt")).unwrap();
    let at = when.lines().next().unwrap();
    let bytes = fs::read_to_string(table("holders/sockets/server.netstat-antp.txt")).unwrap();
    let own = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page-table.txt");
    fs::write(&own, bytes + "tcp 0 0 10.9.0.2:6800 nonsense ESTABLISHED 77/elsewhere\n").unwrap();
    let capture = table("holders/server.pcap");
    let options = ["--sockets", str_of(&own), "--snapshot-at", at, "--close-wait", "1", &capture];
    let printed = |format| printed(&[&["--format", format][..], &options].concat());
    let report = printed("table");
    let part = report.split("What the hosts' own tables say").nth(1).unwrap();
    let part = part.split("\n\n").next().unwrap();
    let (rows, points) = part.trim_start().split_once("\n - ").unwrap();
    let cells: Vec<&str> = rows.lines().last().unwrap().split_whitespace().collect();
    let counts = &cells[cells.len() - 5..];
    let unbroken = points.split("\n - ").map(|point| point.replace("\n   ", " "));
    let points: Vec<String> = unbroken.map(|point| point.trim_end().to_string()).collect();
    assert!(points.iter().any(|it| it.starts_with("id 7: the capture has ")), "{points:?}");
    for (format, row, point) in [
        ("markdown", counts.join(" | "), "\n- "),
        ("html", counts.join("</td><td class=\"number\">"), "<li>"),
    ] {
        let page = printed(format).replace("\\_", "_");
        assert!(page.contains(&row), "{format}: {row}\n{page}");
        for said in &points {
            assert!(page.contains(&format!("{point}{said}")), "{format}: {said}\n{page}");
        }
        assert!(page.contains("1 line cannot be read: line 16 has no address"), "{format}: {page}");
    }
}
