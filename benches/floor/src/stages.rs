//! finwait's own stages, each on top of the one before.

use std::fs::File;
use std::io::Read;

use finwait::capture::{Packet, Source};
use finwait::decode::Decoded;
use finwait::decode::tuple::FourTuple;
use finwait::flow::table::{Hasher, Places};
use finwait::history::archive::{Foundry, Room};
use finwait::infer::Params;
use finwait::pipeline::Pipeline;

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
    let (hasher, mut places) = (Hasher::default(), Places::default());
    let mut flows: Vec<(FourTuple, u64)> = Vec::new();
    let packets = each(file, |packet| {
        let Some(Decoded { tuple, .. }) = segment(packet) else { return };
        let hash = hasher.hash(&tuple);
        let place = match places.find(hash, |place| flows[place as usize].0 == tuple) {
            Some(place) => place,
            None => {
                flows.push((tuple, 0));
                let place = flows.len() as u32 - 1;
                places.add(hash, place, || {
                    let flows = flows[..place as usize].iter();
                    flows.zip(0..).map(|((tuple, _), place)| (hasher.hash(tuple), place))
                });
                place
            }
        };
        flows[place as usize].1 += 1;
    })?;
    Ok(Seen { packets, flows: flows.len() as u64 })
}

/// Follows the connections' states, in one thread, and keeps a record of each.
pub fn pipeline(file: &str) -> Result<Seen, Error> {
    let mut pipeline = Pipeline::new(Params::default(), usize::MAX, ());
    let packets = each(file, |packet| {
        pipeline.packet(packet);
    })?;
    let (_, archive, totals) = pipeline.close();
    match archive.len() as u64 {
        len if len == totals.connections => Ok(Seen { packets, flows: len }),
        len => Err(format!("{len} of {} connections were kept", totals.connections).into()),
    }
}

/// Reads every record.
pub fn archive(file: &str) -> Result<Seen, Error> {
    let mut pipeline = Pipeline::new(Params::default(), usize::MAX, ());
    let packets = each(file, |packet| {
        pipeline.packet(packet);
    })?;
    let (_, archive, totals) = pipeline.close();
    let (mut foundry, mut room) = (Foundry::default(), Room::default());
    let transitions = archive
        .places(0..archive.reach())
        .filter_map(|place| {
            let history = archive.read(place, &mut foundry, &mut room);
            history.map(|history| history.transitions.len())
        })
        .sum::<usize>();
    std::hint::black_box(transitions);
    Ok(Seen { packets, flows: totals.connections })
}

fn segment(packet: &Packet) -> Option<Decoded> {
    finwait::decode::decode(packet).ok()
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
