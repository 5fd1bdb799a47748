//! The handshake in brief: what its SYN and SYN+ACK announce is the same for nearly all connections
//! between two hosts, and is kept once for all of them; the numbers and moments are each one's own.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use prefetch_index::prefetch_index;

use crate::decode::segment::{Flags, Options, Segment};
use crate::infer::brief::transcript::Said;
use crate::limits::ANNOUNCEMENTS_MAX;
use crate::seq::SeqNum;

/// Bytes of a handshake at rest: what both ends announced, their numbers, the SYN's TSval, and
/// three spans.
pub(super) const HANDSHAKE: usize = 2 + 3 * 4 + 3 * SPAN;
/// Bytes of the time and the frames from one moment to the next: four and three.
const SPAN: usize = 7;

/// Three segments that open a connection.
#[derive(Debug)]
pub(super) struct Handshake {
    /// SYN, SYN+ACK and ACK, and when each passed: units and frames since the first segment.
    pub segments: [(Segment, (u64, u32)); 3],
    /// When the server spoke for the first time since, and said more than before.
    pub first_word: Option<(u64, u32)>,
}

/// What a SYN says of its host: TTL, window, MSS, scale, and a bit each for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Announced(u64);

/// No window scale; real ones are 14 at most (RFC 7323 section 2.3).
const NO_SCALE: u8 = u8::MAX;
const MSS: u8 = 1;
const SACK_PERMITTED: u8 = 2;
const WRONG_CHECKSUM: u8 = 4;
const OPTIONS_CUT: u8 = 8;

impl Announced {
    #[inline(always)]
    pub fn by(syn: &Segment) -> Announced {
        let Options { mss, window_scale, sack_permitted, incomplete, .. } = syn.options;
        let marks = super::bits([
            (mss.is_some(), MSS),
            (sack_permitted, SACK_PERMITTED),
            (syn.wrong_checksum, WRONG_CHECKSUM),
            (incomplete, OPTIONS_CUT),
        ]);
        let [w0, w1] = syn.window.to_le_bytes();
        let [m0, m1] = mss.unwrap_or_default().to_le_bytes();
        let scale = window_scale.unwrap_or(NO_SCALE);
        Announced(u64::from_le_bytes([syn.ttl, w0, w1, m0, m1, scale, marks, 0]))
    }

    /// Whether there is room for anything.
    #[inline(always)]
    pub fn has_window(self) -> bool {
        let [_, w0, w1, ..] = self.0.to_le_bytes();
        [w0, w1] != [0, 0]
    }

    /// A SYN that announces this.
    #[inline(always)]
    fn syn(self) -> Segment {
        let [ttl, w0, w1, m0, m1, scale, marks, _] = self.0.to_le_bytes();
        let options = Options {
            mss: (marks & MSS > 0).then_some(u16::from_le_bytes([m0, m1])),
            window_scale: (scale != NO_SCALE).then_some(scale),
            sack_permitted: marks & SACK_PERMITTED > 0,
            incomplete: marks & OPTIONS_CUT > 0,
            ..Options::default()
        };
        Segment {
            ttl,
            window: u16::from_le_bytes([w0, w1]),
            flags: Flags::SYN,
            wrong_checksum: marks & WRONG_CHECKSUM > 0,
            options,
            ..Segment::default()
        }
    }
}

/// What both ends of connections announced, each pair once.
#[derive(Clone, Debug, Default)]
pub(super) struct Announcements {
    pairs: Vec<[Announced; 2]>,
    places: HashMap<[Announced; 2], u16, RandomState>,
}

impl Announcements {
    /// The place of a pair; `None` if it is new, and there is no room.
    fn place(&mut self, pair: [Announced; 2]) -> Option<u16> {
        if let Some(place) = self.places.get(&pair) {
            return Some(*place);
        }
        let place = u16::try_from(self.pairs.len()).ok()?;
        (self.pairs.len() < ANNOUNCEMENTS_MAX).then_some(())?;
        self.pairs.push(pair);
        self.places.insert(pair, place);
        Some(place)
    }
}

/// Whether the timestamps of a SYN+ACK echo those of the SYN, or neither has any.
pub(super) fn echoes(syn_ack: Option<(u32, u32)>, syn: Option<(u32, u32)>) -> bool {
    syn_ack.map(|(_, echo)| echo) == syn.map(|(tsval, _)| tsval)
}

