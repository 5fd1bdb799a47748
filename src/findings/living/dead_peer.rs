//! Data or keepalives that nobody answers any more.

use crate::findings::living::silent_drop::{SILENT_DROP, lost};
use crate::findings::rule::{finding, opened, words};
use crate::findings::timeouts::{Ends, consistent};
use crate::findings::waits::{has_spoken, icmp_said, lasting, number, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::{Fact, FactKind};
use crate::infer::state::State;
use crate::infer::trail::{Moment, Transition};
use crate::time::{Span, Timestamp};

finding! {
    /// The peer of an open connection has fallen silent: data or keepalives go unanswered.
    ///
    /// ## What it means
    ///
    /// A process that is killed still closes its connections, because its kernel sends the FIN. But
    /// a host that loses power, a pulled cable or a broken path sends nothing, and TCP learns of it
    /// only when it sends something itself. An end that only reads stays ESTABLISHED for ever.
    /// Linux repeats data for about fifteen minutes before it gives up; keepalives, by default,
    /// start after two hours and are followed by nine more, 75 seconds apart.
    ///
    /// ## How it is inferred
    ///
    /// One end repeated data, a keepalive or the probe of a closed window at least `repeats_min`
    /// times, for at least `wait_s`, and no answer passed until the record ended or the sender
    /// gave up. The peer had been heard before. Two keepalives are enough where their sender
    /// resets when the third is due, and two probes where the third does not come. What the peer
    /// sends after that RST is no answer any more.
    /// Data that follows a long idle time, or that both ends repeat in vain, is silent-drop; and of
    /// a peer that spoke a second or more after that data was first sent, and did not acknowledge
    /// it, unacknowledged-data is told.
    ///
    /// ## When it is wrong
    ///
    /// If the answers take another way than the one that is captured, a live peer looks dead. A
    /// capture that ends in the middle of a short outage shows only its beginning. Probes that
    /// stop may wait for a route or the neighbour's address, and their socket lives. A server that
    /// has said nothing since its SYN+ACK may be well: with SYN cookies and a full accept queue it
    /// drops the handshake's ACK, keeps nothing of the connection and never asks again. The message
    /// says so.
    ///
    /// ## What to do
    ///
    /// Check whether the peer's host is up and which of the two directions is broken; capture there
    /// too. If it is up, see accept-queue-overflow. Let programs that wait on a connection set
    /// keepalives or `TCP_USER_TIMEOUT`, so that they find out in seconds.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.8.3, 3.8.4 and 3.5.1; RFC 5482
    pub DEAD_PEER = {
        name: "dead-peer",
        severity: Error,
        since: "0.1.0",
        thresholds: {
            repeats_min: 3.0 "repeats" "Repeats in a row without an answer.",
            wait_s: 2.0 "seconds" "Time without an answer.",
        },
        scope: PerConnection(check),
        looks_for: [Signs::UNANSWERED],
        raises: opened!(
            "10.0 > P. 1:101(100) ack 1
             10.2 > P. 1:101(100) ack 1
             10.6 > P. 1:101(100) ack 1
             11.4 > P. 1:101(100) ack 1
             13.0 > P. 1:101(100) ack 1
             16.2 > P. 1:101(100) ack 1
             20.0 end"
        ),
        // Keepalives that are answered, each.
        near_miss: opened!(
            "10. > . 0:0(0) ack 1
             +.01 < . 1:1(0) ack 1
             +10. > . 0:0(0) ack 1
             +.01 < . 1:1(0) ack 1
             +10. > . 0:0(0) ack 1
             +.01 < . 1:1(0) ack 1
             +10. > . 0:0(0) ack 1
             +.01 < . 1:1(0) ack 1
             +10. > . 0:0(0) ack 1
             +.01 < . 1:1(0) ack 1"
        ),
    }
}

/// What is sent to be answered, without news.
const PROBES: [FactKind; 2] = [FactKind::Keepalive, FactKind::WindowProbe];

/// Repeats of one end that nobody answers any more.
pub(super) struct Unanswered {
    /// When what is repeated was first sent.
    pub began: Timestamp,
    /// From then to the record's end, or until the sender gave up.
    pub length: Span,
    /// It had not given up.
    pub is_ongoing: bool,
    /// How many.
    pub repeats: u64,
    /// It is no data but keepalives, or probes of a closed window.
    pub probe: Option<FactKind>,
    /// The peer's last segment, if it was sent meanwhile: it lives, and does not acknowledge that.
    pub spoke: Option<Moment>,
}

/// Whether an open end repeats data or probes in vain, so often at least. As many keepalives as are
/// sent come before a RST of their sender at the time when the next was due, and as many probes of
/// a closed window as are sent before they stop.
pub(super) fn unanswered(history: &History, role: Role, repeats_min: u64) -> Option<Unanswered> {
    /// So many show when the next would be due.
    const TIMED: u64 = 2;
    /// What passes so soon after may have left its sender before. No round trip of use is longer.
    const ON_ITS_WAY: Span = Span::from_secs(1);
    let side = history.side(role);
    let repeats = u64::from(side.unanswered_at_end);
    let peer = history.side(role.peer());
    let heard = peer.tally.segments > 0;
    let over = history.transitions_of(role).rev().find(|it| it.to == State::Closed);
    let end = over.map_or(history.until, |over| over.at.ts);
    let reset = history.by_event(role, &[Event::SentRst]);
    let began = side.unanswered_since;
    // Anybody can have sent a RST to which nobody paid heed.
    let strays = [FactKind::IgnoredRst, FactKind::InexactRst, FactKind::DisprovedRst];
    let is_stray = strays.into_iter().any(|kind| {
        history.fact(kind, role.peer()).is_some_and(|fact| fact.last.frame == peer.last.frame)
    });
    let came = |last: &Moment| last.ts >= began.after(ON_ITS_WAY) && !is_stray;
    let spoke = Some(peer.last).filter(came);
    let probing = PROBES
        .into_iter()
        .filter_map(|kind| history.fact(kind, role))
        .filter(|probe| probe.last.ts >= began && u64::from(probe.count) >= repeats)
        .max_by_key(|probe| probe.last.ts);
    // Unanswered FINs are another finding; whoever has closed does not wait for data.
    let was_open = history.transitions_of(role).rev().find_map(|it| match it.event {
        Event::GaveUp | Event::SentRst | Event::Superseded => None,
        _ => Some(it.to),
    });
    let open = match was_open {
        Some(State::Established | State::CloseWait) => true,
        Some(State::FinWait2) => probing.is_some(),
        _ => false,
    };
    let stopped = over.is_some_and(|over| over.event == Event::GaveUp);
    let is_all = repeats >= TIMED
        && probing.is_some_and(|probe| match probe.kind {
            FactKind::WindowProbe => stopped,
            _ => reset.is_some(),
        });
    if (repeats < repeats_min && !is_all) || !heard || !open {
        return None;
    }
    let has_spoken = spoke.is_some() && !is_behind_reset(history, role);
    if probing.is_some_and(|probe| has_spoken || is_answered(history, probe, reset)) {
        return None;
    }
    let (length, is_ongoing) = (end.since(began), over.is_none());
    let (probe, spoke) = (probing.map(|probe| probe.kind), spoke.filter(|_| has_spoken));
    Some(Unanswered { began, length, is_ongoing, repeats, probe, spoke })
}

/// Whether the peer's last segment passed behind the RST of a role: then it answers nothing that
/// was sent before.
fn is_behind_reset(history: &History, role: Role) -> bool {
    let heard = history.side(role.peer()).last;
    history.by_event(role, &[Event::SentRst]).is_some_and(|reset| reset.at.frame < heard.frame)
}

/// Whether a role probes the closed window of a peer that is gone.
pub(super) fn is_gone_in_stall(history: &History, role: Role, context: &Context) -> bool {
    let run = unanswered(history, role, context.count("repeats_min").max(1));
    run.is_some_and(|run| {
        run.probe == Some(FactKind::WindowProbe) && run.length >= context.span("wait_s")
    })
}

/// Whether the last that a role sent before its RST were keepalives to which nothing came: that RST
/// is its kernel's, and not its program's.
pub(in crate::findings) fn died_probing(history: &History, role: Role) -> bool {
    /// Linux sends keepalives a second apart at least, and resets as long after the last.
    const INTERVAL_MIN: Span = Span::from_secs(1);
    let heard = history.side(role.peer()).last.ts;
    let reset = history.by_event(role, &[Event::SentRst]);
    let is_due = |(probe, reset): (&Fact, &Transition)| {
        (probe.last.ts > heard || is_behind_reset(history, role))
            && reset.at.ts.since(probe.last.ts) >= INTERVAL_MIN
    };
    history.side(role).unanswered_at_end > 0
        && history.fact(FactKind::Keepalive, role).zip(reset).is_some_and(is_due)
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let path = context.of(&SILENT_DROP);
    for role in Role::BOTH {
        let Some(run) = unanswered(history, role, context.count("repeats_min").max(1)) else {
            continue;
        };
        let is_other = run.spoke.is_some() || lost(history, role, &path).is_some();
        if run.length < context.span("wait_s") || is_other {
            continue;
        }
        let what = match run.probe {
            Some(FactKind::WindowProbe) => "the probe of its closed window",
            Some(_) => "keepalive",
            None => "data",
        };
        let gave_up = match run.is_ongoing {
            false if context.is_telling() => consistent(run.length, Ends::Repeats),
            _ => String::new(),
        };
        let peer = role.peer();
        let never_spoke =
            peer == Role::Server && history.side(peer).tally.syns > 0 && !has_spoken(history, peer);
        let blame = match never_spoke {
            true => {
                " since its SYN+ACK: its host or the path is gone, or it never took the connection \
                 (a full accept queue with SYN cookies); check whether that host is up, whether \
                 its program accepts, and which direction is broken"
            }
            false => {
                ": its host or the path is gone; check whether that host is up, and which \
                 direction is broken"
            }
        };
        let message = words!(
            context,
            "{} repeated {what} {} in {}{gave_up}, and {} answered nothing{blame}{}",
            who(history, role),
            number(run.repeats, "time"),
            lasting(run.length, run.is_ongoing),
            who(history, peer),
            icmp_said(history, role),
        );
        let at = Moment::silent(run.began);
        let finding =
            context.about(history, role, at, message).lasting(run.length).going_on(run.is_ongoing);
        out.push(finding.frame(history.last).with("repeats", run.repeats).with("unanswered", what));
    }
}

/// Whether something came after the last probe: other segments, or a RST before the next keepalive
/// was due, which is when its timeout resets.
fn is_answered(history: &History, probe: &Fact, reset: Option<&Transition>) -> bool {
    match reset {
        None => probe.last.frame != history.last.frame,
        Some(_) if probe.kind == FactKind::WindowProbe => false,
        Some(reset) => {
            let gaps = u64::from(probe.count.saturating_sub(1).max(1));
            let probed = probe.last.ts.since(probe.first.ts);
            reset.at.ts.since(probe.last.ts).times(gaps).times(5) < probed.times(4)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    #[test]
    fn a_server_that_said_nothing_since_its_syn_ack_may_be_well() {
        let repeats = "10.0 > P. 1:101(100) ack 1
             10.2 > P. 1:101(100) ack 1
             10.6 > P. 1:101(100) ack 1
             11.4 > P. 1:101(100) ack 1
             13.0 > P. 1:101(100) ack 1
             20.0 end";
        for (before, is_open) in [("", false), ("0.02 < . 1:1(0) ack 1\n", true)] {
            let history = &connections(&format!("{}{before}{repeats}", opened!("")))[0];
            let found = check(history, &Thresholds::default());
            let dead = found.iter().find(|it| it.name == DEAD_PEER.name).expect("it is told");
            assert_eq!(dead.message.contains("never took the connection"), !is_open, "{before}");
        }
    }

    /// However rare its repeats get, whoever waits for an answer is not idle.
    #[test]
    fn repeats_that_get_rare_are_no_idle_time() {
        let (mut at, mut gap, mut repeats) = (10.0, 0.2, String::new());
        for _ in 0..12 {
            repeats += &format!("{at} > P. 1:101(100) ack 1\n");
            (at, gap) = (at + gap, gap * 2.0);
        }
        let names = |rest: &str| -> Vec<&str> {
            let history = &connections(&format!("{}{repeats}{rest}", opened!("")))[0];
            check(history, &Thresholds::default()).iter().map(|it| it.name).collect()
        };
        assert_eq!(names("500 end"), ["dead-peer"]);
        assert_eq!(names("500 < R 1:1(0)"), ["peer-rebooted"]);
    }

    fn names(rest: &str) -> Vec<&'static str> {
        let history = &connections(&format!("{}{rest}", opened!("")))[0];
        check(history, &Thresholds::default()).iter().map(|it| it.name).collect()
    }

    /// The kernel gave up, whatever the peer's program does when it comes to it, much later.
    #[test]
    fn what_comes_after_the_rst_answers_no_probe_before_it() {
        let probes = "0.1 > P. 1:2(1) ack 1
             0.2  < P. 1:5(4) ack 2
             0.3  > .  2:2(0) ack 5
             30.9 > .  1:1(0) ack 5
             34.0 > .  1:1(0) ack 5
             37.1 > .  1:1(0) ack 5\n";
        let reset = "40.2 > R. 2:2(0) ack 5\n";
        let close = "86.3 < F. 5:5(0) ack 2";
        for rest in [format!("{probes}{reset}"), format!("{probes}{reset}{close}")] {
            let names = names(&rest);
            assert!(names.contains(&DEAD_PEER.name), "{rest}: {names:?}");
            assert!(!names.contains(&"abortive-close"), "{rest}: {names:?}");
        }
        // Before it, it shows that the peer is there.
        let alive = format!("{probes}38.5 < P. 5:9(4) ack 2\n{reset}{close}");
        assert!(!names(&alive).contains(&DEAD_PEER.name));
    }

    #[test]
    fn probes_of_a_closed_window_that_nobody_answers_show_that_the_peer_is_gone() {
        let stall = "1.0 > P. 1:1001(1000) ack 1
             1.1  < .  1:1(0) ack 1001 win 0
             1.3  > .  1000:1000(0) ack 1
             1.31 < .  1:1(0) ack 1001 win 0\n";
        let probes = [
            "1.7 > . 1000:1000(0) ack 1",
            "2.5 > . 1000:1000(0) ack 1",
            "4.1 > . 1000:1000(0) ack 1",
            "7.3 > . 1000:1000(0) ack 1",
        ];
        let told = |count: usize, rest: &str| {
            let sent = probes[..count].join("\n");
            names(&format!("{stall}{sent}\n{rest}\n"))
        };
        assert_eq!(told(4, "13.0 end"), ["dead-peer"]);
        // The next was due at 13.7: its sender has stopped.
        assert_eq!(told(4, "90.0 end"), ["dead-peer"]);
        assert_eq!(told(2, "90.0 end"), ["dead-peer"]);
        // It may still come.
        assert_eq!(told(2, "4.0 end"), [""; 0]);
        assert_eq!(told(4, "7.4 < . 1:1(0) ack 1001 win 0\n13.0 end"), ["zero-window-stall"]);
        assert_eq!(told(4, "7.4 < . 1:1(0) ack 1001 win 500\n13.0 end"), [""; 0]);
        // What is told of the window is what its owner said.
        let late = stall.replace("1.3 ", "15.0 ").replace("1.31", "15.1");
        let late = format!(
            "{late}16 > . 1000:1000(0) ack 1\n18 > . 1000:1000(0) ack 1\n\
                            22 > . 1000:1000(0) ack 1\n30 > . 1000:1000(0) ack 1\n40 end"
        );
        let history = &connections(&format!("{}{late}", opened!("")))[0];
        let found = check(history, &Thresholds::default());
        let stall = found.iter().find(|it| it.name == "zero-window-stall").expect("it is told");
        assert_eq!((stall.duration, stall.ongoing), (Some(Span::from_secs(14)), Some(false)));
        assert!(found.iter().any(|it| it.name == DEAD_PEER.name));
    }

    /// However few keepalives a kernel sends before it resets: the RST is not its program's.
    #[test]
    fn a_rst_when_the_next_keepalive_was_due_is_the_end_of_a_dead_connection() {
        let data = "0.1 > P. 1:41(40) ack 1
             0.2 < P. 1:41(40) ack 41
             0.3 > .  41:41(0) ack 41\n";
        let half_closed = [
            (data, "41:41(0) ack 41", "40:40(0) ack 41"),
            ("0.1 < F. 1:1(0) ack 1\n0.11 > . 1:1(0) ack 2\n", "1:1(0) ack 2", "0:0(0) ack 2"),
            ("0.1 > F. 1:1(0) ack 1\n0.11 < . 1:1(0) ack 2\n", "2:2(0) ack 1", "1:1(0) ack 1"),
        ];
        for (before, reset, probe) in half_closed {
            let rest = format!("{before} 10 > . {probe}\n20 > . {probe}\n30 > R. {reset}");
            let history = &connections(&format!("{}{rest}", opened!("")))[0];
            let found = check(history, &Thresholds::default());
            let names: Vec<_> = found.iter().map(|it| it.name).collect();
            assert!(names.contains(&DEAD_PEER.name), "{rest}: {names:?}");
            for cause in ["abortive-close", "close-wait-reset", "reset-after-fin"] {
                assert!(!names.contains(&cause), "{rest}: {names:?}");
            }
        }
    }
}
