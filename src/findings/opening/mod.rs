//! Findings about how connections open, or do not.

pub mod accept_queue_overflow;
pub mod connection_refused;
pub mod deferred_accept;
pub mod fast_open;
pub mod half_open_handshake;
pub mod options_mismatch;
pub mod port_scan;
pub mod simultaneous_open;
pub mod split_handshake;
pub mod stale_syn;
pub mod syn_challenged;
pub mod syn_cookies;
pub mod syn_flood;
pub mod syn_unanswered;
