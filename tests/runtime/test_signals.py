"""Ctrl-C, SIGTERM and SIGHUP."""

import os
import signal

import pytest

from evosearch.errors import InterruptedSearchError
from evosearch.runtime import StopSignals


def test_before_it_is_deferred_a_signal_ends_the_preparation():
    with (
        pytest.raises(InterruptedSearchError, match="stopped by SIGTERM before training began"),
        StopSignals(),
    ):
        os.kill(os.getpid(), signal.SIGTERM)


def test_once_deferred_a_signal_waits_to_be_asked_for():
    with StopSignals() as signals:
        signals.defer()
        assert signals.reason() is None
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.reason() == "Ctrl-C"


def test_a_second_ctrl_c_ends_at_once():
    with StopSignals() as signals:
        signals.defer()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_reclaiming_takes_the_signals_back_from_whoever_took_them():
    with StopSignals() as signals:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as ray.init does
        signals.reclaim()
        signals.defer()
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.reason() == "SIGTERM"


def test_afterwards_the_handlers_are_those_of_before():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopSignals() as signals:
        signals.defer()
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_closed_terminal_asks_for_a_stop_too():
    with StopSignals() as signals:
        signals.defer()
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.reason() == "SIGHUP"


def test_a_hangup_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            signals.defer()
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.reason() is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
