//! Shows finwait what passed the observer, and keeps what it claims.

use finwait::capture::{LinkType, Packet};
use finwait::decode::tuple::End;
use finwait::history::History;
use finwait::infer::Params;
use finwait::infer::state::Basis;
use finwait::infer::trail::Transition;
use finwait::limits::CONNECTIONS_MAX;
use finwait::pipeline::Pipeline;
use finwait::time::{Span, Timestamp};

use crate::Micros;
use crate::world::Run;

/// smoltcp stays in TIME-WAIT for ten seconds.
const MSL: Span = Span::from_secs(5);
/// When runs begin on the capture's clock.
const BEGIN: Timestamp = Timestamp::from_nanos(1_795_172_400_000_000_000);

/// A transition that finwait claims, on the run's clock.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// When.
    pub at: Micros,
    /// When it was confirmed, if it was.
    pub confirmed: Option<Micros>,
    /// What finwait says.
    pub transition: Transition,
}

impl Claim {
    /// Whether finwait says it without reserve.
    pub fn is_confident(&self) -> bool {
        match self.transition.basis {
            Basis::Observed => true,
            Basis::Inferred => self.confirmed.is_some(),
            Basis::Timer | Basis::Assumed => false,
        }
    }
}

/// What finwait says of a run.
#[derive(Clone, Debug)]
pub struct Testimony {
    /// What it claims of A and of B, in time order.
    pub claims: [Vec<Claim>; 2],
    /// The transmission behind each frame, from frame 1.
    pub frames: Vec<(Micros, usize)>,
    /// The histories themselves.
    pub histories: Vec<History>,
}

/// The passes of a run in the order of time, each with the number of its transmission.
pub fn passes(run: &Run) -> Vec<(Micros, usize)> {
    let each = run.sent.iter().enumerate();
    let mut passes: Vec<_> =
        each.flat_map(|(id, sent)| sent.passes.iter().map(move |at| (*at, id))).collect();
    passes.sort();
    passes
}

/// Lets finwait watch a run.
pub fn watch(run: &Run) -> Testimony {
    let mut pipeline = Pipeline::new(Params { msl: MSL }, CONNECTIONS_MAX, Vec::new());
    let frames = passes(run);
    for (index, (at, id)) in frames.iter().enumerate() {
        let packet = &run.sent[*id].packet;
        let (length, frame) = (packet.len() as u32, index as u64 + 1);
        pipeline.packet(&Packet::new(LinkType::RAW, packet, length, moment(*at), frame));
    }
    pipeline.silence(moment(run.until));
    let mut histories = pipeline.finish().0;
    histories.sort_by_key(|history| history.id);
    let claims = End::BOTH.map(|end| {
        let all = histories.iter().flat_map(|history| history.transitions.iter());
        all.filter(|transition| transition.end == end).map(|t| claim(*t)).collect()
    });
    Testimony { claims, frames, histories }
}

fn claim(transition: Transition) -> Claim {
    let confirmed = transition.confirmed;
    Claim {
        at: micros(transition.at.ts),
        confirmed: (confirmed.frame > 0).then(|| micros(confirmed.ts)),
        transition,
    }
}

fn moment(at: Micros) -> Timestamp {
    BEGIN.after(Span::from_micros(at))
}

fn micros(ts: Timestamp) -> Micros {
    ts.since(BEGIN).as_nanos() / 1_000
}
