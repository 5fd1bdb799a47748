//! A path that has forgotten an idle connection.

use crate::findings::living::dead_peer::{Unanswered, unanswered};
use crate::findings::rule::{finding, opened, words};
use crate::findings::timeouts::{Ends, consistent};
use crate::findings::waits::{icmp_said, lasting, number, or_closed, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::event::Event;
use crate::infer::fact::{Fact, FactKind};
use crate::infer::state::State;
use crate::infer::trail::{Moment, Refuted, Transition};
use crate::time::Span;

finding! {
    /// After an idle time, an open connection leads nowhere: something on the path forgot it.
    ///
    /// ## What it means
    ///
    /// NATs, firewalls and load balancers keep a record of each connection, and drop it after some
    /// minutes without a packet. Most do so silently. The next data then goes into the void and is
    /// repeated for minutes, or a device answers it with a RST in the peer's name. Both programs
    /// are innocent, and neither sees it coming.
    ///
    /// ## How it is inferred
    ///
    /// Either one end repeated new data at least `repeats_min` times without an answer, after
    /// both had been silent for `idle_s` and the peer was not heard since. Or both ends repeated
    /// data and neither had an answer, whatever the idle time: both live, and the path between
    /// them does not. Or data after such an idle time was answered with the RST of a host that
    /// has no such socket, and nothing else came of the peer in between. Or a RST ended the
    /// connection for one end only, and the end in whose name it came went on, whatever the idle
    /// time: a device on the path sent it.
    ///
    /// ## When it is wrong
    ///
    /// The peer's host may have died, or restarted, during the idle time: one end alone cannot
    /// tell that from a forgetful path. Unanswered keepalives are dead-peer. A RST that its
    /// alleged sender disproves may come from an attacker as well as from a forgetful device.
    ///
    /// ## What to do
    ///
    /// Compare the idle time with the timeouts of the devices in between (the message names known
    /// ones). Send keepalives more often than that, by `SO_KEEPALIVE` with `TCP_KEEPIDLE` or by
    /// pings of the application protocol, or close idle connections before the path forgets them.
    ///
    /// ## References
    ///
    /// RFC 5382 section 5 (REQ-5); RFC 9293 section 3.8.4
    pub SILENT_DROP = {
        name: "silent-drop",
        severity: Error,
        since: "0.1.0",
        thresholds: {
            idle_s: 60.0 at_least 10.0 "seconds"
                "Silence of both ends before the data; 10 s or more.",
            repeats_min: 3.0 "repeats" "Repeats in a row without an answer.",
        },
        scope: PerConnection(check),
        looks_for: [Signs::UNANSWERED
            .or(Signs::event(Event::SentRstWithoutSocket))
            .or(Signs::fact(FactKind::DisprovedRst))],
        raises: opened!(
            "0.1   > P. 1:101(100) ack 1
             0.2   < P. 1:101(100) ack 101
             0.3   > .  101:101(0) ack 101
             350.3 > P. 101:201(100) ack 101
             350.5 > P. 101:201(100) ack 101
             350.9 > P. 101:201(100) ack 101
             351.7 > P. 101:201(100) ack 101
             353.3 > P. 101:201(100) ack 101
             360.0 end"
        ),
        // The peer is there, after all.
        near_miss: opened!(
            "0.1   > P. 1:101(100) ack 1
             0.2   < P. 1:101(100) ack 101
             0.3   > .  101:101(0) ack 101
             350.3 > P. 101:201(100) ack 101
             350.5 > P. 101:201(100) ack 101
             350.9 > P. 101:201(100) ack 101
             351.7 > P. 101:201(100) ack 101
             351.8 < .  101:101(0) ack 201
             360.0 end"
        ),
    }
}

/// How a role's data is lost on a path that forgot the connection.
pub(super) struct Lost {
    run: Unanswered,
    /// The silence before it, if that was long.
    idle: Option<Span>,
    /// The peer's data is lost as well.
    both: bool,
}

/// Whether the unanswered data of a role is a path's fault rather than its peer's.
pub(super) fn lost(history: &History, role: Role, context: &Context) -> Option<Lost> {
    let (idle_min, repeats) = (context.span("idle_s"), context.count("repeats_min").max(1));
    let run = unanswered(history, role, repeats).filter(|run| run.probe.is_none())?;
    let other = unanswered(history, role.peer(), repeats).filter(|run| run.probe.is_none());
    let newest = history.fact(FactKind::NewestIdle, role);
    let idle = newest.or_else(|| idle_before(history, role, &run));
    let idle = idle.map(Fact::span).filter(|idle| *idle >= idle_min);
    let both = other.is_some() || closes_in_vain(history, role.peer(), repeats);
    (both || idle.is_some()).then_some(Lost { run, idle, both })
}

/// The silence that ended with what is repeated, if the peer only closed since: its FIN says
/// nothing about whether that came.
fn idle_before<'a>(history: &'a History, role: Role, run: &Unanswered) -> Option<&'a Fact> {
    let idle = history.fact(FactKind::LongestIdle, role)?;
    let fin = history.fin_of(role.peer())?.at;
    let closed = fin.ts >= run.began && history.side(role.peer()).last == fin;
    (closed && idle.last.ts == run.began).then_some(idle)
}

