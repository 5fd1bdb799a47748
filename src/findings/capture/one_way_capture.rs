//! Connections of which one direction is missing.

use crate::findings::kept::Join;
use crate::findings::rule::finding;
use crate::findings::suspects::Keys;
use crate::findings::trend::Firsts;
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{History, Role, Signs};

finding! {
    /// The capture holds only one direction of some connections.
    ///
    /// ## What it means
    ///
    /// One end is heard acknowledging what the other sent, but the other is never heard. The two
    /// directions take different routes, or the mirror port copies only one of them. The states of
    /// the unheard end follow from the acknowledgements of the heard one, and are inferred at best;
    /// it cannot be said that it did not answer.
    ///
    /// ## How it is inferred
    ///
    /// No segment from one end passed, while the other sent segments that only an end with answers
    /// sends: an ACK of a SYN, or acknowledgements that advance. At least `share_min` percent of
    /// all connections must be like this.
    ///
    /// ## When it is wrong
    ///
    /// Answers to segments with forged addresses (backscatter), and scans that send bare ACKs,
    /// naturally have only one direction.
    ///
    /// ## What to do
    ///
    /// Capture on one of the two hosts, or mirror both directions of the port.
    ///
    /// ## References
    ///
    /// RFC 9293 section 3.3.2
    pub ONE_WAY_CAPTURE = {
        name: "one-way-capture",
        severity: Warning,
        since: "0.1.0",
        thresholds: {
            share_min: 10.0 "percent" "Share of all connections that is reported.",
        },
        scope: Grouped(|| Box::new(OneWay::default())),
        looks_for: [Signs::ONE_WAY],
        raises: "0.0 > S  0:0(0)
                 0.1 > .  1:1(0) ack 1
                 0.2 > P. 1:101(100) ack 1
                 0.3 > .  101:101(0) ack 501",
        // Nobody answers: not a matter of the capture.
        near_miss: "0.0 > S 0:0(0)
                    1.0 > S 0:0(0)
                    3.0 > S 0:0(0)
                    9.0 end",
    }
}

#[derive(Default)]
struct OneWay {
    /// By the end that is heard.
    heard: [u64; 2],
    /// First segments of the first ones, with connection.
    first: Firsts,
}

impl Grouping for OneWay {
    fn take(&mut self, history: &History, _: &Keys, _: &Context) {
        let Some(role) = only_heard(history) else { return };
        let [client, server] = &mut self.heard;
        match role {
            Role::Client => *client += 1,
            Role::Server => *server += 1,
        }
        self.first.add(history.first, history.id);
    }

    fn join(&mut self, other: Self) {
        let OneWay { heard, first } = other;
        self.heard.join(&heard);
        self.first.join(&first);
    }

    fn counts(&self, history: &History, role: Role, _: &Finding, _: &Context) -> bool {
        only_heard(history) == Some(role)
    }

    fn finish(&mut self, capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        let [client, server] = self.heard;
        let (count, total) = (client + server, capture.connections);
        if count == 0 || (count as f64) * 100.0 < context.value("share_min") * total as f64 {
            return;
        }
        let message = format!(
            "only one direction of {} out of {} was captured ({client} the client's, {server} the \
             server's): the other end's states are inferred",
            number(count, "connection"),
            total,
        );
        let mut finding = self.first.of_capture(context, message);
        finding.connection = self.first.only(count);
        out.push(
            finding.with("client_only", client).with("server_only", server).with("total", total),
        );
    }
}

/// The only end that is heard, if what it sends shows that the other answers.
fn only_heard(history: &History) -> Option<Role> {
    let heard = |role: Role| history.side(role).tally.segments > 0;
    let role = Role::BOTH.into_iter().find(|role| heard(*role) && !heard(role.peer()))?;
    let side = history.side(role);
    let answered = side.acked_syn && side.tally.segments > u64::from(side.tally.syns);
    let moves = history.side(role.peer()).tally.missing > 0;
    (answered || moves).then_some(role)
}
