//! A second TCP stack as oracle: two smoltcp sockets talk over a simulated link, say at every step
//! which state they are in, and finwait, which sees the packets at one place of the link, is held
//! against that.
//!
//! The data's way: a [`scenario`] (what both applications and the network do) is played by a
//! [`world`] of two [`host`]s in virtual time. The result is a run: what passed the observer and
//! what the sockets say of themselves. [`witness`] gives the packets to finwait, [`facts`] turns
//! the sockets' transitions into facts and says when an observer can know each of them, [`judge`]
//! says which states a claim may have at a moment, and [`score`] counts. [`show`] writes a run in
//! the trace notation of finwait's own tests. [`strategy`] makes scenarios at random, [`cases`] are
//! those that once failed, and those that are worth a name. [`page`] is the score for the docs.
//!
//! Nothing here reads a clock or a random source: a scenario gives the same run every time, so
//! that a failure shrinks, and what it shrinks to can be kept as a named case.

pub mod cases;
pub mod facts;
pub mod host;
pub mod judge;
pub mod page;
pub mod scenario;
pub mod score;
pub mod show;
pub mod strategy;
pub mod witness;
pub mod world;

/// Virtual time in microseconds from the beginning of a run.
pub type Micros = u64;

/// Later than everything.
pub const NEVER: Micros = Micros::MAX;
