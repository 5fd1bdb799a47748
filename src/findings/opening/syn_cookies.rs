//! A server that answers SYNs and never asks again: SYN cookies, as it seems.

use crate::findings::kept::joined;
use crate::findings::rule::finding;
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::Keys;
use crate::findings::trend::Firsts;
use crate::findings::waits::{is_left_half_open, number};
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{Handshake, History, Role, Signs};

finding! {
    /// A server never repeated a SYN+ACK that nobody acknowledged: it seems to use SYN cookies.
    ///
    /// ## What it means
    ///
    /// A server that keeps a place for each handshake repeats its SYN+ACK when the third segment
    /// does not come. With SYN cookies it keeps none: all that it needs to know is in the sequence
    /// number of its SYN+ACK, which the client's ACK brings back. Linux sends cookies while a
    /// listener's queue is full, or always if told to. They let real clients in during a SYN flood.
    /// The price is window scale, SACK or Fast Open, where they could not be kept, and a client
    /// that waits in vain if its ACK is lost and the server should speak first.
    ///
    /// ## How it is inferred
    ///
    /// On at least `connections_min` connections of one service the server sent no more SYN+ACKs
    /// than the client sent SYNs, although nothing acknowledged them for `wait_s` or more, and it
    /// repeated none on any other such connection. Linux repeats after one second, others after
    /// three.
    ///
    /// ## When it is wrong
    ///
    /// `net.ipv4.tcp_synack_retries` of 0 looks the same, and so does a device in front of the
    /// server that completes handshakes itself. A server that is out of the capture's sight when
    /// it repeats cannot be told from one that does not. In a capture of nothing but SYNs, only
    /// those connections count whose client repeated its SYN.
    ///
    /// ## What to do
    ///
    /// `nstat -az TcpExtSyncookiesSent TcpExtListenOverflows` on the server tells. If it was not
    /// under attack, its queue is too short for its clients: see `net.core.somaxconn`, the backlog
    /// of `listen()`, and accept-queue-overflow.
    ///
    /// ## References
    ///
    /// RFC 4987 section 3.6; tcp(7), tcp_syncookies; RFC 9293 section 3.10.7.4
    pub SYN_COOKIES = {
        name: "syn-cookies",
        severity: Note,
        since: "0.1.0",
        thresholds: {
            connections_min: 3.0 "connections" "Handshakes without an ACK and without a repeat.",
            wait_s: 4.0 "seconds" "Time in which a server would have repeated its SYN+ACK.",
        },
        scope: Grouped(|| Box::new(Cookies::default())),
        looks_for: [Signs::handshake(Handshake::HalfOpen)],
        raises: "clients 4 1
                 0.0 > S  0:0(0)
                 0.1 < S. 0:0(0) ack 1
                 9.0 end",
        // It asks again.
        near_miss: "clients 4 1
                    0.0 > S  0:0(0)
                    0.1 < S. 0:0(0) ack 1
                    1.1 < S. 0:0(0) ack 1
                    9.0 end",
    }
}

/// What is counted for one service.
#[derive(Debug, Default)]
struct Answers {
    once: u64,
    again: u64,
    first: Firsts,
}

joined!(Answers { once, again, first });

#[derive(Default)]
struct Cookies(Parties<Answers>);

/// Of a server whose SYN+ACK got no answer for long enough: whether it repeated it.
fn left_alone(history: &History, context: &Context) -> Option<bool> {
    let is_left_alone = is_left_half_open(history) && !history.side(Role::Client).acked_syn;
    let [asked, answered] = Role::BOTH.map(|role| history.side(role).tally.syns);
    let is_again = answered > asked;
    let waited = history.until.since(history.side(Role::Server).last.ts);
    let is_known = is_again || waited >= context.span("wait_s");
    // Without a single ACK in the capture, only who asks again shows that it sent none.
    let is_shown = asked > u32::from(context.lacks_acks()) || is_again;
    (is_left_alone && asked > 0 && is_known && is_shown).then_some(is_again)
}

impl Grouping for Cookies {
    fn take(&mut self, history: &History, keys: &Keys, context: &Context) {
        let Some(is_again) = left_alone(history, context) else { return };
        let answers = self.0.entry(Party::of(keys, Role::Server));
        if is_again {
            answers.again += 1;
        } else {
            answers.once += 1;
        }
        answers.first.add(history.first, history.id);
        answers.first.goes_on(history.side(Role::Server).last.ts);
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn counts(&self, history: &History, _: Role, _: &Finding, context: &Context) -> bool {
        left_alone(history, context) == Some(false)
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for (party, Answers { once, again, first }) in self.0.drain() {
            if again > 0 || once < context.count("connections_min").max(1) {
                continue;
            }
            let message = format!(
                "{} got no ACK on {} and never repeated its SYN+ACK: consistent with SYN cookies",
                party.words(),
                number(once, "connection"),
            );
            out.push(first.finding(once, &party, context, message).with("connections", once));
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}
