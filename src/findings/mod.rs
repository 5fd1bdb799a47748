//! Findings: what a connection's history means to somebody who runs one of its ends.
//!
//! The engine states facts, this folder judges them. One finding is one file: its name, severity,
//! thresholds, explanation, check, and a trace that raises it beside one that only comes near. A
//! new finding is that file, a `mod` line in its folder and a line in [`ALL`]; the tests compare
//! folder and list, and run every trace.
//!
//! - [`finding`]: what a finding says. [`rule`](mod@rule): what every finding file declares.
//! - [`holders`]: who holds the sockets that a finding is about, where a host or the capture tells.
//! - [`timeouts`]: what a length of time is consistent with.
//! - `due`: which rules a connection may matter to.
//! - [`thresholds`]: the numbers a user may change. [`collector`]: findings over a whole capture.
//!   `kept`: counts in parts, and their bounds. [`suspects`]: rules that look twice. [`survey`]:
//!   the connections counted, for the overview.

pub mod capture;
pub mod closing;
pub mod collector;
mod due;
pub mod finding;
pub mod holders;
mod kept;
pub mod living;
pub mod opening;
mod passive;
pub mod ports;
mod release;
pub mod rule;
mod rush;
mod service;
pub mod survey;
pub mod suspects;
pub mod thresholds;
mod time_buckets;
pub mod timeouts;
mod trend;
mod waits;

pub use collector::{CaptureFacts, Collector, Counts, Summary, Suspicions};
pub use finding::{Finding, Severity, Value};
pub use rule::{AnyGrouping, Context, Grouping, Rule, Scope, Threshold};
pub use survey::Survey;
pub use thresholds::{ThresholdError, Thresholds};

use crate::history::History;

use due::Due;

/// Every finding, in the order of a connection's life.
pub const ALL: &[&Rule] = &[
    &opening::connection_refused::CONNECTION_REFUSED,
    &opening::syn_unanswered::SYN_UNANSWERED,
    &opening::half_open_handshake::HALF_OPEN_HANDSHAKE,
    &opening::accept_queue_overflow::ACCEPT_QUEUE_OVERFLOW,
    &opening::deferred_accept::DEFERRED_ACCEPT,
    &opening::syn_flood::SYN_FLOOD,
    &opening::syn_cookies::SYN_COOKIES,
    &opening::port_scan::PORT_SCAN,
    &opening::simultaneous_open::SIMULTANEOUS_OPEN,
    &opening::split_handshake::SPLIT_HANDSHAKE,
    &opening::fast_open::FAST_OPEN,
    &opening::stale_syn::STALE_SYN,
    &opening::syn_challenged::SYN_CHALLENGED,
    &opening::options_mismatch::OPTIONS_MISMATCH,
    &living::dead_peer::DEAD_PEER,
    &living::unacknowledged_data::UNACKNOWLEDGED_DATA,
    &living::silent_drop::SILENT_DROP,
    &living::peer_rebooted::PEER_REBOOTED,
    &living::retransmission_storm::RETRANSMISSION_STORM,
    &living::keepalive::KEEPALIVE,
    &living::idle_connection::IDLE_CONNECTION,
    &living::zero_window_stall::ZERO_WINDOW_STALL,
    &living::ignored_reset::IGNORED_RESET,
    &closing::close_wait_leak::CLOSE_WAIT_LEAK,
    &closing::long_close_wait::LONG_CLOSE_WAIT,
    &closing::close_wait_reset::CLOSE_WAIT_RESET,
    &closing::fin_wait_2_stuck::FIN_WAIT_2_STUCK,
    &closing::fin_unanswered::FIN_UNANSWERED,
    &closing::last_ack_stuck::LAST_ACK_STUCK,
    &closing::lost_last_ack::LOST_LAST_ACK,
    &closing::abortive_close::ABORTIVE_CLOSE,
    &closing::unread_data_reset::UNREAD_DATA_RESET,
    &closing::reset_after_fin::RESET_AFTER_FIN,
    &closing::keepalive_race::KEEPALIVE_RACE,
    &closing::idle_timeout::IDLE_TIMEOUT,
    &closing::orphan_reset::ORPHAN_RESET,
    &closing::data_after_fin::DATA_AFTER_FIN,
    &closing::half_close_data::HALF_CLOSE_DATA,
    &closing::health_check::HEALTH_CHECK,
    &closing::simultaneous_close::SIMULTANEOUS_CLOSE,
    &closing::fin_ack_skips_fin_wait_2::FIN_ACK_SKIPS_FIN_WAIT_2,
    &ports::time_wait_reuse::TIME_WAIT_REUSE,
    &ports::time_wait_refused::TIME_WAIT_REFUSED,
    &ports::time_wait_assassination::TIME_WAIT_ASSASSINATION,
    &ports::port_exhaustion::PORT_EXHAUSTION,
    &ports::time_wait_census::TIME_WAIT_CENSUS,
    &capture::capture_gap::CAPTURE_GAP,
    &capture::capture_drops::CAPTURE_DROPS,
    &capture::one_way_capture::ONE_WAY_CAPTURE,
    &capture::mid_stream_start::MID_STREAM_START,
    &capture::duplicate_packets::DUPLICATE_PACKETS,
    &capture::cut_headers::CUT_HEADERS,
    &capture::clock_step::CLOCK_STEP,
    &capture::checksum_offload::CHECKSUM_OFFLOAD,
];

