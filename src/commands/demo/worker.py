"""A simulated worker with the Python client: `python3 worker.py URL INDEX SPOOL FLUSH_SECONDS`, with the folder of
weir.py on PYTHONPATH. It reads steps of work from standard input, one JSON object per line, and ends with its input. It
prints `ready`, and at the end how many samples it recorded."""

import json
import sys

if sys.version_info < (3, 9):
    sys.exit("Python %d.%d is older than 3.9" % sys.version_info[:2])

from weir import Weir, WorkerMetrics


def main(url, worker, spool, flush_seconds):
    weir = Weir(
        url, worker=worker, spool=spool, labels={"job": "scanner"}, flush_interval_seconds=float(flush_seconds)
    )
    metrics = WorkerMetrics(weir)
    print("ready", flush=True)
    for line in sys.stdin:
        step = json.loads(line)
        facts = {"task_id": step.get("taskId")}
        if step["kind"] == "upload":
            metrics.record_upload(bytes=step["bytes"], **facts)
            continue
        facts.update(method=step["method"], url=step["url"], duration_ms=step["durationMs"])
        if step["kind"] == "task":
            metrics.record_task(http_status=step.get("status"), **facts)
        else:
            metrics.record_request(
                operation=step["operation"], status=step.get("status"), error=step.get("error"), **facts
            )
    weir.close()
    print(weir.stats()["recorded"], flush=True)


main(*sys.argv[1:])
