"""The Python client of Weir: records samples of a worker, and sends them to the gateway in batches.

    from weir import Weir

    weir = Weir("http://127.0.0.1:9091", labels={"job": "scanner"}, worker="_1", spool="/var/spool/weir")
    weir.observe("resize_ms", 12.5, {"format": "png"})

It promises: a call that records never raises and never waits for the network or the disk; memory and disk are bounded;
a sample that was accepted is stored once, as long as the spool has room. README.md beside this file states the limits.

One file, the standard library alone, Python 3.9 or newer. Copy it, or put its folder on PYTHONPATH.
"""

from __future__ import annotations

import atexit
import contextlib
import email.utils
import encodings.idna  # noqa: F401 (the first connection would import it: a fork meanwhile would keep its lock)
import functools
import gzip
import http.client
import inspect
import json
import logging
import os
import queue
import random
import re
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
import weakref
from collections import deque

__all__ = ["Weir", "WorkerMetrics"]

DEFAULTS = {
    # The longest time that a sample waits before it is sent.
    "flush_interval_seconds": 10.0,
    "batch_samples": 1_000,
    # Some 100 batches: more than a minute at 1,000 samples per second.
    "memory_samples_max": 100_000,
    # Of names and tags, and of compressed batches.
    "memory_bytes_max": 32 * 2**20,
    # Some 4 million samples: a sample takes about 15 bytes once it is compressed.
    "spool_bytes_max": 64 * 2**20,
    # The gateway rejects samples that are older than its retention, 7 days by default.
    "spool_days": 7.0,
    "request_timeout_seconds": 10.0,
    # The largest delay before the first retry. It doubles with each failure.
    "backoff_seconds": 1.0,
    "backoff_max_seconds": 60.0,
    # How long flush(), close(), SIGTERM and the end of the process wait for the gateway. Orchestrators usually wait 10 s
    # or longer between SIGTERM and SIGKILL.
    "close_timeout_seconds": 3.0,
}

#: Why samples that the client accepted will not reach the gateway.
LOSSES = ("memory_full", "spool_full", "spool_expired", "spool_damaged", "refused", "process_end")

#: Input that is not recorded (name, value, closed), or not as it was given (tags, tag_value, tag_too_long, tag_count).
INVALID = ("name", "value", "tags", "tag_value", "tag_too_long", "tag_count", "closed")

# As the gateway's default limits. 1,024 characters are at most 4 KiB of UTF-8.
_NAME_LENGTH_MAX = 255
_TAGS_MAX = 64
_TAG_LENGTH_MAX = 1_024
# A batch with more bytes of names and tags than this is cut before it has batch_samples.
_BATCH_BYTES = 2**20
# What a sample takes in memory beside its texts.
_SAMPLE_BYTES = 300
# Batches that wait for the thread that sends. More of them go to the spool.
_FRESH_MAX = 4
# A gateway answers in milliseconds. After this a request is slow: its batch is spooled, and the next ones do not wait.
_SLOW_SECONDS = 1.0
# How often the spool is listed again, for the files of other processes.
_LIST_SECONDS = 60.0
# A Retry-After beyond this is shortened: a mistake of a proxy must not silence a worker for a day.
_RETRY_AFTER_MAX_SECONDS = 600.0
_ANSWER_BYTES_MAX = 256 * 1024
_REASON_LENGTH_MAX = 300

# Errors of the interpreter that would be a fault of this module. Others, such as the exception that a signal handler of
# the worker raises while a sample is recorded, are the worker's and pass through.
_FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)

_logger = logging.getLogger("weir")


