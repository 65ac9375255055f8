"""Random schemas, evolutions and data: our Avro core against two others.

Usage: differential.py DRIVER CASES [SEED]

Each case is a writer's schema, a reader's schema made from it by random changes,
and a datum.  fastavro, Apache avro and the driver read it.  Where the two oracles
agree, ours must agree with them.  Both have known gaps, and where they differ from
each other a small model of the specification in this file decides, and the rule it
applied is counted.  A case that both refuse ours must refuse, and the reverse.
"""
import collections
import copy
import io
import json
import math
import random
import struct
import subprocess
import sys

import avro.io
import avro.schema
import fastavro

PRIMITIVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
PROMOTIONS = {
    "int": ["long", "float", "double"],
    "long": ["float", "double"],
    "float": ["double"],
    "string": ["bytes"],
    "bytes": ["string"],
}
LOGICAL = {
    "int": ["date", "time-millis"],
    "long": ["time-micros", "timestamp-millis", "timestamp-micros", "local-timestamp-micros"],
    "string": ["uuid", "no-such-logical-type"],
    "bytes": ["decimal"],
}
SPACES = ["a", "a.b"]

# Where the specification overrules both oracles, and why.
OVERRULES = {
    "schemas match": "schemas that do not match are an error even if the datum avoids the difference",
    "record default": "a default's missing fields take their own defaults",
    "bytes default": "a default of bytes is text whose code points are the bytes",
    "alias": "the writer's name may be an alias of the reader's",
    "same type first": "a reader with the writer's own schema reads what was written, as Java does",
    "name before alias": "a field that the reader has by name is not taken by an alias",
    "several aliases": "of several that could be meant the first of the writer's is",
    "logical types differ": "a value is never read in another unit",
    "long to float": "a long that becomes a float is rounded once, not by way of double",
}


class Refused(Exception):
    pass


class Branch:
    """A value of a union: which branch, and the value."""

    def __init__(self, index, value):
        self.index = index
        self.value = value


# Schemas here are graphs: {"type": …} with named types as {"ref": full name} into a
# dict of definitions.  emit() makes JSON of them.


class Maker:
    def __init__(self, rng):
        self.rng = rng
        self.types = {}
        self.open = []  # records that are being defined, for recursion

    def name(self, prefix):
        return f"{self.rng.choice(SPACES)}.{prefix}{len(self.types)}"

    def schema(self, depth, in_union=False):
        rng = self.rng
        kinds = ["primitive"] * 5 + ["logical"]
        if depth > 0:
            kinds += ["record", "array", "map", "enum", "fixed"]
            kinds += [] if in_union else ["union", "nullable", "nullable"]
        if self.types and rng.random() < 0.15:
            done = [n for n in self.types if n not in self.open]
            if done:
                return {"ref": rng.choice(done)}
        kind = rng.choice(kinds)
        if kind == "primitive":
            return {"type": rng.choice(PRIMITIVES)}
        if kind == "logical":
            base = rng.choice(sorted(LOGICAL))
            schema = {"type": base, "logicalType": rng.choice(LOGICAL[base])}
            if schema["logicalType"] == "decimal":
                schema.update(precision=10, scale=2)
            return schema
        if kind == "array":
            return {"type": "array", "items": self.schema(depth - 1)}
        if kind == "map":
            return {"type": "map", "values": self.schema(depth - 1)}
        if kind == "nullable":
            other = self.schema(depth - 1, True)
            null = {"type": "null"}
            if other == null:
                return other
            branches = [null, other] if rng.random() < 0.7 else [other, null]
            return {"type": "union", "branches": branches}
        if kind == "union":
            return self.union(depth)
        return self.named(kind, depth)

    def union(self, depth):
        branches, seen = [], set()
        for _ in range(self.rng.randint(1, 4)):
            branch = self.schema(depth - 1, True)
            key = branch.get("ref") or branch["type"]
            if key not in seen:
                seen.add(key)
                branches.append(branch)
        return {"type": "union", "branches": branches}

    def named(self, kind, depth):
        rng = self.rng
        name = self.name(kind[0].upper())
        definition = {"type": kind, "name": name}
        self.types[name] = definition
        if kind == "enum":
            definition["symbols"] = rng.sample(["A", "B", "C", "D", "E_1"], rng.randint(1, 4))
        elif kind == "fixed":
            definition["size"] = rng.choice([0, 1, 4, 12, 16])
        else:
            self.open.append(name)
            fields = definition["fields"] = []
            for i in range(rng.randint(0, 5)):
                fields.append({"name": f"f{i}", "type": self.schema(depth - 1)})
            if rng.random() < 0.3:
                fields.append({"name": "again", "type": {"type": "union", "branches": [
                    {"type": "null"}, {"ref": name}]}})
            if rng.random() < 0.2:
                fields.append({"name": "children", "type": {"type": "array",
                                                            "items": {"ref": name}}})
            self.open.remove(name)
        return {"ref": name}


