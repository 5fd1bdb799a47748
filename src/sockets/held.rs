//! Who holds the sockets in CLOSE_WAIT on one side of a service, and what their queues say.

use core::fmt;
use std::collections::BTreeMap;

use super::{Holders, Row};
use crate::addr::{Addr, HostPort};
use crate::history::Role;
use crate::infer::state::State;
use crate::owner::Owner;

/// One side of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The side.
    pub role: Role,
    /// The host of that side.
    pub host: Addr,
    /// The service.
    pub service: HostPort,
}

/// What hosts say of the sockets in CLOSE_WAIT there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// How many there are.
    pub sockets: u64,
    /// Who holds how many, by program and process.
    pub by_process: BTreeMap<(Option<Box<str>>, Option<u32>), Descriptors>,
    /// Sockets that several processes hold.
    pub shared: u64,
    /// Sockets that nobody has accepted.
    pub unaccepted: u64,
    /// Sockets of which it is not known whether nobody has accepted them, or nobody was shown.
    pub unshown: u64,
    /// Sockets with data that the program has not read.
    pub unread: u64,
}

/// The descriptors of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptors {
    /// How many sockets they are of.
    pub sockets: u64,
    /// The lowest and the highest, where they are known.
    pub range: Option<(u32, u32)>,
}

impl Held {
    /// Counts a socket, of whose port so many connections wait to be accepted.
    pub fn add(&mut self, row: &Row, waiting: u64) {
        if row.state != Some(State::CloseWait) {
            return;
        }
        self.sockets += 1;
        self.unread += u64::from(row.unread().is_some_and(|bytes| bytes > 0));
        self.shared += u64::from(row.is_shared());
        self.unaccepted += u64::from(row.is_unaccepted(waiting) == Some(true));
        self.unshown += u64::from(row.is_unaccepted(waiting).is_none());
        self.name(row.holders.named());
    }

    /// Counts a socket of which nothing but its holders is known.
    pub fn add_owners(&mut self, owners: &[Owner]) {
        self.sockets += 1;
        self.name(owners);
    }

    fn name(&mut self, owners: &[Owner]) {
        for owner in owners {
            let process = (owner.program.clone(), owner.pid);
            let descriptors = self.by_process.entry(process).or_default();
            descriptors.sockets += 1;
            if let Some(fd) = owner.fd {
                let (low, high) = descriptors.range.unwrap_or((fd, fd));
                descriptors.range = Some((low.min(fd), high.max(fd)));
            }
        }
    }
}

impl Row {
    /// Whether more than one process holds it.
    pub fn is_shared(&self) -> bool {
        let owners = self.holders.named();
        owners.iter().any(|owner| owner.pid != owners.first().and_then(|first| first.pid))
    }

    /// Whether it is open, but nobody has accepted it yet; `None` where that is possible and not
    /// known. On its port so many connections wait to be accepted.
    pub fn is_unaccepted(&self, waiting: u64) -> Option<bool> {
        // In other states a kernel keeps sockets that their program has closed.
        if !matches!(self.state, Some(State::Established | State::CloseWait)) {
            return Some(false);
        }
        match self.holders {
            Holders::Nobody => Some(true),
            Holders::NotShown if waiting > 0 => Some(true),
            Holders::NotShown => None,
            Holders::NotTold | Holders::These(_) => Some(false),
        }
    }

    /// Bytes of data that the program has not read, where the table tells. Linux counts the FIN as
    /// one byte more.
    pub fn unread(&self) -> Option<u64> {
        let is_closed = matches!(self.state, Some(State::CloseWait | State::LastAck));
        let fin = u64::from(is_closed && self.dialect.counts_fin());
        self.recv_q.map(|bytes| bytes.saturating_sub(fin))
    }

    /// Who holds it, and what its queue says of the program; empty where nothing is told. On its
    /// port so many connections wait to be accepted.
    pub fn words(&self, waiting: u64) -> String {
        let parts = [self.holders_in_words(waiting), self.queue_in_words(waiting)];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("; ")
    }

    fn holders_in_words(&self, waiting: u64) -> String {
        const SHOWN_MAX: usize = 4;
        let owners = self.holders.named();
        let shown: Vec<String> = owners.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
        let more = match owners.len().saturating_sub(SHOWN_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        match self.is_unaccepted(waiting) {
            Some(true) => "held by no process, as nobody has accepted it".to_string(),
            None => "no process is shown: nobody has accepted it, or the table was taken without \
                     the right to see its holder"
                .to_string(),
            Some(false) if owners.is_empty() => String::new(),
            Some(false) if self.is_shared() => format!(
                "held by {}{more}: it is closed only when all of them have closed it",
                shown.join(", ")
            ),
            Some(false) => format!("held by {}{more}", shown.join(", ")),
        }
    }

    fn queue_in_words(&self, waiting: u64) -> String {
        if self.state != Some(State::CloseWait) || self.is_unaccepted(waiting) != Some(false) {
            return String::new();
        }
        match (self.unread(), self.recv_q) {
            (None, _) => String::new(),
            (Some(0), Some(0)) if !self.dialect.counts_fin() => String::new(),
            (Some(0), Some(0)) => "the program has read to the end of the stream".to_string(),
            (Some(0), _) => "the program has not read the end of the stream".to_string(),
            (Some(bytes), _) => {
                format!("{bytes} bytes unread: the program stopped reading before the FIN")
            }
        }
    }
}

/// `held by leaky (pid 4711, 3 sockets, fds 24 to 26); 1 shared by several processes`.
impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 3;
        let mut processes: Vec<_> = self.by_process.iter().collect();
        processes.sort_by_key(|(_, descriptors)| core::cmp::Reverse(descriptors.sockets));
        let mut parts = Vec::new();
        if !processes.is_empty() {
            let shown = processes.iter().take(SHOWN_MAX);
            let mut shown: Vec<String> = shown.map(|(who, what)| process(who, what)).collect();
            if let Some(more @ 1..) = processes.len().checked_sub(SHOWN_MAX) {
                shown.push(format!("{more} more"));
            }
            parts.push(format!("held by {}", shown.join(", ")));
        }
        let counted = [
            (self.shared, "shared by several processes"),
            (self.unaccepted, "not yet accepted by any process"),
            (self.unshown, "with no process shown"),
            (self.unread, "with data that the program has not read"),
        ];
        let counted = counted.iter().filter(|(count, _)| *count > 0);
        parts.extend(counted.map(|(count, what)| format!("{count} {what}")));
        f.write_str(&parts.join("; "))
    }
}

/// `leaky (pid 4711, 3 sockets, fds 24 to 26)`.
fn process((program, pid): &(Option<Box<str>>, Option<u32>), what: &Descriptors) -> String {
    let sockets = if what.sockets == 1 { "socket" } else { "sockets" };
    let parts = [
        pid.map(|pid| format!("pid {pid}")),
        Some(format!("{} {sockets}", what.sockets)),
        what.range.map(|(low, high)| match low == high {
            true => format!("fd {low}"),
            false => format!("fds {low} to {high}"),
        }),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{} ({})", program.as_deref().unwrap_or("a process"), parts.join(", "))
}
