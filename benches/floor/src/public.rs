//! The bare loop over public crates: pcap-parser finds the packets, etherparse takes the headers,
//! hashbrown with foldhash finds the connection, whose counter is one of 64 bytes.

use std::fs::File;

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

use crate::{Error, Seen};

/// Addresses and ports, the lower end first.
type Key = ([u8; 16], u16, [u8; 16], u16);
/// As much as a connection's record takes at least.
type Record = [u64; 8];

/// Counts the packets of each four-tuple. Ethernet only.
pub fn table(file: &str) -> Result<Seen, Error> {
    let mut flows = HashMap::<Key, Record, RandomState>::default();
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
                        flows.entry(key).or_default()[0] += 1;
                    }
                }
                reader.consume(offset);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => reader.refill().map_err(|_| "cannot refill")?,
            Err(_) => return Err("pcap-parser cannot read it".into()),
        }
    }
    Ok(Seen { packets, flows: flows.len() as u64 })
}

fn key(frame: &[u8]) -> Option<Key> {
    let (ether_type, packet) = (frame.get(12..14)?, frame.get(14..)?);
    let (source, destination, segment) = match ether_type {
        [8, 0] => {
            let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
            let wide = |addr: [u8; 4]| u128::from(u32::from_be_bytes(addr)).to_be_bytes();
            let addrs = (wide(header.source()), wide(header.destination()));
            (addrs.0, addrs.1, packet.get(header.slice().len()..)?)
        }
        [0x86, 0xdd] => {
            let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
            (header.source(), header.destination(), packet.get(header.slice().len()..)?)
        }
        _ => return None,
    };
    let tcp = TcpHeaderSlice::from_slice(segment).ok()?;
    let (from, to) = ((source, tcp.source_port()), (destination, tcp.destination_port()));
    let (low, high) = if from <= to { (from, to) } else { (to, from) };
    Some((low.0, low.1, high.0, high.1))
}