def emit(schema, types, rng, seen, space="", logical=True):
    """The graph as JSON; definitions at their first mention."""
    if "ref" in schema:
        name = schema["ref"]
        own, short = name.rsplit(".", 1)
        if name in seen:
            return short if own == space and rng.random() < 0.5 else name
        seen.add(name)
        definition = types[name]
        result = {k: v for k, v in definition.items() if k not in ("fields", "name")}
        if own == space and rng.random() < 0.5:
            result["name"] = short
        elif rng.random() < 0.5:
            result.update(name=short, namespace=own)
        else:
            result["name"] = name
        if "fields" in definition:
            result["fields"] = [
                {**f, "type": emit(f["type"], types, rng, seen, own, logical)}
                for f in definition["fields"]]
        return result
    kind = schema["type"]
    if kind == "array":
        return {"type": kind, "items": emit(schema["items"], types, rng, seen, space, logical)}
    if kind == "map":
        return {"type": kind, "values": emit(schema["values"], types, rng, seen, space, logical)}
    if kind == "union":
        return [emit(b, types, rng, seen, space, logical) for b in schema["branches"]]
    if logical and "logicalType" in schema:
        return dict(schema)
    return kind if rng.random() < 0.8 else {"type": kind}


def random_value(schema, types, rng, depth=0):
    if "ref" in schema:
        schema = types[schema["ref"]]
    kind = schema["type"]
    few = rng.choice([0, 1, 2, 3, 5]) if depth < 6 else 0
    if kind == "null":
        return None
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "int":
        return rng.choice([0, -1, 1, 63, 64, -65, 2**31 - 1, -(2**31), rng.randint(-10**6, 10**6)])
    if kind == "long":
        return rng.choice([0, -1, 1, 2**63 - 1, -(2**63), rng.randint(-2**62, 2**62),
                           rng.randint(-1000, 1000)])
    if kind == "float":
        return struct.unpack("<f", struct.pack("<f", rng.choice(
            [0.0, -0.0, 1.5, math.inf, math.nan, rng.uniform(-1e30, 1e30)])))[0]
    if kind == "double":
        return rng.choice([0.0, -0.0, 2.5, -math.inf, math.nan, rng.uniform(-1e300, 1e300)])
    if kind == "bytes":
        text = random_text(rng).encode()
        return text if rng.random() < 0.6 else bytes(rng.randrange(256) for _ in range(rng.randrange(9)))
    if kind == "string":
        return random_text(rng)
    if kind == "fixed":
        return bytes(rng.randrange(256) for _ in range(schema["size"]))
    if kind == "enum":
        return rng.choice(schema["symbols"])
    if kind == "array":
        return [random_value(schema["items"], types, rng, depth + 1) for _ in range(few)]
    if kind == "map":
        return {random_text(rng): random_value(schema["values"], types, rng, depth + 1)
                for _ in range(few)}
    if kind == "union":
        index = rng.randrange(len(schema["branches"]))
        if depth >= 6:
            index = next((i for i, b in enumerate(schema["branches"]) if b.get("type") == "null"),
                         index)
        return Branch(index, random_value(schema["branches"][index], types, rng, depth + 1))
    return {f["name"]: random_value(f["type"], types, rng, depth + 1) for f in schema["fields"]}


