//! Connections shared out among several collectors and surveys, which are then joined: what is
//! found must be what one finds that has seen them all.

use core::net::IpAddr;
use core::ops::Range;
use std::path::Path;

use super::{in_order, lives};
use crate::addr::Addr;
use crate::findings::suspects::Keys;
use crate::findings::{
    ALL, CaptureFacts, Collector, Finding, Rule, Scope, Summary, Survey, Thresholds, check, rule,
};
use crate::history::{ClosedFirst, History, Role};
use crate::infer::state::State;
use crate::limits::{CROWDS_MAX, FIRST_LOOK_SERVERS_MAX};
use crate::testkit::{Trace, connections, recorded};

/// Chance that can be had again.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// What is found by so many that share the connections as the dice have it, for the first look and
/// for the second, and are joined in the order that they have.
fn found(
    histories: &[History],
    thresholds: &Thresholds,
    parts: usize,
    dice: &mut Dice,
) -> (Summary, Survey) {
    let new = |_| (Collector::new(thresholds.clone(), histories.len() as u64), Survey::default());
    let mut all: Vec<_> = (0..parts).map(new).collect();
    for history in histories {
        let own = check(history, thresholds);
        let (collector, survey) = &mut all[dice.roll(parts)];
        let keys = Keys::of(history);
        survey.take(history, &keys, &own);
        collector.take(&[(history, &keys)], own);
    }
    let (mut collector, mut survey) = all.swap_remove(dice.roll(parts));
    while !all.is_empty() {
        let other = all.swap_remove(dice.roll(all.len()));
        collector.join(other.0);
        survey.join(other.1);
    }
    let suspicions = collector.suspicions();
    let mut all: Vec<_> = (0..parts).map(|part| new(part).0).collect();
    for history in histories {
        all[dice.roll(parts)].again(history, &Keys::of(history), &suspicions);
    }
    all.into_iter().for_each(|other| collector.join(other));
    let last_ts = histories.iter().map(|history| history.until).max();
    let connections = histories.len() as u64;
    let summary = collector.finish(&CaptureFacts { connections, last_ts, ..Default::default() });
    survey.finish(&summary.grouped);
    (summary, survey)
}

/// All that a survey tells.
fn told(survey: &Survey) -> String {
    let states = Role::BOTH.map(|role| State::ALL.map(|state| survey.in_state(role, state)));
    let closed = [ClosedFirst::Client, ClosedFirst::Server, ClosedFirst::Both];
    let Survey { never_opened, only_reset, open, waiting, limits, groups, .. } = survey;
    format!(
        "{states:?} {:?} {never_opened} {only_reset} {open} {} {waiting:?} {limits:?} {} {} \
         {groups:#?}",
        closed.map(|who| survey.first(who)),
        survey.closed_unclear,
        survey.services(),
        survey.has_more_services,
    )
}

/// Shares these out again and again; what one finds that has seen them all.
fn shared_out(
    name: &str,
    histories: &[History],
    thresholds: &Thresholds,
    seeds: Range<u64>,
) -> Summary {
    let (whole, survey) = found(histories, thresholds, 1, &mut Dice(0));
    for seed in seeds {
        let parts = 1 + seed as usize % 5;
        let (summary, other) = found(histories, thresholds, parts, &mut Dice(seed));
        assert_eq!(summary, whole, "{name} in {parts} parts");
        assert_eq!(told(&other), told(&survey), "{name} in {parts} parts");
    }
    whole
}

const LEFT: &str = "
    0.00 > S  0:0(0)
    0.01 < S. 0:0(0) ack 1
    0.02 > .  1:1(0) ack 1
    5.03 > F. 1:1(0) ack 1
    5.04 < .  1:1(0) ack 2";

/// Connections that a server closes first.
const SERVER_CLOSES: &str = "
    clients 45 0.5
    0.00 > S  0:0(0)
    0.01 < S. 0:0(0) ack 1
    0.02 > .  1:1(0) ack 1
    0.03 < F. 1:1(0) ack 1
    0.04 > F. 1:1(0) ack 2
    0.05 < .  2:2(0) ack 2";

/// Connections that a program leaves in CLOSE_WAIT: some for good, some until their peer's RST,
/// some not for long enough yet.
fn left() -> String {
    let reset = format!("{LEFT}\n150.0 > R 2:2(0)");
    in_order([lives(0..9, LEFT), lives(9..14, &reset), lives(270..275, LEFT)].concat(), 300)
}

