//! A late FIN or late data answered with RST: the socket had gone meanwhile.

use crate::findings::closing::keepalive_race::raced;
use crate::findings::closing::reset_after_fin::{Needless, answers_fin, late_reset, needless};
use crate::findings::living::dead_peer::died_probing;
use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{FINS, RESETS, number, who};
use crate::findings::{Context, Finding};
use crate::history::{History, Role};

finding! {
    /// A late FIN or late data was answered with RST: the other end's socket was gone by then.
    ///
    /// ## What it means
    ///
    /// After `close()` a socket in FIN_WAIT_2 belongs to no program any more; it is an orphan,
    /// and Linux frees it after `tcp_fin_timeout`, 60 seconds by default, in silence. If the
    /// peer's program closes later, its FIN finds no socket and is answered with RST. It is how
    /// a long CLOSE_WAIT usually ends, and does no harm. Nor does a RST to what nobody misses: the
    /// farewell of TLS (close_notify), by which the peer answers the FIN, or an error page for a
    /// client that connected in advance and closed without a request.
    ///
    /// ## How it is inferred
    ///
    /// A RST came from an end in FIN_WAIT_1 or FIN_WAIT_2: after the peer's FIN, where no data had
    /// come since its own, or more than `orphan_s` after its own. When the socket went away,
    /// between the last sign of it and the RST, does not show. Or sooner, to data of the peer: of a
    /// server that had sent nothing before, when the client had sent no byte either; or of a
    /// close_notify's size, 23, 24 or 31 bytes, within a second of the FIN, where the client had
    /// sent 100 bytes and the server 1,000, as a TLS handshake takes.
    ///
    /// ## When it is wrong
    ///
    /// A firewall that forgot the connection may send the RST in that end's name. finwait does not
    /// look at payload: last words or a request of just those sizes look like a close_notify.
    ///
    /// ## What to do
    ///
    /// Find out why the peer closed so late: see long-close-wait.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.10.7.1; RFC 8446 section 6.1; tcp(7), tcp_fin_timeout
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
            "0.1 > P. 1:101(100) ack 1
             0.1 > F. 101:101(0) ack 1
             0.2 < .  1:1(0) ack 102
             0.5 < P. 1:51(50) ack 102
             0.6 > R  102:102(0)"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    for role in Role::BOTH {
        let Some((reset, waited)) = late_reset(history, role) else { continue };
        let peer = role.peer();
        let is_late = waited >= context.span("orphan_s") || answers_fin(history, role, reset);
        let is_race = role == Role::Server && raced(history).is_some();
        let needless = match is_late || died_probing(history, role) {
            true => None,
            false => needless(history, role, reset),
        };
        if is_race || (!is_late && needless.is_none()) {
            continue;
        }
        let bytes = history.side(peer).tally.after_peer_fin;
        let message = match needless {
            None => words!(
                context,
                "{} answered {} with a RST {waited} after its own FIN: its socket was gone by then",
                who(history, role),
                history.addr(peer),
            ),
            Some(Needless::Unasked) => words!(
                context,
                "{} answered {} with a RST {waited} after its own FIN: it had asked for nothing, \
                 so nothing was lost",
                who(history, role),
                history.addr(peer),
            ),
            Some(Needless::Farewell) => words!(
                context,
                "{} answered {} from {} with a RST {waited} after its own FIN: they look like a \
                 TLS close_notify, which nobody misses",
                who(history, role),
                number(bytes, "byte"),
                history.addr(peer),
            ),
        };
        let finding = context.about(history, role, reset.at, message).lasting(waited);
        out.push(finding.with("from", reset.from.name()));
    }
}
