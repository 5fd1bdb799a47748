//! A receiver whose window stayed closed for long: its program does not read.

use crate::findings::living::dead_peer::{DEAD_PEER, is_gone_in_stall};
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{ended, lasting, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::fact::FactKind;
use crate::infer::tally::Tally;
use crate::infer::trail::Moment;
use crate::time::Span;

finding! {
    /// A receiver kept its window at zero for a long time: its program did not read.
    ///
    /// ## What it means
    ///
    /// Each ACK says how much more the receiver can take. Zero means that its buffer is full: the
    /// program on that side reads more slowly than the peer sends, or not at all. The sender waits,
    /// and asks from time to time with a window probe. The network has no part in this.
    ///
    /// ## How it is inferred
    ///
    /// An end advertised a window of 0, and no other, for at least `stall_s`. If the connection was
    /// closed meanwhile and the peer never probed, the peer had nothing to send, and nothing
    /// stalled. Where the peer's probes go unanswered in the end, which is dead-peer, the time
    /// up to the end's last segment counts.
    ///
    /// ## When it is wrong
    ///
    /// A window update that the capture dropped makes the time look longer. A program may stop
    /// reading on purpose, to slow its peer down.
    ///
    /// ## What to do
    ///
    /// Look at the receiving program: a thread that is blocked, a garbage collector that pauses,
    /// a slow disk or database behind it. `ss -tn` shows the unread bytes in Recv-Q.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.8.6 and 3.8.6.1
    pub ZERO_WINDOW_STALL = {
        name: "zero-window-stall",
        severity: Warning,
        since: "0.1.0",
        thresholds: { stall_s: 10.0 "seconds" "Time at window 0 that is reported." },
        scope: PerConnection(check),
        looks_for: [Signs::ZERO_WINDOW],
        raises: opened!(
            "1.0  > P. 1:1001(1000) ack 1
             1.1  < .  1:1(0) ack 1001 win 0
             1.5  > .  1000:1000(0) ack 1
             1.6  < .  1:1(0) ack 1001 win 0
             20.0 < .  1:1(0) ack 1001 win 500"
        ),
        // A moment's pause.
        near_miss: opened!(
            "1.0 > P. 1:1001(1000) ack 1
             1.1 < .  1:1(0) ack 1001 win 0
             1.5 > .  1000:1000(0) ack 1
             1.6 < .  1:1(0) ack 1001 win 500
             90. end"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    if history.close().is_none() {
        // It never opened, so nobody had anything to send.
        return;
    }
    for role in Role::BOTH {
        let side = history.side(role);
        let Tally { zero_window: stall, zero_window_since: since, .. } = side.tally;
        if stall == Span::ZERO || stall < context.span("stall_s") {
            continue;
        }
        let still = side.window_closed;
        // Whoever is gone keeps nothing closed.
        let is_gone =
            still == Some(since) && is_gone_in_stall(history, role.peer(), &context.of(&DEAD_PEER));
        let stall = if is_gone { side.last.ts.since(since) } else { stall };
        if stall < context.span("stall_s") {
            continue;
        }
        let probed = history.fact(FactKind::WindowProbe, role.peer());
        let closed = Role::BOTH.iter().any(|role| history.fin_of(*role).is_some());
        let over = closed || !history.is_open();
        if still.is_some() && over && probed.is_none() {
            continue;
        }
        let is_over = Role::BOTH.iter().any(|role| ended(history, *role).is_some());
        let goes_on = still == Some(since) && !is_over && !is_gone;
        let message = words!(
            context,
            "{} kept its window closed to {} for {}: its program did not read; look on that host \
             for a blocked thread, a long pause or a slow disk",
            who(history, role),
            history.addr(role.peer()),
            lasting(stall, goes_on),
        );
        let probes = probed.map_or(0, |fact| u64::from(fact.count));
        let at = Moment::silent(since);
        let finding = context.about(history, role, at, message).lasting(stall).going_on(goes_on);
        let finding = match probed {
            Some(probe) => finding.frame(probe.first),
            None => finding,
        };
        out.push(finding.with("zero_window_s", stall).with("probes", probes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::{Thresholds, check};
    use crate::testkit::connections;

    /// Whoever has nothing to send does not wait.
    #[test]
    fn a_window_that_stays_closed_through_the_close_stalls_nobody_who_never_asked() {
        let is_told = |probe: &str, close: &str| {
            let rest = format!(
                "1.0 > P. 1:1001(1000) ack 1\n1.1 < . 1:1(0) ack 1001 win 0\n{probe}{close}40 end"
            );
            let history = &connections(&format!("{}{rest}", opened!("")))[0];
            let found = check(history, &Thresholds::default());
            found.iter().any(|it| it.name == ZERO_WINDOW_STALL.name)
        };
        let probe = "4.0 > . 1000:1000(0) ack 1\n4.1 < . 1:1(0) ack 1001 win 0\n";
        let close = "9.2 > F. 1001:1001(0) ack 1\n9.3 < . 1:1(0) ack 1002 win 0\n\
                     30.0 < F. 1:1(0) ack 1002 win 0\n30.1 > . 1002:1002(0) ack 2\n";
        assert!(!is_told("", close));
        assert!(is_told(probe, close));
        assert!(is_told("", ""));
    }

    #[test]
    fn what_never_opened_does_not_stall() {
        let told = |ack: &str| {
            let text = format!("0.00 > S 0:0(0)\n0.01 < S. 0:0(0) ack 1 win 0\n{ack}\n90. end");
            let found = check(&connections(&text)[0], &Thresholds::default());
            found.iter().any(|it| it.name == ZERO_WINDOW_STALL.name)
        };
        let probe = "0.02 > . 1:1(0) ack 1\n0.5 > . 0:0(0) ack 1\n0.6 < . 1:1(0) ack 1 win 0";
        assert!(!told("") && told(probe));
    }

    #[test]
    fn a_stall_begins_with_the_closed_window_and_ends_with_the_connection() {
        let stalled = "1.0 > P. 1:1001(1000) ack 1
             1.1 < .  1:1(0) ack 1001 win 0
             4.0 > .  1000:1000(0) ack 1
             4.1 < .  1:1(0) ack 1001 win 0
";
        for (rest, lasted, goes_on) in [
            ("90. end", 88.9, true),
            ("21.1 > R. 1001:1001(0) ack 1\n90. end", 20.0, false),
            ("21.1 < .  1:1(0) ack 1001 win 500\n90. end", 20.0, false),
        ] {
            let history = &connections(&format!("{}{stalled}{rest}", opened!("")))[0];
            let found = check(history, &Thresholds::default());
            let stall = found.iter().find(|it| it.name == ZERO_WINDOW_STALL.name).expect("told");
            assert_eq!(stall.duration, Some(Span::from_secs_f64(lasted)), "{rest}");
            assert_eq!(stall.ongoing, Some(goes_on), "{rest}");
            assert_eq!(stall.message.contains(">="), goes_on, "{}", stall.message);
            assert_eq!(stall.ts.since(history.first.ts), Span::from_secs_f64(1.1), "{rest}");
        }
    }
}
