"""The queues on BullMQ (docs/decisions/0006): who is woken, and what is done by the clock. They hold no truth.

Begin with `queues.open`. Nothing is imported here, so that a process that opens no queue does not load BullMQ.
"""
