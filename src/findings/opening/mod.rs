//! Findings about how connections open, or do not.

pub mod accept_queue_overflow;
pub mod connection_refused;
pub mod half_open_handshake;
pub mod simultaneous_open;
pub mod stale_syn;
pub mod syn_challenged;
pub mod syn_unanswered;
