//! Any bytes as a host's socket table: reading must end, without a panic, and within its bounds.

#![no_main]

use finwait::limits::{SNAPSHOT_HOLDERS_MAX, SNAPSHOT_UNREAD_NAMED_MAX};
use finwait::sockets::Snapshot;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let snapshot = Snapshot::parse("fuzz", bytes);
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    assert!(snapshot.rows.len() <= lines);
    assert!(snapshot.unread_lines <= lines as u64);
    assert!(snapshot.unread.len() <= SNAPSHOT_UNREAD_NAMED_MAX);
    assert!(snapshot.is_one() || snapshot.rows.is_empty());
    for row in &snapshot.rows {
        assert!(row.line > 0 && row.line as usize <= lines);
        assert!(row.holders.named().len() <= SNAPSHOT_HOLDERS_MAX);
    }
});
