//! For tests only: captures written as text, and a check that runs them.

mod check;
mod trace;

pub use check::{check, connections, findings, history, recorded, summary};
pub use trace::Trace;
