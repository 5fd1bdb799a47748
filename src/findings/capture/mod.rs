//! Findings about the capture itself: what it cannot tell, and why.

pub mod capture_drops;
pub mod capture_gap;
pub mod checksum_offload;
pub mod clock_step;
pub mod cut_headers;
pub mod duplicate_packets;
pub mod mid_stream_start;
pub mod one_way_capture;
