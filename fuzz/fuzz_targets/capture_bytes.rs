//! Any bytes as a capture: reading must end, without a panic, and keep its promises.
//!
//! Each input is read alone and merged with itself, as a file that overlaps with another: nothing
//! may be lost, and nothing there more than twice.

#![no_main]

use std::io::Cursor;

use finwait::capture::{Format, Merge, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let open = || Source::from_reader("fuzz", Box::new(Cursor::new(bytes.to_vec())));
    let Ok(mut source) = open() else { return };
    let (mut packets, mut frame) = (0, 0);
    while let Ok(Some(packet)) = source.next_packet() {
        assert!(packet.frame > frame);
        assert!(packet.raw.starts_with(packet.data));
        assert!(packet.data.len() <= packet.orig_len as usize);
        frame = packet.frame;
        packets += 1;
    }
    // A record has a header, if it is not a line of text, or packed.
    if source.info().format != Format::Text && source.info().compression.is_none() {
        assert!(packets <= bytes.len() / 16);
    }
    assert!(source.position() <= bytes.len() as u64);
    assert!(source.ending().is_some());

    let mut merge = Merge::new([open(), open()].into_iter().flatten().collect());
    let (mut merged, mut errors) = (0, 0);
    while errors <= 2 {
        match merge.next_packet() {
            Ok(Some(_)) => merged += 1,
            Ok(None) => break,
            Err(_) => errors += 1,
        }
    }
    assert!((packets..=2 * packets).contains(&merged));
    assert!(errors <= 2);
});
