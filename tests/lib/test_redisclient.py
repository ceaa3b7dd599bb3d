"""Scripts by the connection that a thread keeps."""

import os
import threading

import pytest
import redis
from pytest_django import Settings

from personalization.lib import redisclient
from personalization.lib.redisclient import Away, Script

_ECHO = Script("return {KEYS[1], ARGV[1], ARGV[2]}")
_ANSWER = [b"k", b"a", b"\xc3\xa9"]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    redisclient.reset()


def _echo() -> object:
    return redisclient.run(_ECHO, "k", "a", "é", keys=1)


def test_run__script_unknown_to_the_server__is_sent() -> None:
    redisclient.call(lambda client: client.script_flush())

    assert _echo() == _ANSWER
    assert _echo() == _ANSWER


def test_run__first_connection__learns_the_run_id() -> None:
    assert redisclient.run_id() == ""

    _echo()

    assert len(redisclient.run_id()) == 40


def test_run__connection_closed_by_the_server__answers_all_the_same() -> None:
    _echo()
    redisclient.call(lambda client: client.client_kill_filter(_type="normal", skipme=True))

    assert _echo() == _ANSWER


def test_run__script_that_fails__leaves_the_connection_in_step() -> None:
    with pytest.raises(redis.ResponseError):
        redisclient.run(Script("return redis.call('GET')"))

    assert _echo() == _ANSWER


def _clients() -> set[str]:
    return {one["id"] for one in redisclient.call(lambda client: client.client_list())}


def test_run__two_threads__have_connections_of_their_own() -> None:
    before = _clients()
    met = threading.Barrier(3, timeout=10)

    def use() -> None:
        _echo()
        met.wait()
        met.wait()

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    met.wait()
    during = _clients()
    met.wait()
    for thread in threads:
        thread.join()

    # a thread of another test may end meanwhile, and its connection with it
    assert len(during - before) == 2


def test_run__nobody_listens__is_away(settings: Settings) -> None:
    settings.CACHE_REDIS_URL = "redis://127.0.0.1:1/0"

    with pytest.raises(Away):
        _echo()


def test_fork__child__has_no_socket_of_its_parent() -> None:
    _echo()
    parent = redisclient._state
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, b"same" if redisclient._state is parent else b"own")
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reader, 8) == b"own"
    assert redisclient._state is parent
