//! Captures with something wrong in them, recorded beside whole ones; and the table of hard cases.
//!
//! In `testdata/observer` the capture in the middle begins late, ends early, misses packets or has
//! them twice or out of order. What finwait then says is a snapshot, to be read; what it says for
//! certain is held against the kernel.

use std::path::{Path, PathBuf};

use finwait::capture::Merge;
use finwait::history::Role;
use finwait::infer::Params;
use finwait::infer::state::Basis;
use finwait::infer::trail::Transition;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::Pipeline;

use crate::recording::{Fault, Recording};
use crate::score::score;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

#[test]
fn a_faulty_capture_makes_nothing_false_certain() {
    let recordings = Recording::all(&testdata().join("observer"));
    assert!(!recordings.is_empty());
    for recording in recordings {
        for point in ["client", "middle", "server"] {
            let score = score(&recording, point, Fault::None);
            let context = format!("{} {point}: {:#?}", recording.name, score.misses);
            assert_eq!(score.confident_wrong, 0, "{context}");
            assert_eq!(score.confirmed, score.confirmed_right, "{context}");
            // The fault is in the middle only.
            let whole = point == "middle" || score.misses.is_empty();
            assert!(whole, "{context}");
        }
    }
}

/// `+` a later segment confirms it, `~` it is inferred, `?` assumed, `t` by timer.
fn mark(transition: &Transition) -> &'static str {
    match transition.basis {
        Basis::Observed => "",
        Basis::Inferred if transition.confirmed.frame > 0 => "+",
        Basis::Inferred => "~",
        Basis::Assumed => "?",
        Basis::Timer => "t",
    }
}

#[test]
fn what_is_said_of_a_faulty_capture() {
    let mut lines = Vec::new();
    for recording in Recording::all(&testdata().join("observer")) {
        let path = testdata().join("observer").join(&recording.name).join("middle.pcap");
        let mut source = Merge::open(&[path]).expect("a capture");
        let mut pipeline = Pipeline::new(Params::default(), CONNECTIONS_MAX, Vec::new());
        while let Some(packet) = source.next_packet().expect("whole") {
            pipeline.packet(&packet);
        }
        lines.push(format!("{}: {}", recording.name, recording.impairment));
        for history in pipeline.finish().0 {
            for role in Role::BOTH {
                let told = history.transitions_of(role).map(|t| format!("{}{}", t.to, mark(t)));
                let told: Vec<_> = told.collect();
                lines.push(format!("    {:6} {}", role.name(), told.join(" ")));
            }
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

/// The cells of the table of hard cases: recordings and traces.
fn hard_cases() -> Vec<[String; 3]> {
    let page = std::fs::read_to_string(testdata().join("README.md")).expect("a page");
    let table = page.split("## Hard cases").nth(1).and_then(|rest| rest.split("## ").next());
    let rows = table.expect("a table").lines().filter(|line| line.starts_with("| "));
    let cells = |line: &str| {
        let cells: Vec<_> =
            line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        <[String; 3]>::try_from(cells).expect("three cells")
    };
    rows.skip(1).map(cells).collect()
}

/// What stands between backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The engine's trace tests.
fn traces() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/infer/tests");
    let files = std::fs::read_dir(folder).expect("a folder").flatten();
    files.map(|file| std::fs::read_to_string(file.path()).expect("a file")).collect()
}

#[test]
fn every_hard_case_is_shown_by_what_the_table_names() {
    let traces = traces();
    let cases = hard_cases();
    assert!(cases.len() > 60, "{} cases", cases.len());
    for [case, recordings, named] in cases {
        let recordings = names(&recordings);
        assert!(!recordings.is_empty(), "{case}: no recording shows it");
        for name in recordings {
            let kept = ["kernel", "observer"]
                .iter()
                .any(|kind| testdata().join(kind).join(name).join("truth.jsonl").exists());
            assert!(kept, "{case}: {name} is not recorded");
        }
        for name in names(&named) {
            assert!(traces.contains(&format!("\nfn {name}()")), "{case}: there is no {name}");
        }
    }
}

#[test]
fn every_recording_stands_in_the_table() {
    let page = std::fs::read_to_string(testdata().join("README.md")).expect("a page");
    for kind in ["kernel", "observer"] {
        for recording in Recording::all(&testdata().join(kind)) {
            assert!(page.contains(&format!("| `{}` |", recording.name)), "{}", recording.name);
        }
    }
}
