//! `--mask` and `--names`: what a published report tells of the hosts, and what a reader calls them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use serde_json::Value;

const LEAKING: &str = "testdata/kernel/demo/server.pcap";

const CAPTURES: [&str; 4] = [
    LEAKING,
    "testdata/kernel/keepalive-unanswered-mirrored-ipv6/server.pcap",
    "testdata/kernel/bridge-close/middle.pcap",
    "testdata/kernel/port-reuse-after-reset/middle.pcap",
];

/// A text with a host that it has by name.
const TEXT: &str = "testdata/windump-close.txt";

/// What a command says, on standard output and standard error.
fn said(args: &[&str]) -> (String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

fn lines(args: &[&str]) -> Vec<Value> {
    said(args).0.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn addrs(lines: &[Value]) -> Vec<[String; 2]> {
    let connections = lines.iter().filter(|line| line["type"] == "connection");
    let addr = |line: &Value, role: &str| line[role]["addr"].as_str().unwrap().to_string();
    connections.map(|line| ["client", "server"].map(|role| addr(line, role))).collect()
}

#[test]
fn a_masked_report_holds_no_address_and_no_name() {
    for capture in CAPTURES.into_iter().chain([TEXT]) {
        let real = lines(&["--format", "jsonl", capture]);
        let real: BTreeSet<String> = addrs(&real).into_iter().flatten().collect();
        assert!(!real.is_empty());
        let mut commands: Vec<Vec<&str>> = vec![
            vec!["list"],
            vec!["show", "0"],
            vec!["netstat"],
            vec!["netstat", "--counts"],
            vec!["list", "--format", "json"],
        ];
        for format in
            ["table", "jsonl", "json", "markdown", "html", "sarif", "junit", "github", "gitlab"]
        {
            commands.push(vec!["report", "--format", format]);
            commands.push(vec!["check", "--fail-on", "note", "--format", format]);
        }
        for command in commands {
            let (out, err) = said(&[&command[..], &["--mask", capture]].concat());
            // Where nothing is wrong there is nothing to annotate.
            assert!(out.len() > 2 || command.contains(&"github"), "{command:?}: {err}");
            for hidden in real.iter().map(String::as_str).chain(["testdata"]) {
                assert!(!out.contains(hidden) && !err.contains(hidden), "{command:?}: {out}{err}");
            }
        }
    }
}

#[test]
fn one_address_stands_for_one_and_all_else_stays() {
    for capture in CAPTURES {
        let real = lines(&["--format", "jsonl", capture]);
        let masked = lines(&["--format", "jsonl", "--mask", capture]);
        let mut stand_ins: BTreeMap<String, String> = BTreeMap::new();
        for (real, other) in addrs(&real).iter().flatten().zip(addrs(&masked).iter().flatten()) {
            let known = stand_ins.entry(real.clone()).or_insert_with(|| other.clone());
            assert_eq!(known, other);
        }
        let distinct: BTreeSet<&String> = stand_ins.values().collect();
        assert_eq!(distinct.len(), stand_ins.len());
        assert!(
            distinct.iter().all(|it| it.starts_with("192.0.2.") || it.starts_with("2001:db8:"))
        );
        let mut real: Vec<String> = real[1..].iter().map(Value::to_string).collect();
        for line in &mut real {
            // By way of a number, so that what is replaced is not replaced again.
            for (at, addr) in stand_ins.keys().enumerate() {
                *line = line.replace(addr.as_str(), &format!("<{at}>"));
            }
            for (at, addr) in stand_ins.values().enumerate() {
                *line = line.replace(&format!("<{at}>"), addr);
            }
        }
        // Within one name and severity, findings may be ordered by address.
        let mut masked: Vec<String> = masked[1..].iter().map(Value::to_string).collect();
        real.sort();
        masked.sort();
        assert_eq!(real, masked, "{capture}");
    }
}

#[test]
fn a_mask_is_the_same_each_time() {
    let args = ["report", "--mask", LEAKING];
    assert_eq!(said(&args), said(&args));
}

#[test]
fn hosts_are_asked_for_by_their_own_address_or_the_one_shown() {
    let rows = |host: &str| said(&["list", "--mask", "--host", host, LEAKING]).0.lines().count();
    assert_eq!(rows("10.9.0.2"), 20);
    assert_eq!(rows("192.0.2.2"), 20);
    let (table, _) = said(&["netstat", "--mask", "--host", "10.9.0.2", LEAKING]);
    assert!(table.contains("192.0.2.2:6800"), "{table}");
}

#[test]
fn hosts_are_asked_for_by_any_of_their_names() {
    let names = format!("{}/asked.hosts", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&names, "10.9.0.2 srv.example.org srv\n").expect("a file");
    let names = ["--names", &names];
    let rows = |args: &[&str], host: &str| {
        let args = [&["list"], args, &names, &["--host", host, LEAKING]].concat();
        said(&args).0.lines().count()
    };
    for args in [&[][..], &["--mask"]] {
        for host in ["srv.example.org", "SRV", "10.9.0.2"] {
            assert_eq!(rows(args, host), 20, "{host}");
        }
        assert_eq!(rows(args, "nobody"), 0, "no header either");
        let netstat = [&["netstat", "--host", "srv"], args, &names];
        let (table, _) = said(&[&netstat.concat()[..], &[LEAKING]].concat());
        assert!(table.contains("6800"), "{table}");
        let (census, _) = said(&[&netstat.concat()[..], &["--counts", LEAKING]].concat());
        assert!(!census.contains("srv") && census.contains("CLOSE_WAIT"), "{census}");
    }
    let copy = format!("{}/asked.pcap", env!("CARGO_TARGET_TMPDIR"));
    let extract = [&["extract", "--host", "srv", "-o", &copy], &names[..], &[LEAKING]].concat();
    said(&extract);
    assert_eq!(said(&["list", &copy]).0.lines().count(), 20);
}

#[test]
fn a_masked_check_is_held_against_a_baseline_of_real_addresses() {
    let known = format!("{}/mask-known.toml", env!("CARGO_TARGET_TMPDIR"));
    said(&["check", "--write-baseline", &known, LEAKING]);
    let (_, says) = said(&["check", "--baseline", &known, "--mask", LEAKING]);
    assert!(says.contains("check passed") && !says.contains("stale"), "{says}");
    let clean = "testdata/kernel/four-segment-close/server.pcap";
    let (_, says) = said(&["check", "--baseline", &known, "--mask", clean]);
    assert!(says.contains("stale") && !says.contains("10.9.0."), "{says}");
    let (_, says) = said(&["check", "--write-baseline", &known, "--mask", LEAKING]);
    assert!(says.contains("cannot be used with"), "{says}");
}

#[test]
fn names_stand_where_people_read() {
    let hosts = format!("{}/hosts", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&hosts, "10.9.0.2 db.example db\n10.9.0.1 web # the client\n").unwrap();
    let named = |args: &[&str]| said(&[args, &["--names", &hosts, LEAKING]].concat());
    let (report, _) = named(&["report"]);
    assert!(report.starts_with("Server db.example:6800 never closed 9 of the 10"), "{report}");
    assert!(!report.contains("10.9.0."), "{report}");
    assert!(!named(&["list"]).0.contains("10.9.0."));
    assert!(named(&["show", "0"]).0.contains("server db.example:6800"));
    let (_, says) = named(&["check"]);
    assert!(says.contains("close-wait-leak: server db.example:6800"), "{says}");
    for format in ["markdown", "html", "github"] {
        assert!(!named(&["report", "--format", format]).0.contains("10.9.0."));
    }
    // Addresses stay where programs join by them; messages are for people.
    let lines: Vec<Value> = named(&["report", "--format", "jsonl"])
        .0
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[1]["server"]["addr"], "10.9.0.2");
    let leak = lines.iter().find(|line| line["name"] == "close-wait-leak").unwrap();
    assert!(leak["message"].as_str().unwrap().starts_with("server db.example:6800"));
    // A mask takes the names, too.
    let (masked, _) = named(&["report", "--mask"]);
    assert!(!masked.contains("db.example") && !masked.contains("(web)"), "{masked}");
    assert!(masked.starts_with("Server host-2:6800"), "{masked}");
    let (_, says) = said(&["report", "--names", LEAKING, LEAKING]);
    assert!(says.contains("cannot read it"), "{says}");
    std::fs::write(&hosts, "db 10.9.0.2\n").unwrap();
    assert!(named(&["report"]).1.contains("line 1: `db` is not an address"));
}
