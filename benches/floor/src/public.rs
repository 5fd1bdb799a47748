//! The bare loop over public crates: pcap-parser finds the packets, etherparse takes the headers,
//! hashbrown with foldhash finds the connection, whose counter is one of 64 bytes.

use std::fs::File;
use std::hash::BuildHasher;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

use crate::{Error, Seen};

/// Addresses and ports, the lower end first. Numbers, which a processor compares at once.
type Key = (u128, u16, u128, u16);
/// As much as a connection's record takes at least.
type Record = [u64; 8];

/// Counts the packets of each four-tuple. Ethernet only.
pub fn table(file: &str) -> Result<Seen, Error> {
    let mut flows = HashMap::<Key, Record, RandomState>::default();
    let packets = each(file, |key| flows.entry(key).or_default()[0] += 1)?;
    Ok(Seen { packets, flows: flows.len() as u64 })
}

/// Segments whose places in the table are fetched together.
const BATCH: usize = 32;

/// The same in batches, with a table of one's own, whose places are fetched for a whole batch.
pub fn batched(file: &str) -> Result<Seen, Error> {
    let hasher = RandomState::default();
    let mut table = Table { slots: vec![Slot::default(); 1 << 12], len: 0 };
    let mut batch: Vec<(u64, Key)> = Vec::with_capacity(BATCH);
    let packets = each(file, |key| {
        batch.push((hasher.hash_one(key), key));
        if batch.len() == BATCH {
            table.count(&batch);
            batch.clear();
        }
    })?;
    table.count(&batch);
    Ok(Seen { packets, flows: table.len as u64 })
}

/// Segments that go to the other thread at once, and how often they may do so unread.
const HANDED: (usize, usize) = (1024, 8);

/// The same with the table in a second thread.
pub fn in_two_threads(file: &str) -> Result<Seen, Error> {
    let (hand_over, filled) = sync_channel::<Vec<(u64, Key)>>(HANDED.1);
    let (hand_back, empty) = channel();
    thread::scope(|scope| {
        let counting = scope.spawn(move || {
            let mut table = Table { slots: vec![Slot::default(); 1 << 12], len: 0 };
            for mut handed in filled {
                handed.chunks(BATCH).for_each(|batch| table.count(batch));
                handed.clear();
                // The other thread may have come to the end.
                let _ = hand_back.send(handed);
            }
            table.len
        });
        let hasher = RandomState::default();
        let mut batch = Vec::with_capacity(HANDED.0);
        let packets = each(file, |key| {
            batch.push((hasher.hash_one(key), key));
            if batch.len() == HANDED.0 {
                let room = empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(HANDED.0));
                // It does not fail: the other thread takes all that comes.
                let _ = hand_over.send(std::mem::replace(&mut batch, room));
            }
        })?;
        hand_over.send(batch)?;
        drop(hand_over);
        let flows = counting.join().map_err(|_| "the other thread panicked")?;
        Ok(Seen { packets, flows: flows as u64 })
    })
}

/// A key with its hash, and the counter of its packets: 64 bytes.
#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u64,
    count: u64,
    key: Key,
}

/// Open addressing: a slot is where its hash says, or behind that.
struct Table {
    slots: Vec<Slot>,
    len: usize,
}

impl Table {
    fn count(&mut self, batch: &[(u64, Key)]) {
        while (self.len + batch.len()) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let near = batch.iter().map(|(hash, _)| self.slots[*hash as usize & mask].count);
        std::hint::black_box(near.fold(0, |a, b| a ^ b));
        for (hash, key) in batch {
            let slot = self.find(*hash, key);
            let slot = &mut self.slots[slot];
            let is_new = slot.count == 0;
            *slot = Slot { hash: *hash, count: slot.count + 1, key: *key };
            self.len += usize::from(is_new);
        }
    }

    fn find(&self, hash: u64, key: &Key) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at].count > 0
            && (self.slots[at].hash != hash || self.slots[at].key != *key)
        {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let slots = vec![Slot::default(); self.slots.len() * 2];
        for slot in std::mem::replace(&mut self.slots, slots) {
            if slot.count > 0 {
                let at = self.find(slot.hash, &slot.key);
                self.slots[at] = slot;
            }
        }
    }
}

/// Hands over the key of each TCP packet, and returns how many packets there were.
fn each(file: &str, mut take: impl FnMut(Key)) -> Result<u64, Error> {
    let mut packets = 0;
    let mut reader = create_reader(1 << 20, File::open(file)?)?;
    loop {
        match reader.next() {
            Ok((offset, block)) => {
                let data = match &block {
                    PcapBlockOwned::Legacy(packet) => Some(packet.data),
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => Some(packet.packet_data()),
                    _ => None,
                };
                if let Some(data) = data {
                    packets += 1;
                    if let Some(key) = key(data) {
                        take(key);
                    }
                }
                reader.consume(offset);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => reader.refill().map_err(|_| "cannot refill")?,
            Err(_) => return Err("pcap-parser cannot read it".into()),
        }
    }
    Ok(packets)
}

fn key(frame: &[u8]) -> Option<Key> {
    let (ether_type, packet) = (frame.get(12..14)?, frame.get(14..)?);
    let (source, destination, segment) = match ether_type {
        [8, 0] => {
            let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
            let [source, destination] =
                [header.source(), header.destination()].map(u32::from_be_bytes).map(u128::from);
            (source, destination, packet.get(header.slice().len()..)?)
        }
        [0x86, 0xdd] => {
            let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
            let [source, destination] =
                [header.source(), header.destination()].map(u128::from_be_bytes);
            (source, destination, packet.get(header.slice().len()..)?)
        }
        _ => return None,
    };
    let tcp = TcpHeaderSlice::from_slice(segment).ok()?;
    let (from, to) = ((source, tcp.source_port()), (destination, tcp.destination_port()));
    let (low, high) = if from <= to { (from, to) } else { (to, from) };
    Some((low.0, low.1, high.0, high.1))
}
