//! Printed packets to segments: all of the work was done where the text was read.

use super::Decoded;
use super::segment::{Flags, Options, Segment};
use super::skip::Skip;
use super::tuple::FourTuple;
use crate::capture::text::{Printed, PrintedSegment, Unused};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::seq::SeqNum;
use crate::time::Timestamp;

/// The segment that a text tells, or why there is none.
#[cold]
pub(super) fn read(data: &[u8], ts: Timestamp, frame: u64) -> Result<Decoded, Skip> {
    let printed = match Printed::from_bytes(data).ok_or(Skip::Malformed)? {
        Printed::Segment(segment) => segment,
        Printed::Unused(why) => return Err(skip(why)),
    };
    if printed.payload > PAYLOAD_BYTES_MAX {
        return Err(Skip::Malformed);
    }
    let (tuple, sender) = FourTuple::new(printed.version, printed.source, printed.target);
    Ok(Decoded { tuple, sender, segment: segment(&printed, ts, frame) })
}

fn skip(why: Unused) -> Skip {
    match why {
        Unused::NotIp => Skip::NotIp,
        Unused::NotTcp => Skip::NotTcp,
        Unused::Fragment => Skip::Fragment,
        Unused::CutHeader => Skip::CutHeader,
        Unused::Malformed => Skip::Malformed,
        Unused::Quiet => Skip::QuietLine,
        Unused::Unreadable => Skip::UnreadableLine,
    }
}

fn segment(printed: &PrintedSegment, ts: Timestamp, frame: u64) -> Segment {
    let options = &printed.options;
    Segment {
        ts,
        frame,
        seq: SeqNum(printed.seq),
        ack: SeqNum(printed.ack),
        payload: printed.payload,
        window: printed.window,
        flags: Flags::from_bits(printed.flags),
        ip_id: printed.ip_id,
        ttl: printed.ttl,
        wrong_checksum: printed.wrong_checksum,
        checksum: 0,
        options: Options {
            timestamps: options.timestamps,
            sack: options.sack.map(|(start, end)| (SeqNum(start), SeqNum(end))),
            mss: options.mss,
            window_scale: options.window_scale,
            sack_permitted: options.sack_permitted,
            fast_open: options.fast_open,
            incomplete: options.incomplete,
        },
    }
}
