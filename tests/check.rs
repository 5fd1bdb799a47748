//! `finwait check` as a job sees it: what fails it, what is tolerated, and what each format says.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A server that never closes, and other services in order.
const LEAKING: &str = "testdata/kernel/demo/server.pcap";

/// The same close, in order.
const FIXED: &str = "testdata/kernel/four-segment-close/server.pcap";

fn finwait(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs a check; returns its exit code and what it says on standard error.
fn check(args: &[&str]) -> (Option<i32>, String) {
    let output = finwait(&[&["check"], args].concat());
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn printed(args: &[&str]) -> String {
    String::from_utf8(finwait(&[&["check"], args].concat()).stdout).unwrap()
}

/// A file below the tests' own folder.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check");
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

/// A pcap file with nothing in it.
fn empty() -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(65_535_u32.to_le_bytes());
    bytes.extend(101_u32.to_le_bytes());
    bytes
}

/// With one UDP packet.
fn without_tcp() -> Vec<u8> {
    let mut bytes = empty();
    for word in [1_700_000_000_u32, 0, 28, 28] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend([0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2]);
    bytes.extend([0x30, 0x39, 0, 53, 0, 8, 0, 0]);
    bytes
}

#[test]
fn a_leak_fails_and_names_service_and_side() {
    let (code, says) = check(&[LEAKING]);
    assert_eq!(code, Some(1));
    for part in ["check failed", "close-wait-leak", "server 10.9.0.2:6800"] {
        assert!(says.contains(part), "{part}: {says}");
    }
    assert_eq!(check(&[FIXED]), (Some(0), String::new()));
}

#[test]
fn the_report_is_printed_too() {
    let report = String::from_utf8(finwait(&["report", LEAKING]).stdout).unwrap();
    assert_eq!(printed(&[LEAKING]), report);
    let lines = printed(&["--format", "jsonl", LEAKING]);
    assert!(lines.lines().last().unwrap().contains("\"type\":\"summary\""));
}

#[test]
fn what_fails_is_chosen() {
    let code = |args: &[&str]| check(&[args, &[LEAKING]].concat()).0;
    assert_eq!(code(&["--max", "close-wait-leak=1"]), Some(0));
    assert_eq!(code(&["--max", "close-wait-leak=0"]), Some(1));
    let (_, says) = check(&["--max", "close-wait-leak=1", LEAKING]);
    let told = "no other finding at or above error; --max lets 1 close-wait-leak pass";
    assert!(says.contains(told), "{says}");
    let twice = |one, other| check(&["--max", one, "--max", other, LEAKING]);
    assert_eq!(twice("close-wait-leak=0", "close-wait-leak=1").0, Some(0));
    let (code_of_last, says) = twice("close-wait-leak=1", "close-wait-leak=0");
    assert!(code_of_last == Some(1) && !says.contains("--max"), "{says}");
    assert_eq!(code(&["--allow", "close-wait-leak"]), Some(0));
    assert_eq!(code(&["--allow", "close-wait-leak", "--fail-on", "warning"]), Some(1));
    let warnings = ["long-close-wait=9", "fin-wait-2-stuck=9", "abortive-close=1"];
    let tolerated = warnings.map(|max| ["--max", max]).concat();
    let others = ["--fail-on", "warning", "--allow", "close-wait-leak"];
    assert_eq!(code(&[&others[..], &tolerated].concat()), Some(1));
    let refused = ["--max", "connection-refused=1"];
    assert_eq!(code(&[&others[..], &tolerated, &refused].concat()), Some(0));
    assert_eq!(code(&["--allow", "close-wait-leak", "--fail-on", "note"]), Some(1));
}

#[test]
fn a_bound_that_cannot_fail_the_check_is_said_to_be_none() {
    let (code, says) = check(&["--max", "connection-refused=0", FIXED]);
    assert_eq!((code, says.as_str()), (Some(0), ""));
    let max = ["--max", "connection-refused=0", "--allow", "close-wait-leak", LEAKING];
    let (code, says) = check(&max);
    assert_eq!(code, Some(0));
    assert!(says.contains("warning: 1 connection-refused") && says.contains("--fail-on"), "{says}");
}

#[test]
fn bad_usage_is_2() {
    for args in [
        &["--fail-on", "fatal"][..],
        &["--max", "close-wait-leak"],
        &["--max", "close-wait-leak=many"],
        &["--max", "close-wait-leak=-1"],
        &["--format", "yaml"],
    ] {
        assert_eq!(check(&[args, &[LEAKING]].concat()).0, Some(2), "{args:?}");
    }
    let (_, says) = check(&["--max", "close-wait-leek=1", LEAKING]);
    assert!(says.contains("did you mean `close-wait-leak`"), "{says}");
}

#[test]
fn with_a_baseline_only_what_is_new_fails() {
    let other = "testdata/kernel/accept-queue-overflow/server.pcap";
    let path = file("known.toml", b"").with_file_name("written.toml");
    let known = path.to_str().unwrap();
    let (code, says) = check(&["--write-baseline", known, LEAKING]);
    assert_eq!(code, Some(0), "{says}");
    let text = fs::read_to_string(&path).unwrap();
    for part in ["close-wait-leak", "\"10.9.0.2:6800\"", "count = 1", "side = \"server\""] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("10.9.0.1"), "no client's port is in it: {text}");
    let (code, says) = check(&["--baseline", known, LEAKING]);
    assert_eq!(code, Some(0));
    assert!(says.contains("check passed") && says.contains("the baseline holds 1"), "{says}");
    let table = printed(&["--baseline", known, LEAKING]);
    let (_, marked) = table.split_once("Known by the baseline").expect("what is known is marked");
    let cells = ["close-wait-leak", "server 10.9.0.2:6800", "1", "1"];
    let is_row = |line: &str| line.split("  ").map(str::trim).filter(|it| !it.is_empty()).eq(cells);
    assert!(marked.lines().any(is_row), "{table}");
    assert!(!printed(&[LEAKING]).contains("Known by"), "without a baseline nothing is");
    // Another finding, and what is known is not there.
    let (code, says) = check(&["--baseline", known, other]);
    assert_eq!(code, Some(1));
    assert!(says.contains("1 new finding") && says.contains("stale"), "{says}");
    // Both: only the new one is named.
    let (code, says) = check(&["--baseline", known, LEAKING, other]);
    assert_eq!(code, Some(1));
    assert!(!says.contains("stale") && !says.contains("server 10.9.0.2:6800"), "{says}");
    let junit = printed(&["--baseline", known, "--format", "junit", LEAKING, other]);
    assert_eq!(junit.matches("<failure").count(), 1, "{junit}");
    assert_eq!(junit.matches("<skipped").count(), 1, "{junit}");
    // What is written twice is the same.
    check(&["--write-baseline", known, LEAKING]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_leak_that_has_grown_is_new() {
    let path = file("grown.toml", b"").with_file_name("grown.toml");
    let known = path.to_str().unwrap();
    assert_eq!(check(&["--write-baseline", known, LEAKING]).0, Some(0));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("stuck = 9\n"), "{text}");
    assert_eq!(check(&["--baseline", known, LEAKING]).0, Some(0));
    fs::write(&path, text.replace("stuck = 9", "stuck = 3")).unwrap();
    let (code, says) = check(&["--baseline", known, LEAKING]);
    assert_eq!(code, Some(1));
    assert!(says.contains("1 new finding") && !says.contains("stale"), "{says}");
    // An entry without it holds any.
    fs::write(&path, text.replace("stuck = 9\n", "")).unwrap();
    assert_eq!(check(&["--baseline", known, LEAKING]).0, Some(0));
}

#[test]
fn a_baseline_keeps_its_reasons_and_is_never_made_of_damage() {
    let text = "[[known]]\nfinding = \"close-wait-leak\"\nservice = \"*:6800\"\n\
                side = \"server\"\ncount = 1\nreason = \"known to the vendor\"\n";
    let known = file("reasons.toml", text.as_bytes());
    let known = known.to_str().unwrap();
    let (code, _) = check(&["--baseline", known, "--write-baseline", known, LEAKING]);
    assert_eq!(code, Some(0));
    let before = fs::read_to_string(known).unwrap();
    assert!(before.contains("known to the vendor") && before.contains("\"*:6800\""), "{before}");
    let nothing = file("nothing.pcap", &empty());
    let (code, says) = check(&["--write-baseline", known, nothing.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(says.contains("not written"), "{says}");
    assert_eq!(fs::read_to_string(known).unwrap(), before);
    assert_eq!(check(&["--baseline", "no-such-file.toml", LEAKING]).0, Some(2));
    let wrong = file("wrong.toml", b"[[known]]\nfinding = \"close-wait-leek\"\ncount = 1\n");
    let (code, says) = check(&["--baseline", wrong.to_str().unwrap(), LEAKING]);
    assert_eq!(code, Some(2));
    assert!(says.contains("did you mean `close-wait-leak`"), "{says}");
}

#[test]
fn the_first_baseline_of_settings_that_name_it_can_be_written() {
    let settings = file("first/finwait.toml", b"[check]\nbaseline = \"known.toml\"\n");
    let folder = settings.parent().unwrap();
    let _ = fs::remove_file(folder.join("known.toml"));
    let capture = fs::canonicalize(LEAKING).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        command.arg("check").args(args).arg(&capture).current_dir(folder);
        let output = command.stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, says) = run(&[]);
    assert!(code == Some(2) && says.contains("known.toml makes it)"), "{says}");
    assert_eq!(run(&["--write-baseline", "other.toml"]).0, Some(2), "reasons may be lost");
    let (code, says) = run(&["--write-baseline", "known.toml"]);
    assert_eq!(code, Some(0), "{says}");
    assert_eq!(run(&[]).0, Some(0));
}

#[test]
fn a_report_is_not_written_over_a_baseline() {
    let path = file("both.toml", b"").with_file_name("both-new.toml");
    let _ = fs::remove_file(&path);
    let known = path.to_str().unwrap();
    let (code, says) = check(&["--write-baseline", known, "-o", known, LEAKING]);
    assert!(code == Some(2) && says.contains("is the baseline itself"), "{says}");
    assert!(!path.exists());
    assert_eq!(check(&["--write-baseline", known, LEAKING]).0, Some(0));
    let before = fs::read_to_string(&path).unwrap();
    assert_eq!(check(&["--baseline", known, "-o", known, LEAKING]).0, Some(2));
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn a_baseline_is_written_to_a_file_that_is_no_capture() {
    let capture = file("own-baseline.pcap", &fs::read(LEAKING).unwrap());
    let capture = capture.to_str().unwrap();
    let (code, says) = check(&["--write-baseline", capture, capture]);
    assert!(code == Some(2) && says.contains("give --write-baseline another file"), "{says}");
    assert_eq!(fs::read(capture).unwrap(), fs::read(LEAKING).unwrap());
    let (code, says) = check(&["--write-baseline", "-", LEAKING]);
    assert!(code == Some(2) && says.contains("--write-baseline takes a file"), "{says}");
}

#[test]
fn a_report_is_not_written_over_a_capture_of_the_folder() {
    let folder = ring("over");
    let path = folder.to_str().unwrap();
    let capture = folder.join("a.pcap");
    let over = capture.to_str().unwrap();
    for args in [&["report", path, "-o", over][..], &["extract", path, "--id", "0", "-o", over]] {
        let output = finwait(args);
        let says = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && says.contains("capture itself"), "{says}");
    }
    assert_eq!(fs::read(&capture).unwrap(), fs::read(FIXED).unwrap());
    // A report beside them may be written, and written anew.
    for _ in 0..2 {
        assert_eq!(check(&[path, "-o", folder.join("report.txt").to_str().unwrap()]).0, Some(0));
    }
}

#[test]
fn an_entry_of_a_baseline_may_expire_and_a_stale_one_may_fail() {
    let entry = |service: &str, expires: &str| {
        format!(
            "[[known]]\nfinding = \"close-wait-leak\"\nservice = \"{service}\"\n\
             side = \"server\"\ncount = 1\nexpires = {expires}\n"
        )
    };
    let with = |name: &str, text: String, more: &[&str]| {
        let known = file(name, text.as_bytes());
        check(&[more, &["--baseline", known.to_str().unwrap(), LEAKING]].concat())
    };
    let (code, says) = with("expires.toml", entry("10.9.0.2:6800", "9999-12-31"), &[]);
    assert_eq!(code, Some(0), "{says}");
    let (code, says) = with("expired.toml", entry("10.9.0.2:6800", "2026-01-31"), &[]);
    assert_eq!(code, Some(1));
    let words = "warning: in the baseline, these entries have expired: close-wait-leak at \
                 10.9.0.2:6800 (server) after 2026-01-31";
    assert!(says.contains(words), "{says}");
    // What expired is held anew when the baseline is written anew.
    let known = file("anew.toml", entry("*:6800", "2026-01-31").as_bytes());
    let known = known.to_str().unwrap();
    assert_eq!(check(&["--baseline", known, "--write-baseline", known, LEAKING]).0, Some(0));
    assert_eq!(check(&["--baseline", known, LEAKING]).0, Some(0));
    let both = entry("10.9.0.2:6800", "9999-12-31") + &entry("10.9.0.2:6801", "9999-12-31");
    let (code, says) = with("stale.toml", both.clone(), &[]);
    assert!(code == Some(0) && says.contains("warning: the baseline is stale"), "{says}");
    let (code, says) = with("stale.toml", both, &["--fail-on-stale"]);
    assert!(code == Some(1) && says.contains("check failed: the baseline is stale"), "{says}");
}

#[test]
fn a_job_that_only_looks_exits_with_0() {
    let (code, says) = check(&["--exit-zero", LEAKING]);
    assert!(code == Some(0) && says.contains("check failed: 1 finding"), "{says}");
    assert_eq!(check(&["--exit-zero", "no-such-file.pcap"]).0, Some(2));
    let nothing = file("exit-zero.pcap", &empty());
    assert_eq!(check(&["--exit-zero", nothing.to_str().unwrap()]).0, Some(2));
}

#[test]
fn settings_are_found_from_the_working_directory_upward() {
    let text = "allow = [\"close-wait-leak\"]\n[check]\nfail-on = \"warning\"\n\
                max = { fin-wait-2-stuck = 9, long-close-wait = 9, connection-refused = 1 }\n";
    let settings = file("project/finwait.toml", text.as_bytes());
    let below = file("project/deep/below/x", b"");
    let capture = fs::canonicalize(LEAKING).unwrap();
    let run = |folder: &Path, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        command.arg("check").args(args).arg(&capture).current_dir(folder);
        let output = command.stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let below = below.parent().unwrap();
    let (code, says) = run(below, &[]);
    assert_eq!(code, Some(1));
    assert!(says.contains("(abortive-close: clients of 10.9.0.2:8080)"), "{says}");
    // The command line overrules.
    assert_eq!(run(below, &["--fail-on", "error"]).0, Some(0));
    assert_eq!(run(below, &["--max", "abortive-close=1"]).0, Some(0));
    let (code, says) = run(below, &["--max", "long-close-wait=8"]);
    assert!(code == Some(1) && says.contains("long-close-wait"), "{says}");
    // Without settings, it is the leak again that fails.
    let (code, says) = run(below, &["--no-config"]);
    assert!(code == Some(1) && says.contains("close-wait-leak"), "{says}");
    // So does a file that is named.
    let other = file("other.toml", b"");
    let (_, says) = run(below, &["--config", other.to_str().unwrap()]);
    assert!(says.contains("close-wait-leak"), "{says}");
    let named = settings.to_str().unwrap();
    assert_eq!(check(&["--config", named, "--fail-on", "error", LEAKING]).0, Some(0));
    let wrong = file("wrong-settings.toml", b"close_wait = 5\n");
    let (code, says) = check(&["--config", wrong.to_str().unwrap(), LEAKING]);
    assert_eq!(code, Some(2));
    let parts = ["wrong-settings.toml", "did you mean `close-wait`?"];
    assert!(parts.iter().all(|part| says.contains(part)), "{says}");
    assert_eq!(check(&["--config", "no-such-file.toml", LEAKING]).0, Some(2));
}

#[test]
fn a_capture_that_shows_nothing_does_not_pass() {
    for (name, bytes) in [("empty.pcap", empty()), ("udp.pcap", without_tcp())] {
        let path = file(name, &bytes);
        for format in ["table", "jsonl", "markdown", "html", "sarif", "junit", "github", "gitlab"] {
            let (code, says) = check(&["--format", format, path.to_str().unwrap()]);
            assert_eq!(code, Some(2), "{name} {format}");
            assert!(says.contains("no TCP segment"), "{says}");
        }
        assert_eq!(finwait(&["report", path.to_str().unwrap()]).status.code(), Some(0));
    }
}

#[test]
fn what_a_bound_left_out_is_told_where_the_check_passes() {
    let (code, says) = check(&["--max-connections", "1", "--allow", "fin-wait-2-stuck", LEAKING]);
    assert_eq!(code, Some(0), "{says}");
    assert!(says.contains("warning: --max-connections left no room for "), "{says}");
    assert!(printed(&["--max-connections", "1", LEAKING]).starts_with("As far as --max-conn"));
    assert_eq!(check(&["--max-connections", "1", FIXED]), (Some(0), String::new()));
    let zero = file("zero.toml", b"max-connections = 0\n");
    let (code, says) = check(&["--config", zero.to_str().unwrap(), FIXED]);
    assert!(code == Some(2) && says.contains("`max-connections`: is 0"), "{says}");
}

#[test]
fn damage_is_2_whatever_was_found() {
    let mut bytes = fs::read(LEAKING).unwrap();
    bytes.extend([0xff; 16]);
    let damaged = file("damaged.pcap", &bytes);
    let (code, says) = check(&[damaged.to_str().unwrap()]);
    assert_eq!(code, Some(2));
    assert!(says.contains("damaged.pcap") && says.contains("check failed"), "{says}");
    let junit = printed(&["--format", "junit", damaged.to_str().unwrap()]);
    assert!(junit.contains("<error type=\"reading\""), "{junit}");
}

/// A folder of a good capture, somebody's notes, and the newest file of a ring, in which there is
/// nothing yet.
fn ring(name: &str) -> PathBuf {
    let capture = fs::read(FIXED).unwrap();
    let folder = file(&format!("{name}/a.pcap"), &capture).with_file_name("");
    for (name, bytes) in [("README", &b"as of today\n"[..]), ("b.pcap", b"")] {
        fs::write(folder.join(name), bytes).unwrap();
    }
    fs::write(folder.join("c.pcap"), empty()).unwrap();
    folder
}

#[test]
fn what_cannot_be_read_in_a_folder_does_not_pass() {
    let folder = ring("lost");
    let path = folder.to_str().unwrap();
    let is_complete = || printed(&["--format", "jsonl", path]).contains("\"complete\":true");
    let (code, says) = check(&[path]);
    assert_eq!(code, Some(0), "{says}");
    for name in ["README", "b.pcap"] {
        assert!(says.contains(&format!("warning: {path}{name}: is ")), "{says}");
    }
    assert!(is_complete() && !says.contains("c.pcap"), "a header alone is a whole capture");
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let broken: [(&str, &[u8]); 3] = [
        ("cut.pcap.gz", &gzip),
        ("broken.pcap.gz", &[&gzip[..], &[0xff; 20]].concat()),
        ("header.pcap", &empty()[..9]),
    ];
    for (name, bytes) in broken {
        let lost = folder.join(name);
        fs::write(&lost, bytes).unwrap();
        assert_lost(path, &lost);
        assert!(!is_complete());
        fs::remove_file(lost).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_opened_in_a_folder_does_not_pass() {
    let folder = ring("gone");
    let lost = folder.join("gone.pcap");
    let _ = fs::remove_file(&lost);
    std::os::unix::fs::symlink("no-such-file", &lost).unwrap();
    assert_lost(folder.to_str().unwrap(), &lost);
}

/// Every format that has a place for it tells of the file, and none says that the check passed.
fn assert_lost(folder: &str, lost: &Path) {
    let name = lost.file_name().unwrap().to_str().unwrap();
    let (code, says) = check(&[folder]);
    assert_eq!(code, Some(2), "{name}: {says}");
    assert!(says.contains(lost.to_str().unwrap()) && !says.contains("passed"), "{says}");
    assert!(printed(&[folder]).starts_with("As far as the capture could be read"), "{name}");
    for format in ["table", "markdown", "html", "junit", "github", "sarif"] {
        let text = printed(&["--format", format, folder]);
        assert!(text.contains(name), "{format} {name}: {text}");
    }
    assert!(printed(&["--format", "junit", folder]).contains("<error type=\"reading\""), "{name}");
}

/// What a job's page says, and what its exit code is, is one outcome.
#[test]
fn every_format_says_what_the_exit_code_says() {
    let nothing = file("agree/nothing.pcap", &empty());
    let whole = fs::read(FIXED).unwrap();
    let cut = file("agree/cut.pcap", &whole[..whole.len() - 3]);
    let entry = "[[known]]\nfinding = \"close-wait-leak\"\nservice = \"10.9.0.2:6800\"\n\
                 side = \"server\"\ncount = 1\n";
    let known = file("agree/known.toml", entry.as_bytes());
    let [nothing, cut, known] = [&nothing, &cut, &known].map(|path| path.to_str().unwrap());
    let stale = ["--baseline", known, "--fail-on-stale", FIXED];
    for (args, expected) in [
        (&[nothing][..], 2),
        (&["--strict", cut], 2),
        (&["--strict", "--baseline", known, cut, LEAKING], 2),
        (&stale, 1),
        (&[LEAKING], 1),
        (&[cut], 0),
        (&["--baseline", known, LEAKING], 0),
        (&["--baseline", known, FIXED], 0),
    ] {
        let (code, says) = check(args);
        assert_eq!(code, Some(expected), "{args:?}");
        let (right, wrong) = match expected {
            0 => ("check passed", "check failed"),
            _ => ("check failed", "check passed"),
        };
        assert!(!says.contains(wrong) && says.matches(right).count() <= 1, "{args:?}: {says}");
        for format in ["markdown", "html"] {
            let text = printed(&[&["--format", format], args].concat());
            assert!(text.contains(right) && !text.contains(wrong), "{args:?} {format}: {text}");
        }
        let junit = printed(&[&["--format", "junit"], args].concat());
        let is_red = junit.contains("<failure") || junit.contains("<error");
        assert_eq!(is_red, expected > 0, "{args:?}: {junit}");
        let sums = junit.lines().nth(1).unwrap();
        let is_red = !sums.contains("failures=\"0\" errors=\"0\"");
        assert_eq!(is_red, expected > 0, "{args:?}: {sums}");
        let github = printed(&[&["--format", "github"], args].concat());
        assert_eq!(github.contains("::error "), expected > 0, "{args:?}: {github}");
    }
    let (_, says) = check(&stale);
    let words = "check failed: the baseline is stale: close-wait-leak at 10.9.0.2:6800 (server): 1 \
                 known, 0 found; no new finding at or above error";
    assert!(says.contains(words), "{says}");
    let markdown = printed(&["--strict", "--format", "markdown", cut]);
    assert!(markdown.contains("- ❌ ") && markdown.contains("cut.pcap"), "{markdown}");
}

#[test]
fn annotations_are_few_and_one_line_each() {
    let all = printed(&["--format", "github", "--fail-on", "warning", LEAKING]);
    assert_eq!(all.lines().count(), 5, "{all}");
    assert!(all.lines().all(|line| line.starts_with("::error title=")), "{all}");
    let title = "title=close-wait-leak at server 10.9.0.2%3A6800::";
    assert!(all.contains(title), "{all}");
    let mild = printed(&["--format", "github", "--allow", "close-wait-leak", LEAKING]);
    assert!(mild.lines().all(|line| line.starts_with("::warning ")), "{mild}");
    let names: Vec<String> = fs::read_dir("testdata/kernel")
        .unwrap()
        .map(|entry| entry.unwrap().path().join("server.pcap").to_string_lossy().into_owned())
        .filter(|path| Path::new(path).exists())
        .collect();
    let mut args = vec!["--format", "github"];
    args.extend(names.iter().map(String::as_str));
    let all = printed(&args);
    for kind in ["::error ", "::warning "] {
        assert!(all.lines().filter(|line| line.starts_with(kind)).count() <= 10, "{all}");
    }
    assert!(all.lines().any(|line| line.starts_with("::notice ") && line.contains("more finding")));
}

#[test]
fn the_jobs_of_the_docs_run() {
    let page = fs::read_to_string("docs/ci.md").unwrap();
    let jobs: String =
        page.split("```yaml").skip(1).filter_map(|it| it.split("```").next()).collect();
    let folder = file("jobs/x", b"").with_file_name("");
    fs::copy(LEAKING, folder.join("server.pcap")).unwrap();
    let mut commands = 0;
    for line in jobs.lines().filter_map(|line| line.split_once("finwait ")) {
        // The demo's capture, half a minute after its last packet.
        let until = ["\"$UNTIL\"", "\"$until\""];
        let words = line.1.split(" >>").next().unwrap().split_whitespace();
        let words = words.map(|it| if until.contains(&it) { "2026-11-20T15:09:08Z" } else { it });
        if !line.0.trim_end().ends_with([':', '-']) {
            continue;
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        let output = command.args(words).current_dir(&folder).output().unwrap();
        let expected = if line.1.starts_with("check") { 1 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "{}", line.1);
        commands += 1;
    }
    assert_eq!(commands, 7);
}

#[test]
fn a_page_says_what_the_check_says_each_time() {
    let page = printed(&["--format", "html", LEAKING]);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains("check failed: 1 finding at or above error"));
    assert!(page.contains("CLOSE_WAIT &gt;= 68.3 s"));
    assert_eq!(page, printed(&["--format", "html", LEAKING]));
}

/// SYNs to these ports, each of them refused; each range comes from a port of its own.
fn refused(ranges: &[RangeInclusive<u16>]) -> Vec<u8> {
    let mut capture = empty();
    let all = (40_000..)
        .zip(ranges)
        .flat_map(|(client, ports)| ports.clone().map(move |port| (client, port)));
    for (at, (client, port)) in (1_700_000_001_u32..).zip(all) {
        let sent = [0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2];
        let back = [0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1];
        for (header, from, to, flags) in [(sent, client, port, 2), (back, port, client, 20)] {
            for word in [at, 0, 40, 40] {
                capture.extend(word.to_le_bytes());
            }
            capture.extend(header);
            capture.extend(from.to_be_bytes());
            capture.extend(to.to_be_bytes());
            let (seq, ack) = if flags == 2 { (100_u32, 0_u32) } else { (0, 101) };
            capture.extend(seq.to_be_bytes());
            capture.extend(ack.to_be_bytes());
            capture.extend([0x50, flags, 0xfa, 0xf0, 0, 0, 0, 0]);
        }
    }
    capture
}

/// A scan of six thousand ports, each of which refuses.
#[test]
fn reports_keep_their_bounds() {
    let capture = refused(&[1..=6_000]);
    let path = file("scan.pcap", &capture);
    let path = path.to_str().unwrap();
    let size = |format: &str| printed(&["--fail-on", "warning", "--format", format, path]).len();
    assert!(size("markdown") <= 60_000);
    assert!(size("html") <= 2_000_000, "{}", size("html"));
    let sarif = printed(&["--format", "sarif", path]);
    assert!(sarif.matches("\"ruleId\"").count() <= 5_000);
    let github = printed(&["--fail-on", "warning", "--format", "github", path]);
    assert!(github.lines().count() <= 21, "{github}");
    // One at each port, and one of the scan: findings and places are counted, each by its name.
    let mild = ["--fail-on", "warning", "--allow", "port-scan"];
    let (_, says) = check(&[&mild[..], &[path]].concat());
    assert!(says.contains("6,000 findings"), "{says}");
    assert!(says.contains("; 5,997 more findings at 5,997 places)"), "{says}");
}

#[test]
fn what_there_is_no_room_for_is_counted_in_findings_and_in_places() {
    let path = file("twice.pcap", &refused(&[(1..=40), (1..=40)]));
    let path = path.to_str().unwrap();
    let args = ["--fail-on", "warning", "--allow", "port-scan"];
    let (_, says) = check(&[&args[..], &[path]].concat());
    assert!(says.contains("80 findings") && says.contains("; 74 more findings at 37 places)"));
    for (format, words) in [
        ("github", "::notice title=finwait::60 more findings at 30 places: see the report"),
        ("markdown", "| ❌ warning | `connection-refused` | 12 others | 24 |  |  |\n"),
    ] {
        let text = printed(&[&args[..], &["--format", format, path]].concat());
        assert!(text.contains(words), "{text}");
    }
}

/// Beside six thousand refusals, which fill any table, stand kinds of which there is one each.
#[test]
fn a_kind_of_which_there_are_many_hides_no_other() {
    let scan = file("scan-beside.pcap", &refused(&[1..=6_000]));
    let captures = [scan.to_str().unwrap(), LEAKING];
    let args = [&["--fail-on", "note", "--allow", "port-scan"][..], &captures].concat();
    let said = |format: &str| printed(&[&args[..], &["--format", format]].concat());
    let all = said("jsonl");
    let findings = all.lines().filter(|line| line.starts_with("{\"type\":\"finding\""));
    let name = |line: &str| line.split('"').nth(7).unwrap().to_string();
    let kinds: std::collections::BTreeSet<String> = findings.map(name).collect();
    assert!(kinds.len() > 4 && kinds.len() < 10, "{kinds:?}");
    type Row = fn(&str) -> String;
    let rows: [(&str, Row); 7] = [
        ("table", |kind| format!("  {kind}  ")),
        ("markdown", |kind| format!("| `{kind}` |")),
        ("html", |kind| format!("<a href=\"#{kind}\">")),
        ("github", |kind| format!("::error title={kind} at ")),
        ("sarif", |kind| format!("\"ruleId\": \"{kind}\"")),
        ("gitlab", |kind| format!("\"check_name\": \"{kind}\"")),
        ("junit", |kind| format!("name=\"{kind}\">\n      <failure")),
    ];
    for (format, row) in rows {
        let said = said(format);
        let missing: Vec<_> = kinds.iter().filter(|kind| !said.contains(&row(kind))).collect();
        assert!(missing.is_empty(), "{format} has no {missing:?}");
    }
    // What has no row is named.
    let of_all = fs::read_dir("testdata/kernel").unwrap();
    let of_all = of_all.map(|it| it.unwrap().path().join("middle.pcap"));
    let of_all: Vec<String> =
        of_all.filter(|it| it.exists()).map(|it| it.to_string_lossy().into_owned()).collect();
    let of_all: Vec<&str> = of_all.iter().map(String::as_str).collect();
    let args = ["--fail-on", "note", "--format"];
    let github = printed(&[&args[..], &["github"], &of_all].concat());
    let last = github.lines().last().unwrap();
    assert!(last.contains(", among them all of ") && last.contains(" keepalive,"), "{last}");
    let markdown = printed(&[&args[..], &["markdown"], &of_all].concat());
    let beyond = markdown.lines().find(|line| line.starts_with("and ")).expect("what has no row");
    let jsonl = printed(&[&args[..], &["jsonl"], &of_all].concat());
    let findings = jsonl.lines().filter(|line| line.starts_with("{\"type\":\"finding\""));
    for kind in findings.map(name) {
        let is_there = [format!("| `{kind}` |"), format!(" {kind} ")];
        let [row, named] = [markdown.contains(&is_there[0]), beyond.contains(&is_there[1])];
        assert!(row != named, "{kind}: {markdown}");
    }
}

/// A leak is one finding, however large, and one refusal is as good as another: the place with most
/// of them is the one to begin at, wherever it stands by its address or in time.
#[test]
fn the_largest_group_comes_first_and_is_what_the_verdict_tells() {
    let path = file("largest.pcap", &refused(&[(1..=9), (5..=5), (5..=5)]));
    let path = path.to_str().unwrap();
    let args = ["--fail-on", "warning", "--allow", "port-scan"];
    let (_, says) = check(&[&args[..], &[path]].concat());
    assert!(says.contains("(connection-refused: server 10.9.0.2:5; "), "{says}");
    let report = printed(&[&args[..], &[path]].concat());
    let (verdict, rest) = report.split_once('\n').unwrap();
    assert!(verdict.starts_with("Server 10.9.0.2:5 refused"), "{verdict}");
    assert!(
        verdict.ends_with(
            "(the same on 2 more connections of 10.9.0.2:5; \
        the same on 8 connections elsewhere)."
        ),
        "{verdict}"
    );
    let shown = rest.split("Connections to look at").nth(1).unwrap();
    let first: Vec<&str> = shown.lines().skip(2).take(2).collect();
    assert!(first[1].trim().starts_with("10.9.0.2:5 "), "{report}");
}

#[test]
fn sarif_names_one_frame_or_several() {
    let sarif = printed(&["--format", "sarif", LEAKING]);
    let closing: Vec<&str> = sarif.lines().filter(|line| line.ends_with("]\"")).collect();
    let has_several = |line: &&&str| line.rsplit('[').next().unwrap().contains(", ");
    let (several, one): (Vec<&&str>, Vec<&&str>) = closing.iter().partition(has_several);
    assert!(!several.is_empty() && several.iter().all(|it| it.contains(" [frames ")), "{sarif}");
    assert!(!one.is_empty() && one.iter().all(|it| it.contains(" [frame ")), "{sarif}");
}

#[test]
fn a_path_cannot_forge_a_command_or_a_tag() {
    let name = "::error::%0A<script>|`x`\n::set-env name=a::b.pcap";
    let path = file(name, &fs::read(LEAKING).unwrap());
    let path = path.to_str().unwrap();
    for format in ["github", "markdown", "junit", "html"] {
        let text = printed(&["--format", format, path]);
        let is_tag = text.replace("\\<", "").contains("<script>");
        assert!(!text.contains("\n::set-env") && !is_tag, "{text}");
    }
    let (code, says) = check(&[&path.replace("b.pcap", "c.pcap")]);
    assert!(code == Some(2) && !says.contains("\n::set-env"), "{says}");
}

#[test]
fn numbers_are_written_in_one_way() {
    let path = file("thousands.pcap", &refused(&[1..=1_200]));
    let path = path.to_str().unwrap();
    let (_, says) = check(&["--fail-on", "warning", "--max", "connection-refused=2000", path]);
    assert!(says.contains("--max lets 1,200 connection-refused pass"), "{says}");
    let report = printed(&["--fail-on", "note", path]);
    assert!(report.contains("1,200 ports") && !report.contains("1200 ports"), "{report}");
}

#[test]
fn what_cannot_be_read_at_all_is_in_the_report_too() {
    let gone = Path::new(env!("CARGO_TARGET_TMPDIR")).join("check/gone.pcap");
    let nothing = file("without-a-byte.pcap", &[]);
    let text = file("prose.txt", b"not a single packet at 10.9.8.7\n");
    let (gone, nothing, text) =
        (gone.to_str().unwrap(), nothing.to_str().unwrap(), text.to_str().unwrap());
    for (files, why) in [
        (&[gone][..], "cannot open it"),
        (&[LEAKING, gone], "cannot open it"),
        (&[nothing], "is empty"),
        (&[text], "is text"),
    ] {
        for format in ["junit", "sarif", "github", "markdown", "html", "json"] {
            let report = file(&format!("unread/{format}"), b"");
            let args = ["--format", format, "-o", report.to_str().unwrap()];
            for command in ["check", "report"] {
                let out = finwait(&[&[command], files, &args].concat());
                assert_eq!(out.status.code(), Some(2), "{command} {format}");
                let said = String::from_utf8(out.stderr).unwrap();
                assert!(said.contains(&format!("{}: {why}", files[files.len() - 1])), "{said}");
                let told = fs::read_to_string(&report).unwrap();
                let is_told = match format {
                    "json" => told.contains("\"complete\":false"),
                    _ => told.contains(why),
                };
                assert!(is_told, "{command} {format}: {told}");
                assert!(files.len() == 1 || told.contains("close-wait-leak"), "{told}");
            }
        }
        let (code, said) = check(files);
        assert!(code == Some(2) && said.contains(why), "{said}");
        let masked = printed(&[files, &["--mask", "--format", "markdown"]].concat());
        assert!(!masked.contains("gone") && !masked.contains("10.9.8.7"), "{masked}");
    }
}
