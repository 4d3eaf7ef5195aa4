"""Processes keep out of each other's way."""

import multiprocessing
import threading

import pytest

from isl.claims import claim


def hold(path, held, release):
    with claim(path):
        held.set()
        release.wait(30)


def test_a_claim_is_held_by_one_process(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    path = tmp_path / "folder" / "lock"
    process = context.Process(target=hold, args=(path, held, release))
    process.start()
    try:
        assert held.wait(60)
        with claim(path) as is_ours:
            assert not is_ours
    finally:
        process.kill()  # The system frees what it held.
        process.join()
    with claim(path) as is_ours:
        assert is_ours


def test_a_claim_is_free_when_its_block_fails(tmp_path):
    with (
        pytest.raises(ValueError, match="^a defect$") as caught,
        claim(tmp_path / "lock"),
    ):
        raise ValueError("a defect")
    assert caught.value.__context__ is None
    with claim(tmp_path / "lock") as is_ours:
        assert is_ours


def test_a_claim_can_be_waited_for(tmp_path):
    order = []

    def wait():
        with claim(tmp_path / "lock", wait=True) as is_ours:
            order.append(is_ours)

    thread = threading.Thread(target=wait)
    with claim(tmp_path / "lock"):
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(30)
    assert order == ["first", True]