def random_text(rng):
    return "".join(rng.choice("abcXYZ 019_-äß€😀\0\n\"\\") for _ in range(rng.choice([0, 1, 3, 20])))


def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode_blocks(items, rng):
    out = b""
    while items:
        n = rng.randint(1, len(items))
        block, items = items[:n], items[n:]
        data = b"".join(block)
        out += varint(-n) + varint(len(data)) + data if rng.random() < 0.5 else varint(n) + data
    return out + b"\0"


def encode(schema, types, value, rng):
    if "ref" in schema:
        schema = types[schema["ref"]]
    kind = schema["type"]
    if kind == "null":
        return b""
    if kind == "boolean":
        return b"\1" if value else b"\0"
    if kind in ("int", "long"):
        return varint(value)
    if kind == "float":
        return struct.pack("<f", value)
    if kind == "double":
        return struct.pack("<d", value)
    if kind in ("bytes", "string"):
        data = value.encode() if kind == "string" else value
        return varint(len(data)) + data
    if kind == "fixed":
        return value
    if kind == "enum":
        return varint(schema["symbols"].index(value))
    if kind == "array":
        return encode_blocks([encode(schema["items"], types, v, rng) for v in value], rng)
    if kind == "map":
        return encode_blocks([encode({"type": "string"}, types, k, rng) +
                              encode(schema["values"], types, v, rng)
                              for k, v in value.items()], rng)
    if kind == "union":
        return varint(value.index) + encode(schema["branches"][value.index], types, value.value, rng)
    return b"".join(encode(f["type"], types, value[f["name"]], rng) for f in schema["fields"])


# Evolution: each change is one that people make, some of them by mistake.