/// The handshake at rest of SYN, SYN+ACK and an ACK that passed at that moment and carries nothing;
/// if the SYN's TSval is echoed, and from one segment to the next fewer than 2^32 units and 2^24
/// frames pass, as in nearly all.
pub(super) fn rest(
    syn: &Said,
    syn_ack: &Said,
    acked: (u64, u32),
    announcements: &mut Announcements,
) -> Option<[u8; HANDSHAKE]> {
    let (tsval, _) = syn.timestamps.unwrap_or_default();
    echoes(syn_ack.timestamps, syn.timestamps).then_some(())?;
    let [a0, a1, a2, a3, a4, a5, a6] = span(syn.moment, syn_ack.moment)?;
    let [b0, b1, b2, b3, b4, b5, b6] = span(syn_ack.moment, acked)?;
    let [p0, p1] = announcements.place([syn.announced, syn_ack.announced])?.to_le_bytes();
    let [c0, c1, c2, c3] = syn.seq.0.to_le_bytes();
    let [s0, s1, s2, s3] = syn_ack.seq.0.to_le_bytes();
    let [t0, t1, t2, t3] = tsval.to_le_bytes();
    Some([
        p0, p1, c0, c1, c2, c3, s0, s1, s2, s3, t0, t1, t2, t3, a0, a1, a2, a3, a4, a5, a6, b0, b1,
        b2, b3, b4, b5, b6, 0, 0, 0, 0, 0, 0, 0,
    ])
}

/// Has a handshake fetched, without waiting for it. It lies in two cache lines at most.
#[inline]
pub(super) fn prefetch(bytes: Option<&[u8; HANDSHAKE]>) {
    if let Some(bytes) = bytes {
        prefetch_index(bytes, 0);
        prefetch_index(bytes, HANDSHAKE - 1);
    }
}

impl Handshake {
    /// Reads a handshake, with or without timestamps.
    #[inline(always)]
    pub fn read(
        bytes: &[u8; HANDSHAKE],
        announcements: &Announcements,
        timestamps: bool,
    ) -> Option<Handshake> {
        let (place, numbers, spans) = split(bytes)?;
        let pair = announcements.pairs.get(usize::from(u16::from_le_bytes(*place)))?;
        let [mut syn, mut syn_ack] = pair.map(Announced::syn);
        let [isn, answer, tsval] = numbers.map(u32::from_le_bytes);
        let [answered, acked, spoke] = spans;
        syn.seq = SeqNum(isn);
        (syn_ack.seq, syn_ack.ack) = (SeqNum(answer), SeqNum(isn).add(1));
        syn_ack.flags = Flags::SYN | Flags::ACK;
        if timestamps {
            syn.options.timestamps = Some((tsval, 0));
            // Its own runs on, and no rule looks back at it.
            syn_ack.options.timestamps = Some((0, tsval));
        }
        let ack = Segment {
            seq: syn_ack.ack,
            ack: syn_ack.seq.add(1),
            flags: Flags::ACK,
            window: 1,
            ..Segment::default()
        };
        let answered = after((0, 0), answered);
        let acked = after(answered, acked);
        let first_word = Some(after(acked, spoke)).filter(|word| *word != acked);
        Some(Handshake { segments: [(syn, (0, 0)), (syn_ack, answered), (ack, acked)], first_word })
    }
}

/// The server has spoken. Whether there is room for when.
pub(super) fn keep_first_word(bytes: &mut [u8; HANDSHAKE], word: (u64, u32)) -> bool {
    let Some((_, _, [answered, acked, _])) = split(bytes) else { return false };
    let acked = after(after((0, 0), answered), acked);
    let (Some(span), Some(place)) = (span(acked, word), bytes.last_chunk_mut()) else {
        return false;
    };
    *place = span;
    true
}

/// The parts of a handshake at rest.
type Parts<'a> = (&'a [u8; 2], [[u8; 4]; 3], [&'a [u8; SPAN]; 3]);

fn split(bytes: &[u8; HANDSHAKE]) -> Option<Parts<'_>> {
    let (place, rest) = bytes.split_first_chunk()?;
    let (isn, rest) = rest.split_first_chunk()?;
    let (answer, rest) = rest.split_first_chunk()?;
    let (tsval, rest) = rest.split_first_chunk()?;
    let (answered, rest) = rest.split_first_chunk()?;
    let (acked, rest) = rest.split_first_chunk()?;
    Some((place, [*isn, *answer, *tsval], [answered, acked, rest.first_chunk()?]))
}

/// From one moment to a later one, if there is room for that.
fn span(from: (u64, u32), to: (u64, u32)) -> Option<[u8; SPAN]> {
    let units = u32::try_from(to.0.checked_sub(from.0)?).ok()?;
    let [a, b, c, d] = units.to_le_bytes();
    let [e, f, g, 0] = to.1.checked_sub(from.1)?.to_le_bytes() else { return None };
    Some([a, b, c, d, e, f, g])
}

fn after(from: (u64, u32), span: &[u8; SPAN]) -> (u64, u32) {
    let [a, b, c, d, e, f, g] = *span;
    let units = from.0 + u64::from(u32::from_le_bytes([a, b, c, d]));
    (units, from.1.wrapping_add(u32::from_le_bytes([e, f, g, 0])))
}
