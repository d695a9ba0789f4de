"""What the header declares, as far as the test needs it, for ctypes."""

import ctypes as c
import os

lib = c.CDLL(os.environ["EPHAPSE_LIBRARY"])


class Event(c.Structure):
    _fields_ = [
        ("data", c.c_void_p), ("len", c.c_size_t),
        ("subject", c.c_void_p), ("subject_len", c.c_size_t),
        ("source", c.c_void_p), ("source_len", c.c_size_t),
        ("sequence", c.c_uint64), ("schema", c.c_uint64),
        ("link", c.c_uint64), ("handle", c.c_uint64),
    ]


class HubOptions(c.Structure):
    _fields_ = [
        ("size", c.c_size_t), ("directory", c.c_char_p), ("directory_len", c.c_size_t),
        ("wait", c.c_int32), ("timestamps", c.c_int32), ("spin_ns", c.c_int64),
        ("embedded_supervisor", c.c_int32), ("payloads", c.c_int32),
        ("largest_ring", c.c_uint64), ("broadcast_capacity", c.c_uint64),
        ("patience_ns", c.c_int64), ("links_for", c.c_int32), ("reserved", c.c_int32),
    ]


ABI, FOREVER, SECOND = 0, -1, 1_000_000_000
handle, text, size, ns = c.c_void_p, c.c_char_p, c.c_size_t, c.c_int64

for name, arguments in {
    "eph_hub_open": [c.c_uint32, text, size, c.POINTER(HubOptions), c.POINTER(handle)],
    "eph_hub_free": [handle],
    "eph_publisher_open": [handle, text, size, c.c_uint64, c.POINTER(handle)],
    "eph_publisher_receivers": [handle, c.POINTER(c.c_uint32)],
    "eph_publisher_free": [handle],
    "eph_publish": [handle, c.c_char_p, size, ns, c.c_void_p],
    "eph_subscribe": [handle, text, size, c.c_void_p, c.POINTER(handle)],
    "eph_subscription_take": [handle, ns, c.POINTER(Event)],
    "eph_subscription_free": [handle],
    "eph_event_release": [c.POINTER(Event)],
    "eph_schema": [text, size, c.c_uint32, text, size, c.POINTER(c.c_uint64)],
}.items():
    getattr(lib, name).argtypes = arguments
lib.eph_last_error_message.restype = c.c_char_p


class EphapseError(Exception):
    pass


def call(function, *arguments):
    """Calls a function that gives 0 or an error."""
    code = function(*arguments)
    if code != 0:
        raise EphapseError(code, lib.eph_last_error_message().decode())


def made(function, *arguments):
    """Calls a function whose last argument is where a handle goes."""
    place = handle()
    call(function, *arguments, c.byref(place))
    return place


def open_hub(directory, name):
    directory = directory.encode()
    options = HubOptions(size=c.sizeof(HubOptions), directory=directory, directory_len=len(directory))
    return made(lib.eph_hub_open, ABI, name.encode(), len(name), c.byref(options))


def schema(name, version, layout):
    value = c.c_uint64()
    call(lib.eph_schema, name.encode(), len(name), version, layout.encode(), len(layout), c.byref(value))
    return value.value


def view(event):
    """The payload where it is: valid until the event is released."""
    return memoryview((c.c_char * event.len).from_address(event.data)).cast("B")
