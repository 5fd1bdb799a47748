//! Every bound of the program: its value, its unit and the reason for it.
//!
//! A capture can hold anything, so whatever grows with the input has a limit here. Where one is
//! reached, the work goes on with less, and `summary.limits_hit` counts how often under the
//! limit's name.

/// Bytes of the read buffer, which is also the longest block that a capture file may hold.
/// pcapng writers put whole option lists in one block, and a capture of 256 KiB super-segments
/// needs several packets in the buffer for reads to be large.
pub const READ_BUFFER_BYTES: usize = 1 << 20;

/// Bytes to which the read buffer may grow for one block. Above it the file is damaged or hostile.
pub const BLOCK_BYTES_MAX: usize = 16 << 20;

/// Interfaces of one pcapng section. Real captures name a few; Linux allows 2^16 network devices.
pub const INTERFACES_MAX: usize = 1 << 16;

/// Names taken from name resolution blocks, over all files.
pub const NAMES_MAX: usize = 1 << 16;

/// Link-layer headers (VLAN tags, MPLS labels, PPPoE) in front of one IP packet.
pub const LINK_HEADERS_MAX: usize = 16;

/// Extension headers in front of one IPv6 payload. RFC 8200 has eight kinds.
pub const EXTENSION_HEADERS_MAX: usize = 16;

/// Payload bytes of one segment. No window is larger (RFC 7323 section 2.3), so no receiver would
/// take more; and sequence numbers further apart than 2^31 have no order. Only a jumbo payload
/// option or a capture record's length can claim so much.
pub const PAYLOAD_BYTES_MAX: u32 = 1 << 30;