class Evolver:
    def __init__(self, rng, types):
        self.rng = rng
        self.types = copy.deepcopy(types)
        self.rate = rng.choice([0.05, 0.15, 0.3])

    def chance(self, factor=1.0):
        return self.rng.random() < self.rate * factor

    def run(self, root):
        root = self.schema(copy.deepcopy(root), 0)
        for definition in list(self.types.values()):
            getattr(self, definition["type"])(definition)
        renames = {}
        for name in list(self.types):
            if self.chance(0.5):
                self.rename(name, renames)
        self.apply_renames(root, renames)
        for definition in self.types.values():
            for field in definition.get("fields", []):
                self.apply_renames(field["type"], renames)
        return root

    def rename(self, name, renames):
        definition = self.types[name]
        space, short = name.rsplit(".", 1)
        if self.rng.random() < 0.6:
            new = f"{space}.{short}New"
            if self.rng.random() < 0.8:
                definition["aliases"] = [name] if self.rng.random() < 0.5 else [short, "a.Other"]
        else:
            new = f"{'a' if space == 'a.b' else 'a.b'}.{short}"
        if new in self.types:
            return
        renames[name] = new
        definition["name"] = new
        self.types = {new if n == name else n: d for n, d in self.types.items()}

    def apply_renames(self, schema, renames):
        if "ref" in schema:
            schema["ref"] = renames.get(schema["ref"], schema["ref"])
        for key in ("items", "values"):
            if key in schema:
                self.apply_renames(schema[key], renames)
        for branch in schema.get("branches", []):
            self.apply_renames(branch, renames)

    def schema(self, schema, depth, in_union=False):
        rng = self.rng
        kind = schema.get("type")
        if kind == "union":
            branches = schema["branches"] = [self.schema(b, depth + 1, True)
                                             for b in schema["branches"]]
            unique = {b.get("ref") or b["type"]: b for b in branches}
            branches = schema["branches"] = list(unique.values())
            if self.chance():
                rng.shuffle(branches)
            if self.chance() and len(branches) > 1:
                branches.pop(rng.randrange(len(branches)))
            if self.chance() and not any(b.get("type") == "string" for b in branches):
                branches.append({"type": "string"})
            if self.chance(0.3) and len(branches) == 1:
                return branches[0]
            if self.chance(0.3) and not in_union:
                return branches[-1]
            return schema
        for key in ("items", "values"):
            if key in schema:
                schema[key] = self.schema(schema[key], depth + 1)
        if kind in PROMOTIONS and self.chance() and "logicalType" not in schema:
            schema = {"type": rng.choice(PROMOTIONS[kind])}
        elif self.chance(0.1):
            schema = {"type": rng.choice(PRIMITIVES)}
        if not in_union and self.chance():
            branches = [schema]
            if schema.get("type") != "null":
                branches.insert(rng.randrange(2), {"type": "null"})
            return {"type": "union", "branches": branches}
        return schema

    def fixed(self, definition):
        if self.chance(0.2):
            definition["size"] += 1

    def enum(self, definition):
        rng = self.rng
        if self.chance(2):
            rng.shuffle(definition["symbols"])
        if self.chance() and len(definition["symbols"]) > 1:
            definition["symbols"].pop()
        if self.chance():
            definition["symbols"].insert(0, "NEW")
        if self.chance(2):
            definition["default"] = rng.choice(definition["symbols"])

    def record(self, definition):
        rng = self.rng
        fields = definition["fields"]
        for field in fields:
            field["type"] = self.schema(field["type"], 1)
            if self.chance(0.6):
                if rng.random() < 0.8:
                    other = rng.choice(fields)["name"] if rng.random() < 0.2 else "nothing"
                    field["aliases"] = [other, field["name"]]
                field["name"] += "_new"
        if fields and self.chance():
            fields.pop(rng.randrange(len(fields)))
        if self.chance(2):
            self.add_field(fields)
        if self.chance():
            rng.shuffle(fields)

    def add_field(self, fields):
        maker = Maker(self.rng)
        maker.types = dict(self.types)
        before = set(maker.types)
        maker.open = list(maker.types)  # of old types no defaults: they may be recursive
        field = {"name": f"added{len(fields)}", "type": maker.schema(2)}
        new = {n: d for n, d in maker.types.items() if n not in before}
        for definition in new.values():
            for inner in definition.get("fields", []):
                if self.rng.random() < 0.3:
                    inner["default"] = self.default(inner["type"], maker.types)
        if self.rng.random() < 0.9:
            field["default"] = self.default(field["type"], maker.types)
        self.types.update(new)
        fields.append(field)

    def default(self, schema, types, depth=0):
        """A default as JSON; of a union the first branch."""
        if "ref" in schema:
            schema = types[schema["ref"]]
        kind = schema["type"]
        if kind == "union":
            return self.default(schema["branches"][0], types, depth)
        if kind == "array":
            return [self.default(schema["items"], types, depth + 1)
                    for _ in range(self.rng.randrange(3) if depth < 3 else 0)]
        if kind == "map":
            return {k: self.default(schema["values"], types, depth + 1)
                    for k in ["k", "ö"][:self.rng.randrange(3) if depth < 3 else 0]}
        if kind == "record":
            return {f["name"]: self.default(f["type"], types, depth + 1)
                    if f["name"] not in ("again", "children") else
                    ([] if f["name"] == "children" else None)
                    for f in schema["fields"]
                    if "default" not in f or self.rng.random() < 0.5}
        value = random_value(schema, types, self.rng)
        if isinstance(value, bytes):
            return value.decode("latin1")
        if isinstance(value, float) and not math.isfinite(value):
            return 0.5
        return value


# The specification.


