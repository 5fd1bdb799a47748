//! Well-known timeouts: a wait that lasts exactly as long as one of them points at a program or a
//! device. It is never proof, so reports say "consistent with".

use crate::time::Span;

/// What a timeout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// A connection on which nobody spoke: its owner, or a proxy, closes it.
    Idle,
    /// What a device on the way remembers of a connection: it forgets in silence.
    Memory,
    /// A half-closed connection: a kernel or a proxy drops it.
    HalfClose,
    /// Repeats without an answer: the sender gives up.
    Repeats,
    /// A silence: the kernel asks whether the peer is still there.
    Silence,
}

/// One timeout.
#[derive(Clone, Copy, Debug)]
pub struct Timeout {
    /// Its length in seconds.
    pub seconds: u64,
    /// The longest that passes for it, in seconds, where it is no fixed length.
    pub seconds_max: u64,
    /// What it ends.
    pub ends: Ends,
    /// Whose default it is.
    pub whose: &'static str,
}

const fn row(seconds: u64, ends: Ends, whose: &'static str) -> Timeout {
    Timeout { seconds, seconds_max: seconds, ends, whose }
}

/// Defaults that are often met in reports from the field.
pub const TIMEOUTS: &[Timeout] = &[
    row(2, Ends::Idle, "gunicorn's keep-alive"),
    row(5, Ends::Idle, "the keep-alive of Node.js or Apache httpd"),
    row(60, Ends::Idle, "the idle timeout of an AWS ALB or classic ELB"),
    row(75, Ends::Idle, "nginx's keepalive_timeout"),
    row(350, Ends::Idle, "the idle timeout of an AWS NLB"),
    row(3_600, Ends::Idle, "the idle timeout of Envoy's tcp_proxy"),
    row(28_800, Ends::Idle, "MySQL's wait_timeout"),
    row(240, Ends::Memory, "an Azure load balancer's idle timeout"),
    row(350, Ends::Memory, "an AWS NLB's idle timeout"),
    row(900, Ends::Memory, "IPVS's timeout of established connections"),
    row(432_000, Ends::Memory, "conntrack's timeout of established connections"),
    row(7_200, Ends::Silence, "Linux's tcp_keepalive_time, the least default of RFC 1122"),
    row(60, Ends::HalfClose, "Linux's tcp_fin_timeout, or conntrack's close_wait"),
    row(120, Ends::HalfClose, "IPVS's timeout after a FIN"),
    row(3_600, Ends::HalfClose, "Envoy's tcp_proxy idle timeout, or kube-proxy's close_wait"),
    Timeout {
        seconds: 924,
        seconds_max: 1_000,
        ends: Ends::Repeats,
        whose: "Linux's tcp_retries2 of 15",
    },
];

/// The timeout that a length of time is consistent with: within two percent.
pub fn named(length: Span, ends: Ends) -> Option<&'static Timeout> {
    let seconds = length.as_secs_f64();
    TIMEOUTS.iter().filter(|it| it.ends == ends).find(|it| {
        let (least, most) = (it.seconds as f64 * 0.98, it.seconds_max as f64 * 1.02);
        (least..=most).contains(&seconds)
    })
}

/// `, consistent with nginx's keepalive_timeout (75 s)`, or nothing.
pub fn consistent(length: Span, ends: Ends) -> String {
    named(length, ends).map_or(String::new(), |it| {
        format!(", consistent with {} ({})", it.whose, Span::from_secs(it.seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_within_two_percent_has_a_name() {
        let ms = Span::from_millis;
        assert_eq!(
            consistent(ms(75_900), Ends::Idle),
            ", consistent with nginx's keepalive_timeout (75 s)"
        );
        assert_eq!(consistent(ms(77_000), Ends::Idle), "");
        assert_eq!(consistent(ms(75_000), Ends::Memory), "");
        assert!(named(ms(960_000), Ends::Repeats).is_some());
    }
}
