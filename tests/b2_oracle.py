#!/usr/bin/env python3
"""Compares the fake B2 of the tests with the simulator in the vendor's own library (b2sdk).

The same seeded sequences of calls go to the simulator (in this process) and, through the library's real HTTP client, to
the fake. What comes back is compared: values without ids, times and tokens, errors by the library's exception. Only what
both do as documented is compared; the list is LEFT_OUT. Exits 1 on a difference.

    python3 -m venv target/b2-oracle && target/b2-oracle/bin/pip install -r tests/b2_oracle.txt
    cargo build --example fake_b2
    target/b2-oracle/bin/python tests/b2_oracle.py --fake target/debug/examples/fake_b2
"""

import argparse
import collections
import hashlib
import io
import json
import random
import subprocess
import sys
import threading
import time

from b2sdk._internal.exception import B2Error
from b2sdk._internal.file_lock import (
    BucketRetentionSetting,
    FileRetentionSetting,
    LegalHold,
    RetentionMode,
    RetentionPeriod,
)
from b2sdk._internal.utils import b2_url_decode
from b2sdk.v3 import ALL_CAPABILITIES, B2Http, B2HttpApiConfig, B2RawHTTPApi, RawSimulator

LEFT_OUT = """\
hiding what does not exist or is hidden (the simulator allows it; documented: 400)
calls other than listings with a key restricted to a bucket (the simulator refuses them all)
a listing without prefix by a key restricted to a prefix (the simulator allows it; documented: 401)
listing or reading a name above which is an unfinished large file (the simulator hides the older version, too)
delimiter, and deleting a bucket that has files (the simulator knows neither)
information about what does not exist (the simulator fails on it)
a listing that starts before its prefix (the simulator then finds nothing); empty uploads (the library's client sends chunks)
lifecycle rules at work, expiry of keys, caps (the simulator has none of them)
content type and checksum of a hide marker; encryption; upload times (only their order)"""

# Where the library's client and its simulator have different names for the same refusal.
SAME = {
    "BadJson": "BadRequest",
    "ChecksumMismatch": "BadRequest",
    "FileSha1Mismatch": "BadRequest",
    "PartSha1Mismatch": "BadRequest",
    "BucketIdNotFound": "NonExistentBucket",
    "RetentionWriteError": "AccessDenied",
}

NAMES = ["a", "a b", "a/1", "a/2", "a/b/3", "a-b/4", "b", "b/5", "grün/größe", "w/h1/packs/00/x", "w/h1/packs/01/y",
         "w/h2/packs/00/x", "~!$'()*;=:@+%", "z"]
PREFIXES = ["", "a", "a/", "a/b/", "b", "w/", "w/h1/", "nothing/"]


class Side:
    """One of the two, with its own ids for what both know by a label."""

    def __init__(self, name, api, realm, account, key):
        self.name, self.api, self.realm, self.account, self.master_key = name, api, realm, account, key
        self.ids, self.labels = {}, {}
        self.url = None
        self.tokens = {}

    def learn(self, label, own_id):
        self.ids[label], self.labels[own_id] = own_id, label

    def label(self, own_id):
        return self.labels.get(own_id, own_id)

    def authorize(self, label, key_id, key):
        answer = self.api.authorize_account(self.realm, key_id, key)
        storage = answer["apiInfo"]["storageApi"]
        self.url, self.download_url = storage["apiUrl"], storage["downloadUrl"]
        self.tokens[label] = answer["authorizationToken"]
        allowed = storage["allowed"]
        buckets = allowed["buckets"]
        return {
            "account": answer["accountId"] == self.account,
            "buckets": buckets and [[self.label(bucket["id"]), bucket["name"]] for bucket in buckets],
            "capabilities": sorted(allowed["capabilities"]) if key_id != self.account else "all",
            "prefix": allowed["namePrefix"],
            "parts": [storage["recommendedPartSize"] > 0, storage["absoluteMinimumPartSize"]],
            "token": isinstance(answer["authorizationToken"], str),
        }


