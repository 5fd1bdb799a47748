//! Packets that can be had without more ado: those that stand whole in the read buffer, with which
//! nothing is wrong and of which nothing else is said. These are nearly all.

use super::{Packet, Record, pcap, pcapng};
use crate::time::Timestamp;

/// A packet's record, its data, and the bytes behind it.
pub(super) type First<'a> = (Record, &'a [u8], &'a [u8]);

/// Who finds them.
pub(super) enum Reader<'r> {
    Pcap(pcap::Reader),
    Pcapng(&'r pcapng::Reader),
}

impl Reader<'_> {
    #[inline(always)]
    fn split_first<'a>(&self, bytes: &'a [u8]) -> Option<First<'a>> {
        match self {
            Reader::Pcap(reader) => reader.split_first(bytes),
            Reader::Pcapng(reader) => reader.split_first(bytes),
        }
    }
}

/// Where they are.
pub(super) struct Packets<'a> {
    /// What has been read and not looked at.
    pub bytes: &'a [u8],
    /// The frame of the packet before.
    pub before: u64,
    /// So many are wanted.
    pub most: usize,
}

/// How far that went.
pub(super) struct Passed {
    /// Bytes that were passed over.
    pub bytes: usize,
    /// Packets in them, a frame each.
    pub packets: usize,
    /// The last one's time.
    pub last: Option<Timestamp>,
}

impl Packets<'_> {
    /// Hands on each of them, as long as the reader finds one.
    #[inline(always)]
    pub fn each(self, reader: &Reader<'_>, mut take: impl FnMut(&Packet<'_>)) -> Passed {
        let (mut left, mut last, mut packets) = (self.bytes, None, 0);
        while packets < self.most
            && let Some((record, raw, rest)) = reader.split_first(left)
        {
            (left, last, packets) = (rest, Some(record.ts), packets + 1);
            take(&record.packet_of(self.before + packets as u64, raw));
        }
        Passed { bytes: self.bytes.len() - left.len(), packets, last }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::capture::Source;
    use crate::capture::testing::{BOTH, MICROS, Owned, Pcap, Pcapng, owned};

    /// All packets and why there are no more; `most` says how many are had at hand, as far as
    /// possible, before the next is asked for.
    fn read(bytes: &[u8], most: usize) -> (Vec<Owned>, String) {
        let reader = Box::new(std::io::Cursor::new(bytes.to_vec()));
        let mut source = match Source::new("test".into(), reader, None, 256) {
            Ok(source) => source,
            Err(error) => return (Vec::new(), error.to_string()),
        };
        let mut packets = Vec::new();
        loop {
            source.take_at_hand(most, |packet| packets.push(owned(packet)));
            match source.next_packet() {
                Ok(Some(packet)) => packets.push(owned(&packet)),
                Ok(None) => return (packets, format!("{:?}", source.ending())),
                Err(error) => return (packets, error.to_string()),
            }
        }
    }

    fn files() -> Vec<Vec<u8>> {
        let mut files = Vec::new();
        for order in BOTH {
            let file = Pcapng::new(order);
            let (offset, fcs) = (file.long(3600), vec![4]);
            let file = file
                .interface(1, 0, &[(9, vec![9])])
                .interface(113, 60, &[(14, offset), (13, fcs)])
                .interface(258, 0, &[]);
            let file = (0..40_u32).fold(file, |file, at| {
                let data = vec![at as u8; at as usize];
                match at % 9 {
                    5 => file.packet_with(at.into(), &data, &[(1, b"said".to_vec())]),
                    7 => {
                        let body = [file.word(7), vec![1, 2, 3, 4, 5, 6, 7]].concat();
                        file.block(3, &body)
                    }
                    8 => file.block(0xbad, &[1, 2, 3, 4]),
                    _ => file.packet(at % 3, u64::from(at) << 30, &data),
                }
            });
            let packet = |file: Pcap, at: u32| file.packet(at, at, &vec![at as u8; at as usize]);
            files.push(file.bytes);
            files.push((1..30).fold(Pcap::new(order, MICROS, 1), packet).bytes);
        }
        files
    }

    #[test]
    fn what_is_at_hand_is_what_is_found() {
        for file in files() {
            let found = read(&file, 0);
            assert!(found.0.len() > 25, "{found:?}");
            for most in [1, 2, 7, 1_000] {
                assert_eq!(read(&file, most), found, "{most}");
            }
        }
    }

    proptest! {
        #[test]
        fn so_it_is_in_a_damaged_file(
            file in prop::sample::select(files()),
            flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            most in 1..9_usize,
        ) {
            let mut file = file;
            for (place, value) in flips {
                let place = place.index(file.len());
                file[place] = value;
            }
            prop_assert_eq!(read(&file, most), read(&file, 0));
        }
    }
}
