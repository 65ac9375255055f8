"""Schemas and data made to hurt: each must be refused, in time and for the right reason.

Usage: hostile.py DRIVER
"""
import json
import subprocess
import sys
import time

MALFORMED, LIMIT, INVALID, MISMATCH, ENCODING = "22P03", "54000", "22023", "42804", "22021"
LIST = {"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}
TREE = {"type": "record", "name": "T", "fields": [
    {"name": "children", "type": {"type": "array", "items": "T"}}]}


def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def array(items):
    return {"type": "array", "items": items}


def record(name, *types, **default):
    return {"type": "record", "name": name, "fields": [
        {"name": f"f{i}", "type": t, **default} for i, t in enumerate(types)]}


def nested(levels):
    schema = "int"
    for _ in range(levels):
        schema = array(schema)
    return schema


def doubling(levels, **default):
    """Records of two records each: 2^levels values without a byte."""
    schema = record("R0", "null", "null")
    for i in range(1, levels):
        schema = record(f"R{i}", schema, f"R{i - 1}", **default)
    return schema


# name, writer's schema, reader's or None, datum, verdict, SQLSTATE
CASES = [
    ("recursion of 100,000 levels", LIST, None, b"\2" * 100000 + b"\0", "data", LIMIT),
    ("recursion of 60 levels is fine", LIST, None, b"\2" * 60 + b"\0", "ok", None),
    ("recursion through arrays", TREE, None, b"\2" * 100000, "data", LIMIT),
    ("array of 2^62 nulls", array("null"), None, varint(2**62) + b"\0", "data", LIMIT),
    ("array of 2^62 nulls, skipped", record("R", array("null"), "int"), record("R"),
     varint(2**62) + b"\0\0", "data", LIMIT),
    ("many arrays of nulls", array(array("null")), None,
     varint(2000) + (varint(1000) + b"\0") * 2000 + b"\0", "data", LIMIT),
    ("array of 65,536 nulls is fine", array("null"), None, varint(65536) + b"\0", "ok", None),
    ("array of empty records", array(record("R")), None, varint(2**40) + b"\0", "data", LIMIT),
    ("array of 2^40 ints in 3 bytes", array("int"), None, varint(2**40) + b"\0", "data", MALFORMED),
    ("block count -2^63", array("int"), None, b"\xff" * 9 + b"\1\0", "data", MALFORMED),
    ("block size -1", array("int"), None, varint(-1) + varint(-1) + b"\0\0", "data", MALFORMED),
    ("block size 2^40", array("int"), None, varint(-1) + varint(2**40) + b"\0\0", "data", MALFORMED),
    ("block size 2^40, skipped", record("R", array("int")), record("R"),
     varint(-1) + varint(2**40) + b"\0\0", "data", MALFORMED),
    ("string of 2^33 bytes", "string", None, varint(2**33) + b"a", "data", MALFORMED),
    ("string of -1 bytes", "string", None, varint(-1), "data", MALFORMED),
    ("string of 2^63-1 bytes, skipped", record("R", "string"), record("R"), varint(2**63 - 1),
     "data", MALFORMED),
    ("map key of 2^33 bytes", {"type": "map", "values": "int"}, None,
     b"\2" + varint(2**33) + b"a", "data", MALFORMED),
    ("overlong UTF-8", "string", None, b"\4\xc0\x80", "data", ENCODING),
    ("surrogate in UTF-8", "string", None, b"\6\xed\xa0\x80", "data", ENCODING),
    ("bytes that are no text", "bytes", "string", b"\2\xff", "data", ENCODING),
    ("number of 11 bytes", "long", None, b"\xff" * 10 + b"\1", "data", MALFORMED),
    ("number of 65 bits", "long", None, b"\xff" * 9 + b"\2", "data", MALFORMED),
    ("overlong zero is a number", "long", None, b"\x80" * 9 + b"\0", "ok", None),
    ("int of 33 bits", "int", None, varint(2**31), "data", MALFORMED),
    ("boolean 2", "boolean", None, b"\2", "data", MALFORMED),
    ("boolean 2, skipped", record("R", "boolean"), record("R"), b"\2", "data", MALFORMED),
    ("branch 2 of 2", ["null", "int"], None, b"\4", "data", MALFORMED),
    ("branch -1", ["null", "int"], None, b"\1", "data", MALFORMED),
    ("symbol 1 of 1", {"type": "enum", "name": "E", "symbols": ["A"]}, None, b"\2", "data", MALFORMED),
    ("symbol -1", {"type": "enum", "name": "E", "symbols": ["A"]}, None, b"\1", "data", MALFORMED),
    ("trailing byte", "int", None, b"\0\0", "data", MALFORMED),
    ("trailing byte of an empty datum", "null", None, b"\0", "data", MALFORMED),
    ("nothing at all", "int", None, b"", "data", MALFORMED),
    ("empty union", [], None, b"\0", "data", MALFORMED),
    ("fixed of 2 GB", {"type": "fixed", "name": "F", "size": 2**31 - 1}, None, b"a", "data", MALFORMED),
    ("2^60 values without a byte", doubling(60), None, b"", "data", LIMIT),
    ("2^60 values without a byte, skipped", record("X", doubling(60)), record("X"), b"", "data", LIMIT),
    ("default of 2^60 values", record("X"), record("X", doubling(60), default={}), b"",
     "schema", MISMATCH),
    ("a default that repeats itself", record("X", array(record("Y"))),
     record("X", array(record("Y", "string", default="a" * 100000))),
     varint(60000) + b"\0", "data", LIMIT),
    ("a symbol that repeats itself", array({"type": "enum", "name": "E", "symbols": ["A" * 500000]}),
     None, varint(1000) + b"\0" * 1000 + b"\0", "data", LIMIT),
    ("union branch the reader lacks", ["int", "string"], "int", b"\2\2a", "data", MISMATCH),
    ("union branch the reader has", ["int", "string"], "int", b"\0\2", "ok", None),
    ("recursive record without an end", record("R", "R"), None, b"", "data", LIMIT),
    ("schema of 64 levels", nested(64), None, b"\0", "ok", None),
    ("schema of 65 levels", nested(65), None, b"\0", "schema", LIMIT),
    ("schema of 100,000 levels", "[" * 100000, None, b"", "schema", INVALID),
    ("schema of 20,000 fields", record("R", *["int"] * 20000), None, b"", "schema", LIMIT),
    ("schema of 2 MB", {"type": "int", "doc": "x" * 2**21}, None, b"\0", "schema", LIMIT),
    ("schema that is no JSON", "{", None, b"", "schema", INVALID),
    ("schema that is a number", 5, None, b"", "schema", INVALID),
    ("schema without a type", {}, None, b"", "schema", INVALID),
    ("unknown type", "foo", None, b"", "schema", INVALID),
    ("union in a union", [["null"]], None, b"", "schema", INVALID),
    ("two equal branches", ["int", "int"], None, b"", "schema", INVALID),
    ("two equal fields", {"type": "record", "name": "R", "fields": [
        {"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}, None, b"", "schema", INVALID),
    ("two equal symbols", {"type": "enum", "name": "E", "symbols": ["A", "A"]}, None, b"",
     "schema", INVALID),
    ("name that is none", record("a b"), None, b"", "schema", INVALID),
    ("name of a primitive type", record("int"), None, b"", "schema", INVALID),
    ("NUL in a name", record("a\0b"), None, b"", "schema", INVALID),
    ("defined twice", record("R", record("R")), None, b"", "schema", INVALID),
    ("fixed of -1 bytes", {"type": "fixed", "name": "F", "size": -1}, None, b"", "schema", INVALID),
    ("default outside of the enum", {"type": "enum", "name": "E", "symbols": ["A"], "default": "B"},
     None, b"", "schema", INVALID),
    ("default of another type", record("R"), record("R", "int", default="x"), b"", "schema", MISMATCH),
    ("default of another type that nobody needs", record("R", "int", default="x"), None, b"\2",
     "ok", None),
    ("milliseconds read as microseconds", {"type": "long", "logicalType": "timestamp-millis"},
     {"type": "long", "logicalType": "timestamp-micros"}, b"\0", "schema", MISMATCH),
    ("decimals of another scale",
     {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
     {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}, b"\0",
     "schema", MISMATCH),
]

# Every datum cut short at every byte.
WHOLE = ({"type": "record", "name": "W", "fields": [
    {"name": "a", "type": "long"}, {"name": "b", "type": ["null", "double"]},
    {"name": "c", "type": {"type": "map", "values": array("string")}},
    {"name": "d", "type": {"type": "fixed", "name": "F", "size": 3}}, {"name": "e", "type": "bytes"},
    {"name": "f", "type": array("float")}, {"name": "g", "type": "boolean"}]},
    varint(-2**40) + b"\2" + b"12345678" + b"\2\4kk" + b"\4\4ab\0" + b"\0" + b"\0" + b"xyz" +
    b"\6abc" + varint(-2) + varint(8) + b"12341234" + b"\0" + b"\1")
for reader in (None, record("W")):
    CASES.append(("the whole datum", WHOLE[0], reader, WHOLE[1], "ok", None))
    for n in range(len(WHOLE[1])):
        CASES.append((f"cut after {n} bytes", WHOLE[0], reader, WHOLE[1][:n], "data", MALFORMED))


def text(schema):
    return schema if isinstance(schema, str) and schema[:1] in ("[", "{") else json.dumps(schema)


def main():
    failed = 0
    lines = ["\t".join(["1", text(w), text(r) if r is not None else "-", data.hex()])
             for _, w, r, data, _, _ in CASES]
    start = time.monotonic()
    result = subprocess.run([sys.argv[1]], input="\n".join(lines) + "\n", capture_output=True,
                            text=True, timeout=120)
    answers = result.stdout.splitlines()
    print(result.stderr[-4000:], end="")
    for i, (name, _, _, _, verdict, sqlstate) in enumerate(CASES):
        parts = answers[i].split("\t") if i < len(answers) else ["crashed"]
        if parts[0] != verdict or (verdict != "ok" and parts[1] != sqlstate):
            failed += 1
            print(f"{name}: expected {verdict} {sqlstate}, got {' '.join(parts)[:200]}")
    print(f"hostile input: {len(CASES)} cases in {time.monotonic() - start:.1f} s")
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
