//! Ports of the services that tcpdump prints by name.
//!
//! Names are those of the IANA's registry and the usual `/etc/services` of Linux, BSD and Windows,
//! older ones among them. The table of the machine that printed a text may have held others.

/// The service of that name, with the port that it is known for.
pub(super) fn find(name: &str) -> Option<(&'static str, u16)> {
    let place = SERVICES.binary_search_by_key(&name, |(known, _)| known).ok()?;
    SERVICES.get(place).copied()
}

/// Names and ports, by name.
#[rustfmt::skip]
const SERVICES: [(&str, u16); 187] = [
    ("acr-nema", 104), ("afpovertcp", 548), ("ajp13", 8009), ("amqp", 5672), ("amqps", 5671),
    ("aol", 5190), ("at-rtmp", 201), ("auth", 113), ("authentication", 113), ("bacula-dir", 9101),
    ("bacula-fd", 9102), ("bacula-sd", 9103), ("bgp", 179), ("cddbp", 888), ("cfengine", 5308),
    ("chargen", 19), ("cisco-sccp", 2000), ("commplex-link", 5001), ("commplex-main", 5000),
    ("complex-main", 5000), ("cvspserver", 2401), ("daytime", 13), ("dicom", 104), ("dict", 2628),
    ("discard", 9), ("distcc", 3632), ("docker", 2375), ("docker-s", 2376), ("domain", 53),
    ("domain-s", 853), ("echo", 7), ("epmap", 135), ("epmd", 4369), ("etcd-client", 2379),
    ("etcd-server", 2380), ("exec", 512), ("finger", 79), ("ftp", 21), ("ftp-data", 20),
    ("ftps", 990), ("ftps-data", 989), ("gds-db", 3050), ("gds_db", 3050), ("git", 9418),
    ("gnutella-svc", 6346), ("gopher", 70), ("hkp", 11371), ("hostname", 101), ("http", 80),
    ("http-alt", 8080), ("http-mgmt", 280), ("https", 443), ("https-alt", 8443), ("iax", 4569),
    ("icap", 1344), ("ident", 113), ("imap", 143), ("imap2", 143), ("imap3", 220), ("imaps", 993),
    ("ingreslock", 1524), ("ipp", 631), ("irc", 194), ("ircd", 6667), ("ircs-u", 6697),
    ("iscsi-target", 3260), ("iso-tsap", 102), ("jabber-client", 5222), ("jabber-server", 5269),
    ("kerberos", 88), ("kerberos-adm", 749), ("kerberos5", 88), ("klogin", 543), ("kpasswd", 464),
    ("kshell", 544), ("ldap", 389), ("ldaps", 636), ("loc-srv", 135), ("login", 513),
    ("lotusnote", 1352), ("mail", 25), ("mailq", 174), ("mdns", 5353), ("memcache", 11211),
    ("microsoft-ds", 445), ("mongodb", 27017), ("mqtt", 1883), ("ms-sql-m", 1434),
    ("ms-sql-s", 1433), ("ms-wbt-server", 3389), ("msnp", 1863), ("munin", 4949), ("mysql", 3306),
    ("nbd", 10809), ("ncube-lm", 1521), ("ndmp", 10000), ("netbios-dgm", 138), ("netbios-ns", 137),
    ("netbios-ssn", 139), ("netconf-ssh", 830), ("netstat", 15), ("nfs", 2049), ("nfsd", 2049),
    ("nicname", 43), ("nntp", 119), ("nntps", 563), ("nrpe", 5666), ("nsca", 5667), ("ntp", 123),
    ("openvpn", 1194), ("pcanywheredata", 5631), ("pop-3", 110), ("pop2", 109), ("pop3", 110),
    ("pop3s", 995), ("portmapper", 111), ("postgres", 5432), ("postgresql", 5432), ("pptp", 1723),
    ("printer", 515), ("puppet", 8140), ("qotd", 17), ("radius", 1812), ("redis", 6379),
    ("rfb", 5900), ("rmiregistry", 1099), ("rpc2portmap", 369), ("rsync", 873), ("rtmp", 1935),
    ("rtsp", 554), ("rwhois", 4321), ("saft", 487), ("sge-qmaster", 6444), ("shell", 514),
    ("sieve", 4190), ("silc", 706), ("sip", 5060), ("sip-tls", 5061), ("smtp", 25), ("smtps", 465),
    ("snews", 563), ("snmp", 161), ("snmptrap", 162), ("snpp", 444), ("socks", 1080),
    ("spamd", 783), ("squid", 3128), ("ssh", 22), ("ssmtp", 465), ("submission", 587),
    ("submissions", 465), ("sunrpc", 111), ("svn", 3690), ("svrloc", 427), ("syslog", 514),
    ("syslog-tls", 6514), ("systat", 11), ("tacacs", 49), ("tcpmux", 1), ("telnet", 23),
    ("telnets", 992), ("tftp", 69), ("time", 37), ("tinc", 655), ("tproxy", 8081), ("ttytst", 19),
    ("urd", 465), ("uucp", 540), ("wap-wsp", 9200), ("webcache", 8080), ("webmin", 10000),
    ("whois", 43), ("wins", 1512), ("wsman", 5985), ("wsmans", 5986), ("www", 80), ("www-http", 80),
    ("x11", 6000), ("x11-1", 6001), ("xdmcp", 177), ("xfs", 7100), ("xmpp-client", 5222),
    ("xmpp-server", 5269), ("z3950", 210), ("zabbix-agent", 10050), ("zabbix-trapper", 10051),
    ("zookeeper", 2181),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found() {
        assert!(SERVICES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(SERVICES.iter().all(|service| find(service.0) == Some(*service)));
        assert_eq!((find("webcache"), find("no-such")), (Some(("webcache", 8080)), None));
    }
}