/// Whether a role's FIN, or data before it, is repeated so often and not acknowledged.
fn closes_in_vain(history: &History, role: Role, repeats_min: u64) -> bool {
    let waiting = history.transitions_of(role).rev().find_map(|it| match it.event {
        Event::GaveUp | Event::SentRst | Event::Superseded => None,
        _ => Some(it.to),
    });
    let waits = matches!(waiting, Some(State::FinWait1 | State::Closing | State::LastAck));
    waits && u64::from(history.side(role).unanswered_at_end) >= repeats_min
}

/// The RST by which a peer that was silent for so long disowned the connection.
pub(super) fn disowned<'a>(
    history: &'a History,
    role: Role,
    context: &Context,
) -> Option<(&'a Transition, Span)> {
    let idle_min = context.span("idle_s");
    let reset = history.by_event(role.peer(), &[Event::SentRstWithoutSocket])?;
    let idle = history.fact(FactKind::NewestIdle, role)?;
    let answers = idle.last.ts <= reset.at.ts && idle.span() >= idle_min;
    // It did not speak by itself: it challenged the SYN of a peer that has lost its memory.
    let challenged = history.fact(FactKind::ChallengedSyn, role);
    let asked = challenged.is_some_and(|challenged| challenged.first == idle.last);
    (reset.from == State::Established && answers && !asked).then(|| (reset, idle.span()))
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        if let Some(lost) = lost(history, role, context) {
            out.push(void(history, role, &lost, context));
            if lost.both {
                return;
            }
        } else if let Some((reset, idle)) = disowned(history, role, context) {
            out.push(rejected(history, role, reset, idle, context));
        } else if let Some((reset, by)) = imposed(history, role) {
            out.push(forged(history, role, reset, by, context));
        }
    }
}

/// The RST that ended the connection for a role, and the moment at which its peer, in whose name it
/// came, turned out not to have sent it.
fn imposed(history: &History, role: Role) -> Option<(&Transition, Moment)> {
    history.fact(FactKind::DisprovedRst, role.peer())?;
    let reset = history.by_event(role, &[Event::RecvRst])?;
    let sender = history.end(role.peer());
    let is_same = |it: &&Refuted| {
        (it.end, it.state, it.at) == (sender, State::Closed, reset.at) && !it.doubted
    };
    // Before that, a scanner's kernel resets what its program goes on with.
    let was_open = reset.from > State::SynRcvd;
    history.refuted.iter().find(is_same).filter(|_| was_open).map(|it| (reset, it.by))
}

fn after(idle: Option<Span>) -> String {
    idle.map_or(String::new(), |idle| {
        format!(", after {idle} idle{},", consistent(idle, Ends::Memory))
    })
}

