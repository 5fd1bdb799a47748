//! Link-layer header types: the number in the file and the name that tcpdump has for it.
//!
//! Numbers are LINKTYPE values (<https://www.tcpdump.org/linktypes.html>); names are those of
//! `tcpdump -L`, which users know from there. What a type means is the decoder's business.

use core::fmt;
use std::borrow::Cow;

/// A LINKTYPE value, which has 16 bits in every file; above are those of our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkType(pub u32);

impl LinkType {
    /// Juniper's monitoring services.
    pub const JUNIPER_MONITOR: LinkType = LinkType(164);
    /// A [`super::text::Printed`] packet. No file can say that it holds any.
    pub const PRINTED: LinkType = LinkType(0x1_0000);

    /// The type in a pcap file header, whose upper half holds other things.
    pub(super) const fn from_network(network: u32) -> LinkType {
        LinkType(network & 0xffff)
    }

    /// tcpdump's name, or the number as text for types that are rarely met.
    pub fn name(self) -> Cow<'static, str> {
        let link = match self {
            LinkType::DLT_RAW | LinkType::OPENBSD_RAW => LinkType::RAW,
            link => link,
        };
        match NAMES.binary_search_by_key(&link, |(link, _)| *link) {
            Ok(found) => NAMES.get(found).map_or("", |(_, name)| name).into(),
            Err(_) => self.0.to_string().into(),
        }
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

/// Link types by number, in the order of the numbers.
macro_rules! link_types {
    ($($(#[$doc:meta])* $number:literal $name:ident,)*) => {
        #[allow(missing_docs, reason = "the name says it")]
        impl LinkType {
            $($(#[$doc])* pub const $name: LinkType = LinkType($number);)*
        }

        const NAMES: &[(LinkType, &str)] = &[$((LinkType::$name, stringify!($name)),)*];
    };
}

link_types! {
    /// BSD loopback: the address family in the writer's byte order.
    0 NULL,
    /// Ethernet.
    1 EN10MB,
    3 AX25,
    /// Token ring.
    6 IEEE802,
    7 ARCNET,
    8 SLIP,
    /// PPP.
    9 PPP,
    10 FDDI,
    /// What some systems write for [`LinkType::RAW`]: their own DLT_RAW.
    12 DLT_RAW,
    /// The same of OpenBSD.
    14 OPENBSD_RAW,
    50 PPP_SERIAL,
    51 PPP_ETHER,
    100 ATM_RFC1483,
    /// Raw IP, either version.
    101 RAW,
    104 C_HDLC,
    105 IEEE802_11,
    106 ATM_CLIP,
    107 FRELAY,
    /// OpenBSD loopback: the address family in network byte order.
    108 LOOP,
    109 ENC,
    /// Linux "cooked" capture, version 1.
    113 LINUX_SLL,
    114 LTALK,
    117 PFLOG,
    /// IEEE 802.11 behind a Prism header.
    119 PRISM_HEADER,
    122 IP_OVER_FC,
    123 SUNATM,
    /// IEEE 802.11 behind a radiotap header.
    127 IEEE802_11_RADIO,
    129 ARCNET_LINUX,
    130 JUNIPER_MLPPP,
    131 JUNIPER_MLFR,
    132 JUNIPER_ES,
    133 JUNIPER_GGSN,
    134 JUNIPER_MFR,
    135 JUNIPER_ATM2,
    136 JUNIPER_SERVICES,
    137 JUNIPER_ATM1,
    138 APPLE_IP_OVER_IEEE1394,
    140 MTP2,
    143 DOCSIS,
    144 LINUX_IRDA,
    147 USER0,
    163 IEEE802_11_RADIO_AVS,
    166 PPP_PPPD,
    167 JUNIPER_PPPOE,
    178 JUNIPER_ETHER,
    179 JUNIPER_PPP,
    180 JUNIPER_FRELAY,
    181 JUNIPER_CHDLC,
    187 BLUETOOTH_HCI_H4,
    189 USB_LINUX,
    192 PPI,
    195 IEEE802_15_4,
    197 ERF,
    201 BLUETOOTH_HCI_H4_WITH_PHDR,
    204 PPP_WITH_DIR,
    205 C_HDLC_WITH_DIR,
    206 FRELAY_WITH_DIR,
    220 USB_LINUX_MMAPPED,
    226 IPNET,
    227 CAN_SOCKETCAN,
    /// Raw IPv4.
    228 IPV4,
    /// Raw IPv6.
    229 IPV6,
    239 NFLOG,
    240 NETANALYZER,
    242 IPOIB,
    249 USBPCAP,
    252 WIRESHARK_UPPER_PDU,
    253 NETLINK,
    /// Apple's header in front of a packet, which names a process.
    258 PKTAP,
    /// Linux "cooked" capture, version 2.
    276 LINUX_SLL2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_have_tcpdumps_name_and_others_their_number() {
        assert_eq!(LinkType::EN10MB.to_string(), "EN10MB");
        assert_eq!(LinkType::LINUX_SLL2.name(), "LINUX_SLL2");
        assert_eq!(LinkType(999).name(), "999");
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
