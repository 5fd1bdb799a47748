//! Where a service that thinks in files and lines shows a finding, and how it knows it again.

use std::path::Path;

use crate::report::ci::issues::Key;
use crate::report::text::clean;
use crate::run::Analysis;

/// Results of one report: GitHub shows so many of a run and drops the rest.
pub const RESULTS_MAX: usize = 5_000;

/// The file that findings are shown at: the one asked for, or else the capture.
pub fn file(analysis: &Analysis, anchor: Option<&str>) -> String {
    let first = analysis.files.first().map(|file| file.file.as_ref());
    let path = anchor.or(first).unwrap_or("-");
    let path = if path == "-" { "stdin" } else { path };
    // Where files are those of a repository, its paths count from its folder.
    let here = std::env::current_dir().unwrap_or_default();
    let inside = Path::new(path).strip_prefix(here).ok();
    clean(&inside.map_or(path.into(), |inside| inside.to_string_lossy())).into_owned()
}

/// A path as a URI, relative where it is.
pub fn uri(path: &str) -> String {
    let scheme = if Path::new(path).is_absolute() { "file://" } else { "" };
    let mut uri = scheme.to_string();
    for byte in path.trim_start_matches("./").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

/// What makes two findings of two runs the same: the finding, the service and the side, and
/// nothing that changes from run to run. FNV-1a, because it has to be the same in the next version.
pub fn fingerprint(key: &Key) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = key
        .to_string()
        .bytes()
        .fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Role;
    use crate::report::ci::issues::Place;

    #[test]
    fn paths_are_uris() {
        assert_eq!(uri("a/b c%.pcap"), "a/b%20c%25.pcap");
        assert_eq!(uri("./a:b.pcap"), "a%3Ab.pcap");
        assert_eq!(uri("/tmp/é.pcap"), "file:///tmp/%C3%A9.pcap");
    }

    /// Of version 0.1.0; another value would show every finding as a new one.
    #[test]
    fn fingerprints_stay() {
        let service = "10.9.0.2:6800".parse().unwrap();
        let key = Key {
            name: "close-wait-leak",
            place: Place::Service(service),
            side: Some(Role::Server),
        };
        assert_eq!(key.to_string(), "close-wait-leak: server 10.9.0.2:6800");
        assert_eq!(fingerprint(&key), "1b7906132277c64e");
    }
}
