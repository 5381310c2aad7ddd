# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Child processes that write logs and never outlive their parent's interest in them."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

GRACE = 5.0
"""Seconds between the polite end of a process and the other one."""


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Let Ctrl-C wait: between the start of a child and its entry in the list it would lose it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []
    ending = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda n, _: pending.append(n)) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for held in pending:
            signal.raise_signal(held)


class ProcessFailure(RuntimeError):
    """A process ended as it should not have; the text has the tail of its log."""


class Processes:
    """Runs modules of this package as processes, and ends all of them on leaving the context.

    Each is in a session of its own, so that Ctrl-C reaches the parent alone, which then ends them
    in order.

    Parameters
    ----------
    folder : Path
        Logs are written here as ``<name>.log``.
    environment : mapping of str to str
        Added to the environment of this process.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        # Unbuffered, or a log would end long before the process did.
        self._environment = {**os.environ, 'PYTHONUNBUFFERED': '1', **environment}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []

    def __enter__(self) -> 'Processes':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self, name: str, module: str, *arguments: str) -> None:
        """Run ``python -m module arguments`` under a name of its own."""
        log = open(self._folder / f'{name}.log', 'wb')  # noqa: SIM115 (closed in close)
        self._logs.append(log)
        with _signals_held_back():
            self._running[name] = subprocess.Popen(
                [sys.executable, '-m', module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def check(self, *names: str) -> None:
        """Make sure that processes are running.

        Raises
        ------
        ProcessFailure
            If one has ended.
        """
        for name in names:
            code = self._running[name].poll()
            if code is not None:
                raise self.failure(name, f'ended with {_code(code)}')

    def wait(self, name: str, timeout: float, alive: tuple[str, ...] = ()) -> None:
        """Wait until a process has ended well, while others have to stay alive.

        Raises
        ------
        ProcessFailure
            If it failed or takes longer than `timeout` seconds, or one of `alive` ended.
        """
        process = self._running[name]
        self._until(lambda: process.poll() is not None, name, 'end', timeout, alive)
        if process.returncode != 0:
            raise self.failure(name, f'ended with {_code(process.returncode)}')

    def wait_for_word(
        self, name: str, word: str, timeout: float, alive: tuple[str, ...] = ()
    ) -> None:
        """Wait until a process has said a word, while it and others have to stay alive.

        Raises
        ------
        ProcessFailure
            If it has not within `timeout` seconds, or ended, or one of `alive` did.
        """
        self._until(
            lambda: word in self.tail(name), name, f'say {word!r}', timeout, (*alive, name))

    def _until(
        self, done: Callable[[], bool], name: str, what: str, timeout: float,
        alive: tuple[str, ...],
    ) -> None:
        end = time.monotonic() + timeout
        while not done():
            self.check(*alive)
            if time.monotonic() > end:
                raise self.failure(name, f'did not {what} within {timeout:.0f} s')
            time.sleep(0.1)

    def stop(self, name: str) -> None:
        """Ask a process to end as Ctrl-C does, and wait; after :data:`GRACE` it is killed."""
        process = self._running[name]
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                _kill(process)

    def failure(self, name: str, what: str) -> ProcessFailure:
        """Return an error about a process, with the end of its log."""
        return ProcessFailure(f'the {name} {what}; the end of {name}.log:\n{self.tail(name)}')

    def tail(self, name: str, lines: int = 15) -> str:
        """Return the last lines of a log, indented."""
        text = (self._folder / f'{name}.log').read_text(encoding='utf-8', errors='replace')
        return '\n'.join(f'  | {line}' for line in text.splitlines()[-lines:])

    def close(self) -> None:
        """End everything: politely, then by force, also where Ctrl-C comes meanwhile."""
        try:
            for process in self._running.values():
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
            end = time.monotonic() + GRACE
            while time.monotonic() < end and any(
                process.poll() is None for process in self._running.values()
            ):
                time.sleep(0.05)
        finally:
            for process in self._running.values():
                _kill(process)
            for log in self._logs:
                log.close()


def private_graph() -> dict[str, str]:
    """Return an environment in which ROS sees nothing but what shares it, on this machine."""
    return {
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_DOMAIN_ID': str(random.SystemRandom().randint(1, 101)),
    }


def _kill(process: 'subprocess.Popen[bytes]') -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _code(code: int) -> str:
    return f'signal {signal.Signals(-code).name}' if code < 0 else f'code {code}'
