//! A SYN that was answered with a SYN: the handshake split in two.

use crate::addr::EPHEMERAL_PORT_MIN;
use crate::findings::rule::{finding, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};

finding! {
    /// A SYN was answered with a SYN of its own, and the client sent the SYN+ACK.
    ///
    /// ## What it means
    ///
    /// In place of one SYN+ACK the server sent its SYN by itself, with or without an ACK before it,
    /// as if both had opened at once; the client's stack goes along and sends the SYN+ACK. To the
    /// letter of the standard, it is legal. A server may do it to confuse a firewall about who
    /// opened the connection, so that rules for incoming connections are not applied.
    ///
    /// ## How it is inferred
    ///
    /// Both ends sent a SYN; the client also sent a SYN+ACK, and the server never did. The client's
    /// port is one that kernels hand out: two ends that open at the same time have both chosen
    /// theirs, and if one SYN is then lost, one end sends no SYN+ACK either.
    ///
    /// ## When it is wrong
    ///
    /// Two ends that chose high ports, opened at the same time and lost a SYN look the same.
    ///
    /// ## What to do
    ///
    /// Look at the server: no ordinary stack does this. Test whether your firewall still takes it
    /// for the server.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.5 (figure 7); "The TCP Split Handshake", Beardsley and Qian, 2010
    pub SPLIT_HANDSHAKE = {
        name: "split-handshake",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::handshake(Handshake::Simultaneous)],
        raises: "0.000 > S  0:0(0)
                 0.010 < S  0:0(0)
                 0.020 > S. 0:0(0) ack 1
                 0.030 < .  1:1(0) ack 1",
        // Both opened at once: both send a SYN+ACK.
        near_miss: "0.000 > S  0:0(0)
                    0.001 < S  0:0(0)
                    0.010 > S. 0:0(0) ack 1
                    0.011 < S. 0:0(0) ack 1",
    }
}

/// Whether the client sent the only SYN+ACK although it had opened.
pub(super) fn is_split(history: &History) -> bool {
    let syns = |role| history.side(role).tally.syns;
    let [client, server] = Role::BOTH.map(syns);
    let answered = history.side(Role::Server).acked_syn
        && history.addr(Role::Client).port() >= EPHEMERAL_PORT_MIN;
    history.handshake() == Handshake::Simultaneous && server == 1 && client > 1 && answered
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    if !is_split(history) {
        return;
    }
    let message = words!(
        context,
        "{} answered the SYN of {} with a SYN of its own and let it send the SYN+ACK: a split \
         handshake, or a simultaneous open in which one SYN was lost",
        who(history, Role::Server),
        who(history, Role::Client),
    );
    out.push(context.about(history, Role::Server, history.first, message));
}
