"""
A reader of OpenMetrics 1.0 text that takes nothing that the specification forbids, and of Prometheus' text format as
far as both look alike.
"""

import re

TYPES = {"counter", "gauge", "histogram", "gaugehistogram", "stateset", "info", "summary", "unknown"}

# What the samples of a family are called behind its name.
SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "info": ("_info",),
    "gauge": ("",),
    "unknown": ("",),
}

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
METADATA = re.compile(rf"# (TYPE|UNIT|HELP) ({NAME}) (.*)")
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? ([^ ]+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]Inf|NaN")
# Bounds of buckets are compared as text, so there is one way to write a number: that of Go and Python.
BOUND = re.compile(r"\d+\.\d+|\d(\.\d+)?e[+-]\d\d|\+Inf")


def labels_of(text):
    """A tuple of pairs in their order."""
    found, at = [], 0
    while at < len(text or ""):
        label = LABEL.match(text, at)
        assert label, f"no label: {text[at:]!r}"
        found.append((label[1], label[2]))
        at = label.end()
    assert not (text or "").endswith(","), text
    names = [name for name, _ in found]
    assert len(set(names)) == len(names), f"a label is there twice: {text}"
    assert not any(name.startswith("__") for name in names), text
    return tuple(found)


def samples(text):
    """The value of each sample by its name and labels: samples(text)["a_total", ("b", "c")]."""
    found = {}
    for line in text.splitlines():
        if line and line[0] != "#":
            sample = SAMPLE.fullmatch(line)
            assert sample, f"no sample: {line!r}"
            key = (sample[1], *labels_of(sample[2]))
            assert key not in found, f"it is there twice: {line!r}"
            assert NUMBER.fullmatch(sample[3]), line
            found[key] = float(sample[3])
    return found


class Family:
    """A name, its metadata, and its samples in their order."""

    def __init__(self, name):
        self.name = name
        self.metadata = {}
        self.samples = []

    @property
    def type(self):
        return self.metadata.get("TYPE", "unknown")

    @property
    def sample_names(self):
        return {self.name + suffix for suffix in SUFFIXES[self.type]}

    def check(self):
        assert self.type in TYPES and self.type in SUFFIXES, f"{self.name}: {self.type}"
        unit = self.metadata.get("UNIT")
        assert not unit or self.name.endswith("_" + unit), f"{self.name} has not its unit {unit} in its name"
        # Names that a reader would take for those of a sample.
        reserved = ("_total", "_created", "_bucket", "_count", "_sum", "_info")
        assert self.type in ("gauge", "unknown") or not self.name.endswith(reserved), f"{self.type} {self.name}"
        if self.type == "histogram":
            self._check_histogram()
        if self.type in ("counter", "info"):
            assert all(value >= 0 for _, _, value in self.samples), self.name
        if self.type == "info":
            assert all(value == 1 for _, _, value in self.samples), self.name

    def _check_histogram(self):
        groups = {}
        order = []
        for name, labels, value in self.samples:
            rest = tuple(label for label in labels if label[0] != "le")
            if not order or order[-1] != rest:
                order.append(rest)
            groups.setdefault(rest, []).append((name[len(self.name) :], dict(labels).get("le"), value))
        assert len(order) == len(groups), f"{self.name}: metrics are mixed"
        for rest, group in groups.items():
            buckets = [(bound, value) for suffix, bound, value in group if suffix == "_bucket"]
            assert [suffix for suffix, _, _ in group] == ["_bucket"] * len(buckets) + ["_sum", "_count"], rest
            assert all(BOUND.fullmatch(bound) for bound, _ in buckets), buckets
            bounds = [float(bound) for bound, _ in buckets]
            assert bounds == sorted(set(bounds)) and buckets[-1][0] == "+Inf", bounds
            counts = [value for _, value in buckets]
            assert counts == sorted(counts), f"{self.name} {rest}: not cumulative: {counts}"
            assert counts[-1] == group[-1][2], f"{self.name} {rest}: +Inf is not _count"
            assert all(count == int(count) for count in counts)


def families(text):
    """The families by name. Raises AssertionError for whatever is not as the specification says."""
    assert text.endswith("# EOF\n"), "no # EOF at the end"
    assert "\r" not in text and "\t" not in text and "\n\n" not in text
    found = {}
    current = None
    for line in text.split("\n")[:-2]:
        metadata = METADATA.fullmatch(line)
        sample = None if metadata else SAMPLE.fullmatch(line)
        assert metadata or sample, f"not OpenMetrics: {line!r}"
        if metadata:
            kind, name, value = metadata.groups()
            if current is None or current.name != name:
                current = Family(name)
                assert name not in found, f"{name} is there in two places"
                found[name] = current
            assert not current.samples, f"metadata behind samples: {line!r}"
            assert kind not in current.metadata, f"twice: {line!r}"
            current.metadata[kind] = value
            continue
        if current is None or sample[1] not in current.sample_names:
            # Without metadata it is a family of its own.
            current = Family(sample[1])
            assert sample[1] not in found, f"{sample[1]} does not belong where it is: {line!r}"
            found[sample[1]] = current
        current.samples.append((sample[1], labels_of(sample[2]), float(sample[3])))
    samples(text)
    names = [name for family in found.values() for name in family.sample_names | {family.name}]
    assert len(names) - len(set(names)) == 0, "two families have samples of the same name"
    for family in found.values():
        family.check()
    return found


def with_timestamps(text, at):
    """As if it had been read at that second: for tools that want to be told."""
    return "".join(
        line if line.startswith("#") else f"{line.rstrip()} {at}\n" for line in text.splitlines(keepends=True)
    )