class Weir:
    """Records samples, and sends them in batches. Make one for each process.

    url      the address of the gateway, such as "http://127.0.0.1:9091"
    token    a token with the scope "push"
    labels   tags of every sample; a sample's own tag of the same name wins
    worker   the index of this worker, such as "_1": it names the folder of this worker within the spool, and it is the
             label "instance" unless `labels` has one
    spool    a folder for samples that the gateway did not acknowledge; without one they stay in memory
    signals  False: the client does not flush at SIGTERM and at the end of the interpreter, and you call close()
    on_problem  receives each kind of problem once, as (kind, message); the default logs a warning to the logger "weir"
    ssl_context  for https; the default verifies against the certificates of the system
    The other options are the keys of DEFAULTS.

    An option that cannot be used is reported and replaced: the constructor never raises because of one.
    """

    def __init__(
        self,
        url,
        token=None,
        labels=None,
        worker=None,
        spool=None,
        *,
        signals=True,
        on_problem=None,
        ssl_context=None,
        **numbers,
    ):
        self._counts = _Counts(on_problem)
        settings = dict(DEFAULTS)
        for name, value in numbers.items():
            if name not in DEFAULTS:
                self._invalid_option(name, value, "no such option")
            elif isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf"):
                settings[name] = value
            else:
                self._invalid_option(name, value, "a positive number")
        self._batch_samples = int(min(max(1, settings["batch_samples"]), 100_000))
        self._settings = settings
        self._batch_bytes = min(_BATCH_BYTES * 4, settings["memory_bytes_max"])
        self._labels = self._read_labels(labels, worker)
        self._gateway = _Gateway(*self._read_address(url, token), ssl_context)
        self._lock = threading.RLock()
        self._spool = None
        if isinstance(spool, (str, os.PathLike)) and os.fspath(spool):
            folder = os.path.join(os.fsdecode(spool), _folder_name("worker" if worker is None else str(worker)))
            self._spool = _Spool(folder, settings["spool_bytes_max"], settings["spool_days"], self._counts)
        elif spool is not None:
            self._invalid_option("spool", spool, "a folder")
        self._is_closed = False
        self._clear()
        if signals:
            _watch_process_end(self)
        else:
            _forked.add(self)
        if self._spool:
            self._spool.list()
            # Otherwise the first sample starts the threads: a process that only forks has none.
            if self._spool.size()["batches"] > 0:
                self._start()

    # Recording

    def observe(self, name, value, tags=None):
        """Records one measurement, such as a duration. Its metric is a distribution: a histogram on /metrics."""
        self._record("observation", name, value, tags)

    def increment(self, name, by=1, tags=None):
        """Adds to a counter."""
        self._record("counter", name, by, tags)

    def set(self, name, value, tags=None):
        """Records the current level of a gauge."""
        self._record("gauge", name, value, tags)

    def time(self, name, tags=None):
        """Observes how long a block or a function takes, also if it raises: in seconds if the name ends in "_seconds",
        else in milliseconds.

            with weir.time("resize_ms", {"format": "png"}): ...

            @weir.time("resize_ms")
            def resize(image): ...   # or async def
        """
        return _Timer(self, name, tags)

    @property
    def push_url(self):
        """Where batches are sent; None if the option `url` could not be used."""
        return self._gateway.url

    def flush(self):
        """Sends what was recorded before. Returns True once the gateway or the spool has it, and False if it is still in
        memory after `close_timeout_seconds`."""
        try:
            return self._settle(self._settings["close_timeout_seconds"], is_retried=True)
        except _FAULTS as error:
            self._counts.report("fault", f"the client has a fault: {error!r}")
            return False

    def close(self):
        """As flush(), and ends the client. What could not be sent is in the spool then, or counted as lost."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        try:
            self._settle(self._settings["close_timeout_seconds"], is_retried=False)
            self._is_ended = True
            self._nudge(self._wake)
            self._nudge(self._post)
            self._abandon()
        except _FAULTS as error:
            self._counts.report("fault", f"the client has a fault: {error!r}")
        _forked.discard(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def stats(self):
        """The client's own counts, as a dictionary. All are totals of this process in samples, unless the name says
        otherwise."""
        counts = self._counts
        with self._lock:
            in_memory, _ = self._in_memory()
            away = self._failures > 0
        return {
            # Accepted from the worker.
            "recorded": self._recorded,
            # Acknowledged by the gateway, batches of earlier processes included.
            "stored": counts.stored,
            # Rejected one by one by the gateway, in a batch that it accepted.
            "rejected": counts.rejected,
            # In batches that the gateway refused (4xx), which the spool keeps aside.
            "set_aside": counts.set_aside,
            "lost": dict(counts.lost),
            "invalid": dict(counts.invalid),
            # Now in memory: not acknowledged and not in the spool.
            "in_memory": in_memory,
            # Now in the spool, as far as this process knows.
            "spooled": self._spool.size() if self._spool else {"samples": 0, "batches": 0, "bytes": 0},
            # Requests to the gateway, and those of them that failed and are retried.
            "requests": counts.requests,
            "requests_failed": counts.requests_failed,
            # True while the gateway does not answer: batches are kept until the next attempt.
            "away": away,
            # The newest problem, also if its kind was reported before: (kind, message) or None.
            "last_problem": counts.last_problem,
        }

    def _record(self, kind, name, value, tags):
        try:
            number = value if type(value) is float else _number(value)
            if number is None or number - number != 0.0:
                text = f"a sample of {_quoted(name)} was not recorded: its value is {_quoted(value)}"
                self._counts.refuse("value", f"{text}, expected a finite number")
                return
            if not isinstance(name, str) or not 0 < len(name) <= _NAME_LENGTH_MAX:
                text = f"a sample was not recorded: its name is {_quoted(name)}"
                self._counts.refuse("name", f"{text}, expected a text of 1 to {_NAME_LENGTH_MAX} characters")
                return
            size = _SAMPLE_BYTES + len(name)
            if tags is not None:
                tags, more = self._checked(name, tags)
                size += more
            with self._lock:
                if not self._is_closed:
                    self._append(kind, name, number, tags, size)
                    if self._threads is not None:
                        return
            if self._is_closed:
                self._counts.refuse("closed", f"{_quoted(name)} was recorded after the client was closed")
            else:
                self._start()
        except _FAULTS as error:
            self._counts.report("fault", f"the client has a fault: {error!r}")

    def _append(self, kind, name, value, tags, size):
        # Microseconds, which is what the gateway stores.
        micros = time.time_ns() // 1_000
        if kind == "gauge":
            # A gauge has one value per time. A clock that was set back by more than a second is followed.
            if self._last_gauge - 1_000_000 < micros <= self._last_gauge:
                micros = self._last_gauge + 1
            self._last_gauge = micros
        self._samples.append((kind, name, value, micros, tags))
        self._bytes += size
        self._recorded += 1
        if len(self._samples) >= self._batch_samples or self._bytes >= self._batch_bytes:
            self._cut()

    def _checked(self, name, tags):
        """A copy of the tags without those that cannot be stored, which are counted; and their size."""
        try:
            copy = dict(tags) if isinstance(tags, dict) or hasattr(tags, "keys") else None
        except Exception:  # a mapping of the worker may raise anything
            copy = None
        if copy is None:
            self._counts.refuse("tags", f"the tags of {_quoted(name)} are {_quoted(tags)}, expected a dictionary")
            return None, 0
        size = 0
        kept = {}
        for tag, value in copy.items():
            if value is None:
                continue
            if len(kept) >= _TAGS_MAX:
                text = f"{_quoted(name)} has more than {_TAGS_MAX} tags"
                self._counts.refuse("tag_count", f"{text}; the others were left out")
                break
            if isinstance(value, uuid.UUID):
                value = str(value)
            if not isinstance(tag, str) or not 0 < len(tag) <= _NAME_LENGTH_MAX:
                text = f"a tag of {_quoted(name)} was left out: its name is {_quoted(tag)}"
                self._counts.refuse("tag_value", f"{text}, expected a text of 1 to {_NAME_LENGTH_MAX} characters")
                continue
            if isinstance(value, str):
                if len(value) > _TAG_LENGTH_MAX:
                    text = f"the tag {_quoted(tag)} of {_quoted(name)} has {len(value)} characters"
                    self._counts.refuse("tag_too_long", f"{text}; the first {_TAG_LENGTH_MAX} were recorded")
                    value = value[:_TAG_LENGTH_MAX]
                size += 120 + len(value)
            elif isinstance(value, bool) or (isinstance(value, (int, float)) and _number(value) is not None):
                size += 128
            else:
                text = f"the tag {_quoted(tag)} of {_quoted(name)} was left out: it is {_quoted(value)}"
                self._counts.refuse("tag_value", f"{text}, expected a text, a finite number or a boolean")
                continue
            kept[tag] = value
        return kept, size

    # Options

    def _invalid_option(self, name, value, expected):
        self._counts.report("invalid_option", f"the option {name} is {_quoted(value)}, expected {expected}")

    def _read_labels(self, labels, worker):
        read = {} if worker is None else {"instance": str(worker)[:_TAG_LENGTH_MAX]}
        if labels is not None:
            kept, _ = self._checked("labels", labels)
            read.update(kept or {})
        return read

    def _read_address(self, url, token):
        """The route of events, and the headers. A path of the address is kept, for a gateway behind a proxy."""
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip", "User-Agent": "weir-python"}
        # The message does not quote it: it is a secret.
        if token is not None and not (isinstance(token, str) and re.fullmatch(r"[\x21-\x7e]+", token)):
            text = "the option token is not a text of printable characters; no token is sent"
            self._counts.report("invalid_option", text)
        elif token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            parsed = urllib.parse.urlsplit(url)
            if parsed.scheme in ("http", "https") and parsed.hostname and parsed.username is None:
                parsed.port  # raises ValueError
                path = parsed.path.rstrip("/") + "/api/v1/push"
                # Another character would end the request line.
                if re.fullmatch(r"[\x21-\x7e]+", path + parsed.netloc):
                    return parsed.scheme, parsed.netloc, path, headers
        except (AttributeError, TypeError, ValueError):
            pass
        expected = "an address such as http://127.0.0.1:9091; samples are not sent and not stored"
        self._invalid_option("url", url, expected)
        return None, None, None, headers

    # State. A sample is in exactly one place: _samples, _pending, _sealing, or a batch. Batches that nothing but the
    # memory has are in _loose, wherever else they are: in _fresh, in _posting, or in _ring.

    def _clear(self):
        """An empty client without threads: at its creation, and in the child of a fork, which must not send what its
        parent recorded."""
        # Reentrant: a signal handler or a finalizer may record, too, while the main thread has it. _settled.wait()
        # releases it wholly, so the threads go on while a signal handler waits for them.
        self._lock = threading.RLock()
        self._settled = threading.Condition(self._lock)
        # SimpleQueue.put is reentrant, other than Event.set.
        self._wake = queue.SimpleQueue()
        self._post = queue.SimpleQueue()
        self._threads = None
        self._is_ended = False
        self._samples = []
        self._bytes = 0
        self._recorded = 0
        self._last_gauge = 0
        self._pending = deque()
        self._sealing = None
        self._loose = {}
        self._fresh = deque()
        self._ring = deque()
        self._posting = None
        self._posting_since = 0.0
        # Attempts in a row that failed; 0 while the gateway answers.
        self._failures = 0
        self._retry_at = 0.0
        # Until then the gateway asked for a pause.
        self._pause_until = 0.0
        self._is_probe_wanted = False
        self._may_start_at = 0.0

    def _after_fork(self):
        self._counts.clear()
        self._gateway.forget_connection()
        if self._spool:
            self._spool.clear()
        self._clear()

    def _in_memory(self):
        """Samples and bytes in memory."""
        parts = [(len(self._samples), self._bytes)]
        parts += [(len(samples), size) for samples, size in [*self._pending, self._sealing or ([], 0)]]
        parts += [(batch.samples, len(batch.body)) for batch in self._loose.values()]
        return sum(samples for samples, _ in parts), sum(size for _, size in parts)

    @staticmethod
    def _nudge(waiting):
        """Wakes the thread that waits at a queue. One token is enough: the queue stays short if the thread is busy."""
        if waiting.empty():
            waiting.put(None)

    def _cut(self):
        """Ends the current batch, and drops the oldest samples if the memory is full. Called with the lock."""
        if self._samples:
            # In this order: a signal handler in between finds each sample once.
            samples, size = self._samples, self._bytes
            self._samples, self._bytes = [], 0
            self._pending.append((samples, size))
        self._nudge(self._wake)
        self._trim()

    def _is_waiting(self, batch):
        """Whether no request and no file is being made of a batch that only memory has."""
        return batch in self._ring or batch in self._fresh

    def _trim(self):
        """Drops what is oldest: batches in the order in which they were made, then what is no batch yet."""
        samples, size = self._in_memory()
        dropped = 0
        while samples > self._settings["memory_samples_max"] or size > self._settings["memory_bytes_max"]:
            batch = next((batch for batch in self._loose.values() if self._is_waiting(batch)), None)
            if batch is not None:
                (self._ring if batch in self._ring else self._fresh).remove(batch)
                del self._loose[batch.key]
                self._counts.give_back(batch.own)
                lost, lost_bytes = batch.samples, len(batch.body)
            elif self._sealing is not None and self._sealing[0]:
                # _seal_pending() sees that it was taken.
                (batch, lost_bytes), self._sealing = self._sealing, None
                lost = len(batch)
            elif self._pending:
                batch, lost_bytes = self._pending.popleft()
                lost = len(batch)
            else:
                break
            dropped += lost
            samples -= lost
            size -= lost_bytes
        self._counts.lose(
            "memory_full", dropped, "the memory for samples is full (memory_samples_max, memory_bytes_max)"
        )

    # Threads: one that keeps (cuts, encodes, compresses, spools), and one that posts. Both are daemons, so they do not
    # keep the interpreter from ending; the end of the process is in _at_end.

    def _start(self):
        with self._lock:
            if self._threads is not None or self._is_closed or time.monotonic() < self._may_start_at:
                return
            threads = [
                threading.Thread(target=self._guard, args=(work,), name=f"weir-{name}", daemon=True)
                for name, work in (("keep", self._keep_turn), ("post", self._post_turn))
            ]
            self._next_tick = time.monotonic() + self._settings["flush_interval_seconds"]
            self._next_list = 0.0
            try:
                for thread in threads:
                    thread.start()
            except RuntimeError as error:
                # At the limit of threads, or at the end of the interpreter. The end of the process sends then.
                self._may_start_at = time.monotonic() + 1.0
                self._counts.report("no_thread", f"no thread can be started to send samples: {error}")
                return
            self._threads = threads
        _watch_child_end()

    def _guard(self, turn):
        while not self._is_ended:
            try:
                turn()
            except Exception as error:  # whatever it is, the next turn may succeed
                self._counts.report("fault", f"the client has a fault: {error!r}")
                time.sleep(1.0)
            with self._lock:
                self._settled.notify_all()

    def _keep_turn(self):
        with self._lock:
            is_watching = self._posting is not None or self._fresh
        now = time.monotonic()
        wait = min(self._next_tick - now, 0.25 if is_watching else 1e6)
        if wait > 0:
            with contextlib.suppress(queue.Empty):
                self._wake.get(timeout=wait)
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + self._settings["flush_interval_seconds"]
            with self._lock:
                if self._samples:
                    self._cut()
                elif self._failures == 0:
                    # An empty batch takes the client's own counters along.
                    self._pending.append(([], 0))
        self._seal_pending()
        self._spool_slow()
        if self._spool and now >= self._next_list:
            self._next_list = now + _LIST_SECONDS
            self._spool.list()
            self._nudge(self._post)

    def _seal_pending(self):
        """Encodes what is pending, in order."""
        while True:
            with self._lock:
                if not self._pending:
                    return
                item = self._pending.popleft()
                self._sealing = item
                # Of a batch that may be dropped, the own counters would be dropped with it.
                own = self._counts.take_increments() if self._failures == 0 and not self._pending else []
            try:
                batch = self._seal(item[0], own) if item[0] or own else None
                fault = None
            except Exception as error:  # such as a lack of memory
                batch, fault = None, f"they could not be encoded: {error!r}"
            with self._lock:
                if self._sealing is not item:
                    # _abandon() or _trim() took it meanwhile.
                    self._counts.give_back(own)
                    continue
                self._sealing = None
                if fault is not None:
                    self._counts.lose("memory_full", len(item[0]), fault)
                if batch is None:
                    continue
                self._loose[batch.key] = batch
                is_slow = self._posting is not None and time.monotonic() - self._posting_since > _SLOW_SECONDS
                is_fresh = self._failures == 0 and not is_slow and len(self._fresh) < _FRESH_MAX
                if is_fresh:
                    self._fresh.append(batch)
            if is_fresh:
                self._nudge(self._post)
            else:
                self._keep(batch)

    def _seal(self, samples, own):
        now = time.time_ns() // 1_000_000
        own_samples = [("counter", name, value, now * 1_000, dict(tags)) for (name, tags), value in own]
        lines = _lines([*samples, *own_samples], self._labels)
        lines.append("")
        # A lone surrogate, as in a path with bytes that are not UTF-8, becomes "?".
        text = "\n".join(lines).encode("utf-8", "replace")
        return _Batch(str(uuid.uuid4()), now, len(samples), gzip.compress(text, 6), own)

    def _keep(self, batch):
        """Moves a batch that is only in memory to the spool, or to the ring in memory. The lock is not taken while the
        disk works."""
        if self._spool and self._spool.put(batch):
            with self._lock:
                self._loose.pop(batch.key, None)
            return
        with self._lock:
            # Otherwise _abandon() took it.
            if batch.key in self._loose and batch not in self._ring:
                if self._ring and batch.created < self._ring[0].created:
                    self._ring.appendleft(batch)
                else:
                    self._ring.append(batch)
                self._trim()
                if self._failures == 0:
                    # The gateway may have answered since this batch was found to be late.
                    self._nudge(self._post)

    def _spool_slow(self):
        """Writes batches to the spool that wait for a slow request, so that a killed worker loses little. Ends a request
        that takes too long."""
        now = time.monotonic()
        with self._lock:
            if self._posting is None or now - self._posting_since < _SLOW_SECONDS:
                return
            batches = [batch for batch in [self._posting, *self._fresh] if batch.key in self._loose]
            is_late = now - self._posting_since > self._settings["request_timeout_seconds"]
        if is_late:
            # A timeout of a socket is one of each call: an answer that trickles would last for ever.
            self._gateway.interrupt()
        for batch in batches if self._spool else ():
            if self._spool.put(batch):
                with self._lock:
                    is_finished = self._loose.pop(batch.key, None) is None
                if is_finished:
                    # Its answer came while the file was written.
                    self._spool.done(batch)

    def _post_turn(self):
        batch = self._next_batch()
        if batch is not None:
            try:
                self._finish(batch, self._gateway.push(batch, self._settings["request_timeout_seconds"]))
            except Exception:
                self._keep(batch)
                raise
            finally:
                with self._lock:
                    self._posting = None
            return
        with self._lock:
            is_waiting = self._failures > 0
            wait = self._retry_at - time.monotonic()
        if is_waiting and wait <= 0:
            return
        with contextlib.suppress(queue.Empty):
            self._post.get(timeout=min(wait, 60.0) if is_waiting else 60.0)

    def _next_batch(self):
        """The batch to send now: fresh ones first, then the backlog, oldest first. While the gateway is away, nothing
        until the next attempt, which is made with the newest batch."""
        with self._lock:
            if self._failures > 0:
                late = list(self._fresh)
                self._fresh.clear()
                is_due = time.monotonic() >= self._retry_at or self._is_probe_wanted
            else:
                late, is_due = [], True
                if self._fresh:
                    return self._begin(self._fresh.popleft())
        for batch in late:
            self._keep(batch)
        if not is_due:
            return None
        with self._lock:
            newest = self._failures > 0
            # What is only in memory is the first to be lost, so it is the first to be sent.
            if self._ring:
                return self._begin(self._ring.pop() if newest else self._ring.popleft())
        batch = self._spool.take(newest) if self._spool else None
        with self._lock:
            if batch is not None:
                return self._begin(batch)
            self._is_probe_wanted = False
            if self._failures > 0:
                # Nothing is left to be sent: the next fresh batch tries the gateway.
                self._failures = 0
        return None

    def _begin(self, batch):
        self._posting = batch
        self._posting_since = time.monotonic()
        self._counts.requests += 1
        return batch

    def _finish(self, batch, result):
        """Puts a batch where it belongs after its request."""
        counts = self._counts
        if result.kind == "retry":
            counts.requests_failed += 1
            counts.report("gateway_away", f"the gateway at {self.push_url} is away: {result.reason}")
            with self._lock:
                self._failures += 1
                self._is_probe_wanted = False
                delay = _retry_delay(self._settings, self._failures, result.retry_after)
                self._retry_at = time.monotonic() + delay
                self._pause_until = self._retry_at if result.retry_after is not None else 0.0
                is_loose = batch.key in self._loose
            if is_loose:
                self._keep(batch)
            return
        if result.kind == "refused":
            is_sent = result.status != _NO_ADDRESS
            if not batch.samples and batch.own:
                # The client's own counters alone are not worth a file: they go with a later batch.
                counts.give_back(batch.own)
                if self._spool:
                    self._spool.done(batch)
            elif self._spool and self._spool.set_aside(batch, result.status):
                counts.set_aside += batch.samples
                text = f"the gateway refused {batch.samples} samples, which the spool keeps aside"
                if not is_sent:
                    text = f"the spool keeps {batch.samples} samples aside"
                counts.report(f"refused_{result.status}", f"{text}: {result.reason}")
            elif not is_sent:
                # The option was reported at the start.
                with self._lock:
                    counts.lost["refused"] += batch.samples
                counts.give_back(batch.own)
            else:
                counts.report(f"refused_{result.status}", f"the gateway refused {batch.samples} samples: {result.reason}")
                counts.lose("refused", batch.samples, f"the gateway answered {result.reason}")
                counts.give_back(batch.own)
        else:
            rejected = min(result.rejected, batch.samples)
            counts.stored += batch.samples - rejected
            counts.rejected += rejected
            if rejected > 0:
                text = f"the gateway rejected {rejected} samples of a batch"
                counts.report("rejected", f"{text}: {result.reason or 'no reason'}")
            # In this order: _spool_slow() deletes a file that it wrote after this.
            with self._lock:
                self._loose.pop(batch.key, None)
            if self._spool:
                self._spool.done(batch)
        with self._lock:
            self._loose.pop(batch.key, None)
            # An answer, even a refusal, says that the gateway is there.
            if result.status:
                self._failures = 0
                self._is_probe_wanted = False

    # The end

    def _is_settled(self):
        return (
            not self._pending
            and self._sealing is None
            and len(self._loose) == len(self._ring)
            and (self._failures > 0 or not self._ring)
            and not self._is_probe_wanted
        )

    def _settle(self, seconds, is_retried):
        """Waits until the gateway or the spool has what was recorded, for so long at most. If the gateway is away, it is
        tried once unless it asked for a pause: always if `is_retried`, else for samples that only the memory has."""
        deadline = time.monotonic() + seconds
        with self._lock:
            self._cut()
            has_threads = self._threads is not None
            is_wanted = self._failures > 0 and (is_retried or self._ring) and time.monotonic() >= self._pause_until
            self._is_probe_wanted = bool(is_wanted and has_threads)
        self._nudge(self._post)
        if not has_threads:
            self._work_here(deadline)
            return self._is_settled() and not self._ring
        with self._lock:
            while not self._is_settled() and time.monotonic() < deadline:
                # Not longer: a probe may be wanted while another attempt is being made.
                self._settled.wait(min(0.25, max(0.0, deadline - time.monotonic())))
            self._is_probe_wanted = False
            return self._is_settled() and not self._ring

    def _work_here(self, deadline):
        """Sends in the calling thread, if no thread could be started."""
        self._seal_pending()
        while time.monotonic() < deadline and self._failures == 0:
            with self._lock:
                source = self._fresh or self._ring
                if not source:
                    return
                batch = self._begin(source.popleft())
            self._finish(batch, self._gateway.push(batch, max(0.1, deadline - time.monotonic())))
            with self._lock:
                self._posting = None

    def _abandon(self):
        """Writes everything that is only in memory to the spool, in the calling thread, or counts it as lost. A request
        in progress goes on, with the same key."""
        with self._lock:
            items = [*([self._sealing] if self._sealing else []), *self._pending, (self._samples, self._bytes)]
            batches = list(self._loose.values())
            self._samples, self._bytes, self._sealing = [], 0, None
            self._pending.clear()
            self._loose.clear()
            self._ring.clear()
            self._fresh.clear()
        rest = [samples for samples, _ in items if samples]
        for index, samples in enumerate(rest):
            own = self._counts.take_increments() if index == len(rest) - 1 else []
            batches.append(self._seal(samples, own))
        for batch in batches:
            if not (self._spool and self._spool.put(batch)):
                why = "the client was closed before the gateway stored them"
                self._counts.lose("process_end", batch.samples, why)

    def _at_signal(self, is_last):
        """SIGTERM. If the process ends by it, waits for the gateway within the stated time. If the worker has a handler
        of its own, that decides: nothing waits, but what is in memory is spooled, and sent soon."""
        try:
            if is_last:
                self.close()
                # A signal during close() does not wait.
                self._abandon()
            elif self._spool:
                self._abandon()
                self._nudge(self._post)
            else:
                with self._lock:
                    self._cut()
        except _FAULTS as error:
            self._counts.report("fault", f"the client has a fault: {error!r}")


class _Timer(contextlib.ContextDecorator):
    def __init__(self, weir, name, tags):
        self._arguments = (weir, name, tags)
        self._started = 0.0

    def _recreate_cm(self):
        # A decorated function may call itself, and run in many threads.
        return _Timer(*self._arguments)

    def __call__(self, function):
        if not inspect.iscoroutinefunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        async def timed(*args, **kwargs):
            with self._recreate_cm():
                return await function(*args, **kwargs)

        return timed

    def __enter__(self):
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_):
        took = time.perf_counter() - self._started
        weir, name, tags = self._arguments
        weir.observe(name, took if str(name).endswith("_seconds") else took * 1_000, tags)
        return False


# Names of columns that are no tags. A batch with such a tag is sent as events.
_RESERVED = frozenset(["ts", "@timestamp", "timestamp", "time", "value", "metric", "metric_name"])


def _lines(samples, labels):
    """The text of a batch, line by line: JSON columns, one object for the samples of one metric with the same tags. That
    takes a third of the bytes of an event per line. The gateway stores the same samples."""
    groups = {}
    for kind, name, value, micros, tags in samples:
        tags = {**labels, **tags} if tags else labels
        if not _RESERVED.isdisjoint(tags):
            return [_event_line(labels, *sample) for sample in samples]
        key = (kind, name, tuple(tags))
        group = groups.get(key)
        if group is None:
            group = groups[key] = ([], [], [[] for _ in tags])
        times, values, cells = group
        times.append(micros // 1_000 if micros % 1_000 == 0 else micros / 1_000)
        values.append(value)
        for column, cell in zip(cells, tags.values()):
            column.append(cell)
    lines = []
    for (kind, name, names), (times, values, cells) in groups.items():
        columns = {"ts": times, "value": values}
        for tag, column in zip(names, cells):
            # A tag that all samples have with one value is written once. True is no 1, though they are equal.
            first = column[0]
            is_one = all(cell is first or (type(cell) is type(first) and cell == first) for cell in column)
            columns[tag] = first if is_one else column
        line = {"metric": name, "columns": columns}
        if kind != "observation":
            line["type"] = kind
        lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    return lines


def _event_line(labels, kind, name, value, micros, tags):
    event = {
        "@timestamp": micros / 1_000,
        "metric_name": name,
        "value": value,
        "type": kind,
        "tags": {**labels, **tags} if tags else labels,
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


class _Batch:
    """A batch as it is sent and spooled. Its bytes never change, so that it can be sent any number of times and is stored
    once."""

    __slots__ = ("body", "created", "key", "own", "samples")

    def __init__(self, key, created, samples, body, own=()):
        self.key = key  # the Idempotency-Key
        self.created = created  # milliseconds since 1970
        self.samples = samples  # those of the worker; the client's own are not counted
        self.body = body  # JSON lines, compressed with gzip
        self.own = own  # the client's own counters in it


class _Counts:
    """What the client counts, and the problems that it reports: each kind once, so that a mistake in a loop does not fill
    a log. The counts are also pushed, as increments: weir_client_…"""

    def __init__(self, on_problem):
        self._on_problem = on_problem if callable(on_problem) else _log
        self._reported = set()
        self.clear()

    def clear(self):
        self._lock = threading.RLock()
        self.stored = self.rejected = self.set_aside = self.requests = self.requests_failed = 0
        self.lost = dict.fromkeys(LOSSES, 0)
        self.invalid = dict.fromkeys(INVALID, 0)
        self.last_problem = None
        self._pushed = {}

    def report(self, kind, message):
        self.last_problem = (kind, message)
        if kind in self._reported:
            return
        self._reported.add(kind)
        with contextlib.suppress(Exception):  # a worker's function that raises must not end what reported the problem
            self._on_problem(kind, message)

    def lose(self, reason, samples, why):
        if samples == 0:
            return
        with self._lock:
            self.lost[reason] += samples
        self.report(f"lost_{reason}", f"{samples} samples were dropped: {why}")

    def refuse(self, what, message):
        with self._lock:
            self.invalid[what] += 1
        self.report(f"invalid_{what}", message)

    def take_increments(self):
        """The increments since the last call, for the next batch. A batch that is lost gives them back."""
        increments = []
        with self._lock:
            for key, total in self._totals():
                increment = total - self._pushed.get(key, 0)
                if increment != 0:
                    self._pushed[key] = total
                    increments.append((key, increment))
        return increments

    def give_back(self, increments):
        with self._lock:
            for key, increment in increments:
                self._pushed[key] = self._pushed.get(key, 0) - increment

    def _totals(self):
        samples = "weir_client_samples_total"
        yield (samples, (("outcome", "stored"),)), self.stored
        yield (samples, (("outcome", "rejected"),)), self.rejected
        yield (samples, (("outcome", "set_aside"),)), self.set_aside
        for reason, lost in self.lost.items():
            yield ("weir_client_samples_lost_total", (("reason", reason),)), lost
        for what, invalid in self.invalid.items():
            yield ("weir_client_invalid_input_total", (("input", what),)), invalid
        yield ("weir_client_requests_failed_total", ()), self.requests_failed


def _log(_kind, message):
    _logger.warning("weir client: %s", message)


# The status in the names of batches that were not sent, because the client has no address.
_NO_ADDRESS = 0


class _Result:
    """What an answer means for its batch: `stored`, except for `rejected` of its samples; `retry`: no answer, or 408, 429,
    5xx; `refused`: the same batch would get the same answer again."""

    __slots__ = ("kind", "reason", "rejected", "retry_after", "status")

    def __init__(self, kind, status=0, reason=None, rejected=0, retry_after=None):
        self.kind = kind
        self.status = status
        self.reason = reason
        self.rejected = rejected
        self.retry_after = retry_after


class _Gateway:
    """Requests to the gateway, on one connection that is kept."""

    def __init__(self, scheme, address, path, headers, ssl_context):
        self.url = None if scheme is None else f"{scheme}://{address}{path}"
        self._scheme = scheme
        self._address = address
        self._path = path
        self._headers = headers
        self._ssl_context = ssl_context
        self._connection = None

    def push(self, batch, timeout):
        """Sends a batch once. Never raises."""
        if self.url is None:
            return _Result("refused", _NO_ADDRESS, reason="no address (option url)")
        is_kept = self._connection is not None
        try:
            try:
                return self._push(batch, timeout)
            except (ConnectionError, http.client.BadStatusLine):
                # The gateway closes a connection that was idle. Another one may be sent at once: the key is the same.
                if not is_kept:
                    raise
                self._close()
                return self._push(batch, timeout)
        except Exception as error:  # sockets, TLS, HTTP and names each have errors of their own
            self._close()
            is_late = isinstance(error, (TimeoutError, socket.timeout))
            reason = f"no answer within {timeout:g} s" if is_late else _capped(str(error) or repr(error))
            return _Result("retry", reason=reason)

    def interrupt(self):
        """Ends the request in progress, from another thread."""
        connection = self._connection
        with contextlib.suppress(AttributeError, OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    def forget_connection(self):
        """In the child of a fork: the connection is the parent's."""
        self._connection = None

    def _close(self):
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _push(self, batch, timeout):
        connection = self._connection
        if connection is None:
            if self._scheme == "https":
                connection = http.client.HTTPSConnection(self._address, timeout=timeout, context=self._ssl_context)
            else:
                connection = http.client.HTTPConnection(self._address, timeout=timeout)
            self._connection = connection
        elif connection.sock is not None:
            connection.sock.settimeout(timeout)
        headers = {**self._headers, "Idempotency-Key": batch.key}
        # The gateway may answer before it has read the body, and close: its answer is there then.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", self._path, batch.body, headers)
        response = connection.getresponse()
        body = response.read(_ANSWER_BYTES_MAX)
        result = self._result_of(response, body)
        if not response.isclosed():
            # The rest of a longer answer is not received.
            self._close()
        return result

    @staticmethod
    def _result_of(response, body):
        status = response.status
        text = body.decode("utf-8", "replace")
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            answer = {}
        error = answer.get("error")
        message = str(error.get("message", "")) if isinstance(error, dict) else text
        message = f": {_capped(message.strip())}" if message.strip() else ""
        if status in (408, 429) or status >= 500:
            retry_after = _parse_retry_after(response.getheader("Retry-After"), time.time())
            return _Result("retry", status, f"it answered {status}{message}", retry_after=retry_after)
        if not 200 <= status < 300:
            return _Result("refused", status, f"{status}{message}")
        accepted = answer.get("accepted")
        if not isinstance(accepted, int) or isinstance(accepted, bool):
            # Another program at this address may answer 200: nothing was stored then.
            reason = f"it answered {status} without a count of accepted events; is this address a gateway?"
            return _Result("retry", status, reason)
        rejected = answer.get("rejected")
        errors = answer.get("errors")
        first = errors[0].get("reason") if isinstance(errors, list) and errors and isinstance(errors[0], dict) else None
        return _Result(
            "stored",
            status,
            _capped(str(first)) if first else None,
            rejected=rejected if isinstance(rejected, int) else 0,
        )