class Spec:
    def __init__(self, writer_types, reader_types):
        self.writer_types = writer_types
        self.reader_types = reader_types
        self.rules = set()

    def expand(self, schema, types):
        return types[schema["ref"]] if "ref" in schema else schema

    def names_match(self, w, r):
        short = w["name"].rsplit(".", 1)[1]
        if short == r["name"].rsplit(".", 1)[1]:
            if w["name"] != r["name"]:
                self.rules.add("unqualified name")
            return True
        space = r["name"].rsplit(".", 1)[0]
        aliases = [a if "." in a else f"{space}.{a}" for a in r.get("aliases", [])]
        if "aliases" in r:
            self.rules.add("alias")
        return w["name"] in aliases

    def matches(self, w, r):
        w, r = self.expand(w, self.writer_types), self.expand(r, self.reader_types)
        if "union" in (w["type"], r["type"]):
            return True
        logical = {s.get("logicalType") for s in (w, r)} - {None, "no-such-logical-type"}
        if len(logical) > 1:
            self.rules.add("logical types differ")
            return False
        if w["type"] != r["type"]:
            return r["type"] in PROMOTIONS.get(w["type"], [])
        if w["type"] in ("array", "map"):
            key = "items" if w["type"] == "array" else "values"
            items = [self.expand(w[key], self.writer_types)["type"],
                     self.expand(r[key], self.reader_types)["type"]]
            if items[0] != items[1]:
                self.rules.add("items match as values do")
            return self.matches(w[key], r[key])
        if w["type"] == "fixed" and w["size"] != r["size"]:
            return False
        return self.names_match(w, r) if "name" in w else True

    def branch(self, w, r):
        """The reader's branch for a writer's schema that is no union."""
        w = self.expand(w, self.writer_types)
        for i, b in enumerate(r["branches"]):
            same = b["ref"] == w.get("name") if "ref" in b else b["type"] == w["type"]
            if same and self.matches(w, b):
                if any(self.matches(w, other) for other in r["branches"][:i]):
                    self.rules.add("same type first")
                return b
        for b in r["branches"]:
            if self.matches(w, b):
                return b
        raise Refused("no branch")

    def source(self, wr, r, field):
        """The writer's field that feeds a reader's: by name, else by an alias that is free."""
        names = [f["name"] for f in wr["fields"]]
        taken = {f["name"] for f in r["fields"]}
        for other in r["fields"]:
            source = other["name"] if other["name"] in names else None
            if any(a in names for a in other.get("aliases", [])[:1]):
                self.rules.add("several aliases")
            for name in names:
                if source is None and name in other.get("aliases", []):
                    if name in taken:
                        self.rules.add("name before alias")
                    else:
                        self.rules.add("field alias")
                        source = name
                        taken.add(name)
            if other is field:
                return source

    def check(self, w, r, seen):
        """Could any value be read?  Raises if not."""
        ws, rs = self.expand(w, self.writer_types), self.expand(r, self.reader_types)
        if ws["type"] == "union":
            good = 0
            for b in ws["branches"]:
                try:
                    self.check(b, r, set(seen))
                    good += 1
                except Refused:
                    pass
            if not good and ws["branches"]:
                raise Refused("no branch of the writer's")
            return
        if rs["type"] == "union":
            r = self.branch(w, rs)
            rs = self.expand(r, self.reader_types)
        if not self.matches(ws, rs):
            raise Refused("no match")
        if ws["type"] in ("array", "map"):
            key = "items" if ws["type"] == "array" else "values"
            self.check(ws[key], rs[key], seen)
        elif ws["type"] == "record":
            pair = (ws["name"], rs["name"])
            if pair in seen:
                return
            seen.add(pair)
            for field in rs["fields"]:
                source = self.source(ws, rs, field)
                if source is not None:
                    inner = next(f for f in ws["fields"] if f["name"] == source)
                    self.check(inner["type"], field["type"], seen)
                elif "default" not in field:
                    raise Refused("no default")

    def resolve(self, w, r, value):
        """The value as the driver would print it."""
        w, r = self.expand(w, self.writer_types), self.expand(r, self.reader_types)
        if w["type"] == "union":
            self.rules.add("writer's union")
            return self.resolve_branch(w["branches"][value.index], r, value.value)
        if r["type"] == "union":
            return self.resolve(w, self.branch(w, r), value)
        if not self.matches(w, r):
            raise Refused("no match")
        kind = r["type"]
        if w["type"] != kind:
            self.rules.add(f"{w['type']} to {kind}")
        if kind in ("null", "boolean", "int", "long"):
            return value
        if kind == "float":
            return {"f": to_float(value).hex()}
        if kind == "double":
            return {"d": struct.pack("<d", float(value)).hex()}
        if kind == "fixed" or kind == "bytes":
            data = value.encode() if isinstance(value, str) else value
            return {"x": data.hex()}
        if kind == "string":
            if isinstance(value, bytes):
                try:
                    value = value.decode()
                except UnicodeDecodeError:
                    raise Refused("not UTF-8")
            return {"s": value.encode().hex()}
        if kind == "enum":
            if value not in r["symbols"]:
                self.rules.add("enum default")
                if "default" not in r:
                    raise Refused("no such symbol")
                value = r["default"]
            return {"e": value.encode().hex()}
        if kind == "array":
            return [self.resolve(w["items"], r["items"], v) for v in value]
        if kind == "map":
            return {"o": {k.encode().hex(): self.resolve(w["values"], r["values"], v)
                          for k, v in value.items()}}
        result = {}
        for field in r["fields"]:
            source = self.source(w, r, field)
            if source is not None:
                inner = next(f for f in w["fields"] if f["name"] == source)
                result[field["name"]] = self.resolve(inner["type"], field["type"], value[source])
            elif "default" in field:
                result[field["name"]] = self.default(field["type"], field["default"])
            else:
                raise Refused("no default")
        return {"o": {k.encode().hex(): v for k, v in result.items()}}

    def resolve_branch(self, w, r, value):
        # A branch that cannot be read as a whole is refused as a whole.
        self.check(w, r, set())
        return self.resolve(w, r, value)

    def default(self, schema, json_value):
        r = self.expand(schema, self.reader_types)
        kind = r["type"]
        if kind == "union":
            return self.default(r["branches"][0], json_value)
        if kind == "array":
            return [self.default(r["items"], v) for v in json_value]
        if kind == "map":
            return {"o": {k.encode().hex(): self.default(r["values"], v)
                          for k, v in json_value.items()}}
        if kind == "record":
            result = {}
            for f in r["fields"]:
                if f["name"] not in json_value:
                    self.rules.add("record default")
                result[f["name"].encode().hex()] = self.default(
                    f["type"], json_value.get(f["name"], f.get("default")))
            return {"o": result}
        if kind in ("bytes", "fixed"):
            self.rules.add("bytes default")
            return {"x": json_value.encode("latin1").hex()}
        if kind == "string":
            return {"s": json_value.encode().hex()}
        if kind == "enum":
            return {"e": json_value.encode().hex()}
        if kind == "float":
            return {"f": to_float(json_value).hex()}
        if kind == "double":
            return {"d": struct.pack("<d", float(json_value)).hex()}
        return json_value


