//! Random scenarios, of three kinds.

use proptest::prelude::*;

use crate::Micros;
use crate::scenario::{Action, Endpoint, Fate, Open, Outage, Place, Scenario};

/// How much goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The network delivers everything, once and in order; the applications do what they like.
    Unimpaired,
    /// It also loses, delays, doubles and reorders, and breaks down for some seconds.
    Impaired,
    /// Worse of the same, with breakdowns that last, packets without a mark of their own, ends
    /// that time out and captures that end early.
    Abusive,
}

impl Kind {
    /// Every kind, the mildest first.
    pub const ALL: [Kind; 3] = [Kind::Unimpaired, Kind::Impaired, Kind::Abusive];

    /// As the table names it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Unimpaired => "unimpaired",
            Kind::Impaired => "impaired",
            Kind::Abusive => "abusive",
        }
    }
}

/// Random scenarios of a kind.
pub fn scenarios(kind: Kind) -> impl Strategy<Value = Scenario> {
    let ends = (endpoint(kind), endpoint(kind), opens());
    let network = (delays(), place(), fates(kind), fates(kind), outages(kind));
    let traits = (marked(kind), any::<bool>(), until(kind), any::<u32>());
    (ends, network, traits).prop_map(|((mut a, mut b, opens), network, traits)| {
        [a.open, b.open] = opens;
        let (delays, place, from_a, from_b, outages) = network;
        let (marked, timestamps, until, seed) = traits;
        Scenario {
            ends: [a, b],
            delays,
            place,
            fates: [from_a, from_b],
            outages,
            marked,
            timestamps,
            until,
            seed: u64::from(seed),
        }
    })
}

fn opens() -> impl Strategy<Value = [Open; 2]> {
    prop_oneof![
        30 => Just([Open::Connect(0), Open::Listen(0)]),
        1 => Just([Open::Connect(0), Open::Nobody]),
        1 => (0..3_000_000_u64).prop_map(|late| [Open::Connect(0), Open::Listen(late)]),
        3 => (0..60_000_u64).prop_map(|late| [Open::Connect(0), Open::Connect(late)]),
    ]
}

fn endpoint(kind: Kind) -> impl Strategy<Value = Endpoint> {
    let keep_alive = prop_oneof![4 => Just(None), 1 => Just(Some(3_000_000))];
    let timeout = match kind {
        Kind::Unimpaired => prop_oneof![8 => Just(None), 1 => Just(Some(20_000_000))].boxed(),
        _ => prop_oneof![3 => Just(None), 1 => Just(Some(20_000_000))].boxed(),
    };
    let buffer = prop_oneof![4 => Just(4_096_u32), 1 => Just(600), 1 => Just(100_000)];
    let script = prop::collection::vec((wait(), action()), 0..6);
    (script, keep_alive, timeout, any::<bool>(), buffer).prop_map(
        |(script, keep_alive, timeout, delays_acks, buffer)| Endpoint {
            open: Open::Listen(0),
            script,
            keep_alive,
            timeout,
            delays_acks,
            buffer,
        },
    )
}

fn wait() -> impl Strategy<Value = Micros> {
    prop_oneof![
        4 => Just(0_u64),
        4 => 0..50_000_u64,
        2 => 50_000..2_000_000_u64,
        1 => 2_000_000..15_000_000_u64,
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (1..3_000_u32).prop_map(Action::Send),
        1 => (3_000..20_000_u32).prop_map(Action::Send),
        5 => Just(Action::Close),
        3 => Just(Action::AwaitPeerClose),
        1 => Just(Action::Abort),
        1 => Just(Action::StopReading),
        1 => Just(Action::Read),
        2 => Just(Action::Idle),
    ]
}

fn delays() -> impl Strategy<Value = [Micros; 2]> {
    let delay = || prop_oneof![Just(10_000_u64), 50..500_u64, 500..120_000_u64];
    [delay(), delay()]
}

fn place() -> impl Strategy<Value = Place> {
    prop::sample::select(vec![Place::Middle, Place::NearA, Place::NearB])
}

fn fates(kind: Kind) -> BoxedStrategy<Vec<Fate>> {
    let clean = match kind {
        Kind::Unimpaired => return Just(Vec::new()).boxed(),
        Kind::Impaired => 60,
        Kind::Abusive => 20,
    };
    let fate = prop_oneof![
        clean => Just(Fate::Clean),
        2 => Just(Fate::LostBefore),
        2 => Just(Fate::LostBehind),
        1 => (100..80_000_u64).prop_map(Fate::LateBefore),
        1 => (100..80_000_u64).prop_map(Fate::LateBehind),
        1 => (1..80_000_u64).prop_map(Fate::TwiceBefore),
        1 => (1..80_000_u64).prop_map(Fate::TwiceBehind),
    ];
    prop::collection::vec(fate, 0..60).boxed()
}

fn outages(kind: Kind) -> BoxedStrategy<Vec<Outage>> {
    let lasts = match kind {
        Kind::Unimpaired => return Just(Vec::new()).boxed(),
        Kind::Impaired => prop_oneof![100_000..4_000_000_u64].boxed(),
        Kind::Abusive => prop_oneof![100_000..9_000_000_u64, Just(400_000_000)].boxed(),
    };
    let outage = (any::<bool>(), any::<bool>(), 0..12_000_000_u64, lasts)
        .prop_map(|(from_a, before, begins, lasts)| Outage { from_a, before, begins, lasts });
    let some = prop::collection::vec(outage, 1..3);
    prop_oneof![4 => Just(Vec::new()), 1 => some].boxed()
}

fn marked(kind: Kind) -> BoxedStrategy<bool> {
    match kind {
        Kind::Impaired => Just(true).boxed(),
        Kind::Unimpaired | Kind::Abusive => any::<bool>().boxed(),
    }
}

fn until(kind: Kind) -> BoxedStrategy<Micros> {
    match kind {
        Kind::Abusive => prop_oneof![3 => Just(150_000_000), 1 => 10_000..30_000_000_u64].boxed(),
        _ => Just(150_000_000).boxed(),
    }
}
