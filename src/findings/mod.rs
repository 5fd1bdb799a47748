//! Findings: what a connection's history means to somebody who runs one of its ends.
//!
//! The engine states facts, this folder judges them. One finding is one file: its name, severity,
//! thresholds, explanation, check, and a trace that raises it beside one that only comes near. A
//! new finding is that file, a `mod` line in its folder and a line in [`ALL`]; the tests compare
//! folder and list, and run every trace.
//!
//! - [`finding`]: what a finding says. [`rule`](mod@rule): what every finding file declares.
//! - [`thresholds`]: the numbers a user may change. [`collector`]: findings over a whole capture.

pub mod capture;
pub mod closing;
pub mod collector;
pub mod finding;
pub mod living;
pub mod opening;
pub mod ports;
pub mod rule;
mod service;
pub mod thresholds;
mod waits;

pub use collector::{CaptureFacts, Collector, Counts, Summary};
pub use finding::{Finding, Severity, Value};
pub use rule::{Context, Grouping, Rule, Scope, Threshold};
pub use thresholds::{ThresholdError, Thresholds};

use crate::history::History;

/// Every finding, in the order of a connection's life.
pub const ALL: &[&Rule] = &[
    &opening::connection_refused::CONNECTION_REFUSED,
    &closing::close_wait_leak::CLOSE_WAIT_LEAK,
    &closing::long_close_wait::LONG_CLOSE_WAIT,
    &closing::fin_ack_skips_fin_wait_2::FIN_ACK_SKIPS_FIN_WAIT_2,
    &capture::duplicate_packets::DUPLICATE_PACKETS,
];

/// The finding of that name.
pub fn rule(name: &str) -> Option<&'static Rule> {
    ALL.iter().find(|rule| rule.name == name).copied()
}

/// The findings of one connection by itself, in the order of [`ALL`].
pub fn check(history: &History, thresholds: &Thresholds) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in ALL.iter().filter(|rule| thresholds.is_on(rule.name)) {
        if let Scope::PerConnection(check) = rule.scope {
            check(history, &Context::new(rule, thresholds), &mut found);
        }
    }
    found
}

#[cfg(test)]
mod tests;
