//! What is counted of the connections of one side of a service whose peers close first, and of
//! those that this side then leaves in CLOSE_WAIT.

use core::cmp::Reverse;
use std::collections::BTreeSet;

use crate::findings::kept::{joined, keep_least, keep_most};
use crate::findings::release::Releases;
use crate::findings::trend::{Ages, Hosts, Stretch};
use crate::findings::waits::{Wait, idle_before_close};
use crate::history::{History, Role};
use crate::infer::state::Basis;
use crate::limits::FINDING_FRAMES_MAX;
use crate::time::{Span, Timestamp};

/// The longest waits, with connection and frame.
type Worst = BTreeSet<(Reverse<Span>, u64, u64)>;

/// The counts of one side of a service.
#[derive(Debug, Default)]
pub(super) struct Passive {
    /// All connections but health checks.
    pub total: u64,
    /// This side closed them.
    pub closed: u64,
    /// The peer closed first.
    pub left: u64,
    /// Who did.
    pub leavers: Hosts,
    /// They waited too long, and this side did not close them.
    pub stuck: u64,
    /// In CLOSE_WAIT at the end, not for long enough yet.
    pub young: u64,
    /// Those stuck that are known to have come into CLOSE_WAIT.
    pub confirmed: u64,
    /// Those stuck of which nothing but an assumption says so.
    pub assumed: u64,
    /// Still stuck when the record ended.
    pub ongoing: u64,
    /// This side never sent a byte on them.
    pub mute: u64,
    /// Those that the peer closed after a silence, and its bounds.
    pub idle: u64,
    pub idle_least: Option<Span>,
    pub idle_most: Span,
    /// When those that are stuck, and the young ones, came into CLOSE_WAIT.
    pub entered: Stretch,
    /// The longest stay.
    pub longest: Span,
    /// The longest of those that are still stuck, and of those that their peer ended.
    pub longest_ongoing: Span,
    pub longest_ended: Span,
    /// The shortest stay.
    pub shortest: Option<Span>,
    /// All stays of those that are stuck.
    pub ages: Ages,
    /// The peers of those that are stuck.
    pub peers: Hosts,
    /// The longest waits, with connection and frame.
    pub worst: Worst,
    /// Those that were stuck and that this side closed in the end.
    pub released: Releases,
}

impl Passive {
    /// One more that is stuck.
    pub fn add(&mut self, history: &History, role: Role, wait: &Wait) {
        let entered = wait.stay.entered;
        let dwell = wait.stay.dwell;
        self.stuck += 1;
        self.confirmed += u64::from(!entered.is_open());
        self.assumed += u64::from(entered.basis == Basis::Assumed);
        self.ongoing += u64::from(wait.goes_on());
        self.mute += u64::from(history.side(role).tally.bytes == 0);
        if let Some(idle) = idle_before_close(history, role.peer()) {
            self.idle += 1;
            keep_least(&mut self.idle_least, &Some(idle));
            keep_most(&mut self.idle_most, &idle);
        }
        self.entered.add(entered.at.ts);
        keep_most(&mut self.longest, &dwell);
        if wait.goes_on() {
            keep_most(&mut self.longest_ongoing, &dwell);
        } else {
            keep_most(&mut self.longest_ended, &dwell);
        }
        keep_least(&mut self.shortest, &Some(dwell));
        self.ages.add(dwell);
        self.peers.add(history.addr(role.peer()).ip());
        self.worst.insert((Reverse(dwell), history.id, entered.at.frame));
        if self.worst.len() > FINDING_FRAMES_MAX {
            self.worst.pop_last();
        }
    }

    /// One more that waits, and not for so long that it is stuck.
    pub fn add_young(&mut self, at: Timestamp) {
        self.young += 1;
        self.entered.add(at);
    }
}

joined!(Passive {
    total,
    closed,
    left,
    leavers,
    stuck,
    young,
    confirmed,
    assumed,
    ongoing,
    mute,
    idle,
    idle_least: keep_least,
    idle_most: keep_most,
    entered,
    longest: keep_most,
    longest_ongoing: keep_most,
    longest_ended: keep_most,
    shortest: keep_least,
    ages,
    peers,
    worst: join_worst,
    released
});

fn join_worst(own: &mut Worst, more: &Worst) {
    own.extend(more);
    while own.len() > FINDING_FRAMES_MAX {
        own.pop_last();
    }
}