def retention(guarded):
    value = guarded["value"] or {}
    return [guarded["isClientAuthorizedToRead"], value.get("mode"), value.get("retainUntilTimestamp")]


def file(side, shown, fields=()):
    out = {
        "id": side.label(shown["fileId"]),
        "name": shown["fileName"],
        "bucket": side.label(shown["bucketId"]),
        "account": shown["accountId"] == side.account,
        "retention": retention(shown["fileRetention"]),
        "hold": [shown["legalHold"]["isClientAuthorizedToRead"], shown["legalHold"]["value"]],
        "replication": shown["replicationStatus"],
        "time": isinstance(shown["uploadTimestamp"], int),
    }
    action = shown.get("action", "start")
    out["action"] = action
    if action != "start":
        out["length"] = shown["contentLength"]
    if action != "hide":
        out["info"], out["type"] = shown["fileInfo"], shown["contentType"]
        out["sha1"] = shown.get("contentSha1", "none")
    return out


def bucket(side, shown):
    lock = shown["fileLockConfiguration"]
    default = (lock["value"] or {}).get("defaultRetention") or {}
    rules = [{name: value for name, value in rule.items() if value is not None} for rule in shown["lifecycleRules"]]
    return {
        "id": side.label(shown["bucketId"]),
        "name": shown["bucketName"],
        "type": shown["bucketType"],
        "info": shown["bucketInfo"],
        "revision": shown["revision"],
        "rules": rules,
        "lock": [lock["isClientAuthorizedToRead"], bool((lock["value"] or {}).get("isFileLockEnabled"))],
        "default": [default.get("mode") or "none", default.get("period")] if lock["value"] else None,
    }


def key(side, shown):
    expires = shown["expirationTimestamp"]
    return {
        "account": shown["accountId"] == side.account,
        "id": side.label(shown["applicationKeyId"]),
        "buckets": shown["bucketIds"] and [side.label(own) for own in shown["bucketIds"]],
        "capabilities": sorted(shown["capabilities"]),
        "expires in": expires and round((expires / 1000 - time.time()) / 100),
        "name": shown["keyName"],
        "prefix": shown["namePrefix"],
    }


class Slow(io.BytesIO):
    """A body whose last bytes wait."""

    def __init__(self, data):
        super().__init__(data)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def read(self, size=-1):
        self.begun.set()
        self.go_on.wait(10)
        return super().read(size)


class Comparison:
    def __init__(self, sides, fake):
        self.sides, self.fake = sides, fake
        self.compared, self.differences = collections.Counter(), []
        self.outcomes = collections.Counter()
        self.seed = self.labels = 0

    def new(self, kind):
        self.labels += 1
        return f"{kind}{self.labels}"

    def call(self, what, run, note=""):
        """Runs the call on both sides; returns whether it succeeded."""
        results = []
        for side in self.sides:
            try:
                results.append(["ok", run(side)])
            except B2Error as error:
                name = type(error).__name__
                results.append(["error", SAME.get(name, name)])
        self.compared[what] += 1
        self.outcomes[what, results[0][0] if results[0][0] == "ok" else results[0][1]] += 1
        if results[0] != results[1]:
            self.differences.append((self.seed, what, note, results))
        return results[0][0] == "ok" and results[1][0] == "ok"