def to_float(value):
    """The float nearest to a number, as bytes; exact for what a long can be."""
    if isinstance(value, int):
        low = struct.unpack("<f", struct.pack("<f", float(value)))[0]
        bits = struct.unpack("<i", struct.pack("<f", low))[0]
        near = [struct.unpack("<f", struct.pack("<i", b))[0] for b in (bits - 1, bits, bits + 1)
                if value != 0]
        if near:
            value = min(near, key=lambda f: (abs(int(f) - value),
                                             struct.unpack("<i", struct.pack("<f", f))[0] & 1))
    return struct.pack("<f", value)


def same(ours, theirs):
    """Is a value in the driver's form the oracle's?"""
    if isinstance(ours, dict):
        (tag, data), = ours.items()
        if tag == "o":
            return (isinstance(theirs, dict) and len(data) == len(theirs) and
                    all(k.encode().hex() in data and same(data[k.encode().hex()], v)
                        for k, v in theirs.items()))
        data = bytes.fromhex(data)
        if tag in "fd":
            if isinstance(theirs, bool) or not isinstance(theirs, (int, float)):
                return False
            if theirs != theirs:
                return struct.unpack("<" + tag, data)[0] != struct.unpack("<" + tag, data)[0]
            if tag == "f":
                # what they keep as a Python int or float is a float when stored as one
                return data in (to_float(theirs), struct.pack("<f", float(theirs)))
            return data == struct.pack("<d", float(theirs))
        if tag == "x":
            return isinstance(theirs, bytes) and theirs == data
        return isinstance(theirs, str) and theirs == data.decode()
    if isinstance(ours, list):
        return (isinstance(theirs, list) and len(ours) == len(theirs) and
                all(same(a, b) for a, b in zip(ours, theirs)))
    return type(ours) is type(theirs) and ours == theirs


