//! Named scenarios: what random ones have found, cut down to what matters.
//!
//! A case whose `known` is empty must have no miss. The others name the kinds of miss that finwait
//! still has there, and why; when one is mended, its entry goes.

use crate::scenario::{Action, Endpoint, Fate, Open, Outage, Place, Scenario};

use Action::{Abort, Close, Send};
use Fate::{Clean, LostBefore, LostBehind};

/// One named scenario.
pub struct Case {
    /// What happens.
    pub name: &'static str,
    /// What it is.
    pub scenario: Scenario,
    /// What finwait still misses: the beginnings of the kinds.
    pub known: &'static [&'static str],
    /// What lies behind that.
    pub why: &'static str,
}

/// Every case.
pub fn all() -> Vec<Case> {
    let mut cases = ordinary();
    cases.extend(opening());
    cases.extend(gave_up());
    cases.extend(closing());
    cases.extend(resets());
    cases
}

fn case(name: &'static str, scenario: Scenario) -> Case {
    Case { name, scenario, known: &[], why: "" }
}

impl Case {
    fn misses(self, known: &'static [&'static str], why: &'static str) -> Case {
        Case { known, why, ..self }
    }
}

/// A connects to B, and both have a script.
fn scripts(a: &[(u64, Action)], b: &[(u64, Action)]) -> Scenario {
    let mut scenario = Scenario::default();
    scenario.ends[0].script = a.to_vec();
    scenario.ends[1].script = b.to_vec();
    scenario
}

impl Scenario {
    fn fates(mut self, a: &[Fate], b: &[Fate]) -> Scenario {
        self.fates = [a.to_vec(), b.to_vec()];
        self
    }

    fn seen(mut self, place: Place, delays: [u64; 2]) -> Scenario {
        (self.place, self.delays) = (place, delays);
        self
    }

    fn opened(mut self, b: Open) -> Scenario {
        self.ends[1] = Endpoint { open: b, ..self.ends[1].clone() };
        self
    }

    fn out(mut self, from_a: bool, before: bool, begins: u64, lasts: u64) -> Scenario {
        self.outages.push(Outage { from_a, before, begins, lasts });
        self
    }
}

fn ordinary() -> Vec<Case> {
    vec![
        case("four-segment-close", scripts(&[(90_000, Close)], &[(500_000, Close)])),
        case(
            "half-close-with-data",
            scripts(&[(0, Send(900)), (50_000, Close)], &[(90_000, Send(5_000)), (900_000, Close)]),
        ),
        case("both-close-at-once", scripts(&[(90_000, Close)], &[(90_000, Close)])),
        case("reset-instead-of-fin", scripts(&[(0, Send(100)), (90_000, Abort)], &[])),
        case("refused", scripts(&[], &[]).opened(Open::Nobody)),
        case("both-connect-at-once", scripts(&[], &[]).opened(Open::Connect(0))),
        case(
            "first-fin-lost-behind-the-observer",
            scripts(&[(90_000, Close)], &[]).fates(&[Clean, Clean, LostBehind], &[]),
        ),
    ]
}

fn opening() -> Vec<Case> {
    vec![
        case(
            "syn-ack-lost-before-the-observer",
            scripts(&[], &[]).seen(Place::NearA, [10_000; 2]).fates(&[], &[LostBefore]),
        ),
        case(
            "refusal-lost-and-the-service-comes-up",
            scripts(&[], &[]).opened(Open::Listen(100_000)).fates(&[], &[LostBehind]),
        ),
        case(
            "refusal-lost-and-the-host-connects-itself",
            scripts(&[(0, Send(1))], &[])
                .opened(Open::Connect(10_001))
                .seen(Place::NearB, [10_000; 2])
                .fates(&[], &[LostBefore]),
        )
        .misses(
            &["CLOSED (received RST: refused), truly SYN_SENT"],
            "the RST that refuses a SYN is lost behind the observer, and the SYN that its sender \
             then sends is taken for the first of another connection",
        ),
        case(
            "reset-of-the-syn-ack-lost",
            scripts(&[(0, Abort)], &[]).fates(&[Clean, LostBehind], &[]),
        ),
        case(
            "closed-before-the-other-syn-comes",
            scripts(&[(0, Abort)], &[]).opened(Open::Connect(0)),
        ),
    ]
}

