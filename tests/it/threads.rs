//! How many threads there are does not show, in any format.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use finwait_capgen::{Options, Shape, generate};

#[test]
fn the_number_of_threads_does_not_show() {
    for shape in Shape::ALL {
        let name = format!("threads-{}.pcap", shape.name());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut file = File::create(&path).expect("a file");
        // More connections than a thread takes at a time.
        generate(&Options::new(shape, 12_000), &mut file).expect("written");
        for format in ["table", "json", "jsonl"] {
            let report = |threads: &str| {
                let args = ["report", "--threads", threads, "--format", format];
                let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
                let out = command.args(args).arg(&path).output().expect("finwait runs");
                assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
                out.stdout
            };
            let one = report("1");
            for threads in ["2", "5"] {
                assert!(one == report(threads), "{} in {format}, {threads}", path.display());
            }
        }
    }
}
