#!/usr/bin/env python3
"""converge.py CONNINFO SEED CASES: the same writes leave the same row, in whatever order they come.

Each case is a handful of writes to one row of a store whose conflicts are resolved by field, in several orders, each under
a key of its own and in transactions of random sizes. Every row must be what the model below says for its order, all
orders must leave the same bytes, and so must a push, which writes them once more from the log.

The model keeps a collection as three plain things: what came as a whole, when each later member came, and when each
member was last taken out. It knows nothing of how the server stores them.
"""

import json
import random
import sys

import psycopg

LETTERS = "abcde"
NEVER = 0
NO_REGION, MEMBERS_REGION = -1, -2**31      # of what came with a push; of changes of members


class Scalar:
    def __init__(self):
        self.value, self.time, self.deleted = None, NEVER, False

    def put(self, value, time):
        if time < self.time or (time == self.time and (self.deleted or not greater(value, self.value))):
            return False
        self.value, self.time, self.deleted = value, time, False
        return True

    def delete(self, time, _region):
        if time < self.time:
            return False, False
        self.value, self.time, self.deleted = None, time, True
        return True, True


def greater(a, b):
    return a is not None and (b is None or a > b)


class Collection:
    """Of members that are an element's, or a key's with a value; a list's value is always None."""

    def __init__(self, is_map):
        self.is_map = is_map
        self.put_time, self.region = NEVER, NO_REGION
        self.whole = None       # list of (identity, value), or None
        self.added = {}         # identity: (time, value)
        self.removed = {}       # identity: time

    def newer(self, time, region):
        return self.put_time > time or (self.put_time == time and self.region > region)

    def put(self, members, time, region):
        if self.newer(time, region):
            return False
        self.put_time, self.region = time, region
        self.added = {i: a for i, a in self.added.items() if a[0] > time}
        self.removed = {i: t for i, t in self.removed.items() if t > time}
        self.whole = members
        self.tidy()
        return True

    def tidy(self):
        if not self.added and not self.removed:
            return
        self.whole = self.whole or []
        last = {}
        for place, (identity, _) in enumerate(self.whole):
            last[identity] = place
        self.whole = [m for place, m in enumerate(self.whole)
                      if last[m[0]] == place and m[0] not in self.added and m[0] not in self.removed]

    def delete(self, time, region):
        changed = self.put(None, time, region)
        return changed, changed and not self.added and not self.removed

    def change(self, added, removed, time):
        if self.newer(time, MEMBERS_REGION):
            return False
        changed = False
        both = {i for i, _ in added} & set(removed)
        there = {i for i, _ in self.whole or []}
        for identity, value in added:
            if identity in both:
                continue
            if identity in self.added and self.added[identity][0] >= time:
                at, old = self.added[identity]
                if self.is_map and at == time:
                    changed = True
                    if json_greater(value, old):
                        self.added[identity] = (at, value)
                continue
            if self.removed.get(identity, NEVER) >= time:
                continue
            self.removed.pop(identity, None)
            if identity not in self.added or self.added[identity][0] < time:
                self.added[identity] = (time, value)
                changed = True
        for identity in removed:
            if identity in both and not self.is_map:
                continue
            if identity in self.added and self.added[identity][0] > time:
                continue
            if self.removed.get(identity, NEVER) >= time:
                continue
            self.added.pop(identity, None)
            self.removed[identity] = time
            changed = True
        if changed:
            self.tidy()
        return changed

    def value(self):
        if self.whole is None:
            return None
        merged = sorted((t, i, v) for i, (t, v) in self.added.items()) if not self.is_map else \
            [(t, i, v) for i, (t, v) in self.added.items()]
        members = list(self.whole or []) + [(i, v) for _, i, v in merged]
        return dict(members) if self.is_map else [i for i, _ in members]


def json_greater(a, b):
    return greater(a, b) if a is None or b is None or type(a) is type(b) else False


class Row:
    def __init__(self):
        self.exists = False
        self.name, self.tags, self.attrs = Scalar(), Collection(False), Collection(True)

    def apply(self, write):
        time, region = write["time"], write.get("region", 0)
        if write["kind"] == "delete":
            outcomes = [field.delete(time, region) for field in (self.name, self.tags, self.attrs)]
            if any(changed for changed, _ in outcomes):
                self.exists = self.exists and not all(gone for _, gone in outcomes)
            return
        fields = write["fields"]
        changed = []
        if "name" in fields:
            changed.append(self.name.put(fields["name"], time))
        for name, field in (("tags", self.tags), ("attrs", self.attrs)):
            if name in fields:
                what = fields[name]
                changed.append(field.put(what["whole"], time, region) if "whole" in what else
                               field.change(what["added"], what["removed"], time))
        self.exists = self.exists or any(changed)

    def value(self):
        return (self.name.value, self.tags.value(), self.attrs.value()) if self.exists else None


