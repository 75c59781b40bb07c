"""What the portal is made of, as a bill of materials in CycloneDX, from the lock.

`python -m portal.sbom requirements.txt` prints it; the image carries it as `/app/sbom.cdx.json`. Only the standard
library is used, because it runs before anything is installed. The same lock gives the same text.
"""

import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PINNED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>.+))?")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
RELEASE = re.compile(r'^RELEASE = "(.+)"$', re.MULTILINE)


def components(lock: str) -> list[dict[str, Any]]:
    """Return each package of the lock with its version and the hashes of the files that may be installed for it.

    Raises ValueError if a line pins no version or has no hash.
    """
    lines = [line.strip() for line in lock.replace("\\\n", " ").splitlines()]
    return [component(line) for line in lines if line and not line.startswith("#")]


def component(line: str) -> dict[str, Any]:
    found, hashes = PINNED.fullmatch(line.split("--hash")[0].strip()), HASH.findall(line)
    if not found or not hashes:
        raise ValueError(f"Not pinned by version and hash: {line[:80]}")
    name, version = found["name"], found["version"]
    package = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    told: dict[str, Any] = {
        "type": "library",
        "bom-ref": package,
        "name": name,
        "version": version,
        "purl": package,
        "hashes": [{"alg": "SHA-256", "content": each} for each in hashes],
    }
    if found["marker"]:
        # Where it is installed at all, such as on Windows alone.
        told |= {"scope": "optional", "properties": [{"name": "getscreen-portal:marker", "value": found["marker"]}]}
    return told


def bill_of_materials(lock: str, release: str) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, release + lock)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "getscreen-portal",
                "name": "getscreen-portal",
                "version": release,
                "licenses": [{"license": {"id": "MIT"}}],
            }
        },
        "components": components(lock),
    }


def main(file: str) -> None:
    settings = (ROOT / "portal" / "settings.py").read_text(encoding="utf-8")
    (release,) = RELEASE.findall(settings)
    json.dump(bill_of_materials(Path(file).read_text(encoding="utf-8"), release), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