fn void(history: &History, role: Role, lost: &Lost, context: &Context) -> Finding {
    let run = &lost.run;
    let both = match (lost.both, run.spoke.is_some()) {
        (true, _) => ", and so did its peer: both are up, but the path between them is not",
        (false, true) => {
            ": the peer only closed meanwhile, and something on the path forgot the connection"
        }
        (false, false) => {
            ": something on the path forgot the connection, or the peer's host is gone"
        }
    };
    let message = words!(
        context,
        "{}{} repeated data to {} {} in {} without an answer{both}; look for a NAT, firewall or \
         load balancer in between, and send keepalives at shorter intervals than its timeout{}",
        who(history, role),
        after(lost.idle),
        who(history, role.peer()),
        number(run.repeats, "time"),
        lasting(run.length, run.is_ongoing),
        icmp_said(history, role),
    );
    let at = Moment::silent(run.began);
    let finding =
        context.about(history, role, at, message).lasting(run.length).going_on(run.is_ongoing);
    finding
        .frame(history.last)
        .with("idle_s", lost.idle.unwrap_or_default())
        .with("repeats", run.repeats)
        .with("unheard", if lost.both { "both" } else { role.name() })
}

fn rejected(
    history: &History,
    role: Role,
    reset: &Transition,
    idle: Span,
    context: &Context,
) -> Finding {
    let strange = history.fact(FactKind::StrangeTtl, role.peer()).is_some();
    let whose = match strange {
        true => "its TTL differs, so a device on the path sent it",
        false => "the path, or the peer, forgot the connection",
    };
    let closed = if strange { "" } else { or_closed(history, role.peer()) };
    let message = words!(
        context,
        "{}{} sent a segment to {} and got the RST of a host that knows no such connection: \
         {whose}{closed}; send keepalives more often than that",
        who(history, role),
        after(Some(idle)),
        who(history, role.peer()),
    );
    let finding = context.about(history, role, reset.at, message).lasting(idle);
    finding.with("idle_s", idle).with("other_ttl", if strange { "yes" } else { "no" })
}

