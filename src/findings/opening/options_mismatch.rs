//! SYN and SYN+ACK that do not agree on what the connection can do.

use crate::findings::kept::joined;
use crate::findings::rule::finding;
use crate::findings::service::{Parties, Party};
use crate::findings::suspects::{Keys, Suspects};
use crate::findings::trend::Firsts;
use crate::findings::waits::number;
use crate::findings::{CaptureFacts, Context, Finding, Grouping};
use crate::history::{History, Role, Side, Signs};

finding! {
    /// A server's SYN+ACK lacks options that the clients offered, or has some that they did not.
    ///
    /// ## What it means
    ///
    /// Window scale, SACK and timestamps are used only if both SYNs have them. Without window
    /// scale, no more than 64 KiB can be in flight at a time, which is slow on long paths; without
    /// SACK, losses cost more retransmissions; without timestamps, a port can be reused only after
    /// TIME_WAIT. An option in the SYN+ACK that was not in the SYN is not allowed: a device on the
    /// path took it out of the SYN.
    ///
    /// ## How it is inferred
    ///
    /// By comparing the options of the SYN and the SYN+ACK of each connection, per service.
    ///
    /// ## When it is wrong
    ///
    /// The observer may stand between the client and the device that changes the options, and so
    /// see what the server never saw.
    ///
    /// ## What to do
    ///
    /// Check `net.ipv4.tcp_window_scaling`, `tcp_sack` and `tcp_timestamps` on the server. If they
    /// are on, capture at the server too and compare the SYNs: some firewalls and load balancers
    /// take options out. SYN cookies drop the options that they cannot keep while a flood lasts.
    ///
    /// ## References
    ///
    /// RFC 7323 sections 2.2 and 3.2; RFC 2018 section 2; RFC 4987 section 3.6
    pub OPTIONS_MISMATCH = {
        name: "options-mismatch",
        severity: Note,
        since: "0.1.0",
        thresholds: {},
        scope: Grouped(|| Box::new(Mismatches::default())),
        looks_for: [Signs::BOTH_SYNS],
        raises: "0.00 > S  0:0(0) <mss 1460,sackOK,wscale 7>
                 0.01 < S. 0:0(0) ack 1 <mss 1460>
                 0.02 > .  1:1(0) ack 1",
        // Neither has timestamps.
        near_miss: "0.00 > S  0:0(0) <mss 1460,sackOK,wscale 7>
                    0.01 < S. 0:0(0) ack 1 <mss 1200,sackOK,wscale 2>
                    0.02 > .  1:1(0) ack 1",
    }
}

/// The options that both ends must have.
const NAMES: [&str; 3] = ["window scale", "SACK", "timestamps"];

/// What is counted for one service.
#[derive(Debug, Default)]
struct Answers {
    total: u64,
    differing: u64,
    /// For each option: offered and not answered, answered and not offered.
    lacking: [u64; 3],
    added: [u64; 3],
    first: Firsts,
}

joined!(Answers { total, differing, lacking, added, first });

#[derive(Default)]
struct Mismatches(Parties<Answers>);

fn options(side: &Side) -> [bool; 3] {
    [side.window_scale.is_some(), side.sack_permitted, side.timestamps]
}

/// What the SYN offered and what the SYN+ACK answered, if both were seen.
fn agreed(history: &History) -> Option<[[bool; 3]; 2]> {
    let sides = Role::BOTH.map(|role| history.side(role));
    sides.iter().all(|side| side.tally.syns > 0).then(|| sides.map(options))
}

impl Grouping for Mismatches {
    fn suspects(&self, _: &Context) -> Option<Suspects> {
        Some(Suspects::new(1, |suspects, keys| suspects.holds(keys.party(Role::Server))))
    }

    fn suspect(&mut self, history: &History, keys: &Keys, _: &Context, suspects: &mut Suspects) {
        let [client, server] = Role::BOTH.map(|role| options(history.side(role)));
        if client != server {
            suspects.count(keys.party(Role::Server));
        }
    }

    fn again(&mut self, history: &History, keys: &Keys, _: &Context, _: &Suspects) {
        let Some([offered, answered]) = agreed(history) else { return };
        let answers = self.0.entry(Party::of(keys, Role::Server));
        answers.total += 1;
        if offered == answered {
            return;
        }
        answers.differing += 1;
        answers.first.add(history.first, history.id);
        for (at, (offered, answered)) in offered.into_iter().zip(answered).enumerate() {
            if let (Some(lacking), Some(added)) =
                (answers.lacking.get_mut(at), answers.added.get_mut(at))
            {
                *lacking += u64::from(offered && !answered);
                *added += u64::from(answered && !offered);
            }
        }
    }

    fn join(&mut self, other: Self) {
        self.0.join(other.0);
    }

    fn counts(&self, history: &History, _: Role, _: &Finding, _: &Context) -> bool {
        agreed(history).is_some_and(|[offered, answered]| offered != answered)
    }

    fn finish(&mut self, _capture: &CaptureFacts, context: &Context, out: &mut Vec<Finding>) {
        for (party, answers) in self.0.drain() {
            if answers.differing > 0 {
                out.push(answers.finding(&party, context));
            }
        }
    }

    fn beyond(&self) -> u64 {
        self.0.beyond()
    }
}

impl Answers {
    fn finding(&self, party: &Party, context: &Context) -> Finding {
        let told = |counts: &[u64; 3]| {
            let some = NAMES.iter().zip(counts).filter(|(_, count)| **count > 0);
            some.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        let (lacking, added) = (told(&self.lacking), told(&self.added));
        let mut parts = Vec::new();
        if !lacking.is_empty() {
            parts.push(format!("without {lacking}, which the SYN offered"));
        }
        if !added.is_empty() {
            parts.push(format!("with {added}, which the SYN did not have"));
        }
        let message = format!(
            "{} answered {} of {} {}",
            party.words(),
            self.differing,
            number(self.total, "SYN"),
            parts.join(", and "),
        );
        let finding = self.first.finding(self.differing, party, context, message);
        finding
            .with("connections", self.differing)
            .with("total", self.total)
            .with("lacking", lacking.as_str())
            .with("added", added.as_str())
    }
}
