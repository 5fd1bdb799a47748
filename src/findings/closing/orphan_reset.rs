//! A late FIN or late data answered with RST: the socket had gone meanwhile.

use crate::findings::closing::keepalive_race::raced;
use crate::findings::closing::reset_after_fin::{answers_fin, late_reset};
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{FINS, RESETS, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role};

finding! {
    /// A late FIN or late data was answered with RST: the other end's socket was gone by then.
    ///
    /// ## What it means
    ///
    /// After `close()`, a socket in FIN_WAIT_2 no longer belongs to any program: it is an orphan,
    /// and Linux silently frees it after `tcp_fin_timeout`, 60 seconds by default. If the peer's
    /// program closes later, its FIN finds no socket and is answered with a RST. This is how a long
    /// CLOSE_WAIT usually ends, and it does no harm.
    ///
    /// ## How it is inferred
    ///
    /// A RST came from an end in FIN_WAIT_1 or FIN_WAIT_2: either after the peer's FIN, with no
    /// data since its own FIN, or more than `orphan_s` after its own. When the socket went away,
    /// between its last sign and the RST, does not show.
    ///
    /// ## When it is wrong
    ///
    /// A firewall that forgot the connection may send the RST in that end's name.
    ///
    /// ## What to do
    ///
    /// Find out why the peer closed so late: see long-close-wait.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.10.7.1; tcp(7), tcp_fin_timeout
    pub ORPHAN_RESET = {
        name: "orphan-reset",
        severity: Note,
        since: "0.1.0",
        thresholds: {
            orphan_s: 30.0 "seconds" "Time after the FIN after which the socket was gone.",
        },
        scope: PerConnection(check),
        looks_for: [FINS, RESETS],
        raises: opened!(
            "1.0 > F. 1:1(0) ack 1
             1.1 < .  1:1(0) ack 2
             99. < F. 1:1(0) ack 2
             +.1 > R  2:2(0)"
        ),
        // Data right after the FIN is refused: reset-after-fin.
        near_miss: opened!(
            "0.1 > F. 1:1(0) ack 1
             0.2 < .  1:1(0) ack 2
             0.5 < P. 1:51(50) ack 2
             0.6 > R  2:2(0)"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some((reset, waited)) = late_reset(history, role) else { continue };
        let peer = role.peer();
        let is_late = waited >= context.span("orphan_s") || answers_fin(history, role, reset);
        let is_race = role == Role::Server && raced(history).is_some();
        if is_race || !is_late {
            continue;
        }
        let message = words!(
            context,
            "{} answered {} with a RST {waited} after its own FIN: its socket was gone by then",
            who(history, role),
            history.addr(peer),
        );
        let finding = context.about(history, role, reset.at, message).lasting(waited);
        out.push(finding.with("from", reset.from.name()));
    }
}
