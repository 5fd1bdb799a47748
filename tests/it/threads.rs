//! How many threads there are does not show, in any format, whether a capture is compressed or not.

use std::path::Path;
use std::process::Command;

use finwait::history::Role;
use finwait::infer::state::State;
use finwait::run::{self, Options};
use finwait_capgen::{Shape, generate};

use crate::files::Folder;

/// The report on a file, which does not say in which folder it is.
fn report(path: &Path, threads: &str, format: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    command.args(["report", "--threads", threads, "--format", format]);
    command.args(path.file_name()).current_dir(path.parent().expect("a folder"));
    let out = command.output().expect("finwait runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("UTF-8")
}

#[test]
fn the_number_of_threads_does_not_show() {
    for shape in Shape::ALL {
        let name = shape.name();
        let folders = ["plain", "packed"].map(|it| Folder::new(&format!("threads-{name}-{it}")));
        let mut capture = Vec::new();
        // More connections than a thread takes at a time.
        let options = finwait_capgen::Options::new(shape, 12_000);
        let truth = generate(&options, &mut capture).expect("written");
        let packed = zstd::encode_all(&capture[..], 1).expect("packed");
        let [plain, packed] = [(&folders[0], capture), (&folders[1], packed)]
            .map(|(folder, bytes)| folder.write("capture.pcap", &bytes));
        for format in ["table", "json", "jsonl"] {
            let one = report(&plain, "1", format);
            for threads in ["2", "5"] {
                assert!(one == report(&plain, threads, format), "{name}, {format}, {threads}");
            }
            let told = one.lines().filter(|it| it.starts_with(r#"{"type":"connection","#)).count();
            let is_told = truth.contains(&format!("\"connections\":{told},"));
            assert!(is_told || format == "table", "{name}, {format}: {told} connections");
        }
        for threads in ["1", "2", "5"] {
            let packed = report(&packed, threads, "jsonl");
            let packed = packed.replace(r#","compression":"zstd""#, "");
            assert!(packed == report(&plain, "1", "jsonl"), "{name}, packed, {threads}");
        }
        for threads in [1, 2, 5] {
            let options = Options { threads, ..Options::default() };
            let analysis = run::read(&[&plain], &options, &mut ()).expect("a capture");
            for role in Role::BOTH {
                let ends = State::ALL.into_iter().map(|it| analysis.survey.in_state(role, it));
                assert_eq!(ends.sum::<u64>(), analysis.archive.len() as u64, "{name}, {threads}");
            }
            let mut worst = analysis.findings.worst.values().flatten();
            assert!(worst.all(|it| !it.message.is_empty()), "{name}, {threads}: all are told");
        }
    }
}