def equal(a, b):
    if isinstance(a, float) and isinstance(b, float) and a != a and b != b:
        return True
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


def objects(value):
    """The driver's flat lists of keys and values as dicts."""
    if isinstance(value, list):
        return [objects(v) for v in value]
    if isinstance(value, dict) and "o" in value:
        flat = value["o"]
        return {"o": {k["s"]: objects(v) for k, v in zip(flat[::2], flat[1::2])}}
    return value


def read_fastavro(writer, reader, data):
    stream = io.BytesIO(data)
    value = fastavro.schemaless_reader(stream, fastavro.parse_schema(writer),
                                       fastavro.parse_schema(reader) if reader else None)
    if stream.tell() != len(data):
        raise Refused("trailing bytes")
    return value


def read_apache(writer, reader, data):
    stream = io.BytesIO(data)
    writer = avro.schema.parse(json.dumps(writer))
    reader = avro.schema.parse(json.dumps(reader)) if reader else writer
    value = avro.io.DatumReader(writer, reader).read(avro.io.BinaryDecoder(stream))
    if stream.tell() != len(data):
        raise Refused("trailing bytes")
    return value


def attempt(function, *args):
    try:
        return ("ok", function(*args))
    except RecursionError:
        raise
    except (AttributeError, KeyError, TypeError) as error:
        return ("crashed", repr(error))  # a bug of the oracle's: no opinion
    except Exception as error:  # whatever else an oracle raises is its refusal
        return ("refused", f"{type(error).__name__}: {error}")


def make_case(rng):
    maker = Maker(rng)
    root = maker.schema(rng.choice([1, 2, 3, 4]))
    if "ref" not in root and rng.random() < 0.7:
        root = maker.named("record", 3)
    value = random_value(root, maker.types, rng)
    if rng.random() < 0.8:
        evolver = Evolver(rng, maker.types)
        reader_root, reader_types = evolver.run(root), evolver.types
    else:
        reader_root = reader_types = None
    data = encode(root, maker.types, value, rng)
    cut = rng.randrange(len(data)) if data and rng.random() < 0.05 else None

    # Named types that others use may come in texts of their own, as from a registry.
    seen, texts = set(), []
    if rng.random() < 0.2:
        for name in maker.types:
            if {"ref": name} != root and rng.random() < 0.3 and name not in seen:
                texts.append(emit({"ref": name}, maker.types, rng, seen))
    texts.append(emit(root, maker.types, rng, seen))
    reader_text = reader_root and emit(reader_root, reader_types, rng, set())
    plain = random.Random(0)
    case = {
        "line": "\t".join([str(len(texts))] + [json.dumps(t) for t in texts] +
                          [json.dumps(reader_text) if reader_text is not None else "-",
                           data[:cut].hex()]),
        "writer": emit(root, maker.types, plain, set(), logical=False),
        "reader": reader_root and emit(reader_root, reader_types, plain, set(), logical=False),
        "data": data[:cut],
        "rules": set(),
    }
    if cut is not None:
        case["expected"] = ("refused", "cut short")
        case["rules"] = {"data are complete"}
        return case
    spec = Spec(maker.types, reader_types if reader_root else maker.types)
    try:
        if reader_root:
            spec.check(root, reader_root, set())
    except Refused as refusal:
        case["expected"] = ("refused", str(refusal))
        case["rules"] = spec.rules | {"schemas match"}
        return case
    if reader_root:
        case["expected"] = attempt(spec.resolve, root, reader_root, value)
        case["rules"] = spec.rules
    else:
        case["expected"] = ("ok", AsWritten(maker.types, maker.types).resolve(root, root, value))
    return case