class _Spool:
    """Batches on disk, one file each: TIME-SAMPLES-BYTES-KEY.ndjson.gz, with the time in milliseconds since 1970. The name
    says everything that is needed to send a batch. The TypeScript client has the same files.

    A file appears under its name when it is complete: it is written under a temporary name, synced, and renamed. It is
    deleted after the gateway acknowledged it. Since the key is part of the name, several processes may share a folder: a
    file that two of them send is stored once. A file that the gateway refused gets the status as a suffix,
    `….refused-401`, and is not sent again.

    The lock guards the lists of names alone, never the disk.
    """

    _NAME = re.compile(r"(\d{13})-(\d{1,9})-(\d{1,12})-([0-9a-f-]{36})\.ndjson\.gz(\.refused-\d{3})?")
    # A temporary file of this age belongs to a process that was killed.
    _TEMPORARY_SECONDS = 3_600
    # About a week of one batch every 10 s.
    _FILES_MAX = 60_000

    def __init__(self, folder, bytes_max, days, counts):
        self._folder = folder
        self._bytes_max = bytes_max
        self._days = days
        self._counts = counts
        self.clear()

    def clear(self):
        self._lock = threading.RLock()
        self._waiting = []  # names of batches that wait, oldest first
        self._refused = []
        self._samples = 0  # of the batches that wait
        self._bytes = 0  # of all files
        self._stored = set()  # acknowledged batches whose files could not be deleted
        self._listed_at = None

    def size(self):
        with self._lock:
            return {"samples": self._samples, "batches": len(self._waiting), "bytes": self._bytes}

    @classmethod
    def _facts(cls, name):
        """(created, samples, bytes, key, is_refused), or None."""
        match = cls._NAME.fullmatch(name)
        if match is None:
            return None
        created, samples, size, key, refused = match.groups()
        return int(created), int(samples), int(size), key, refused is not None

    @staticmethod
    def _name(batch):
        return f"{batch.created:013d}-{batch.samples}-{len(batch.body)}-{batch.key}.ndjson.gz"

    def list(self):
        """Finds the files of earlier processes, and of others. Drops files past `spool_days`."""
        with self._lock:
            before = {*self._waiting, *self._refused}
        found = set()
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if self._facts(entry.name):
                        found.add(entry.name)
                    elif entry.name.endswith(".tmp"):
                        self._remove_abandoned(entry)
        except FileNotFoundError:
            pass  # nothing was ever spooled here
        except OSError as error:
            self._counts.report("spool_unreadable", f"the spool cannot be listed: {error}")
            return
        with self._lock:
            now = {*self._waiting, *self._refused}
            # What this process wrote, and what it deleted, while the folder was listed.
            names = ((found - (before - now)) | (now - before)) - self._stored
            facts = {name: self._facts(name) for name in sorted(names)}
            self._waiting = [name for name, (*_, is_refused) in facts.items() if not is_refused]
            self._refused = [name for name, (*_, is_refused) in facts.items() if is_refused]
            self._samples = sum(facts[name][1] for name in self._waiting)
            self._bytes = sum(size for _, _, size, _, _ in facts.values())
            self._listed_at = time.monotonic()
        self._drop_expired()

    def put(self, batch):
        """Writes a batch. The oldest batches are dropped if the spool is full. Returns False if the disk does not take it,
        or if it is larger than the spool."""
        name = self._name(batch)
        with self._lock:
            if name in self._waiting:
                return True
            is_old = self._listed_at is None or time.monotonic() - self._listed_at > 5.0
        if len(batch.body) > self._bytes_max:
            return False
        # A name of its own: the thread that keeps and the end of the process may write the same batch.
        temporary = os.path.join(self._folder, f"{name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            # Other processes may write to the same folder: the limit is one of the folder.
            if is_old:
                self.list()
            self._make_room(len(batch.body))
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(batch.body)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, os.path.join(self._folder, name))
        except OSError as error:
            self._report_unwritable(error)
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            return False
        with self._lock:
            self._add(name)
        self._sync_folder()
        return True

    def take(self, newest):
        """The oldest or the newest batch, which stays here until done() or set_aside()."""
        while True:
            with self._lock:
                if not self._waiting:
                    return None
                name = self._waiting[-1 if newest else 0]
            created, samples, size, key, _ = self._facts(name)
            try:
                with open(os.path.join(self._folder, name), "rb") as file:
                    body = file.read(size + 1)
            except FileNotFoundError:
                self._forget(name)  # another process sent it
                continue
            except OSError as error:
                self._forget(name)
                self._counts.lose("spool_damaged", samples, str(error))
                continue
            if len(body) == size:
                return _Batch(key, created, samples, body)
            # A power failure can leave a file without its content.
            self._drop(name, "spool_damaged", f"{name} has {len(body)} bytes, expected {size}")

    def done(self, batch):
        """Deletes an acknowledged batch, if it is here."""
        name = self._name(batch)
        with self._lock:
            if name not in self._waiting:
                return
            self._stored.add(name)
            self._forget(name)
        try:
            os.unlink(os.path.join(self._folder, name))
        except FileNotFoundError:
            pass
        except OSError as error:
            text = f"a batch that was sent cannot be deleted from the spool: {error}"
            self._counts.report("spool_unwritable", text)
            return
        with self._lock:
            self._stored.discard(name)

    def set_aside(self, batch, status):
        """Keeps a refused batch. Returns False if it is not here and cannot be written."""
        if (status != _NO_ADDRESS and not 100 <= status <= 999) or not self.put(batch):
            return False
        name = self._name(batch)
        aside = f"{name}.refused-{status:03d}"
        try:
            os.replace(os.path.join(self._folder, name), os.path.join(self._folder, aside))
        except OSError as error:
            self._report_unwritable(error)
            with self._lock:
                self._stored.add(name)  # not sent again by this process
                self._forget(name)
            return True
        with self._lock:
            self._forget(name)
            self._add(aside)
        return True

    def _add(self, name):
        names = self._refused if name.endswith(tuple("0123456789")) else self._waiting
        if name in names:
            return
        # Names begin with their time: a batch that is put is usually the newest.
        at = len(names)
        while at > 0 and names[at - 1] > name:
            at -= 1
        names.insert(at, name)
        _, samples, size, _, is_refused = self._facts(name)
        self._bytes += size
        self._samples += 0 if is_refused else samples

    def _forget(self, name):
        with self._lock:
            _, samples, size, _, is_refused = self._facts(name)
            names = self._refused if is_refused else self._waiting
            if name in names:
                names.remove(name)
                self._bytes -= size
                self._samples -= 0 if is_refused else samples

    def _make_room(self, size):
        self._drop_expired()
        while True:
            with self._lock:
                if self._bytes + size <= self._bytes_max and len(self._waiting) < self._FILES_MAX:
                    return
                names = self._refused or self._waiting
                if not names:
                    return
                name = names[0]
                why = f"the spool has {self._bytes} of {self._bytes_max} bytes (spool_bytes_max)"
            self._drop(name, "spool_full", why)

    def _drop_expired(self):
        oldest = (time.time() - self._days * 86_400) * 1_000
        why = f"they were in the spool for more than {self._days:g} days (spool_days)"
        while True:
            with self._lock:
                expired = [
                    names[0] for names in (self._waiting, self._refused) if names and self._facts(names[0])[0] < oldest
                ]
            if not expired:
                return
            for name in expired:
                self._drop(name, "spool_expired", why)

    def _drop(self, name, reason, why):
        """Deletes a file, and counts its samples as lost unless another process deleted it or they were refused."""
        self._forget(name)
        try:
            os.unlink(os.path.join(self._folder, name))
        except FileNotFoundError:
            return
        except OSError as error:
            self._report_unwritable(error)
        _, samples, _, _, is_refused = self._facts(name)
        if not is_refused:
            self._counts.lose(reason, samples, why)

    def _remove_abandoned(self, entry):
        with contextlib.suppress(OSError):  # its process renamed it
            if entry.stat().st_mtime < time.time() - self._TEMPORARY_SECONDS:
                os.unlink(entry.path)

    def _sync_folder(self):
        """After this the new name survives a power failure, too. Some systems do not support it."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _report_unwritable(self, error):
        self._counts.report("spool_unwritable", f"the spool {self._folder} cannot be written: {error}")


# The metrics of task workers and queue workers

#: Uploads up to this size are sent within the result.
INLINE_BYTES_MAX = 512

_UNKNOWN = "unknown"


class WorkerMetrics:
    """The metrics of task workers, with their names and the rules of their tags in one place: requests, tasks, uploads,
    and jobs of a queue. Nothing here raises, except that errors of the worker's own code pass through."""

    def __init__(self, weir):
        self._weir = weir
        self._after_fork()
        _forked.add(self)

    def _after_fork(self):
        # Reentrant: a signal handler of the worker may start a job, too.
        self._lock = threading.RLock()
        # Running jobs by their tags. Tags without a job are removed.
        self._active = {}

    def record_request(
        self,
        *,
        operation=None,
        url=None,
        method=None,
        status=None,
        error=None,
        duration_ms=None,
        task_id=None,
        has_task=None,
        **_,
    ):
        """http.request.duration_ms

        operation  "get_task", "target_request", "upload_file", "upload_result", or a name of your own
        status     of the answer; None if there was none
        error      the network error or the timeout, if there was no answer; the status is not used then
        task_id    None or "" if there is no task
        has_task   for get_task: whether a task was returned, if the status does not say so
        """
        tags = request_tags(operation, url, method, status, error, task_id, has_task)
        self._weir.observe("http.request.duration_ms", duration_ms, tags)

    def record_task(self, *, method=None, url=None, http_status=None, duration_ms=None, task_id=None, **_):
        """task.processing_duration_ms: `method`, `url` and `http_status` are those of the request to the target."""
        tags = {
            "task_id": _task_id(task_id),
            "method": _method(method),
            "domain": _domain(url),
            "http_status": _status(http_status),
        }
        self._weir.observe("task.processing_duration_ms", duration_ms, tags)

    def record_upload(self, *, bytes=None, task_id=None, **_):  # noqa: A002
        """upload.size_bytes"""
        size = _number(bytes)
        upload_type = "inline" if size is not None and size <= INLINE_BYTES_MAX else "direct"
        self._weir.observe("upload.size_bytes", bytes, {"task_id": _task_id(task_id), "upload_type": upload_type})

    def start_job(self, *, service=None, priority=None, worker_id=None, queued_at=None, **_):
        """A job of a queue begins: jobs_processed_total, jobs_active, job_queue_wait_seconds. Returns the job, which ends
        with complete() or fail().

        queued_at  when the job entered the queue: seconds since 1970 as of time.time(), or a datetime with a zone
        """
        tags = {"service": _text(service), "priority": _text(priority), "worker_id": _text(worker_id)}
        job = _RunningJob(self, tags)
        self._weir.increment("jobs_processed_total", 1, {**tags, "status": "started"})
        self._count(tags, 1)
        if queued_at is not None:
            queued = _number(queued_at)
            if queued is None:
                with contextlib.suppress(Exception):  # not a datetime
                    queued = float(queued_at.timestamp())
            # The clocks of two machines differ: a job does not leave its queue before it enters it.
            wait = queued_at if queued is None else max(0.0, time.time() - queued)
            self._weir.observe("job_queue_wait_seconds", wait, tags)
        return job

    def job(self, **facts):
        """A block that is one job, with the facts of start_job():

            with metrics.job(service="resize", queued_at=message.sent_at) as job:
                job.output_bytes = len(resize(message))
        """
        return self.start_job(**facts)

    def _count(self, tags, change):
        key = tuple(tags.values())
        with self._lock:
            active = max(0, self._active.get(key, 0) + change)
            if active:
                self._active[key] = active
            else:
                self._active.pop(key, None)
            self._weir.set("jobs_active", active, tags)

    def urllib_opener(self, *handlers, operation="target_request", task_id=None):
        """An opener of urllib that records each request. urllib.request.install_opener() makes it that of urlopen().

        operation  a name, or a function of (url, method)
        task_id    a function that returns the task that the worker is at
        """
        return _RecordingOpener(self, urllib.request.build_opener(*handlers), operation, task_id)

    def instrument_requests(self, session, operation="target_request", task_id=None):
        """Makes a `requests.Session` record each request. Returns the session. Options as in urllib_opener()."""
        request = session.request

        @functools.wraps(request)
        def recorded(method, url, *args, **kwargs):
            return self._recorded(lambda: request(method, url, *args, **kwargs), url, method, operation, task_id)

        session.request = recorded
        return session

    def instrument_httpx(self, client, operation="target_request", task_id=None):
        """Makes an `httpx.Client` or `httpx.AsyncClient` record each request. Returns the client. Options as in
        urllib_opener()."""
        send = client.send

        @functools.wraps(send)
        def recorded(request, *args, **kwargs):
            call = lambda: send(request, *args, **kwargs)  # noqa: E731
            return self._recorded(call, request.url, request.method, operation, task_id)

        @functools.wraps(send)
        async def recorded_async(request, *args, **kwargs):
            started = time.perf_counter()
            try:
                response = await send(request, *args, **kwargs)
            except BaseException as error:
                self._request_ended(started, request.url, request.method, operation, task_id, error=error)
                raise
            status = response.status_code
            self._request_ended(started, request.url, request.method, operation, task_id, status=status)
            return response

        client.send = recorded_async if inspect.iscoroutinefunction(send) else recorded
        return client

    def _recorded(self, call, url, method, operation, task_id):
        started = time.perf_counter()
        try:
            response = call()
        except BaseException as error:
            # An answer of 400 or above is an error in urllib.
            status = error.code if isinstance(error, urllib.error.HTTPError) else None
            how = {"error": error} if status is None else {"status": status}
            self._request_ended(started, url, method, operation, task_id, **how)
            raise
        status = getattr(response, "status_code", getattr(response, "status", None))
        self._request_ended(started, url, method, operation, task_id, status=status)
        return response

    def _request_ended(self, started, url, method, operation, task_id, **how):
        duration_ms = (time.perf_counter() - started) * 1_000
        with contextlib.suppress(Exception):  # a type of the worker may raise anything
            url = str(url)
        task = None
        # The functions are the worker's: an error in them is not one of its request.
        try:
            operation = operation(url, method) if callable(operation) else operation
            task = task_id() if callable(task_id) else task_id
        except Exception:
            operation = _UNKNOWN
        self.record_request(
            operation=operation, url=url, method=method, duration_ms=duration_ms, task_id=task, **how
        )


