//! finwait's reports, for readers and schemas that others wrote to look at.

use std::path::{Path, PathBuf};

/// A recording with a leak, a refusal, a reset and connections that closed in order.
pub const LEAKING: &str = "kernel/demo/server.pcap";

/// A file below the folder of recordings.
pub fn recording(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path)
}

/// All recordings, in order.
pub fn recordings() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![recording("")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == "pcap" || it == "pcapng") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What the command line writes.
pub fn written(args: &[&str], captures: &[PathBuf]) -> String {
    let name = format!("finwait-{:?}-{}", std::thread::current().id(), std::process::id());
    let path = std::env::temp_dir().join(name);
    let options = ["-o".into(), path.clone().into_os_string()];
    let args = ["finwait"].iter().chain(args).map(Into::into);
    let files = captures.iter().map(|path| path.clone().into_os_string());
    let outcome = finwait::cli::run(args.chain(options).chain(files));
    let text = std::fs::read_to_string(&path);
    let _ = std::fs::remove_file(&path);
    text.unwrap_or_else(|error| panic!("{error}: {:?}", outcome.messages))
}