class Round:
    """One seeded sequence."""

    def __init__(self, comparison, seed):
        self.c, self.rng = comparison, random.Random(seed)
        comparison.seed = seed
        self.buckets, self.locked, self.keys, self.large = [], set(), [], {}
        # By bucket and name: labels, newest first; each with its action.
        self.files = collections.defaultdict(list)
        self.contents, self.names = {}, {}
        self.retained = {}

    def run(self, steps):
        c = self.c
        c.call("b2_authorize_account", lambda s: s.authorize("master", s.account, s.master_key))
        for wrong in [lambda s: (s.account, "wrong"), lambda s: ("nobody", s.master_key)]:
            c.call("b2_authorize_account", lambda s: s.authorize("none", *wrong(s)), "wrong key")
        for lock in [False, True]:
            self.create_bucket(lock)
        choices = [
            (self.upload, 30), (self.bad_upload, 4), (self.names_listed, 10), (self.versions_listed, 10),
            (self.info, 6), (self.info_by_name, 4), (self.download, 12), (self.hide, 8), (self.delete, 8),
            (self.delete_missing, 2), (self.update_bucket, 4), (self.list_buckets, 4), (self.create_key, 4),
            (self.use_key, 14), (self.list_keys, 2), (self.delete_key, 1), (self.start_large, 4),
            (self.continue_large, 8), (self.retain, 6), (self.hold, 3), (self.duplicate, 1),
        ]
        acts, weights = zip(*choices)
        for act in self.rng.choices(acts, weights, k=steps):
            act()
        self.concurrent()
        self.expired()
        for own in self.keys:
            self.c.call("b2_delete_key", lambda s: key(s, s.api.delete_key(s.url, s.tokens["master"], s.ids[own])))

    # --- Buckets

    def create_bucket(self, lock):
        label = self.c.new("bucket")
        name = f"oracle-{self.c.seed}-{label}"
        rules = [{"daysFromHidingToDeleting": 3, "daysFromUploadingToHiding": None, "fileNamePrefix": "tmp/"}]

        def run(s):
            shown = s.api.create_bucket(s.url, s.tokens["master"], s.account, name, "allPrivate", {"k": "v"}, None,
                                        rules if lock else None, None, lock)
            s.learn(label, shown["bucketId"])
            if s.name == "simulator":
                # It gives the same file ids in each bucket; ids have to have four digits.
                first = 9999 - 900 * (int(shown["bucketId"].split("_")[1]))
                s.api.bucket_id_to_bucket[shown["bucketId"]].file_id_counter = iter(range(first, first - 900, -1))
            return bucket(s, shown)

        if self.c.call("b2_create_bucket", run):
            self.buckets.append((label, name))
            if lock:
                self.locked.add(label)

    def duplicate(self):
        _, name = self.rng.choice(self.buckets)
        for taken in [name, "bad name!"]:
            self.c.call("b2_create_bucket", lambda s: s.api.create_bucket(
                s.url, s.tokens["master"], s.account, taken, "allPrivate"), taken)

    def update_bucket(self):
        label, name = self.rng.choice(self.buckets)
        settings = self.rng.choice([
            {"bucket_info": {"n": str(self.rng.randrange(9))}}, {"bucket_type": "allPrivate"},
            {"lifecycle_rules": [{"daysFromHidingToDeleting": self.rng.randrange(1, 9),
                                  "daysFromUploadingToHiding": 5, "fileNamePrefix": "x/"}]},
            {"bucket_info": {"never": "set"}, "if_revision_is": 999_999}, {"is_file_lock_enabled": False},
        ])
        if label in self.locked and self.rng.random() < 0.3:
            period = RetentionPeriod(days=self.rng.randrange(1, 9))
            settings = {"default_retention": BucketRetentionSetting(RetentionMode.GOVERNANCE, period),
                        "bucket_type": "allPrivate"}
            # From now on the simulator does not apply it to uploads: what follows is not comparable.
            self.locked.discard(label)
            self.buckets.remove((label, name))
        def run(s):
            # The simulator shows what the last key to be authorised may see.
            s.api.current_token = s.tokens["master"]
            return bucket(s, s.api.update_bucket(s.url, s.tokens["master"], s.account, s.ids[label], **settings))

        self.c.call("b2_update_bucket", run, str(settings))
        if not self.buckets:
            self.create_bucket(True)

    def list_buckets(self):
        label, name = self.rng.choice(self.buckets)
        by = self.rng.choice(["id", "name", "none"])

        def run(s):
            own = {"id": {"bucket_id": s.ids[label]}, "name": {"bucket_name": name},
                   "none": {"bucket_name": "there-is-none"}}[by]
            shown = s.api.list_buckets(s.url, s.tokens["master"], s.account, **own)
            return [bucket(s, one) for one in shown["buckets"]]

        self.c.call("b2_list_buckets", run, by)

    # --- Files

    def put(self, s, label, own, name, data, sha1=None, info=None, **lock):
        got = s.api.get_upload_url(s.url, s.tokens["master"], s.ids[own])
        sha1 = sha1 or hashlib.sha1(data).hexdigest()
        body = data
        if sha1 == "hex_digits_at_end":
            body = data + hashlib.sha1(data).hexdigest().encode()
        shown = s.api.upload_file(got["uploadUrl"], got["authorizationToken"], name, len(body), "text/x-test", sha1,
                                  info or {}, io.BytesIO(body), **lock)
        s.learn(label, shown["fileId"])
        return file(s, shown)

    def upload(self):
        own, _ = self.rng.choice(self.buckets)
        name, label = self.rng.choice(NAMES), self.c.new("file")
        data = self.rng.randbytes(self.rng.choice([1, 10, 1000, 70_000]))
        info = self.rng.choice([{}, {"src_last_modified_millis": "1700000000000"}, {"colour": "grün & blau"}])
        sha1 = self.rng.choice([None, None, "hex_digits_at_end"])
        lock = {}
        if own in self.locked and self.rng.random() < 0.3:
            mode = self.rng.choice([RetentionMode.GOVERNANCE, RetentionMode.COMPLIANCE])
            lock["file_retention"] = FileRetentionSetting(mode, int(time.time() * 1000) + 10 * 86_400_000)
            self.retained[label] = mode
        if self.c.call("b2_upload_file", lambda s: self.put(s, label, own, name, data, sha1, dict(info), **lock), name):
            self.files[own, name].insert(0, [label, "upload"])
            self.contents[label], self.names[label] = data, (own, name)

    def bad_upload(self):
        own, _ = self.rng.choice(self.buckets)
        self.c.call("b2_upload_file", lambda s: self.put(s, "never", own, "bad", b"abc", "0" * 40), "wrong checksum")

    def some(self, action=None):
        """A label of a version, or none."""
        own = [one[0] for versions in self.files.values() for one in versions if action in (None, one[1])]
        return self.rng.choice(own) if own else None

    def visible(self, own, name):
        versions = self.files[own, name]
        return bool(versions) and versions[0][1] == "upload"

    def names_listed(self):
        own, _ = self.rng.choice(self.buckets)
        if any(one[1] == "start" for (b, _), versions in self.files.items() if b == own for one in versions):
            return
        prefix, size = self.rng.choice(PREFIXES), self.rng.choice([1, 2, 3, 7, 1000])
        start = self.rng.choice([prefix, prefix + "b"]) or None

        def run(s):
            found, at = [], start
            for _ in range(200):
                page = s.api.list_file_names(s.url, s.tokens["master"], s.ids[own], at, size, prefix or None)
                assert len(page["files"]) <= size
                found += [file(s, one) for one in page["files"]]
                at = page["nextFileName"]
                if at is None:
                    return found
            raise AssertionError("the listing has no end")

        self.c.call("b2_list_file_names", run, f"{prefix!r} from {start!r} by {size}")

    def versions_listed(self):
        own, _ = self.rng.choice(self.buckets)
        prefix, size = self.rng.choice(PREFIXES), self.rng.choice([1, 2, 3, 7, 1000])
        first = None
        label = self.some()
        if label and self.names[label][0] == own and self.rng.random() < 0.3:
            prefix, first = "", label

        def run(s):
            name = self.names[first][1] if first else None
            at, found, times = (name or prefix or None, s.ids[first] if first else None), [], collections.defaultdict(list)
            for _ in range(400):
                page = s.api.list_file_versions(s.url, s.tokens["master"], s.ids[own], *at, size, prefix or None)
                assert len(page["files"]) <= size
                for one in page["files"]:
                    found.append(file(s, one))
                    times[one["fileName"]].append(one["uploadTimestamp"])
                at = (page["nextFileName"], page["nextFileId"])
                if at[0] is None:
                    assert all(own == sorted(own, reverse=True) for own in times.values()), "newest first"
                    return found
            raise AssertionError("the listing has no end")

        self.c.call("b2_list_file_versions", run, f"{prefix!r} from {first} by {size}")

    def info(self):
        label = self.some()
        if label:
            self.c.call("b2_get_file_info", lambda s: file(s, s.api.get_file_info_by_id(
                s.url, s.tokens["master"], s.ids[label])), label)

    def info_by_name(self):
        own, bucket_name = self.rng.choice(self.buckets)
        name = self.rng.choice(NAMES)
        if not self.visible(own, name):
            return
        def run(s):
            headers = s.api.get_file_info_by_name(s.download_url, s.tokens["master"], bucket_name, name)
            return self.headers(s, headers)

        self.c.call("HEAD b2_download_file_by_name", run, name)

    @staticmethod
    def headers(s, headers):
        wanted = ["content-length", "content-type", "x-bz-content-sha1", "x-bz-file-name", "content-range"]
        out = {name: headers.get(name) for name in wanted}
        # Either may encode more than it has to.
        out["x-bz-file-name"] = b2_url_decode(out["x-bz-file-name"])
        out["id"] = s.label(headers["x-bz-file-id"])
        out["info"] = sorted((name.lower(), b2_url_decode(value)) for name, value in headers.items()
                             if name.lower().startswith("x-bz-info-"))
        return out

    def download(self):
        label = self.some("upload")
        if not label:
            return
        own, name = self.names[label]
        by_name = self.rng.random() < 0.5
        bucket_name = dict(self.buckets).get(own)
        if bucket_name is None or (by_name and self.files[own, name][0][1] == "start"):
            return
        length, span = len(self.contents[label]), None
        if length > 1 and self.rng.random() < 0.6 and not by_name:
            first = self.rng.randrange(length)
            span = (first, self.rng.randrange(first, length))

        def run(s):
            if by_name:
                url = s.api.get_download_url_by_name(s.download_url, bucket_name, name)
            else:
                url = s.api.get_download_url_by_id(s.download_url, s.ids[label])
            with s.api.download_file_from_url(s.tokens["master"], url, range_=span) as response:
                data = b"".join(response.iter_content(65536))
                out = self.headers(s, response.headers)
            return [out, hashlib.sha1(data).hexdigest(), len(data)]

        what = "b2_download_file_by_name" if by_name else "b2_download_file_by_id"
        self.c.call(what, run, f"{name} {span}")

    def hide(self):
        own, _ = self.rng.choice(self.buckets)
        name, label = self.rng.choice(NAMES), self.c.new("file")
        if not self.visible(own, name):
            return

        def run(s):
            shown = s.api.hide_file(s.url, s.tokens["master"], s.ids[own], name)
            s.learn(label, shown["fileId"])
            return file(s, shown)

        if self.c.call("b2_hide_file", run, name):
            self.files[own, name].insert(0, [label, "hide"])
            self.names[label] = (own, name)

    def delete(self):
        label = self.some()
        if not label:
            return
        own, name = self.names[label]
        bypass = label in self.retained and self.rng.random() < 0.5

        def run(s):
            shown = s.api.delete_file_version(s.url, s.tokens["master"], s.ids[label], name, bypass)
            return [s.label(shown["fileId"]), shown["fileName"]]

        if self.c.call("b2_delete_file_version", run, f"{name} {self.retained.get(label)} {bypass}"):
            self.files[own, name] = [one for one in self.files[own, name] if one[0] != label]
            self.large.pop(label, None)
            self.gone = label

    def delete_missing(self):
        label = getattr(self, "gone", None)
        if label:
            name = self.names[label][1]
            self.c.call("b2_delete_file_version", lambda s: s.api.delete_file_version(
                s.url, s.tokens["master"], s.ids[label], name), "deleted before")

    # --- Object Lock

    def retain(self):
        label = self.some("upload")
        if not label or self.names[label][0] not in self.locked or label in self.retained:
            return
        name, mode = self.names[label][1], self.rng.choice([RetentionMode.GOVERNANCE, RetentionMode.COMPLIANCE])
        setting = FileRetentionSetting(mode, int(time.time() * 1000) + 20 * 86_400_000)

        def run(s):
            shown = s.api.update_file_retention(s.url, s.tokens["master"], s.ids[label], name, setting)
            return [s.label(shown["fileId"]), shown["fileName"], shown["fileRetention"]]

        if self.c.call("b2_update_file_retention", run, name):
            self.retained[label] = mode

    def hold(self):
        label = self.some("upload")
        if not label or self.names[label][0] not in self.locked:
            return
        name = self.names[label][1]
        # Taken away again: the simulator deletes what is held.
        for hold in [LegalHold.ON, LegalHold.OFF]:
            self.c.call("b2_update_file_legal_hold", lambda s: s.api.update_file_legal_hold(
                s.url, s.tokens["master"], s.ids[label], name, hold)["legalHold"], name)
            if hold is LegalHold.ON:
                self.c.call("b2_get_file_info", lambda s: file(s, s.api.get_file_info_by_id(
                    s.url, s.tokens["master"], s.ids[label])), "held")
        # "off" and "unset" are the same to the documentation, but not to the simulator.
        self.retained.setdefault(label, None)
        own, _ = self.names[label]
        for s in self.c.sides:
            if s.name == "simulator":
                s.api.file_id_to_bucket_id[s.ids[label]]
                sim = s.api.bucket_id_to_bucket[s.ids[own]].file_id_to_file[s.ids[label]]
                sim.legal_hold = LegalHold.UNSET

    # --- Keys

    def create_key(self):
        label, (own, _) = self.c.new("key"), self.rng.choice(self.buckets)
        capabilities = self.rng.sample(["listBuckets", "listFiles", "readFiles", "writeFiles", "deleteFiles", "listKeys"],
                                       self.rng.randrange(1, 6))
        restricted = self.rng.random() < 0.5
        prefix = self.rng.choice([None, "a/", "w/h1/"]) if restricted else None
        life = self.rng.choice([None, 3600, 100_000_000])

        def run(s):
            shown = s.api.create_key(s.url, s.tokens["master"], s.account, capabilities, label, life,
                                     [s.ids[own]] if restricted else None, prefix)
            s.learn(label, shown["applicationKeyId"])
            s.tokens[label] = s.api.authorize_account(s.realm, shown["applicationKeyId"], shown["applicationKey"])
            s.tokens[label] = s.tokens[label]["authorizationToken"]
            return [key(s, shown), s.authorize(label, shown["applicationKeyId"], shown["applicationKey"])]

        if self.c.call("b2_create_key", run, str([capabilities, restricted, prefix, life])):
            self.keys.append(label)
            setattr(self, label, (capabilities, own if restricted else None, prefix))

    def use_key(self):
        if not self.keys:
            return
        label = self.rng.choice(self.keys)
        capabilities, restricted, prefix = getattr(self, label)
        own, bucket_name = self.rng.choice(self.buckets)
        token = lambda s: s.tokens[label]
        wanted = self.rng.choice(PREFIXES[1:])
        if any(one[1] == "start" for (b, _), versions in self.files.items() if b == own for one in versions):
            wanted = "nothing/"
        listing = [
            ("b2_list_buckets", lambda s: [bucket(s, one) for one in s.api.list_buckets(
                s.url, token(s), s.account, bucket_name=bucket_name)["buckets"]]),
            ("b2_list_file_names", lambda s: [file(s, one) for one in s.api.list_file_names(
                s.url, token(s), s.ids[own], wanted, 1000, wanted)["files"]]),
            ("b2_list_file_versions", lambda s: [file(s, one) for one in s.api.list_file_versions(
                s.url, token(s), s.ids[own], wanted, None, 1000, wanted)["files"]]),
        ]
        if restricted is None:
            listing += [
                ("b2_list_keys", lambda s: bool(s.api.list_keys(s.url, token(s), s.account, 10))),
                ("b2_get_upload_url", lambda s: s.label(s.api.get_upload_url(s.url, token(s), s.ids[own])["bucketId"])),
                ("b2_create_key", lambda s: s.api.create_key(s.url, token(s), s.account, ["listFiles"], "no", None,
                                                             None, None)),
            ]
            lacking = self.some("upload")
            if lacking and "deleteFiles" not in capabilities:
                listing.append(("b2_delete_file_version", lambda s: s.api.delete_file_version(
                    s.url, token(s), s.ids[lacking], self.names[lacking][1])))
            if lacking and "writeFiles" not in capabilities:
                listing += [
                    ("b2_hide_file", lambda s: s.api.hide_file(
                        s.url, token(s), s.ids[self.names[lacking][0]], self.names[lacking][1])),
                    ("b2_start_large_file", lambda s: s.api.start_large_file(
                        s.url, token(s), s.ids[own], "no", "text/x-test", {})),
                ]
        what, run = self.rng.choice(listing)
        self.c.call(what, run, f"with {capabilities} {restricted} {prefix}: {own} {wanted}")

    def list_keys(self):
        size = self.rng.choice([1, 2, 100])

        def run(s):
            found, at = [], None
            for _ in range(200):
                page = s.api.list_keys(s.url, s.tokens["master"], s.account, size, at)
                found += [json.dumps(key(s, one), sort_keys=True) for one in page["keys"]]
                at = page["nextApplicationKeyId"]
                if at is None:
                    return sorted(found)
            raise AssertionError("the listing has no end")

        self.c.call("b2_list_keys", run, str(size))

    def delete_key(self):
        if self.keys:
            label = self.keys.pop()
            for note in ["there", "deleted before"]:
                self.c.call("b2_delete_key", lambda s: key(s, s.api.delete_key(
                    s.url, s.tokens["master"], s.ids[label])), note)

    # --- Large files

    def start_large(self):
        own, _ = self.rng.choice(self.buckets)
        name, label = self.rng.choice(NAMES), self.c.new("file")

        def run(s):
            shown = s.api.start_large_file(s.url, s.tokens["master"], s.ids[own], name, "text/x-test", {"k": "v"})
            s.learn(label, shown["fileId"])
            return file(s, shown)

        if self.c.call("b2_start_large_file", run, name):
            self.large[label] = (own, [])
            self.files[own, name].insert(0, [label, "start"])
            self.names[label] = (own, name)

    def continue_large(self):
        if not self.large:
            return
        label = self.rng.choice(sorted(self.large))
        own, parts = self.large[label]
        act = self.rng.choice(["part", "part", "bad part", "list", "unfinished", "finish", "bad finish", "cancel"])
        master = lambda s: s.tokens["master"]
        if act in ("part", "bad part"):
            data = self.rng.randbytes(300)
            sha1 = hashlib.sha1(data if act == "part" else b"").hexdigest()

            def run(s):
                got = s.api.get_upload_part_url(s.url, master(s), s.ids[label])
                shown = s.api.upload_part(got["uploadUrl"], got["authorizationToken"], len(parts) + 1, len(data), sha1,
                                          io.BytesIO(data))
                return [s.label(shown["fileId"]), shown["partNumber"], shown["contentLength"], shown["contentSha1"]]

            if self.c.call("b2_upload_part", run, act):
                parts.append(data)
        elif act == "list":
            def run(s):
                shown = s.api.list_parts(s.url, master(s), s.ids[label], None, 2)
                return [[one["partNumber"], one["contentLength"], one["contentSha1"]] for one in shown["parts"]], \
                    shown["nextPartNumber"]

            self.c.call("b2_list_parts", run)
        elif act == "unfinished":
            self.c.call("b2_list_unfinished_large_files", lambda s: [file(s, one) for one in
                        s.api.list_unfinished_large_files(s.url, master(s), s.ids[own], None, 100, None)["files"]])
        elif act in ("finish", "bad finish") and parts:
            sums = [hashlib.sha1(part).hexdigest() for part in parts]
            if act == "bad finish":
                sums[0] = "0" * 40
            if self.c.call("b2_finish_large_file", lambda s: file(s, s.api.finish_large_file(
                    s.url, master(s), s.ids[label], sums)), act):
                self.finished(label)
                self.contents[label] = b"".join(parts)
        elif act == "cancel":
            if self.c.call("b2_cancel_large_file", lambda s: [s.label(s.api.cancel_large_file(
                    s.url, master(s), s.ids[label])["fileId"])]):
                name = self.names[label][1]
                self.files[own, name] = [one for one in self.files[own, name] if one[0] != label]
                del self.large[label]

    def finished(self, label):
        own, name = self.names[label]
        for one in self.files[own, name]:
            if one[0] == label:
                one[1] = "upload"
        del self.large[label]

    # --- Tokens

    def concurrent(self):
        own, _ = self.buckets[0]
        data = b"x" * 5000

        def run(s):
            got = s.api.get_upload_url(s.url, s.tokens["master"], s.ids[own])
            sha1 = hashlib.sha1(data).hexdigest()
            args = [got["uploadUrl"], got["authorizationToken"], "twice", len(data), "text/x-test", sha1, {}]
            slow, outcome = Slow(data), []
            first = threading.Thread(target=lambda: outcome.append(s.api.upload_file(*args, slow)))
            first.start()
            slow.begun.wait(10)
            # The head has to have arrived.
            time.sleep(0.1)
            try:
                s.api.upload_file(*args, io.BytesIO(data))
            finally:
                slow.go_on.set()
                first.join()

        self.c.call("b2_upload_file", run, "two at a time on one URL")

    def expired(self):
        """Last: the master's token is gone after this."""
        own, _ = self.buckets[0]

        def run(s):
            if s.name == "simulator":
                s.api.expire_auth_token(s.tokens["master"])
            else:
                self.c.fake.stdin.write("expire\ncounts\n")
                self.c.fake.stdin.flush()
                self.c.fake.stdout.readline()
            s.api.list_file_names(s.url, s.tokens["master"], s.ids[own])

        self.c.call("b2_list_file_names", run, "with an expired token")
        self.c.call("b2_authorize_account", lambda s: s.authorize("master", s.account, s.master_key))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fake", required=True, help="the program examples/fake_b2")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=150, help="calls a seed")
    args = parser.parse_args()

    total, outcomes, differences = collections.Counter(), collections.Counter(), []
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        command = [args.fake, "--json", "--min-part-bytes", "200"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as fake:
            try:
                started = json.loads(fake.stdout.readline())
                simulator = RawSimulator()
                account, master_key = simulator.create_account()
                http = B2RawHTTPApi(B2Http(B2HttpApiConfig()))
                sides = [
                    Side("simulator", simulator, "http://unused", account, master_key),
                    Side("fake", http, started["endpoint"], started["master"]["id"], started["master"]["key"]),
                ]
                # What the fake makes for newcomers is not the simulator's.
                answer = http.authorize_account(started["endpoint"], started["master"]["id"], started["master"]["key"])
                for own in ["admin", "writer"]:
                    http.delete_key(started["endpoint"], answer["authorizationToken"], started[own]["id"])
                comparison = Comparison(sides, fake)
                Round(comparison, seed).run(args.steps)
            finally:
                fake.kill()
        total += comparison.compared
        outcomes += comparison.outcomes
        differences += comparison.differences

    for what, count in sorted(total.items()):
        own = ", ".join(f"{name} {n}" for (call, name), n in sorted(outcomes.items()) if call == what)
        print(f"{count:6} {what:31} {own}")
    print("not compared:\n  " + LEFT_OUT.replace("\n", "\n  "))
    for seed, what, note, (simulator, fake) in differences[:20]:
        print(f"\nDIFFERENCE seed {seed}, {what} ({note})\n  simulator: {simulator}\n  fake:      {fake}", file=sys.stderr)
    print(f"{sum(total.values())} calls compared over {args.seeds} seeds, {len(differences)} differences")
    # Each of these must have been seen, or the comparison has lost its point.
    seen = ["ok", "Unauthorized", "InvalidAuthToken", "BadRequest", "FileNotPresent", "AccessDenied",
            "UploadTokenUsedConcurrently", "DuplicateBucketName", "Conflict"]
    unseen = [name for name in seen if not any(own == name for _, own in outcomes)]
    if unseen:
        print("never seen:", ", ".join(unseen), file=sys.stderr)
    return 1 if differences or unseen else 0


if __name__ == "__main__":
    sys.exit(main())
