//! The split property: any capture, cut in two anywhere and given in either order, is one capture.

use finwait::time::Span;
use proptest::prelude::*;

use crate::files::{Folder, histories, records};
use crate::properties::{segments, step};
use crate::replay;

/// Cut between any two of its packets, or at as many places as asked for, and given in either
/// order, the halves are the whole.
fn assert_halves_are_the_whole(name: &str, capture: &[u8], places_max: usize, folder: &Folder) {
    let expected = histories(&[folder.write("whole.pcap", capture)]);
    let places = records(capture);
    for at in places.iter().step_by(places.len().div_ceil(places_max)) {
        let first = folder.write("first.pcap", &capture[..*at]);
        let second = folder.write("second.pcap", &[&capture[..24], &capture[*at..]].concat());
        let one = histories(&[first.clone(), second.clone()]);
        assert_eq!(one, expected, "{name} cut at {at}");
        let other = histories(&[second.clone(), first.clone()]);
        assert_eq!(other, expected, "{name} cut at {at}, exchanged");
    }
}

#[test]
fn a_capture_cut_in_two_is_one_capture() {
    let folder = Folder::new("halves");
    for name in replay::captures() {
        let capture = std::fs::read(&name).expect("a capture");
        assert_halves_are_the_whole(&name.display().to_string(), &capture, 3, &folder);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn random_segments_cut_in_two_are_one_capture(
        steps in prop::collection::vec(step(), 1..12), case in any::<u64>(),
    ) {
        let mut segments = segments(&steps);
        // Of one moment, no order of the files tells which segment came first.
        for (at, decoded) in (1..).zip(&mut segments) {
            decoded.segment.ts = decoded.segment.ts.after(Span::from_nanos(at));
        }
        let folder = Folder::new(&format!("random-halves-{case}"));
        assert_halves_are_the_whole("random steps", &replay::pcap(&segments), usize::MAX, &folder);
    }
}