/// The same, but when the program ends, it lets go of all.
fn released() -> String {
    let life = |client: usize| {
        let close = 190.0 - 0.99 * client as f64;
        lives(client..client + 1, &format!("{LEFT}\n{close:.2} < F. 1:1(0) ack 2"))
    };
    in_order((0..8).flat_map(life).collect(), 300)
}

/// Connections that a client leaves, which the server closed after silences from so long on, each
/// so much longer than the one before.
fn left_idle(least: f64, more: f64) -> String {
    let life = |client: usize| {
        let close = least + more * client as f64;
        let life = format!(
            "0.00 > S  0:0(0)
             0.01 < S. 0:0(0) ack 1
             0.02 > .  1:1(0) ack 1
             {close:.2} < F. 1:1(0) ack 1
             {close:.2}1 > . 1:1(0) ack 2"
        );
        lives(client..client + 1, &life)
    };
    in_order((0..8).flat_map(life).collect(), 300)
}

/// Connections that are left, and were open before the capture began.
fn left_before() -> String {
    let life = "0.0 > P. 1:101(100) ack 1
                0.1 < .  1:1(0) ack 101
                0.2 > F. 101:101(0) ack 1
                0.3 < .  1:1(0) ack 102";
    in_order(lives(0..6, life), 300)
}

/// Traces that raise every rule about many connections, of several connections each.
fn traces() -> Vec<(&'static str, String)> {
    let grouped = ALL.iter().filter(|rule| matches!(rule.scope, Scope::Grouped(_)));
    let of_many = |rule: &&'static Rule| {
        let is_many = rule.raises.contains("clients ") || connections(rule.raises).len() > 1;
        let crowd = if is_many { "" } else { "clients 12 1.5\n" };
        (rule.name, format!("{crowd}{}", rule.raises))
    };
    let leaks = [left(), released(), left_idle(30.0, 0.2), left_idle(30.0, 1.0), left_before()];
    let leaks = leaks.map(|trace| ("close-wait-leak", trace));
    let closes = ("time-wait-census", SERVER_CLOSES.to_owned());
    grouped.map(of_many).chain(leaks).chain([closes]).collect()
}

/// The same connection between other hosts.
fn moved(history: &History, id: u64, moved: impl Fn(Role, [u8; 4]) -> [u8; 4]) -> History {
    let client = history.addr(Role::Client).ip();
    let mut history = history.clone();
    history.id = id;
    history.tuple = history.tuple.with_addrs(|addr| {
        let IpAddr::V4(v4) = addr.ip() else { return addr };
        let role = if addr == client { Role::Client } else { Role::Server };
        Addr::from(moved(role, v4.octets()))
    });
    history
}

#[test]
fn who_sees_which_connection_does_not_show() {
    let mut mix = Vec::new();
    for (number, (name, text)) in (0..).zip(traces()) {
        let histories = connections(&text);
        let mut thresholds = Thresholds::default();
        Trace::parse(&text).settings.iter().for_each(|it| thresholds.set(it).unwrap());
        let summary = shared_out(name, &histories, &thresholds, 1..7);
        assert!(histories.len() > 2 && summary.by_name.contains_key(name), "{name}");
        let begin = mix.len() as u64;
        mix.extend(histories.iter().map(|history| {
            // By two and two they have the same servers; hosts are clients here and servers there.
            let id = begin + history.id;
            let host = |role, [a, b, c, d]: [u8; 4]| match role {
                Role::Client => [a, b, c, d + (id % 90) as u8],
                Role::Server => [a, b, c, d + number / 2],
            };
            moved(history, id, host)
        }));
    }
    let mut thresholds = Thresholds::default();
    thresholds.set("port-exhaustion.ports=50").unwrap();
    let summary = shared_out("all of them", &mix, &thresholds, 1..7);
    assert!(summary.by_name.len() >= 15, "{:?}", summary.by_name);
}

#[test]
fn how_many_are_taken_at_once_does_not_show() {
    let histories = connections(&format!("clients 150 0.05\n{LEFT}"));
    let keys: Vec<_> = histories.iter().map(Keys::of).collect();
    let all: Vec<_> = histories.iter().zip(&keys).collect();
    let told = |at_once| {
        let mut collector = Collector::new(Thresholds::default(), 150);
        all.chunks(at_once).for_each(|some| collector.take(some, []));
        let suspicions = collector.suspicions();
        all.iter().for_each(|(history, keys)| collector.again(history, keys, &suspicions));
        collector.finish(&CaptureFacts::default())
    };
    let one_by_one = told(1);
    assert!(!one_by_one.grouped.is_empty());
    for at_once in [16, 64, 65, 150] {
        assert_eq!(told(at_once), one_by_one, "{at_once}");
    }
}