def random_members(rng, is_map):
    count = rng.randrange(4)
    if is_map:
        return [(letter, rng.randrange(3)) for letter in sorted(rng.sample(LETTERS, count))]
    return [(rng.choice(LETTERS), None) for _ in range(count)]


def random_write(rng, times, regions=1):
    """Of those that write the whole of something in a region each has a time of its own; the others may share one."""
    kind = rng.choices(("put", "update", "delete"), (3, 6, 1))[0]
    fields, whole = {}, kind != "update"
    if kind == "put":
        fields = {"name": rng.choice((None, *LETTERS)),
                  "tags": {"whole": rng.choice((None, random_members(rng, False)))},
                  "attrs": {"whole": rng.choice((None, random_members(rng, True)))}}
    elif kind == "update":
        if rng.random() < 0.4:
            fields["name"] = rng.choice((None, *LETTERS))
        for name, is_map in (("tags", False), ("attrs", True)):
            chance = rng.random()
            if chance < 0.15:
                fields[name] = {"whole": random_members(rng, is_map)}
                whole = True
            elif chance < 0.7:
                added = list(dict(random_members(rng, is_map)).items())
                removed = rng.sample(LETTERS, rng.randrange(3))
                fields[name] = {"added": [m for m in added if not is_map or m[0] not in removed], "removed": removed}
    time, region = rng.randrange(1, 40), rng.randrange(regions)
    while whole and (time, region) in times["whole"]:
        time += 1
    if whole:
        times["whole"].add((time, region))
    return {"kind": kind, "fields": fields, "time": time, "region": region}


def argument(name, what):
    if name == "name":
        return what
    if "whole" in what:
        members = what["whole"]
        return members if members is None else dict(members) if name == "attrs" else [i for i, _ in members]
    if name == "attrs":
        return {"$merge": dict(what["added"]), "$remove": what["removed"]}
    return {"$union": [i for i, _ in what["added"]], "$diff": what["removed"]}


def send(cursor, key, write):
    arguments = {"id": key, "time": write["time"],
                 "patch": json.dumps({n: argument(n, w) for n, w in write["fields"].items()})}
    at = "timestamptz 'epoch' + %(time)s * interval '1 second'"
    if write["kind"] == "delete":
        cursor.execute(f"SELECT f.delete(%(id)s, {at})", arguments)
    elif write["kind"] == "update":
        cursor.execute(f"SELECT f.update(%(id)s, %(patch)s, {at})", arguments)
    else:
        cursor.execute("SELECT f.put(%(id)s, j ->> 'name', CASE WHEN j -> 'tags' <> 'null' THEN "
                       "ARRAY(SELECT jsonb_array_elements_text(j -> 'tags')) END, NULLIF(j -> 'attrs', 'null'), "
                       f"_logical_time => {at}) FROM CAST(%(patch)s AS jsonb) j", arguments)


def state(cursor):
    cursor.execute("SELECT id, name, tags, attrs, _meta FROM f.records "
                   "UNION ALL SELECT id, NULL, NULL, NULL, _meta FROM f.tombstones")
    return {row[0]: row[1:] for row in cursor}


def existing(cursor):
    cursor.execute("SELECT id FROM f.records")
    return {row[0] for row in cursor}


def main():
    conninfo, seed, cases = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    orders, wrong, expected = 4, 0, {}
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT venice.create_store('f', 'id int', 'name text, tags text[], attrs jsonb', "
                       "options => '{\"conflict_resolution\": \"field\"}')")
        connection.commit()
        for case in range(cases):
            times = {"whole": set()}
            writes = [random_write(rng, times) for _ in range(rng.randrange(2, 10))]
            for order in range(orders):
                key, row = case * orders + order, Row()
                for write in writes:
                    send(cursor, key, write)
                    row.apply(write)
                    if rng.random() < 0.3:
                        connection.commit()
                expected[key] = (row.value(), writes[:])
                rng.shuffle(writes)
            connection.commit()

        def check(when):
            nonlocal wrong
            found, there = state(cursor), existing(cursor)
            for key, (value, writes) in expected.items():
                first = key - key % orders
                got = found[key][:3] if key in there else None
                if got != value or (key in there) != (first in there) or found.get(key) != found.get(first):
                    wrong += 1
                    if wrong <= 3:
                        print(f"# {when}, seed {seed}, case {key // orders}: {writes}\n# expected {value}\n# found    {found.get(key)}"
                              f"\n# in the first order {found.get(first)}")

        check("after the writes")
        cursor.execute("SELECT venice.push('f', 'SELECT NULL::int, NULL::text, NULL::text[], NULL::jsonb WHERE false')")
        connection.commit()
        check("after a push")
    print(f"{len(expected) * 2 - wrong} of {len(expected) * 2} rows as they must be")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
