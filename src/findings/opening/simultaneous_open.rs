//! Both ends opened at once.

use crate::findings::opening::split_handshake::is_split;
use crate::findings::rule::{finding, words};
use crate::findings::waits::who;
use crate::findings::{Context, Finding};
use crate::history::{Handshake, History, Role, Signs};

finding! {
    /// Both ends sent a SYN before they had the other's.
    ///
    /// ## What it means
    ///
    /// There is no client and no server here: both ends opened actively, on ports that each had
    /// chosen. Both go from SYN_SENT through SYN_RCVD to ESTABLISHED, and the result is one
    /// connection. Every TCP must support this. It rarely happens by accident; peer-to-peer
    /// programs do it on purpose to get through NAT.
    ///
    /// ## How it is inferred
    ///
    /// A SYN without ACK passed from each end. The one whose SYN came first is called the client.
    ///
    /// ## When it is wrong
    ///
    /// A split handshake, in which a host answers a SYN with an ACK and a SYN of its own, looks
    /// similar.
    ///
    /// ## What to do
    ///
    /// Nothing, if it is meant. A program that connects to a port in the ephemeral range on its own
    /// host can connect to itself this way: give listeners ports outside that range.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.5 (figure 7); RFC 5382 section 4.2
    pub SIMULTANEOUS_OPEN = {
        name: "simultaneous-open",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: PerConnection(check),
        looks_for: [Signs::handshake(Handshake::Simultaneous)],
        raises: "0.000 > S  0:0(0)
                 0.001 < S  0:0(0)
                 0.010 > S. 0:0(0) ack 1
                 0.011 < S. 0:0(0) ack 1",
        // One repeats its SYN, the other answers.
        near_miss: "0.0 > S  0:0(0)
                    1.0 > S  0:0(0)
                    1.1 < S. 0:0(0) ack 1
                    1.2 > .  1:1(0) ack 1",
    }
}

fn check(history: &History, context: &Context, out: &mut Vec<Finding>) {
    if history.handshake() == Handshake::Simultaneous && !is_split(history) {
        let message = words!(
            context,
            "{} and {} opened at the same time: each sent its SYN before it had the other's",
            who(history, Role::Client),
            who(history, Role::Server),
        );
        out.push(context.about(history, Role::Client, history.first, message));
    }
}