#[test]
fn who_sees_which_connection_of_a_recording_does_not_show() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    for name in ["kernel/demo/server.pcap", "kernel/random-3/middle.pcap"] {
        let histories = recorded(&testdata.join(name));
        assert!(histories.len() > 3, "{name}");
        shared_out(name, &histories, &Thresholds::default(), 1..7);
    }
}

/// So many services that neither their sides have room nor what is found about each connection.
#[test]
fn who_sees_which_connection_does_not_show_where_there_is_no_room() {
    let closed = rule("time-wait-census").map(|rule| connections(rule.raises)).unwrap();
    let sums = rule("checksum-offload").map(|rule| connections(rule.raises)).unwrap();
    let one = [&closed[0], &sums[0], &connections(SERVER_CLOSES)[0]].map(History::clone);
    let mut dice = Dice(1);
    let histories: Vec<_> = (0..3 * CROWDS_MAX)
        .map(|id| {
            let number = dice.roll(2 * CROWDS_MAX + 500) as u32;
            let host = |role, addr: [u8; 4]| match role {
                Role::Client => (u32::from_be_bytes(addr) + (number % 200)).to_be_bytes(),
                Role::Server => (u32::from_be_bytes(addr) + number).to_be_bytes(),
            };
            moved(&one[id % 3], id as u64, host)
        })
        .collect();
    let mut thresholds = Thresholds::default();
    for setting in ["time-wait-census.crowd_min=1", "port-exhaustion.connections_min=1"] {
        thresholds.set(setting).unwrap();
    }
    let summary = shared_out("so many", &histories, &thresholds, 2..4);
    assert!(summary.groups_beyond > 0);
}

/// Servers that are few are counted at the first look, and more of them at the second.
#[test]
fn few_servers_have_what_they_have_among_many() {
    let unanswered = "0.0 > S 0:0(0)\n9.0 end";
    // It is no attempt, and nobody waits.
    let open = &connections("0.0 > . 1:1(0) ack 1\n0.1 < . 1:1(0) ack 1\n9.0 end")[0];
    for (rule, setting, trace, count) in [
        ("time-wait-census", "crowd_min=2", SERVER_CLOSES, "peak"),
        ("syn-flood", "half_open_min=3", unanswered, "attempts"),
    ] {
        let one = &connections(trace)[0];
        let mut thresholds = Thresholds::default();
        thresholds.set(&format!("{rule}.{setting}")).unwrap();
        let told = |servers: usize| {
            let histories: Vec<_> = (0..3 * servers)
                .map(|id| {
                    let number = (id % servers) as u32;
                    let host = |role, addr: [u8; 4]| match role {
                        Role::Client => {
                            (u32::from_be_bytes(addr) + (id / servers) as u32).to_be_bytes()
                        }
                        Role::Server => (u32::from_be_bytes(addr) + number).to_be_bytes(),
                    };
                    moved(one, id as u64, host)
                })
                .collect();
            let found_open = moved(open, histories.len() as u64, |_, addr| addr);
            let histories = [histories, vec![found_open]].concat();
            let (summary, _) = found(&histories, &thresholds, 2, &mut Dice(1));
            let count = |it: &Finding| (it.host, it.value(count).cloned(), it.message.clone());
            let told = summary.grouped.iter().filter(|it| it.name == rule);
            told.map(count).collect::<Vec<_>>()
        };
        let (few, many) = (told(FIRST_LOOK_SERVERS_MAX), told(FIRST_LOOK_SERVERS_MAX + 1));
        let lengths = (FIRST_LOOK_SERVERS_MAX, FIRST_LOOK_SERVERS_MAX + 1);
        assert_eq!((few.len(), many.len()), lengths, "{rule}");
        assert!(few.iter().all(|(_, count, _)| *count == Some(3_u64.into())), "{rule} {few:?}");
        let last = few.iter().map(|(host, ..)| *host).max().flatten();
        assert!(many.iter().filter(|(host, ..)| *host <= last).eq(&few), "{rule}");
    }
}