fn forged(
    history: &History,
    role: Role,
    reset: &Transition,
    by: Moment,
    context: &Context,
) -> Finding {
    /// Whatever asked for the RST was not sent longer ago.
    const ASKED_MAX: Span = Span::from_secs(1);
    // The peer's silence counts as well: only it may have spoken in between.
    let idle = history
        .fact(FactKind::LongestIdle, role)
        .filter(|idle| idle.last.ts <= reset.at.ts && reset.at.ts.since(idle.last.ts) < ASKED_MAX);
    let idle = idle.map(|idle| idle.span());
    let message = words!(
        context,
        "{} was reset{} in the name of {}, which went on with the connection: a device on the path \
         sent that RST; look for a NAT, firewall or load balancer in between{}",
        who(history, role),
        after(idle),
        who(history, role.peer()),
        if idle.is_some() { ", and send keepalives more often than it forgets" } else { "" },
    );
    let finding = context.about(history, role, reset.at, message).frame(by);
    match idle {
        Some(idle) => finding.lasting(idle).with("idle_s", idle).with("disproved", "yes"),
        None => finding.with("disproved", "yes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    fn told(rest: &str) -> Vec<Finding> {
        check(&connections(&format!("{}{rest}", opened!("")))[0], &Thresholds::default())
    }

    /// The idle time is that before the data, not that between its repeats.
    #[test]
    fn the_idle_time_came_before_the_first_repeat() {
        let repeats = "350 > P. 1:101(100) ack 1
             351 > P. 1:101(100) ack 1
             353 > P. 1:101(100) ack 1
             357 > P. 1:101(100) ack 1
             370 > P. 1:101(100) ack 1
             400 end";
        let [drop] = told(repeats).try_into().expect("one finding");
        assert_eq!(drop.name, SILENT_DROP.name);
        assert!(drop.message.contains("after 5.83 min idle"), "{}", drop.message);
    }

    fn names(rest: &str) -> Vec<&'static str> {
        told(rest).iter().map(|it| it.name).collect()
    }

    /// The peer's FIN may be among what the capture misses of it.
    #[test]
    fn a_peer_of_which_bytes_are_missing_may_have_closed() {
        let disowned = |ack: u32| {
            let rest = format!(
                "0.1   > P. 1:101(100) ack {ack}
                 65.0  > P. 101:201(100) ack {ack}
                 65.01 < R  {ack}:{ack}(0)"
            );
            let found = told(&rest).into_iter().find(|it| it.name == SILENT_DROP.name);
            let drop = found.expect("it is told");
            drop.message.contains("perhaps its FIN")
        };
        assert!(!disowned(1) && disowned(42));
    }

    /// What the peer answered after the silence was not forgotten in it.
    #[test]
    fn a_silence_that_was_over_explains_nothing() {
        let exchange = "100.0 > P. 1:101(100) ack 1
             100.1 < .  1:1(0) ack 101\n";
        let void = "105.0 > P. 101:201(100) ack 1
             105.3 > P. 101:201(100) ack 1
             105.9 > P. 101:201(100) ack 1
             107.1 > P. 101:201(100) ack 1
             115 end";
        assert_eq!(names(void), ["silent-drop"]);
        assert_eq!(names(&format!("{exchange}{void}")), ["dead-peer"]);
        let disowned = "115.0 > P. 101:201(100) ack 1
             115.1 < R  1:1(0)";
        let forgotten = "100.0 > P. 1:101(100) ack 1
             100.1 < R  1:1(0)";
        assert_eq!(names(forgotten), ["silent-drop"]);
        assert_eq!(names(&format!("{exchange}{disowned}")), ["peer-rebooted"]);
    }

    /// What a firewall drops behind itself passes it: a FIN that acknowledges nothing is no sign of
    /// a path that is open.
    #[test]
    fn a_peer_that_only_closes_does_not_show_that_the_data_came() {
        let data = |from: &str| {
            format!(
                "{from} > P. 1:6(5) ack 1\n+.2 > P. 1:6(5) ack 1\n+.4 > P. 1:6(5) ack 1\n+.8 > P. \
                 1:6(5) ack 1\n+1.6 > P. 1:6(5) ack 1\n"
            )
        };
        let fin = "+4 < F. 1:1(0) ack 1\n";
        let late = data("65");
        assert_eq!(names(&format!("{late}90 end")), ["silent-drop"]);
        assert_eq!(names(&format!("{late}{fin}90 end")), ["silent-drop"]);
        let told = told(&format!("{late}{fin}90 end"));
        assert!(told[0].message.contains("the peer only closed meanwhile"), "{}", told[0].message);
        // It heard the newest, or had not been silent, or said more.
        assert!(!names(&format!("{late}+4 < F. 1:1(0) ack 6\n90 end")).contains(&"silent-drop"));
        assert_eq!(names(&format!("{}{fin}40 end", data("20"))), ["unacknowledged-data"]);
        let word = "+4 < P. 1:11(10) ack 1\n+.01 > . 6:6(0) ack 11\n";
        assert_eq!(names(&format!("{late}{word}90 end")), ["unacknowledged-data"]);
    }

    /// However short it was silent, both ends repeat what the other does not hear.
    #[test]
    fn a_fin_in_vain_against_data_in_vain_is_a_path_that_is_gone() {
        let data = "20.0 < P. 1:7(6) ack 1\n20.2 < P. 1:7(6) ack 1\n20.4 < P. 1:7(6) ack 1\n20.8 < \
                    P. 1:7(6) ack 1\n21.6 < P. 1:7(6) ack 1\n23.2 < P. 1:7(6) ack 1\n";
        let fins = "25.0 > F. 1:1(0) ack 1\n25.2 > F. 1:1(0) ack 1\n25.4 > F. 1:1(0) ack 1\n25.8 > \
                    F. 1:1(0) ack 1\n26.4 < P. 1:7(6) ack 1\n26.6 > F. 1:1(0) ack 1\n28 end";
        let told = told(&format!("{data}{fins}"));
        assert_eq!(names(&format!("{data}{fins}")), ["silent-drop", "fin-unanswered"]);
        assert!(told[0].message.contains("and so did its peer"), "{}", told[0].message);
        // The FIN is answered, and the data is not.
        let heard = format!("{data}25.0 > F. 1:1(0) ack 1\n25.1 < P. 1:7(6) ack 2\n28 end");
        assert_eq!(names(&heard), ["unacknowledged-data"]);
    }

    /// Whose RST it is not shows when the alleged sender goes on, and takes nothing back.
    #[test]
    fn a_rst_that_its_alleged_sender_disproves_was_sent_on_the_path() {
        let before = |idle: u32| {
            format!(
                "0.1 > P. 1:2(1) ack 1\n0.2 < P. 1:5(4) ack 2\n0.3 > . 2:2(0) ack 5\n\
                 {idle}.3 > P. 2:7(5) ack 5\n{idle}.301 < R 5:5(0)\n"
            )
        };
        let goes_on = "86.2 < F. 5:5(0) ack 2\n86.21 > R 2:2(0)";
        assert_eq!(names(&before(62)), [SILENT_DROP.name]);
        for idle in [62, 20] {
            let [drop] = told(&format!("{}{goes_on}", before(idle))).try_into().expect("one");
            assert_eq!((drop.name, drop.role), (SILENT_DROP.name, Some(Role::Client)));
            assert!(drop.message.contains(&format!("after {idle} s idle")), "{}", drop.message);
        }
        let scans = "0.0 > S 0:0(0)\n0.1 < S. 0:0(0) ack 1\n0.2 > R 1:1(0)\n\
                     15.7 > . 1:110(109) ack 1\n15.8 < R 1:1(0)";
        let told = check(&connections(scans)[0], &Thresholds::default());
        assert!(!told.iter().any(|it| it.name == SILENT_DROP.name), "a scanner's own kernel");
        // Nobody had fallen for it, so nobody was harmed.
        let ignored = "86.2 < P. 5:9(4) ack 7\n86.21 > . 7:7(0) ack 9";
        assert!(!names(&format!("{}{ignored}", before(20))).contains(&SILENT_DROP.name));
    }

    #[test]
    fn a_silence_behind_the_rst_does_not_explain_it() {
        let rest = "5.10 < P. 1:101(100) ack 1
             5.11 > R  1:1(0)
             100  < P. 101:201(100) ack 1
             110 end";
        assert_eq!(names(rest), ["peer-rebooted"]);
    }

    /// The shortest silence that may be asked for is one that is noted.
    #[test]
    fn a_silence_of_the_least_length_is_found() {
        let mut thresholds = Thresholds::default();
        thresholds.set("silent-drop.idle_s=10").unwrap();
        let rest = "10.012 > P. 1:101(100) ack 1\n10.1 < R  1:1(0)";
        let history = &connections(&format!("{}{rest}", opened!("")))[0];
        assert_eq!(check(history, &thresholds)[0].name, SILENT_DROP.name);
    }

    /// It was asked by a SYN, and so it was not the path that forgot.
    #[test]
    fn who_challenges_a_syn_did_not_speak_by_itself() {
        let reboot = "0.1 > P. 1:101(100) ack 1
             0.2   < .  1:1(0) ack 101
             200.0 > S  90000:90000(0)
             200.1 < .  1:1(0) ack 101
             200.2 > R  101:101(0)
             201.0 > S  90000:90000(0)
             201.1 < S. 70000:70000(0) ack 90001";
        let names = names(reboot);
        assert!(
            names.contains(&"peer-rebooted") && !names.contains(&SILENT_DROP.name),
            "{names:?}"
        );
    }
}
