//! A receiver whose window stayed closed for long: its program does not read.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{lasting, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role, Signs};
use crate::infer::fact::FactKind;
use crate::infer::trail::Moment;
use crate::time::Span;

finding! {
    /// A receiver kept its window at zero for a long time: its program did not read.
    ///
    /// ## What it means
    ///
    /// Each ACK tells how much more the receiver can take. Zero says that its buffer is full:
    /// the program on that side reads more slowly than the peer sends, or not at all. The sender
    /// waits and asks from time to time with a window probe. The network has no part in it.
    ///
    /// ## How it is inferred
    ///
    /// An end advertised a window of 0 and no other for at least `stall_s`. If the connection
    /// was closed meanwhile and the peer never probed, it had nothing to send and nothing
    /// stalled.
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
        thresholds: { stall_s: 10.0 "seconds" "Time at window 0 from which on it is reported." },
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
    for role in Role::BOTH {
        let stall = history.side(role).tally.zero_window;
        if stall == Span::ZERO || stall < context.span("stall_s") {
            continue;
        }
        let still = history.side(role).window_closed;
        let probed = history.fact(FactKind::WindowProbe, role.peer());
        let closed = Role::BOTH.iter().any(|role| history.fin_of(*role).is_some());
        let over = closed || !history.is_open();
        if still.is_some() && over && probed.is_none() {
            continue;
        }
        let message = words!(
            context,
            "{} kept its window closed to {} for {}: its program did not read; look there for a \
             blocked thread, a long pause or a slow disk",
            who(history, role),
            history.addr(role.peer()),
            lasting(stall, still.is_some()),
        );
        let at = match (still, probed) {
            (_, Some(probe)) => probe.first,
            (Some(since), None) => Moment::silent(since),
            (None, None) => history.first,
        };
        let probes = probed.map_or(0, |fact| u64::from(fact.count));
        let finding =
            context.about(history, role, at, message).lasting(stall).going_on(still.is_some());
        out.push(finding.with("zero_window_s", stall).with("probes", probes));
    }
}
