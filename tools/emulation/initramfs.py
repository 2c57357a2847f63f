"""The guest's first files, as an archive that the kernel unpacks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPTS: Final = Path(__file__).resolve().parent

#: Modules that are needed before the host's files are there; the kernel asks for the others by itself.
FIRST_MODULES: Final = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")


def initramfs(busybox: Path, modules: Path) -> bytes:
    """What the guest begins with: busybox, the first modules, and our two scripts."""
    order = _load_order(modules)
    names = [Path(path).stem for path in order]
    files = {
        "bin/busybox": busybox.read_bytes(),
        "init": (SCRIPTS / "init").read_bytes(),
        "modules": " ".join(names).encode(),
        "emulator/busybox": busybox.read_bytes(),
        "emulator/start": (SCRIPTS / "start").read_bytes(),
    }
    for path, name in zip(order, names, strict=True):
        files[f"modules.d/{name}.ko"] = (modules / path).read_bytes()
    return archive(files)


def _load_order(modules: Path) -> list[str]:
    """The first modules and what they need, each after what it needs, by paths as in modules.dep (modules.dep(5))."""
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text(encoding="ascii").splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    paths = {Path(path).stem.replace("-", "_"): path for path in needs}
    order: dict[str, None] = {}

    def add(path: str) -> None:
        for needed in needs[path]:
            if needed not in order:
                add(needed)
        order[path] = None

    for name in FIRST_MODULES:
        add(paths[name])
    return list(order)


def archive(files: Mapping[str, bytes]) -> bytes:
    """Files as a cpio archive that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst).

    Their folders are made; all can be run.
    """
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    entries = [(name, 0o040755, b"") for name in sorted(folders, key=len)]
    entries += [(name, 0o100755, content) for name, content in files.items()]
    made = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        made += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        made += bytes(-len(made) % 4) + content
        made += bytes(-len(made) % 4)
    return bytes(made)