fn gave_up() -> Vec<Case> {
    let two = [Clean, LostBehind, LostBehind];
    // Without timestamps, nothing tells a challenge from an answer.
    let mut keepalive = scripts(&[], &[]).fates(&[Clean, LostBefore, LostBefore, LostBefore], &[]);
    keepalive.ends[0].keep_alive = Some(3_000_000);
    (keepalive.timestamps, keepalive.marked) = (false, false);
    vec![
        case(
            "keepalive-challenged-in-syn-rcvd",
            keepalive.seen(Place::NearA, [10_000; 2]).out(true, true, 3_020_001, 400_000_000),
        ),
        case(
            "two-syns-lost-before-the-observer",
            scripts(&[], &[(0, Close)]).fates(&[LostBehind, LostBefore, LostBefore], &[]),
        ),
        case("third-ack-of-the-syn-ack-arrives", scripts(&[], &[]).fates(&two, &[])),
        case("third-ack-of-the-fin-arrives", scripts(&[(500_000, Close)], &[]).fates(&[], &two)),
        case(
            "third-last-ack-arrives",
            scripts(&[(3_000_000, Close)], &[(0, Close)])
                .fates(&[], &[Clean, Clean, LostBehind, LostBehind]),
        ),
        case(
            "data-and-fin-repeated-together",
            scripts(&[(100_000, Send(537)), (0, Close)], &[]).out(false, true, 60_000, 1_100_000),
        ),
    ]
}

fn closing() -> Vec<Case> {
    let mut hole = scripts(&[(0, Close)], &[(0, Send(1)), (0, Send(1_609)), (0, Close)]);
    hole.ends[0].delays_acks = true;
    vec![
        case(
            "ack-of-the-fin-lost-before-the-observer",
            scripts(&[(400_000, Close)], &[]).fates(&[], &[Clean, LostBefore]),
        ),
        case(
            "crossing-fins-and-one-ack-lost",
            scripts(&[(0, Close)], &[(0, Close)])
                .seen(Place::NearB, [50, 10_000])
                .fates(&[], &[Clean, Clean, LostBehind]),
        ),
        case(
            "crossing-fins-and-one-lost",
            scripts(&[(0, Close)], &[(0, Close)])
                .seen(Place::NearA, [25_001, 10_000])
                .fates(&[Clean, Clean, LostBehind], &[]),
        ),
        case(
            "fin-behind-a-hole-crosses-a-fin",
            hole.seen(Place::NearB, [50, 10_000]).fates(&[], &[Clean, Clean, LostBehind]),
        ),
        case(
            "fin-behind-a-hole-repeated",
            scripts(&[(0, Close)], &[(0, Send(1_073)), (44_200, Close)])
                .opened(Open::Connect(0))
                .seen(Place::NearB, [10_000; 2])
                .fates(&[], &[Clean, Clean, Clean, Clean, LostBehind]),
        ),
    ]
}

fn resets() -> Vec<Case> {
    vec![
        case("aborted-in-syn-rcvd", scripts(&[], &[(28_000, Abort)])),
        case(
            "aborted-in-last-ack",
            scripts(&[(80_000, Close), (11, Abort)], &[(0, Close)]).seen(Place::NearB, [10_000; 2]),
        ),
        case(
            "fin-crosses-a-fin-and-a-reset",
            scripts(&[(4_184, Close), (0, Abort)], &[(0, Close)])
                .seen(Place::NearA, [10_000, 14_185]),
        ),
    ]
}