class _RunningJob:
    """A job that runs. The second end of it does nothing."""

    def __init__(self, metrics, tags):
        self.output_bytes = None
        self._metrics = metrics
        self._tags = tags
        self._started = time.perf_counter()
        self._is_ended = False

    def complete(self, output_bytes=None):
        """The job succeeded."""
        size = self.output_bytes if output_bytes is None else output_bytes
        if self._end("completed") and size is not None:
            self._metrics._weir.observe("job_output_size_bytes", size, self._tags)

    def fail(self, error=None):
        """The job failed, with an error or without one."""
        if self._end("failed") and error is not None:
            tags = {**self._tags, "error_type": _error_type(error), "error_name": type(error).__name__}
            self._metrics._weir.increment("errors_total", 1, tags)

    def _end(self, status):
        if self._is_ended:
            return False
        self._is_ended = True
        weir = self._metrics._weir
        tags = {**self._tags, "status": status}
        weir.increment("jobs_processed_total", 1, tags)
        weir.observe("job_duration_seconds", time.perf_counter() - self._started, tags)
        self._metrics._count(self._tags, -1)
        return True

    def __enter__(self):
        return self

    def __exit__(self, _, error, __):
        if error is None:
            self.complete()
        else:
            self.fail(error)
        return False


class _RecordingOpener:
    """An urllib opener around another one, which does the work."""

    def __init__(self, metrics, opener, operation, task_id):
        self._metrics = metrics
        self._opener = opener
        self._how = (operation, task_id)

    def open(self, fullurl, data=None, *args, **kwargs):
        url = getattr(fullurl, "full_url", fullurl)
        method = "GET" if data is None else "POST"
        if isinstance(fullurl, urllib.request.Request) and (data is None or getattr(fullurl, "method", None)):
            method = fullurl.get_method()
        return self._metrics._recorded(
            lambda: self._opener.open(fullurl, data, *args, **kwargs), url, method, *self._how
        )

    def __getattr__(self, name):
        return getattr(self._opener, name)


