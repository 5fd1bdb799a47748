"""Scenarios of one port pair's next life: TIME_WAIT reused, killed, or respected."""

from closing import close, exchange_and_close
from host import abort, forget
from impair import Impairment, duplicate
from packet import server_data, server_fin
from registry import scenario
from sequences import (ACTIVE, BOTH_RESET, CLIENT_FIRST, CLIENT_OPEN, PASSIVE, SERVER_OPEN,
                       STILL_OPEN)

PORT = 40001
REUSED_SERVER = [(CLIENT_OPEN + PASSIVE, SERVER_OPEN + ACTIVE + " CLOSED"),
                 *STILL_OPEN]


def _server_first_then_again(lab, wait=0.3):
    """The server closes first and keeps TIME_WAIT; the client comes from the same port again."""
    listener = lab.server.listen(7000)
    client, server = lab.connect(listener, source_port=PORT)
    lab.exchange(client, server)
    close(lab, server, client)
    lab.pause(wait)
    lab.exchange(*lab.connect(listener, source_port=PORT))


@scenario("The client's port again while the server is in TIME_WAIT: the SYN is accepted",
          textbook=[16], expect=REUSED_SERVER, mirror="opening")
def time_wait_reuse(lab):
    _server_first_then_again(lab)


@scenario("The same without timestamps: the newer sequence number decides", textbook=[16],
          sysctls={"ipv4/tcp_timestamps": 0}, expect=REUSED_SERVER,
          mirror="opening")
def time_wait_reuse_without_timestamps(lab):
    _server_first_then_again(lab)


AFTER = [(CLIENT_OPEN + PASSIVE, SERVER_OPEN + ACTIVE + " CLOSED"), *STILL_OPEN]


@scenario("The client's port again when the server's TIME_WAIT has ended", textbook=[16],
          expect=AFTER, mirror="opening")
def port_reuse_after_time_wait(lab):
    _server_first_then_again(lab, 63)


@scenario("The same without timestamps", textbook=[16], sysctls={"ipv4/tcp_timestamps": 0},
          expect=AFTER, mirror="opening")
def port_reuse_after_time_wait_without_timestamps(lab):
    _server_first_then_again(lab, 63)


def _older_number_again(lab):
    """As above, but the second SYN's number lies before the first life's end."""
    listener = lab.server.listen(7000)
    client, server = lab.connect(listener, source_port=PORT, isn=3_000_000_000)
    lab.exchange(client, server)
    close(lab, server, client)
    return lab.client.start_connect(lab.server, 7000, source_port=PORT, isn=2_900_000_000)


@scenario("An older sequence number meets TIME_WAIT: ACK, RST kills it, the same SYN is accepted",
          textbook=[16], sysctls={"ipv4/tcp_timestamps": 0}, expect=REUSED_SERVER,
          mirror="opening")
def time_wait_refuses_older_number(lab):
    _older_number_again(lab)
    lab.pause(1.5)


@scenario("The same with tcp_rfc1337: TIME_WAIT refuses every repeat of the SYN", textbook=[16],
          sysctls={"ipv4/tcp_timestamps": 0, "ipv4/tcp_rfc1337": 1, "ipv4/tcp_syn_retries": 2},
          expect=[(CLIENT_OPEN + PASSIVE, SERVER_OPEN + ACTIVE), ("SYN_SENT", "")],
          mirror="opening")
def time_wait_refused(lab):
    _older_number_again(lab)
    lab.pause(3)


@scenario("The client itself is in TIME_WAIT; its application asks for the same port and, thanks "
          "to timestamps, gets it", textbook=[16], sysctls={"ipv4/tcp_tw_reuse": 0},
          expect=[(CLIENT_OPEN + ACTIVE + " CLOSED", SERVER_OPEN + PASSIVE),
                  *STILL_OPEN], mirror="opening")
def time_wait_reuse_by_client(lab):
    listener = lab.server.listen(7000)
    client, server = lab.connect(listener, source_port=PORT)
    close(lab, client, server)
    lab.pause(1.5)
    lab.exchange(*lab.connect(listener, source_port=PORT))


@scenario("Ports again after resets: no TIME_WAIT is in the way", textbook=[16, 17],
          expect=BOTH_RESET)
def port_reuse_after_reset(lab):
    listener = lab.server.listen(7000)
    for _ in range(3):
        client, server = lab.connect(listener, source_port=PORT)
        lab.exchange(client, server)
        abort(client)
        lab.pause(0.3)


