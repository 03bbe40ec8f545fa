"""Verifies a bundle of evidence by schemas/evidence.md alone, with no code of Lifeboat: points 1 to 6 and 9.

usage: verify.py FILE KEY      prints one line; exit status 0 when it is good, 1 when it is not
"""

import hashlib
import json
import re
import sys

from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TYPE = b"application/vnd.lifeboat.evidence.statement.v1+json"
FIRST = ["events.log", "plan.json", "runbook.kdl", "facts.json", "witness.json"]


class Refused(Exception):
    pass


def need(holds, why):
    if not holds:
        raise Refused(why)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def line(self):
        end = self.data.find(b"\n", self.at)
        need(end >= 0, "it ends in the middle")
        line, self.at = self.data[self.at : end], end + 1
        return line

    def part(self):
        match = re.fullmatch(rb"part ([a-z0-9./-]{1,100}) (0|[1-9][0-9]*)", self.line())
        need(match, "this is no part")
        end = self.at + int(match[2])
        part = self.data[self.at : end]
        need(self.data[end : end + 1] == b"\n", "a part does not end where it says")
        self.at = end + 1
        return match[1].decode(), part


def frame(data):
    reader = Reader(data)
    need(reader.line() == b"lifeboat-evidence 1", "this is no bundle of format 1")
    parts = {}
    while "manifest.json" not in parts:
        name, part = reader.part()
        need(name not in parts, "two parts have one name")
        parts[name] = part
    signatures = []
    while True:
        line = reader.line()
        match = re.fullmatch(rb"signature ([0-9a-f]{128}) (.*)", line)
        if not match:
            break
        signatures.append((bytes.fromhex(match[1].decode()), match[2]))
    need(line == b"end %d" % len(signatures), "it does not end as it should")
    need(reader.at == len(data), "something follows the end")
    need(signatures, "nobody signed")
    return parts, signatures


def signed(signatures, manifest, trusted):
    keys = []
    for signature, statement in signatures:
        said = json.loads(statement)
        need(sorted(said) == ["at", "by", "key", "manifest"], "a statement has other fields")
        need(re.fullmatch("ed25519:[0-9a-f]{64}", said["key"]), "a key is none")
        body = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE, len(statement), statement)
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(said["key"][8:])).verify(signature, body)
        except InvalidSignature:
            raise Refused("a signature does not fit its key") from None
        need(said["manifest"] == hashlib.sha256(manifest).hexdigest(), "a signature is for another manifest")
        need(said["key"] not in keys, "a key signed twice")
        keys.append(said["key"])
    need(trusted in keys, "the trusted key did not sign")


def events(log, manifest):
    need(log.endswith(b"\n"), "the events are cut off")
    before, found = bytes(32), []
    for number, line in enumerate(log[:-1].split(b"\n"), 1):
        match = re.fullmatch(rb"([1-9][0-9]*) ([0-9a-f]{64}) (.*)", line)
        need(match and int(match[1]) == number, f"event {number} is not in its place")
        before = blake3(before + match[3]).digest()
        need(before.hex().encode() == match[2], f"the chain breaks at event {number}")
        found.append(json.loads(match[3]))
    need(len(found) == manifest["events"] and before.hex() == manifest["chain"], "the events end otherwise than told")
    return found


def verify(data, trusted):
    parts, signatures = frame(data)
    raw = parts.pop("manifest.json")
    signed(signatures, raw, trusted)
    manifest = json.loads(raw)
    told = [(part["name"], part["bytes"], part["sha256"]) for part in manifest["parts"]]
    there = [(name, len(part), hashlib.sha256(part).hexdigest()) for name, part in parts.items()]
    need(told == there, "the parts are not those of the manifest")
    need(list(parts)[:5] == FIRST, "the first parts are others")
    log = events(parts["events.log"], manifest)
    first = log[0]
    need(first["event"] == "run-created" and first["run"] == manifest["run"], "the first event makes another run")
    fingerprint = "blake3:" + blake3(parts["plan.json"]).hexdigest()
    need(fingerprint == first["fingerprint"] == manifest["fingerprint"], "the plan was not the one approved")
    need(json.loads(parts["plan.json"]) == first["plan"], "the plan is not the one that was run")
    need(parts["runbook.kdl"].decode() == first["runbook"], "the text is not the one that was run")
    people = {step["id"]: step.get("approval", {}).get("people", []) for step in first["plan"]["steps"]}
    for event in log:
        if event["event"] in ("approval-requested", "approved"):
            need(event["fingerprint"] == fingerprint, "an approval is for another plan")
        if event["event"] == "approved" and people[event["step"]]:
            need(event["by"] in people[event["step"]], "somebody approved who may not")
    named = {file["digest"] for event in log for file in event.get("evidence", [])}
    files = {name[5:].replace("-", ":"): part for name, part in list(parts.items())[5:]}
    need(all(name.startswith("file/") for name in list(parts)[5:]), "nobody knows what a part is")
    need(all("blake3:" + blake3(part).hexdigest() == digest for digest, part in files.items()), "a file is another one")
    need(named == set(files) | set(manifest.get("without_files", [])), "files are missing, or too many")
    return f"good: run {manifest['run']}, {manifest['end']['status']}, {len(log)} events"


if __name__ == "__main__":
    try:
        with open(sys.argv[1], "rb") as file:
            print(verify(file.read(), sys.argv[2]))
    except (Refused, ValueError, KeyError, UnicodeDecodeError) as why:
        print(f"refused: {why}")
        sys.exit(1)
