//! Packets to segments: link layer, IP and TCP headers, without copying and without allocating.

pub mod segment;
pub mod tuple;
