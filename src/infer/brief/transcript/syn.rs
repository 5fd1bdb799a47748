//! SYNs of an opening, of which no more is made than is looked at: there are floods of them.

use super::{ACK, ECHOES, FIN, MSS, Near, RST, Reader, SYN, TIMESTAMPS};
use crate::decode::segment::Flags;
use crate::infer::brief::handshake::Announced;
use crate::seq::SeqNum;

/// What a SYN of an opening said, with or without ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    pub with_ack: bool,
    /// Units and frames since the first segment.
    pub moment: (u64, u32),
    pub announced: Announced,
    pub seq: SeqNum,
    pub ack: SeqNum,
    /// TSval and TSecr.
    pub timestamps: Option<(u32, u32)>,
}

/// What the first line of an opening said, what stands behind it, and what that is written as the
/// difference to; if that line is a SYN that carries no data. What a caller does not look at is not
/// made of it.
#[inline(always)]
pub fn behind_syn(opening: &[u8]) -> Option<(Said, Near, Reader<'_>)> {
    let (mut lines, mut near) = (Reader::new(opening), Near::default());
    let said = lines.syn(&mut near).filter(|said| !said.with_ack)?;
    Some((said, near, lines))
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
    let (said, _, rest) = behind_syn(opening).filter(|_| is_plain)?;
    // Whether a TSecr is spelled out says no more than its number.
    Some(((options & !ECHOES, mss), said.seq, rest))
}

impl Reader<'_> {
    /// Reads a line that is a SYN without data, and not the first one again. `None` for any other
    /// line, which may have been read then.
    #[inline(always)]
    pub fn syn(&mut self, near: &mut Near) -> Option<Said> {
        let kind = self.bytes.first()?;
        if kind & SYN == 0 || near.is_repeat(kind & ACK > 0) {
            return None;
        }
        let (_, syn, moment) = self.line(near, true)?;
        (syn.payload == 0).then(|| Said {
            with_ack: syn.has(Flags::ACK),
            moment,
            announced: Announced::by(&syn),
            seq: syn.seq,
            ack: syn.ack,
            timestamps: syn.options.timestamps,
        })
    }

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
