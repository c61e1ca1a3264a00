"""A step in whose workers the thread that sends reports lags far behind, as on a busy machine."""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import Connection
from typing import Any

from commit_rows import DropLong

from octopack_data.pipeline import BatchFunction


class LateReports(DropLong):
    """Every row is a batch, and so a report, of its own."""

    batch_bytes = 1

    def start(self) -> BatchFunction:
        send = Connection._send_bytes

        def send_late(connection: Any, data: bytes) -> None:
            if threading.current_thread().name == "QueueFeederThread":
                time.sleep(0.002)
            send(connection, data)

        Connection._send_bytes = send_late
        return super().start()
