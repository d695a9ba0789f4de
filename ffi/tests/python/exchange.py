"""One side of an exchange over the bus: exchange.py DIRECTORY send|receive COUNT."""

import ctypes as c
import struct
import sys

from ephapse import *

MASK = (1 << 64) - 1


def sample(number):
    first = number * 0x9E3779B97F4A7C15 & MASK
    return struct.pack("<4Q", number, first, ~number & MASK, first ^ (number << 7) & MASK)


def main():
    directory, role, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    kind = schema("exchange.Sample", 3, "Sample{number:u64,words:[u64;3]}")
    hub = open_hub(directory, "sender" if role == "send" else "receiver")
    if role == "send":
        publisher = made(lib.eph_publisher_open, hub, b"exchange.samples", 16, kind)
        receivers = c.c_uint32()
        while receivers.value == 0:
            call(lib.eph_publisher_receivers, publisher, c.byref(receivers))
        for number in range(count):
            call(lib.eph_publish, publisher, sample(number), 32, FOREVER, None)
        call(lib.eph_publisher_free, publisher)
    else:
        subscription = made(lib.eph_subscribe, hub, b"exchange.>", 10, None)
        event = Event()
        for number in range(count):
            call(lib.eph_subscription_take, subscription, 60 * SECOND, c.byref(event))
            payload = view(event)
            assert payload == sample(number), (number, bytes(payload))
            assert (event.schema, event.sequence) == (kind, number + 1)
            payload.release()
            call(lib.eph_event_release, c.byref(event))
        call(lib.eph_subscription_free, subscription)
    call(lib.eph_hub_free, hub)


main()
