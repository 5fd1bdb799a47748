//! Printed packets to segments: all of the work was done where the text was read.

use super::segment::{Flags, Options, Segment};
use super::skip::Skip;
use super::tunnel::{Ends, Layer, Path};
use super::tuple::FourTuple;
use super::{Decoded, Moment};
use crate::capture::text::{Printed, PrintedEnds, PrintedSegment, PrintedTunnel, Unused};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::seq::SeqNum;

/// The segment that a text tells, or why there is none.
#[cold]
pub(super) fn read(data: &[u8], at: Moment) -> Result<Decoded, Skip> {
    match read_any(data, at)? {
        (decoded, None) => Ok(decoded),
        (_, Some(_)) => Err(Skip::InTunnel),
    }
}

/// The same of any segment, and the tunnels that it is in, if it is in some.
pub(super) fn read_any(data: &[u8], at: Moment) -> Result<(Decoded, Option<Path>), Skip> {
    let printed = match Printed::from_bytes(data).ok_or(Skip::Malformed)? {
        Printed::Segment(segment) => segment,
        Printed::Unused(why) => return Err(skip(why)),
    };
    if printed.payload > PAYLOAD_BYTES_MAX {
        return Err(Skip::Malformed);
    }
    let (tuple, sender) = FourTuple::new(printed.version, printed.source, printed.target);
    let decoded = Decoded { tuple, sender, segment: segment(&printed, at) };
    let is_in_tunnel = printed.tunnels.iter().any(Option::is_some);
    Ok((
        decoded,
        is_in_tunnel.then(|| Path::of(printed.tunnels.into_iter().flatten().filter_map(layer))),
    ))
}

/// What of a tunnel belongs to the identity of what is in it.
fn layer(tunnel: PrintedTunnel) -> Option<Layer> {
    let ends = |ends: PrintedEnds| Ends::new(ends.version, ends.addrs.map(u128::from_be_bytes));
    Some(match tunnel {
        PrintedTunnel::Plain => return None,
        PrintedTunnel::GreKey(key) => Layer::GreKey(key),
        PrintedTunnel::IpInIp(two) => Layer::IpInIp(ends(two)),
        PrintedTunnel::Ppp(two) => Layer::Ppp(ends(two)),
        PrintedTunnel::Vxlan(id) => Layer::Vxlan(id),
        PrintedTunnel::Geneve(id) => Layer::Geneve(id),
    })
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

fn segment(printed: &PrintedSegment, Moment { ts, frame }: Moment) -> Segment {
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
        checksum: printed.checksum,
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
