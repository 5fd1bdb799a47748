//! Findings about how connections close, or do not.

pub mod abortive_close;
pub mod close_wait_leak;
pub mod close_wait_reset;
pub mod data_after_fin;
pub mod fin_ack_skips_fin_wait_2;
pub mod fin_unanswered;
pub mod fin_wait_2_stuck;
pub mod half_close_data;
pub mod health_check;
pub mod idle_timeout;
pub mod keepalive_race;
pub mod last_ack_stuck;
pub mod long_close_wait;
pub mod lost_last_ack;
pub mod orphan_reset;
pub mod reset_after_fin;
pub mod simultaneous_close;
pub mod unread_data_reset;
