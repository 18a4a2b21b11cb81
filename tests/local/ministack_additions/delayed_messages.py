"""Delivers delayed messages at once, so that no test waits for the 15 minutes that SQS delays a message."""

from __future__ import annotations

import time

from ministack.services import sqs


def deliver(text: str) -> int:
    """Makes the messages visible that are delayed and have `text` in their body; their number."""
    now = time.time()
    with sqs._queues_lock:
        delayed = [message for _, queue in sqs._queues.all_items() for message in queue["messages"]
                   if message["visible_at"] > now and not message["receive_count"] and text in message["body"]]
        for message in delayed:
            message["visible_at"] = now
    return len(delayed)
