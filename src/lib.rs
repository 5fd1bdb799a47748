//! finwait reads packet captures and testifies which RFC 9293 state each of a TCP connection's two
//! endpoints was in, when, and how it knows.

pub mod capture;
pub mod decode;
pub mod findings;
pub mod flow;
pub mod history;
pub mod infer;
pub mod limits;
pub mod pipeline;
pub mod rfc;
pub mod seq;
#[cfg(test)]
pub mod testkit;
pub mod time;
