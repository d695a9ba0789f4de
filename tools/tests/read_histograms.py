"""Reads what `ephapse bench load` wrote into a directory (out.json, out.hlog, out-RATE.hgrm) with
the Python package hdrhistogram, and compares it with the result. Ends with 1 at the first thing
that differs."""

import json
import sys
from pathlib import Path

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

HOUR_NS = 3600 * 10**9
QUANTILES = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p999", 99.9), ("max", 100.0)]


def near(found, expected, what):
    """Three digits, and a nanosecond for what was rounded."""
    assert abs(found - expected) <= expected * 0.003 + 1.0, f"{what}: {found}, not {expected}"


def intervals(path):
    """The histograms of a log, together, by tag."""
    reader = HistogramLogReader(str(path), HdrHistogram(1, HOUR_NS, 3))
    together = {}
    while (interval := reader.get_next_interval_histogram()) is not None:
        tag = interval.get_tag()
        together.setdefault(tag, HdrHistogram(1, HOUR_NS, 3)).add(interval)
    return together


def rows(path):
    """The columns of a text of percentiles: value, share, count."""
    lines = path.read_text().splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"], lines[0]
    lines = [line.split() for line in lines[1:] if line and not line.startswith("#")]
    return [[float(cell) for cell in line] for line in lines]


def value_at(rows, percent):
    return next(row[0] for row in rows if row[1] * 100 >= percent - 1e-9)


directory = Path(sys.argv[1])
result = json.loads((directory / "out.json").read_text())
logged = intervals(directory / "out.hlog")
tags = [run["rate"] if run["rate"] == "max" else run["rate"] + "/s" for run in result["runs"]]
assert sorted(logged) == sorted(tags), f"{sorted(logged)} instead of {tags}"
for tag, run in zip(tags, result["runs"]):
    histogram, text = logged[tag], rows(directory / f"out-{run['rate']}.hgrm")
    assert histogram.get_total_count() == run["count"], (tag, histogram.get_total_count())
    assert text[-1][2] == run["count"] and all(a <= b for a, b in zip(text, text[1:])), tag
    for name, percent in QUANTILES:
        expected = run["latency_ns"][name]
        near(histogram.get_value_at_percentile(percent), expected, f"{tag} {name} of the log")
        # Lines stand at some percentiles only: the next one is not below.
        assert value_at(text, percent) >= expected * 0.997 - 1.0, f"{tag} {name} of the text"
    near(text[-1][0], run["latency_ns"]["max"], f"{tag} max of the text")
    # And in the result itself, in picoseconds.
    whole = HdrHistogram.decode(run["histogram"])
    assert whole.get_total_count() == run["count"], tag
    near(whole.get_value_at_percentile(50) / 1000, run["latency_ns"]["p50"], f"{tag} of the result")
print("all histograms are as the result says")