def request_tags(operation, url, method, status=None, error=None, task_id=None, has_task=None):
    """The tags of http.request.duration_ms, by the rules of task workers."""
    text = _status(status) if error is None else _UNKNOWN
    code = None if text == _UNKNOWN else int(text)
    success = "true" if code is not None and code < 400 else "false"
    tags = {
        "task_id": _task_id(task_id),
        "operation": operation if isinstance(operation, str) and operation else _UNKNOWN,
        "url": _url_without_query(url),
        "domain": _domain(url),
        "method": _method(method),
        "status_code": text,
    }
    if operation != "get_task":
        tags["success"] = success
    elif has_task is not None:
        tags["has_task"] = "true" if has_task else "false"
    elif code in (200, 204):
        tags["has_task"] = "true" if code == 200 else "false"
    elif code is not None:
        # A poll without an answer has neither: nothing says how it ended.
        tags["success"] = success
    if operation == "upload_result" and code is not None and code >= 400:
        error_type = _upload_error_type(code)
        if error_type is not None:
            tags["error_type"] = error_type
    return tags


def _upload_error_type(status):
    if status == 429:
        return "rate_limit"
    if status in (408, 504):
        return "timeout"
    if status <= 499:
        return "client_error"
    return "server_error" if status <= 599 else None


