//! Any bytes as packets of any link type: decoding, tunnels and fragments, connections.
//!
//! The first two bytes choose the link type, then each packet has its length in front. Every
//! connection must be told, with tunnels opened and without.

#![no_main]

use finwait::capture::{LinkType, Packet};
use finwait::history::History;
use finwait::infer::Params;
use finwait::pipeline::{Pipeline, Sink};
use finwait::time::Timestamp;
use libfuzzer_sys::fuzz_target;

struct Count(u64);

impl Sink for Count {
    fn finished(&mut self, _: History) {
        self.0 += 1;
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [low, high, packets @ ..] = bytes else { return };
    let link = LinkType(u16::from_le_bytes([*low, *high]).into());
    for tunnels in [false, true] {
        let mut pipeline = Pipeline::new(Params::default(), 1 << 10, Count(0));
        if tunnels {
            pipeline = pipeline.decoding_tunnels();
        }
        let (mut rest, mut frame) = (packets, 0);
        while let [length, more @ ..] = rest {
            let (packet, after) = more.split_at(usize::from(*length).min(more.len()));
            frame += 1;
            let ts = Timestamp::from_nanos(frame as i64 * 10_000_000);
            // Now and then one that the capture cut.
            let length = packet.len() as u32 + if frame % 5 == 0 { 1000 } else { 0 };
            pipeline.packet(&Packet::new(link, packet, length, ts, frame));
            rest = after;
        }
        let (Count(finished), totals) = pipeline.finish();
        assert_eq!(finished, totals.connections);
        assert_eq!(totals.packets, frame);
    }
});
