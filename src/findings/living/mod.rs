//! Findings about open connections.

pub mod dead_peer;
pub mod idle_connection;
pub mod ignored_reset;
pub mod keepalive;
pub mod peer_rebooted;
pub mod retransmission_storm;
pub mod silent_drop;
pub mod unacknowledged_data;
pub mod zero_window_stall;