def _status(status):
    """A status of HTTP as text; "unknown" for anything else, such as the 0 of some libraries."""
    if isinstance(status, (int, float)) and not isinstance(status, bool) and _number(status) == status // 1:
        status = str(int(status))
    return status if isinstance(status, str) and re.fullmatch(r"[1-9][0-9]{2}", status) else _UNKNOWN


def _task_id(task_id):
    return "none" if task_id is None or task_id == "" else _text(task_id)


def _method(method):
    return method.upper() if isinstance(method, str) and method else _UNKNOWN


def _text(value):
    """A value as a tag; "unknown" if there is none."""
    if value is None or value == "":
        return _UNKNOWN
    try:
        return str(value)
    except Exception:  # a type of the worker may raise anything
        return _UNKNOWN


def _host(url):
    """The host of an address, as in a URL of the browser's kind; None if the address is missing or invalid."""
    try:
        parsed = urllib.parse.urlsplit(url.strip() if isinstance(url, str) else str(url))
        host = parsed.hostname
        if not parsed.scheme or not host:
            return None
        parsed.port  # raises ValueError
        if ":" in host:
            return f"[{host}]"
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
        return None if re.search(r"[\x00-\x20<>\\^`{|}%]", host) else host
    except Exception:  # a type of the worker may raise anything
        return None


