//! Why a packet gave no segment, and how often each reason occurred.
//!
//! A capture holds much that is not TCP and some that is broken. None of it stops the work; every
//! such packet is counted under one name, so that the counts and the segments add up to the
//! packets read.

/// Why a packet gave no TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// The link layer carries something else than IPv4 or IPv6.
    NotIp,
    /// The IP packet carries something else than TCP.
    NotTcp,
    /// The IP packet carries a segment in a tunnel, and tunnels are not to be opened.
    InTunnel,
    /// A fragment of an IP packet that is not whole with it: the last of its fragments to come
    /// counts for all of them.
    Fragment,
    /// A fragment that contradicts others of the same packet.
    FragmentRefused,
    /// An ICMP error about a TCP segment, which it quotes.
    IcmpError,
    /// A wireless frame that is encrypted.
    Encrypted,
    /// In a tunnel, when more of them are known than [`crate::limits`] allows.
    TooManyTunnels,
    /// The capture cut the packet before the end of the 20 bytes that every TCP header has.
    CutHeader,
    /// A header contradicts itself or the length of the packet.
    Malformed,
    /// The link-layer type of the capture is not known here.
    UnsupportedLinkType,
    /// More headers in front of the segment than [`crate::limits`] allows.
    TooManyHeaders,
    /// The same packet had been captured before.
    Duplicate,
    /// A text's line of `tcpdump -q`, which prints neither flags nor sequence numbers.
    QuietLine,
    /// A packet's line in a text that cannot be understood.
    UnreadableLine,
}

impl Skip {
    /// Every reason, in the order of the counts.
    pub const ALL: [Skip; 15] = [
        Skip::NotIp,
        Skip::NotTcp,
        Skip::InTunnel,
        Skip::Fragment,
        Skip::FragmentRefused,
        Skip::IcmpError,
        Skip::Encrypted,
        Skip::TooManyTunnels,
        Skip::CutHeader,
        Skip::Malformed,
        Skip::UnsupportedLinkType,
        Skip::TooManyHeaders,
        Skip::Duplicate,
        Skip::QuietLine,
        Skip::UnreadableLine,
    ];

    /// The reason's name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Skip::NotIp => "not-ip",
            Skip::NotTcp => "not-tcp",
            Skip::InTunnel => "in-tunnel",
            Skip::Fragment => "fragment",
            Skip::FragmentRefused => "fragment-refused",
            Skip::IcmpError => "icmp-error",
            Skip::Encrypted => "encrypted",
            Skip::TooManyTunnels => "too-many-tunnels",
            Skip::CutHeader => "cut-header",
            Skip::Malformed => "malformed",
            Skip::UnsupportedLinkType => "unsupported-link-type",
            Skip::TooManyHeaders => "too-many-headers",
            Skip::Duplicate => "duplicate",
            Skip::QuietLine => "quiet-line",
            Skip::UnreadableLine => "unreadable-line",
        }
    }
}

/// How many packets were skipped for each reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkipCounts([u64; Skip::ALL.len()]);

impl SkipCounts {
    /// Counts one packet.
    pub fn add(&mut self, reason: Skip) {
        self.add_all(reason, 1);
    }

    /// Counts so many packets.
    pub fn add_all(&mut self, reason: Skip, packets: u64) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count = count.saturating_add(packets);
        }
    }

    /// How many packets were skipped for that reason.
    pub fn get(&self, reason: Skip) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or_default()
    }

    /// The reasons that occurred, with their counts, in the order of [`Skip::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Skip::ALL
            .iter()
            .zip(self.0)
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.name(), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_counted_under_its_own_name() {
        for reason in Skip::ALL {
            let mut counts = SkipCounts::default();
            counts.add(reason);
            counts.add(reason);
            assert_eq!(counts.iter().collect::<Vec<_>>(), [(reason.name(), 2)]);
        }
    }

    #[test]
    fn reasons_that_did_not_occur_are_left_out() {
        assert_eq!(SkipCounts::default().iter().count(), 0);
    }
}
