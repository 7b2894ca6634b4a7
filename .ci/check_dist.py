"""Check what a wheel and an sdist hold: what git tracks, and metadata that are valid.

python .ci/check_dist.py build/dist
"""

import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

from packaging.metadata import Metadata

PACKAGES = ("spectral_nn/", "estimators/spectral_estimators/")
NOT_IN_SDIST = (".ci/",)


def check_same(archive: Path, found: set[str], expected: set[str]) -> None:
    """Exit, naming the files, unless the archive holds what it must."""
    if found != expected:
        sys.exit(
            f"{archive} does not hold what git tracks:\n"
            f"  too much: {sorted(found - expected)}\n  missing: {sorted(expected - found)}"
        )


def check_wheel(wheel: Path, tracked: list[str]) -> Metadata:
    """Only the two packages, with their `py.typed`, and the license; return the metadata."""
    name, version = wheel.name.split("-")[:2]
    about = f"{name}-{version}.dist-info"
    expected = {path.removeprefix("estimators/") for path in tracked if path.startswith(PACKAGES)}
    expected |= {f"{about}/{file}" for file in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}
    with ZipFile(wheel) as files:
        check_same(wheel, set(files.namelist()), expected)
        return Metadata.from_email(files.read(f"{about}/METADATA"))


def check_sdist(sdist: Path, tracked: list[str]) -> Metadata:
    """All that git tracks but notebooks, which hold pictures; return the metadata."""
    root = sdist.name.removesuffix(".tar.gz")
    kept = (p for p in tracked if not p.startswith(NOT_IN_SDIST) and not p.endswith(".ipynb"))
    with tarfile.open(sdist) as files:
        found = {member.name for member in files if member.isfile()}
        check_same(sdist, found, {f"{root}/{path}" for path in [*kept, "PKG-INFO"]})
        return Metadata.from_email(files.extractfile(f"{root}/PKG-INFO").read())


def main(folder: str) -> None:
    """Check the one wheel and the one sdist of a folder."""
    (wheel,), (sdist,) = Path(folder).glob("*.whl"), Path(folder).glob("*.tar.gz")
    tracked = subprocess.check_output(["git", "ls-files"], text=True).splitlines()
    of_wheel, of_sdist = check_wheel(wheel, tracked), check_sdist(sdist, tracked)
    assert of_wheel.version == of_sdist.version
    assert f"\nversion: {of_wheel.version}\n" in Path("CITATION.cff").read_text()
    assert of_wheel.license_expression == "BSD-3-Clause"
    assert of_wheel.description
    print(f"{wheel.name} and {sdist.name} hold what they must")


if __name__ == "__main__":
    main(sys.argv[1])