def _domain(url):
    return _host(url) or _UNKNOWN


def _url_without_query(url):
    """The address without query, fragment and credentials; "unknown" if it is missing or invalid."""
    if _host(url) is None:
        return _UNKNOWN
    text = re.sub(r"[?#].*", "", str(url).strip(), flags=re.DOTALL)
    return re.sub(r"^([^:]*://)[^/]*@", r"\1", text)


def _error_type(error):
    """What kind of error ended a job: by its message first, then by its class."""
    text = _text(error).lower()
    for known in ("timeout", "memory", "network"):
        if known in text:
            return known
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, MemoryError):
        return "memory"
    return "connection" if isinstance(error, ConnectionResetError) else _UNKNOWN


# The end of the process, and forks

# What the child of a fork must empty: clients, and the metrics of workers.
_forked = weakref.WeakSet()
_previous_sigterm = None
_is_watched = False


def _watch_process_end(weir):
    global _is_watched
    _forked.add(weir)
    weir._is_watched = True
    atexit.unregister(_at_exit)
    # Anew for each client: the last registered runs first, before what the client itself may need.
    atexit.register(_at_exit)
    if not _is_watched:
        _is_watched = _chain_sigterm()


def _chain_sigterm():
    """Puts a handler before the one of the worker. Only the main thread may do that."""
    global _previous_sigterm
    try:
        previous = signal.getsignal(signal.SIGTERM)
        # None: a handler that was not set by Python, which could not be called. SIG_IGN: the signal ends nothing.
        if previous is None or previous is signal.SIG_IGN or previous is _on_sigterm:
            return previous is _on_sigterm
        _previous_sigterm = previous
        signal.signal(signal.SIGTERM, _on_sigterm)
        return True
    except ValueError:
        return False


