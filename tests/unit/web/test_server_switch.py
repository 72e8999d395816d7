"""Changing the address as part of a transaction: bind the new one, then close the old one."""

from __future__ import annotations

import itertools
import socket
import threading

import pytest

from hubagent.config.kinds.types import ListenAddress
from hubagent.errors import PreflightError

from .client import Address, get
from .conftest import ANY_PORT, Rig


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_a_taken_address_is_refused_and_the_running_one_goes_on(rig: Rig) -> None:
    address = rig.serve()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = ListenAddress("127.0.0.1", other.getsockname()[1])
        with pytest.raises(PreflightError, match=r"address in use.*ss -ltnp"):
            rig.exposition.bind(taken, None, {})
    assert get(address).status == 200


def test_a_foreign_address_is_refused(rig: Rig) -> None:
    with pytest.raises(PreflightError, match="not an address of this machine"):
        rig.exposition.bind(ListenAddress("192.0.2.7", 9811), None, {})


def test_bound_is_not_yet_serving_and_can_be_given_up(rig: Rig) -> None:
    address = rig.serve()
    candidate = rig.exposition.bind(ListenAddress("127.0.0.1", free_port()), None, {})
    port = candidate.port
    candidate.close()
    with pytest.raises(ConnectionRefusedError):
        get(Address("127.0.0.1", port))
    assert get(address).status == 200


def test_switch_serves_on_the_new_address_and_closes_the_old(rig: Rig) -> None:
    old = rig.serve()
    new = rig.serve(listen=ListenAddress("127.0.0.2", free_port()))
    assert get(new).status == 200
    with pytest.raises(ConnectionRefusedError):
        get(old)


def test_from_one_address_to_all_on_the_same_port_and_back(rig: Rig) -> None:
    port = free_port()
    rig.serve(listen=ListenAddress("127.0.0.1", port))
    rig.serve(listen=ListenAddress("0.0.0.0", port))
    assert get(Address("127.0.0.3", port)).status == 200
    rig.serve(listen=ListenAddress("127.0.0.1", port))
    with pytest.raises(ConnectionRefusedError):
        get(Address("127.0.0.3", port))
    assert get(Address("127.0.0.1", port)).status == 200


def test_widening_still_notices_a_foreign_holder(rig: Rig) -> None:
    port = free_port()
    mine = rig.serve(listen=ListenAddress("127.0.0.1", port))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.2", port))
        other.listen()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        with pytest.raises(PreflightError, match="address in use"):
            rig.exposition.bind(ListenAddress("0.0.0.0", port), None, {})
    assert get(mine).status == 200


def test_both_families(rig: Rig) -> None:
    port = free_port()
    rig.serve(listen=ListenAddress("::", port))
    assert get(Address("::1", port)).status == 200
    assert get(Address("127.0.0.1", port)).status == 200


def test_no_request_fails_while_the_listener_is_exchanged_on_its_address(rig: Rig) -> None:
    listen = ListenAddress("127.0.0.1", free_port())
    address = rig.serve(listen=listen)
    faults: list[Exception] = []
    stop = threading.Event()
    served = itertools.count()

    def scrape() -> None:
        while not stop.is_set():
            try:
                assert get(address).status == 200
                next(served)
            except Exception as error:
                faults.append(error)

    scrapers = [threading.Thread(target=scrape) for _ in range(4)]
    for scraper in scrapers:
        scraper.start()
    for _ in range(40):
        rig.serve(listen=listen)
        get(address)
    stop.set()
    for scraper in scrapers:
        scraper.join()
    assert faults == []
    assert next(served) > 40


def test_close_frees_the_address_and_the_thread(rig: Rig) -> None:
    before = threading.active_count()
    address = rig.serve()
    rig.exposition.close()
    assert threading.active_count() == before
    rig.exposition.close()  # a second time is nothing
    with socket.create_server(address):
        pass


def test_a_server_that_never_served_closes(rig: Rig) -> None:
    rig.exposition.bind(ANY_PORT, None, {}).close()
