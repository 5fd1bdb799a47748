//! finwait reads packet captures and testifies which RFC 9293 state each of a TCP connection's two
//! endpoints was in, when, and how it knows.
//!
//! The data goes one way, and so do the imports:
//!
//! ```text
//! bytes ─ capture ─▶ packets ─ decode ─▶ segments ─ flow ─▶ four-tuples ─ infer ─▶ states
//!       ─ history ─▶ finished connections ─ findings ─▶ judgements ─ report ─▶ text, JSON
//! ```
//!
//! [`pipeline`] is the way from packets to histories on one page; [`run`] is a whole run, from file
//! names to everything that is known:
//!
//! ```
//! use finwait::history::Role;
//! use finwait::run::{Options, read};
//!
//! let analysis = read(&["testdata/kernel/demo/server.pcap"], &Options::default(), &mut ())?;
//! for history in analysis.archive.iter() {
//!     println!("{}: server is {}", history.tuple, history.last_state(Role::Server));
//! }
//! assert!(analysis.findings.findings.error > 0);
//! # Ok::<(), finwait::capture::Error>(())
//! ```
//!
//! [`capture`] is the only part that does I/O; [`infer`] takes time as an argument and cannot fail;
//! [`findings`] alone judges; every bound on memory or time that grows with the input is in
//! [`limits`]. The command line needs the feature `cli`, which is on by default.

pub mod addr;
pub mod capture;
#[cfg(feature = "cli")]
pub mod cli;
pub mod decode;
pub mod extract;
pub mod findings;
pub mod flow;
mod grouped;
pub mod history;
pub mod infer;
pub mod limits;
pub mod notes;
pub mod owner;
mod parallel;
pub mod pipeline;
pub mod report;
pub mod rfc;
pub mod run;
pub mod seq;
mod slab;
pub mod sockets;
#[cfg(test)]
pub mod testkit;
pub mod time;