def _on_sigterm(number, frame):
    previous = _previous_sigterm
    # A handler that was set later and calls this one decides itself how the process ends.
    is_last = not callable(previous) and signal.getsignal(signal.SIGTERM) is _on_sigterm
    for weir in _watched_clients():
        weir._at_signal(is_last)
    if callable(previous):
        previous(number, frame)
    elif is_last:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _at_exit():
    for weir in _watched_clients():
        weir.close()


def _watched_clients():
    return [each for each in list(_forked) if getattr(each, "_is_watched", False)]


def _watch_child_end():
    """A process of `multiprocessing` ends without atexit before Python 3.13, and clears the list of atexit since."""
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, _at_exit, exitpriority=0)
    atexit.unregister(_at_exit)
    atexit.register(_at_exit)


def _after_fork():
    for each in list(_forked):
        each._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# Texts and numbers


def _number(value):
    """A finite number as a float; None for anything else. Booleans and texts are no numbers."""
    if isinstance(value, (bool, str, bytes, bytearray)) or value is None:
        return None
    try:
        number = float(value)
    except Exception:  # a type of the worker may raise anything
        return None
    return number if number - number == 0.0 else None


def _retry_delay(settings, failures, retry_after):
    """Seconds until the next attempt: exponential backoff with full jitter
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that many workers do not return at
    once. With a Retry-After: that time, and a part of the first bound."""
    if retry_after is not None:
        return min(retry_after, _RETRY_AFTER_MAX_SECONDS) + random.random() * settings["backoff_seconds"]
    bound = settings["backoff_seconds"] * 2 ** min(failures - 1, 30)
    return random.random() * min(settings["backoff_max_seconds"], bound)


def _parse_retry_after(header, now):
    """Seconds of a Retry-After (RFC 9110 section 10.2.3): seconds, or an HTTP date. None for anything else."""
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (IndexError, OverflowError, TypeError, ValueError):
        return None


def _folder_name(worker):
    """A worker's index as the name of one folder: "a/b" and ".." must not lead elsewhere."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", worker)[:100]
    return f"_{safe}" if safe.strip(".") == "" else safe


def _quoted(value):
    try:
        return _capped(json.dumps(value) if isinstance(value, str) else repr(value), 100)
    except Exception:  # a type of the worker may raise anything
        return type(value).__name__


def _capped(text, length=_REASON_LENGTH_MAX):
    return f"{text[:length]}…" if len(text) > length else text
