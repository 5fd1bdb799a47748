//! A SYN answered with RST: nobody listens there.

use crate::findings::rule::{finding, words};
use crate::findings::waits::{number, who};
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};
use crate::infer::fact::FactKind;
use crate::infer::trail::Moment;

finding! {
    /// A client's SYN was answered with RST.
    ///
    /// ## What it means
    ///
    /// The host is up but no program listens on that port, so its kernel refuses. The client sees
    /// `ECONNREFUSED` at once, without waiting for a timeout. The server never had a socket: it
    /// goes through no state at all.
    ///
    /// ## How it is inferred
    ///
    /// In SYN_SENT a RST counts if it acknowledges the SYN. One that does not is not taken for a
    /// refusal.
    ///
    /// ## When it is wrong
    ///
    /// A firewall may send the RST in the server's name (`REJECT --reject-with tcp-reset`), and a
    /// Linux listener with `tcp_abort_on_overflow` set refuses when its accept queue is full. A
    /// scan is refused on purpose.
    ///
    /// ## What to do
    ///
    /// Check whether the program runs and on which address it listens (`ss -tlnp`): if it is bound
    /// to 127.0.0.1, everybody else is refused. If it refuses only for moments, it is being
    /// restarted, and the client should try again.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.5.2 and 3.10.7.3
    pub CONNECTION_REFUSED = {
        name: "connection-refused",
        severity: Warning,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::handshake(Handshake::Refused)],
        raises: "0.0 > S  0:0(0)
                 0.1 < R. 0:0(0) ack 1",
        // A RST that acknowledges something else refuses nothing.
        near_miss: "0.0 > S  0:0(0)
                    0.1 < R. 0:0(0) ack 900
                    0.2 < S. 0:0(0) ack 1
                    0.3 > .  1:1(0) ack 1",
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    if history.handshake() != Handshake::Refused {
        return;
    }
    let refused = history.fact(FactKind::Refused, Role::Server).map(|fact| fact.first);
    let at: Moment = refused.unwrap_or(history.last);
    let syns = u64::from(history.side(Role::Client).tally.syns);
    let message = words!(
        context,
        "{} refused {} with a RST {} after its SYN: no program listens on that port",
        who(history, Role::Server),
        who(history, Role::Client),
        at.ts.since(history.first.ts),
    );
    let message =
        if syns > 1 { words!(context, "{message} ({})", number(syns, "SYN")) } else { message };
    out.push(context.about(history, Role::Server, at, message).with("syns", syns));
}
