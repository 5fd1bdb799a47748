//! What became of the segments of one connection: which passed the observer, which arrived.
//!
//! The lab captures at both ends and in between, so that every segment can be followed: an end's
//! own capture holds what it sent and what it got, the observer's what passed him.

use std::collections::BTreeMap;

use finwait::decode::Decoded;
use finwait::decode::segment::Segment;
use finwait::time::{Span, Timestamp};

/// A segment that an endpoint sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub segment: Segment,
    /// When it left, at the endpoint's own interface.
    pub at: Timestamp,
    /// When it passed the observer; none if it did not.
    pub passed: Option<Timestamp>,
}

/// A segment that came for an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Coming {
    pub segment: Segment,
    /// When it passed the observer; none if it did not.
    pub passed: Option<Timestamp>,
    /// When it arrived, at the endpoint's own interface; none if it was lost behind the observer.
    pub arrived: Option<Timestamp>,
}

/// All segments of one endpoint of one connection.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    /// What it sent, in order.
    pub sent: Vec<Sent>,
    /// What came for it or passed on its way to it, in order of the earlier of the two.
    pub coming: Vec<Coming>,
    /// When the SYN of another life on the same four-tuple passed.
    pub superseded: Option<Timestamp>,
}

/// How long a packet may take between two captures.
const TRANSIT_MAX: Span = Span::from_secs(5);
/// Captures of one moment may be written down in either order.
const SKEW: Span = Span::from_millis(2);

impl Passage {
    /// Follows the segments between the endpoint's own capture and the observer's. `is_own` says
    /// whether the endpoint sent one.
    pub fn new(own: &[Decoded], seen: &[Decoded], is_own: impl Fn(&Decoded) -> bool) -> Passage {
        let part = |all: &[Decoded], sent: bool| -> Vec<Segment> {
            all.iter().filter(|d| is_own(d) == sent).map(|d| d.segment).collect()
        };
        let (sent, passed) = (part(own, true), part(seen, true));
        let matches = partners(&sent, &passed);
        let sent = sent.iter().zip(matches).map(|(segment, partner)| Sent {
            segment: *segment,
            at: segment.ts,
            passed: partner.and_then(|at| passed.get(at)).map(|segment| segment.ts),
        });
        let sent = sent.collect();
        let (passed, arrived) = (part(seen, false), part(own, false));
        let matches = partners(&passed, &arrived);
        let mut unseen = vec![true; arrived.len()];
        let mut coming = Vec::new();
        for (segment, partner) in passed.iter().zip(matches) {
            let arrived = partner.and_then(|at| {
                unseen[at] = false;
                arrived.get(at).map(|segment| segment.ts)
            });
            coming.push(Coming { segment: *segment, passed: Some(segment.ts), arrived });
        }
        for (segment, _) in arrived.iter().zip(unseen).filter(|(_, unseen)| *unseen) {
            coming.push(Coming { segment: *segment, passed: None, arrived: Some(segment.ts) });
        }
        coming.sort_by_key(|coming| coming.passed.or(coming.arrived));
        Passage { sent, coming, superseded: None }
    }

    /// When the endpoint next shows itself to the observer after `ts`: nobody knows more of it
    /// before.
    pub fn next_shown(&self, ts: Timestamp) -> Option<Timestamp> {
        self.sent.iter().find(|sent| sent.passed.is_some() && sent.at > ts).map(|sent| sent.at)
    }
}

/// For each of `first` its place in `then`, where it came next; a packet has one partner.
fn partners(first: &[Segment], then: &[Segment]) -> Vec<Option<usize>> {
    let mut places: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, segment) in then.iter().enumerate() {
        places.entry(mark(segment)).or_default().push(at);
    }
    let find = |segment: &Segment| {
        let places = places.get_mut(&mark(segment))?;
        let fits = |at: &usize| {
            let ts = then[*at].ts;
            ts.after(SKEW) >= segment.ts && ts.since(segment.ts) <= TRANSIT_MAX
        };
        let found = places.iter().position(fits)?;
        Some(places.remove(found))
    };
    first.iter().map(find).collect()
}

/// What tells one packet from another, wherever it is captured.
fn mark(segment: &Segment) -> (u32, u32, u16, u16, u32, Option<(u32, u32)>) {
    let timestamps = segment.options.timestamps;
    let flags = segment.flags.bits();
    (segment.seq.0, segment.ack.0, flags, segment.ip_id, segment.payload, timestamps)
}
