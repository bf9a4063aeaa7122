"""What is in the program: CycloneDX 1.5 (ecma-international.org, ECMA-424) from `cargo metadata` and Cargo.lock.

Only what is linked into the program is named: normal dependencies, and what builds them; nothing of tests.
"""
import json
import re
import subprocess
import time
import uuid
from pathlib import Path


def checksums(root):
    """SHA-256 of each crate, by name and version, as Cargo.lock has it."""
    found = {}
    for block in (root / "Cargo.lock").read_text().split("[[package]]")[1:]:
        fields = dict(re.findall(r'^(\w+) = "([^"]*)"$', block, re.M))
        if "checksum" in fields:
            found[fields["name"], fields["version"]] = fields["checksum"]
    return found


def document(root, epoch):
    """The document, the same for the same Cargo.lock and time."""
    root = Path(root)
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=root).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    top = metadata["resolve"]["root"]
    needs, todo = {}, [top]
    while todo:
        here = todo.pop()
        if here in needs:
            continue
        kinds = lambda dep: {kind["kind"] for kind in dep["dep_kinds"]}
        needs[here] = sorted(dep["pkg"] for dep in nodes[here]["deps"] if kinds(dep) - {"dev"})
        todo.extend(needs[here])
    sums = checksums(root)

    def purl(package):
        return f"pkg:cargo/{package['name']}@{package['version']}"

    def component(package):
        made = {
            "type": "library",
            "bom-ref": purl(package),
            "name": package["name"],
            "version": package["version"],
            "purl": purl(package),
        }
        if package.get("license"):
            made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
        checksum = sums.get((package["name"], package["version"]))
        if checksum:
            made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
        if package.get("repository"):
            made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
        return made

    parts = sorted((component(packages[one]) for one in needs if one != top), key=lambda part: part["bom-ref"])
    # A number that follows from the content, so that the same content has the same.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(parts, sort_keys=True))
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "component": component(packages[top]) | {"type": "application"},
        },
        "components": parts,
        "dependencies": [
            {"ref": purl(packages[one]), "dependsOn": [purl(packages[dep]) for dep in needs[one]]}
            for one in sorted(needs, key=lambda one: purl(packages[one]))
        ],
    }
    return json.dumps(made, indent=1) + "\n"
