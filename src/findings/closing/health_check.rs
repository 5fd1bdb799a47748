//! A connection that was opened, said nothing and was closed at once.

use crate::findings::rule::{finding, opened, words};
use crate::findings::waits::{is_fin_unseen, rst_of, who};
use crate::findings::{Context, Finding};
use crate::history::{ClosedFirst, Handshake, History, Role, Signs};

finding! {
    /// A client connected, sent nothing and closed at once: a health check.
    ///
    /// ## What it means
    ///
    /// Load balancers and monitors ask whether anything listens on a port, and no more. This is
    /// nobody's fault. It is named so that these connections are not taken for lost requests, nor
    /// their RST for an abort.
    ///
    /// ## How it is inferred
    ///
    /// The server accepted (its SYN+ACK passed), no payload passed in either direction, and the
    /// client ended it, by FIN or by RST, and both sides were closed within `check_s`.
    ///
    /// ## When it is wrong
    ///
    /// A port scan that finds an open port looks the same; see port-scan. So does a client that
    /// opens a connection in advance and then changes its mind.
    ///
    /// ## What to do
    ///
    /// Nothing. To keep them out of a capture, filter out the checker's address.
    ///
    /// ## References
    ///
    /// RFC 9293 sections 3.5 and 3.6
    pub HEALTH_CHECK = {
        name: "health-check",
        severity: Note,
        since: "0.1.0",
        thresholds: { check_s: 1.0 "seconds" "Time from the first segment to the last." },
        scope: PerConnection(check),
        looks_for: [
            Signs::NO_DATA,
            Signs::handshake(Handshake::Complete).or(Signs::handshake(Handshake::HalfOpen)),
        ],
        raises: opened!(
            "0.02 > F. 1:1(0) ack 1
             0.03 < F. 1:1(0) ack 2
             0.04 > .  2:2(0) ack 2"
        ),
        // The server refuses it at once.
        near_miss: opened!(
            "0.02 < F. 1:1(0) ack 1
             0.03 > F. 1:1(0) ack 2
             0.04 < .  2:2(0) ack 2"
        ),
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    let Some(how) = health_check(history, context) else { return };
    let length = history.duration();
    let message = words!(
        context,
        "{} connected to {}, sent nothing and closed with a {how}, all within {length}: a health \
         check",
        who(history, Role::Client),
        who(history, Role::Server),
    );
    let finding = context.about(history, Role::Client, history.first, message).lasting(length);
    out.push(finding.with("closed_by", how));
}

/// How the client of a health check ended it, if the connection is one.
pub(in crate::findings) fn health_check(
    history: &History,
    context: &Context,
) -> Option<&'static str> {
    let how = closed_by_client(history)?;
    let bytes: u64 = history.sides.iter().map(|side| side.tally.bytes).sum();
    let is_soon = history.duration() <= context.span("check_s");
    // What was acknowledged and not captured is payload too, unless it is the FIN.
    let missing = |role| history.side(role).tally.missing > u64::from(is_fin_unseen(history, role));
    let is_silent = bytes == 0 && !Role::BOTH.into_iter().any(missing);
    (is_silent && !history.is_open() && is_soon).then_some(how)
}

/// How the client ended what the server had accepted.
fn closed_by_client(history: &History) -> Option<&'static str> {
    let accepted = history.side(Role::Server).acked_syn;
    let opened = matches!(history.handshake(), Handshake::Complete | Handshake::HalfOpen);
    if !accepted || !opened {
        return None;
    }
    if history.closed_first() == Some(ClosedFirst::Client) && history.fin_of(Role::Client).is_some()
    {
        return Some("FIN");
    }
    let is_silent = history.fin_of(Role::Server).is_none();
    (is_silent && rst_of(history, Role::Client).is_some()).then_some("RST")
}
