//! Packets for this folder's tests, each layer a function around the bytes of the next.
//!
//! Checksums are left zero: nothing in this folder looks at them.

/// IPv4's EtherType.
pub const IPV4: u16 = 0x0800;
/// IPv6's EtherType.
pub const IPV6: u16 = 0x86dd;
/// The timestamps option in the layout that nearly all stacks use: TSval 7, TSecr 9.
pub const TIMESTAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];

/// A segment: ports 1000 and 80, seq 100, ack 200, PSH and ACK, window 512.
pub fn tcp(options: &[u8], payload: usize) -> Vec<u8> {
    let offset = (20 + options.len()) as u8 / 4;
    let mut bytes = vec![3, 232, 0, 80, 0, 0, 0, 100, 0, 0, 0, 200];
    bytes.extend([offset << 4, 0x18, 2, 0, 0, 0, 0, 0]);
    bytes.extend(options);
    bytes.resize(bytes.len() + payload, b'x');
    bytes
}

/// An IPv4 packet from 10.0.0.2 to 10.0.0.1, identification 0x1234, TTL 64.
pub fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(&[], protocol, payload)
}

/// The same with IPv4 options.
pub fn ipv4_with(options: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let ihl = 5 + options.len() as u8 / 4;
    let [high, low] = ((20 + options.len() + payload.len()) as u16).to_be_bytes();
    let mut bytes = vec![0x40 | ihl, 0, high, low, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0];
    bytes.extend([10, 0, 0, 2, 10, 0, 0, 1]);
    bytes.extend(options);
    bytes.extend(payload);
    bytes
}

/// An IPv6 packet from ::2 to ::1, hop limit 64.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (payload.len() as u16).to_be_bytes();
    let mut bytes = vec![0x60, 0, 0, 0, high, low, next, 64];
    for last in [2, 1] {
        bytes.extend([0; 15]);
        bytes.push(last);
    }
    bytes.extend(payload);
    bytes
}

/// An Ethernet frame.
pub fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(payload);
    bytes
}
