//! SYNs of an opening, read without making segments of them: there are floods of them.

use super::{ACK, ECHOES, FIN, FROM_B, MSS, NEXT, Near, PAYLOAD, RST, Reader, SYN, TIMESTAMPS};
use crate::seq::SeqNum;

/// What stands behind the first line of an opening, and what that is written as the difference to;
/// if that line is a SYN that carries no data. The same as reading the line, and quicker: most of
/// what it holds is stepped over.
#[inline]
pub fn behind_syn(opening: &[u8]) -> Option<(Near, &[u8])> {
    let [kind, _ttl, _low, _high, options, rest @ ..] = opening else { return None };
    if kind & (SYN | RST | ACK) != SYN || options & PAYLOAD > 0 {
        return None;
    }
    let mut rest = Reader::new(rest);
    if options & MSS > 0 {
        rest.raw::<2>()?;
    }
    let (mut tsval, mut tsecr) = (0, 0);
    if kind & TIMESTAMPS > 0 {
        tsval = u32::from_le_bytes(rest.raw()?);
        if options & ECHOES == 0 {
            tsecr = u32::from_le_bytes(rest.raw()?);
        }
    }
    let seq = if kind & NEXT > 0 { 0 } else { u32::from_le_bytes(rest.raw()?) };
    let of_sender = |own, peer| if kind & FROM_B > 0 { [peer, own] } else { [own, peer] };
    let near = Near {
        begun: true,
        units: 0,
        frames: 0,
        isn: SeqNum(seq),
        nxt: of_sender(seq.wrapping_add(1), 0).map(SeqNum),
        tsval: of_sender(tsval, tsecr),
    };
    Some((near, rest.bytes))
}

/// What a history tells of the first line of an opening, if it is a SYN with a window and without
/// anything special: its options, and its number. Then what stands behind it.
#[inline]
pub fn plain_syn(opening: &[u8]) -> Option<((u8, [u8; 2]), SeqNum, Reader<'_>)> {
    let [kind, _ttl, low, high, options, rest @ ..] = opening else { return None };
    let is_plain = kind & FIN == 0 && [*low, *high] != [0, 0];
    let mss = match options & MSS {
        0 => [0; 2],
        _ => *rest.first_chunk()?,
    };
    let (near, rest) = behind_syn(opening).filter(|_| is_plain)?;
    // Whether a TSecr is spelled out says no more than its number.
    Some(((options & !ECHOES, mss), near.isn, Reader::new(rest)))
}

impl Reader<'_> {
    /// Reads a line that is the first SYN again, without data: when it passed, in units and frames.
    /// `before` is the moment of the line before. `None` for any other line.
    pub fn syn_again(&mut self, before: (u64, u32)) -> Option<(u64, u32)> {
        let [kind] = self.raw()?;
        if kind & (SYN | FIN | RST | ACK) != SYN {
            return None;
        }
        let units = before.0.wrapping_add(self.number()?);
        let frames = before.1.wrapping_add(self.number()? as u32);
        if kind & TIMESTAMPS > 0 {
            self.number()?;
        }
        let payload = self.number()?;
        (payload == 0).then_some((units, frames))
    }
}