class AsWritten(Spec):
    def resolve(self, w, r, value):
        if w.get("type") == "union":
            branch = w["branches"][value.index]
            return self.resolve(branch, branch, value.value)
        return super().resolve(w, w, value)

    def resolve_branch(self, w, r, value):
        return self.resolve(w, w, value)


def judge(case, verdict, ours):
    """None if all is well, else what is wrong; and the rule that decided."""
    ok = verdict == "ok"
    oracles = [attempt(read, case["writer"], case["reader"], case["data"])
               for read in (read_fastavro, read_apache)]
    agree = [same(ours, value) if ok and kind == "ok" else kind == "refused" and not ok
             for kind, value in oracles]
    expected_kind, expected = case["expected"]
    as_specified = (expected_kind == "ok") == ok and (not ok or ours == expected)
    if not as_specified:
        return f"specification: {case['expected']}, oracles: {oracles}", None
    if all(agree):
        return None, None
    if any(agree) and "crashed" in (oracles[0][0], oracles[1][0]):
        return None, ["one oracle alone, the other crashed"]
    (kind_a, a), (kind_b, b) = oracles
    disagree = kind_a != kind_b or kind_a == "crashed" or (kind_a == "ok" and not equal(a, b))
    if case["rules"] and disagree or case["rules"] & OVERRULES.keys():
        return None, sorted(case["rules"])
    return f"no rule says why the oracles have: {oracles}", None


def main():
    driver, count = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 20261121
    print(f"differential test: {count} cases, seed {seed}, fastavro {fastavro.__version__}")
    rng = random.Random(seed)
    cases = [make_case(rng) for _ in range(count)]
    result = subprocess.run([driver], input="\n".join(c["line"] for c in cases) + "\n",
                            capture_output=True, text=True)
    lines = result.stdout.splitlines()
    if result.returncode != 0 or len(lines) != len(cases):
        print(result.stderr[-4000:])
        print(f"the driver ended with {result.returncode} after {len(lines)} of {count} cases")
        if len(lines) < len(cases):
            print(cases[len(lines)]["line"])
        print(f"{len(lines)} passed, {count - len(lines)} failed")
        return 1

    failed = shown = accepted = overruled = 0
    decided = collections.Counter()
    for number, (case, line) in enumerate(zip(cases, lines)):
        verdict, rest = line.split("\t", 1)
        ours = objects(json.loads(rest)) if verdict == "ok" else None
        accepted += verdict == "ok"
        wrong, rule = judge(case, verdict, ours)
        if wrong:
            failed += 1
            if shown < 10:
                shown += 1
                print(f"case {number}: {case['line']}\n  ours: {line}\n  {wrong}")
        elif rule:
            overruled += 1
            decided.update(rule)
    print(f"{accepted} accepted, {count - accepted} refused; "
          f"{count - failed - overruled} as both oracles have it, "
          f"{overruled} as the specification has it, by these rules:")
    for rule, times in decided.most_common():
        print(f"  {times:6} {rule}{': ' + OVERRULES[rule] if rule in OVERRULES else ''}")
    print(f"{count - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
