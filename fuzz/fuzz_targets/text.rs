//! Any bytes as what tcpdump printed: reading must end, without a panic, and make no more packets
//! than there are lines; and what was read must go through the whole pipeline.

#![no_main]

use std::io::Cursor;

use finwait::capture::{Merge, Source};
use finwait::history::History;
use finwait::infer::Params;
use finwait::pipeline::{Pipeline, Sink};
use libfuzzer_sys::fuzz_target;

struct Count(u64);

impl Sink for Count {
    fn finished(&mut self, _: History) {
        self.0 += 1;
    }
}

/// Without a packet in front most inputs would be refused.
const FIRST: &[u8] = b"00:00:01.000000 IP a.1 > b.2: Flags [S], seq 1, win 2, length 0\n";

fuzz_target!(|bytes: &[u8]| {
    let input = [FIRST, bytes].concat();
    let lines = input.split(|byte| *byte == b'\n').count() as u64;
    let Ok(source) = Source::from_reader("fuzz", Box::new(Cursor::new(input))) else { return };
    let mut merge = Merge::new(vec![source]);
    let mut pipeline = Pipeline::new(Params::default(), 1 << 10, Count(0));
    while let Ok(Some(packet)) = merge.next_packet() {
        pipeline.packet(&packet);
    }
    let (Count(finished), totals) = pipeline.finish();
    assert!(totals.packets <= lines);
    assert_eq!(finished, totals.connections);
});