/// The finding of that name.
pub fn rule(name: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.name == name).copied()
}

/// The findings of one connection by itself, in the order of [`ALL`].
pub fn check(history: &History, thresholds: &Thresholds) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in ALL {
        run(history, &Context::new(rule, thresholds), &mut found);
    }
    found
}

/// The worst finding of that name about one connection by itself.
fn worst_of(name: &str, history: &History, thresholds: &Thresholds) -> Option<Finding> {
    let mut found = Vec::new();
    run(history, &Context::new(rule(name)?, thresholds), &mut found);
    found.into_iter().min_by_key(Finding::order)
}

/// The rules about single connections that are on.
pub struct Sketcher<'a> {
    thresholds: &'a Thresholds,
    due: Due,
}

impl<'a> Sketcher<'a> {
    /// With these thresholds.
    pub fn new(thresholds: &'a Thresholds) -> Self {
        let is_own = |rule: &&Rule| matches!(rule.scope, Scope::PerConnection(_));
        let is_on = |rule: &&Rule| thresholds.is_on(rule.name);
        let own = ALL.iter().copied().filter(is_own).filter(is_on);
        Sketcher { thresholds, due: Due::of(own, thresholds) }
    }

    /// What [`check`] finds, in sketch: without words, frames and evidence. [`tell`] has them.
    pub fn sketch(&mut self, history: &History, found: &mut Vec<Finding>) {
        let before = found.len();
        for place in self.due.to(history.signs()) {
            if let Some(context) = self.due.context(place, self.thresholds)
                && let Scope::PerConnection(check) = context.rule().scope
            {
                check(history, &context.sketching(), found);
            }
        }
        debug_assert_eq!(
            check(history, self.thresholds).len(),
            found.len() - before,
            "all are due"
        );
    }
}

/// Tells findings in full, of which each is in sketch so far. `read` has the history of a number.
pub fn tell<'a>(
    sketches: &mut [Finding],
    thresholds: &Thresholds,
    mut read: impl FnMut(u64) -> Option<History> + 'a,
) {
    for at in 0..sketches.len() {
        let (before, rest) = sketches.split_at_mut(at);
        let Some(sketch) = rest.first_mut() else { return };
        let (Some(id), Some(rule)) = (sketch.connection, rule(sketch.name)) else { continue };
        let Some(history) = read(id) else { continue };
        let mut told = Vec::new();
        run(&history, &Context::new(rule, thresholds), &mut told);
        // Equals stand together, and in the order in which they were found.
        let alike = |other: &Finding| other.order() == sketch.order();
        let earlier = before.iter().rev().take_while(|other| alike(other)).count();
        if let Some(full) = told.into_iter().filter(alike).nth(earlier) {
            *sketch = full;
        }
    }
}

#[inline]
fn run(history: &History, context: &Context, found: &mut Vec<Finding>) {
    let rule = context.rule();
    let Scope::PerConnection(check) = rule.scope else { return };
    if rule.may_concern(history.signs()) {
        if context.is_on() {
            check(history, context, found);
        }
    } else if cfg!(debug_assertions) {
        let mut none = Vec::new();
        check(history, context, &mut none);
        debug_assert!(none.is_empty(), "{} looks for less than it finds", rule.name);
    }
}

#[cfg(test)]
mod tests;
