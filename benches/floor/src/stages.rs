//! finwait's own stages, each on top of the one before.

use std::fs::File;
use std::io::Read;

use finwait::capture::{Packet, Source};
use finwait::decode::Decoded;
use finwait::flow::table::Table;
use finwait::history::History;
use finwait::history::archive::Archive;
use finwait::infer::Params;
use finwait::pipeline::{Pipeline, Sink};

use crate::{Error, Seen};

/// Reads the bytes, and looks at none.
pub fn read(file: &str) -> Result<Seen, Error> {
    let mut file = File::open(file)?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(Seen::default())
}

/// Finds the packets.
pub fn packets(file: &str) -> Result<Seen, Error> {
    let mut bytes = 0_u64;
    let packets = each(file, |packet| bytes += u64::from(packet.orig_len))?;
    std::hint::black_box(bytes);
    Ok(Seen { packets, flows: 0 })
}

/// Decodes them to segments.
pub fn decode(file: &str) -> Result<Seen, Error> {
    let mut payload = 0_u64;
    let packets = each(file, |packet| {
        if let Some(decoded) = segment(packet) {
            payload = payload.wrapping_add(u64::from(decoded.segment.payload));
        }
    })?;
    std::hint::black_box(payload);
    Ok(Seen { packets, flows: 0 })
}

/// Finds each segment's four-tuple, and counts there.
pub fn table(file: &str) -> Result<Seen, Error> {
    let mut table = Table::<u64>::default();
    let packets = each(file, |packet| {
        if let Some(decoded) = segment(packet) {
            *table.entry(&decoded.tuple, u64::default) += 1;
        }
    })?;
    Ok(Seen { packets, flows: table.len() as u64 })
}

/// Follows the connections' states.
pub fn pipeline(file: &str) -> Result<Seen, Error> {
    follow(file, Count::default()).map(|(seen, _)| seen)
}

/// And keeps what became of them.
pub fn archive(file: &str) -> Result<Seen, Error> {
    let (seen, kept) = follow(file, Keep::default())?;
    match kept.0.len() as u64 {
        len if len == seen.flows => Ok(seen),
        len => Err(format!("{len} of {} connections were kept", seen.flows).into()),
    }
}

/// Counts the connections.
#[derive(Default)]
struct Count(u64);

impl Sink for Count {
    fn finished(&mut self, _: History) {
        self.0 += 1;
    }
}

/// Keeps the connections.
#[derive(Default)]
struct Keep(Archive);

impl Sink for Keep {
    fn finished(&mut self, history: History) {
        self.0.push(&history);
    }
}

fn follow<S: Sink>(file: &str, sink: S) -> Result<(Seen, S), Error> {
    let mut pipeline = Pipeline::new(Params::default(), usize::MAX, sink);
    let packets = each(file, |packet| {
        let link = packet.link.0;
        pipeline.packet(link, packet.data, packet.orig_len, packet.ts, packet.frame);
    })?;
    let (sink, totals) = pipeline.finish();
    Ok((Seen { packets, flows: totals.connections }, sink))
}

fn segment(packet: &Packet) -> Option<Decoded> {
    let Packet { link, data, orig_len, ts, frame, .. } = *packet;
    finwait::decode::decode(link.0, data, orig_len, ts, frame).ok()
}

/// Hands over each packet and returns their number.
fn each(file: &str, mut take: impl FnMut(&Packet)) -> Result<u64, Error> {
    let mut source = Source::open(file)?;
    let mut packets = 0;
    while let Some(packet) = source.next_packet()? {
        take(&packet);
        packets += 1;
    }
    Ok(packets)
}
