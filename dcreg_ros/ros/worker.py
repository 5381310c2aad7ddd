# SPDX-FileCopyrightText: 2026 The dcreg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One thread that works on the newest job only."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Job = TypeVar('Job')


class NewestOnlyWorker(Generic[Job]):
    """Do the newest job in a thread of its own; a job not begun when another comes is dropped.

    Late odometry is worse than a skipped scan, so there is no queue that can grow old.

    Parameters
    ----------
    work : callable
        Called with each job, in the thread.
    failed : callable
        Called in the thread with a job and the exception it raised; the thread lives on.
    """

    def __init__(
        self, work: Callable[[Job], None], failed: Callable[[Job, Exception], None]
    ) -> None:
        self._work = work
        self._failed = failed
        self._slot: list[Job] = []
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name='registration', daemon=True)
        self._thread.start()

    def put(self, job: Job) -> bool:
        """Hand over a job; return whether an older one was dropped for it."""
        with self._changed:
            dropped = bool(self._slot)
            self._slot = [job]
            self._changed.notify()
        return dropped

    def stop(self) -> None:
        """Finish the job under way, forget the waiting one, and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._slot or self._stopping)
                if self._stopping:
                    return
                job = self._slot.pop()
            try:
                self._work(job)
            except Exception as error:
                self._failed(job, error)