GAVE_WAY = (CLIENT_OPEN + " CLOSE_WAIT CLOSED", SERVER_OPEN + " FIN_WAIT_1 FIN_WAIT_2 CLOSED")


def _meet_an_orphan(lab, first_isn=None, second_isn=None):
    """The client crashes in CLOSE_WAIT and asks again: its SYN meets an orphan's FIN_WAIT_2."""
    listener = lab.server.listen(7000)
    client, server = lab.connect(listener, source_port=PORT, isn=first_isn)
    lab.exchange(client, server)
    server.close()
    lab.pause()
    forget(client)
    lab.pause(0.5)
    lab.client.start_connect(lab.server, 7000, source_port=PORT, isn=second_isn)
    lab.pause(1.5)


@scenario("The client crashed in CLOSE_WAIT and comes again: the server's orphaned FIN_WAIT_2 "
          "answers by ACK, the RST ends it, the same SYN is accepted", textbook=[13, 16],
          expect=[GAVE_WAY, *STILL_OPEN], mirror="opening")
def orphan_fin_wait_2_gives_way(lab):
    _meet_an_orphan(lab)


@scenario("The same without timestamps: a newer sequence number changes nothing about it",
          textbook=[13, 16], sysctls={"ipv4/tcp_timestamps": 0},
          expect=[GAVE_WAY, *STILL_OPEN], mirror="opening")
def orphan_fin_wait_2_gives_way_without_timestamps(lab):
    _meet_an_orphan(lab)


@scenario("The same with a SYN inside the window: the orphaned FIN_WAIT_2 resets it and is gone",
          textbook=[13, 16], expect=[GAVE_WAY, ("SYN_SENT CLOSED", "")], mirror="opening")
def orphan_fin_wait_2_resets_syn_in_window(lab):
    _meet_an_orphan(lab, first_isn=3_000_000_000, second_isn=3_000_001_000)


@scenario("The client's application asks for the port of an orphaned FIN_WAIT_2 and, thanks to "
          "timestamps, gets it: the SYN meets the server's CLOSE_WAIT", textbook=[13, 16],
          expect=[(CLIENT_OPEN + " FIN_WAIT_1 FIN_WAIT_2 CLOSED",
                   SERVER_OPEN + " CLOSE_WAIT CLOSED"), *STILL_OPEN], mirror="opening")
def orphan_fin_wait_2_reuse_by_client(lab):
    listener = lab.server.listen(7000)
    client, server = lab.connect(listener, source_port=PORT)
    lab.exchange(client, server)
    client.close()
    lab.pause(0.5)
    lab.exchange(*lab.connect(listener, source_port=PORT))
    return server


@scenario("TIME_WAIT assassination: a copy of the FIN draws an ACK, the ACK a RST, and "
          "TIME_WAIT is gone", textbook=[16],
          path=Impairment(rules=[duplicate("FIN of the server", server_fin, 0.5)]),
          expect=[(CLIENT_OPEN + ACTIVE + " CLOSED", SERVER_OPEN + PASSIVE)],
          shows=[("middle", "tcp.flags.reset==1", 1)], ipv6=True)
def time_wait_assassination(lab):
    exchange_and_close(lab)
    lab.pause(0.8)


@scenario("The same with tcp_rfc1337: TIME_WAIT ignores the RST", textbook=[16],
          sysctls={"ipv4/tcp_rfc1337": 1},
          path=Impairment(rules=[duplicate("FIN of the server", server_fin, 0.5)]),
          expect=CLIENT_FIRST, shows=[("middle", "tcp.flags.reset==1", 1)])
def time_wait_assassination_refused(lab):
    exchange_and_close(lab)
    lab.pause(0.8)


@scenario("Data of the old life arrives late in TIME_WAIT", textbook=[16],
          path=Impairment(rules=[duplicate("data of the server", server_data, 0.9)]),
          expect=[(CLIENT_OPEN + ACTIVE + " CLOSED", SERVER_OPEN + PASSIVE)])
def old_data_in_time_wait(lab):
    exchange_and_close(lab)
    lab.pause(1)


@scenario("Many short connections: a crowd of TIME_WAIT on the client", textbook=[16],
          expect=[])
def time_wait_crowd(lab):
    listener = lab.server.listen(80)
    for _ in range(30):
        client, server = lab.connect(listener)
        client.close()
        lab.answer_fin(server)
        lab.pause(0.01)
    lab.pause(0.1)
