//! The capture began when the connection was open.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};
use crate::infer::RolesFrom;

finding! {
    /// The capture does not hold the beginning of the connection.
    ///
    /// ## What it means
    ///
    /// The connection was already open when the capture began, or its SYN was not captured. Both
    /// ends are assumed to be ESTABLISHED until their segments show more; either may have closed
    /// its direction before that. Window scale and MSS are announced only in SYNs, so windows are
    /// not known, and which end is the client is guessed from the ports.
    ///
    /// ## How it is inferred
    ///
    /// The first segment is not a SYN, and no part of a handshake passed.
    ///
    /// ## When it is wrong
    ///
    /// A scan that begins with segments other than SYNs opens no connection at all.
    ///
    /// ## What to do
    ///
    /// Start the capture before the connections, if the beginning matters.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.3.2; RFC 7323 section 2.2
    pub MID_STREAM_START = {
        name: "mid-stream-start",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::handshake(Handshake::NotCaptured)],
        raises: "0.0 > P. 1:101(100) ack 1
                 0.1 < P. 1:51(50) ack 101",
        near_miss: opened!("0.1 > P. 1:101(100) ack 1"),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let began = history.roles_from == RolesFrom::Syn;
    if history.handshake() == Handshake::NotCaptured && !began {
        let message = words!(
            context,
            "the connection from {} to {} was open before its first captured segment: how it \
             opened is not known",
            who(history, Role::Client),
            who(history, Role::Server),
        );
        let mut finding = context.about(history, Role::Client, history.first, message);
        (finding.role, finding.host) = (None, None);
        out.push(finding.with("roles_from", history.roles_from.name()));
    }
}
