"""The container: what its file says, what the image has in it, and that this works without rights."""

import hashlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest

from files import BIN, DEPLOY, ROOT, run

CONTAINER = DEPLOY / "container"


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The program as `./test` has built it, linked once more: static, as the Containerfile has it."""
    target = pathlib.Path(os.environ.get("WAYPOST_BIN", ROOT / "target/debug/waypost")).parent
    allocator = max((target / "deps").glob("libmimalloc-*.rlib"), key=lambda path: path.stat().st_mtime)
    linked = tmp_path_factory.mktemp("static") / "waypost"
    command = ["rustc", "--edition", "2024", "--crate-name", "waypost", "--crate-type", "bin", "crates/gateway/src/main.rs"]
    command += ["--cfg", 'feature="mimalloc"', "-C", "target-feature=+crt-static", "-C", "strip=debuginfo", "-o", linked]
    command += ["-L", f"dependency={target / 'deps'}", "--extern", f"waypost={target / 'libwaypost.rlib'}"]
    run(*command, "--extern", f"mimalloc={allocator}", cwd=ROOT)
    return linked


@pytest.fixture(scope="session")
def image(program, tmp_path_factory):
    """The image, unpacked by somebody else's reader of the format: its files, and its configuration."""
    folder = tmp_path_factory.mktemp("image")
    run(CONTAINER / "build", folder / "image.tar", program)
    again = run(CONTAINER / "build", folder / "again.tar", program)
    assert (folder / "image.tar").read_bytes() == (folder / "again.tar").read_bytes(), "the same program, the same image"
    version = again.stdout.split(",")[0].split()[-1]
    root, config = unpacked(folder / "image.tar", version, folder)
    (folder / "image.json").write_text(json.dumps(config))
    return root, folder / "image.json"


def unpacked(archive, tag, folder):
    """An OCI archive's files, and its configuration."""
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "layout", filter="data")
    run("umoci", "unpack", "--image", f"{folder / 'layout'}:{tag}", folder / "bundle")
    index = json.loads((folder / "layout/index.json").read_text())

    def blob(described):
        return json.loads((folder / "layout/blobs" / described["digest"].replace(":", "/")).read_text())

    return folder / "bundle/rootfs", blob(blob(index["manifests"][0])["config"])


def test_the_containerfile_is_clean():
    run(BIN / "hadolint", CONTAINER / "Containerfile")


def test_the_last_stage_starts_from_nothing_and_gives_away_its_rights():
    loader = importlib.machinery.SourceFileLoader("build", str(CONTAINER / "build"))
    build = importlib.util.module_from_spec(importlib.util.spec_from_loader("build", loader))
    loader.exec_module(build)
    stage = build.last_stage((CONTAINER / "Containerfile").read_text())
    assert stage[0] == ("FROM", "scratch")
    settings = build.settings(stage)
    assert settings["User"] == "65532:65532" and settings["StopSignal"] == "SIGTERM"
    assert settings["Entrypoint"] == ["/usr/bin/waypost"]
    assert set(settings["ExposedPorts"]) == {"12000/tcp", "12010/tcp"}


def test_the_program_is_static(program):
    shown = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    assert "statically linked" in shown.stdout + shown.stderr or "not a dynamic executable" in shown.stdout + shown.stderr


def test_the_image_has_nothing_but_what_it_needs(image):
    root, _ = image
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == {
        "usr/bin/waypost",
        "etc/ssl/certs/ca-certificates.crt",
        "etc/passwd",
        "etc/group",
        "etc/nsswitch.conf",
    }
    writable = {str(path.relative_to(root)) for path in root.rglob("*") if path.stat().st_mode & 0o022}
    assert writable == {"tmp"}
    assert (root / "var/lib/waypost").stat().st_uid == 65532


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own need root")
def test_the_image_works_read_only_and_without_rights(image):
    seen = json.loads(run(sys.executable, DEPLOY / "tests/trial.py", *image).stdout)
    assert seen["uid"] == ["65532"] * 4
    assert seen["rights"] == ["0" * 16] * 5 and seen["no_new_privs"] == ["1"]
    assert seen["mapped"] == [], "no library of the outside"
    assert seen["mounts"] == {"/": "ro", "/var/lib/waypost": "rw"}
    for name in ("by-name", "by-file"):
        status, body = seen[name]
        assert status == 200 and f"Echo of {name}: Hello" in body, seen
    assert seen["code"] == 0 and "stopping" in seen["said"], seen["said"]
    assert "records.db" in seen["kept"], "records are where the image may write"
    assert "sk-trial" not in seen["said"]


def files_of(root):
    """Each file and folder with who may what with it, and the files' bytes."""
    def facts(path):
        status = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        return (oct(status.st_mode), status.st_uid, status.st_gid, digest)

    return {str(path.relative_to(root)): facts(path) for path in root.rglob("*")}


@pytest.mark.skipif(os.geteuid() != 0, reason="files of several users need root")
def test_an_engine_makes_the_same_image(program, image, tmp_path):
    """Buildah builds the Containerfile's last stage, in place of whose first stage stands the program that is there: that
    one only compiles, in an image from a registry."""
    text = (CONTAINER / "Containerfile").read_text()
    (tmp_path / "Containerfile").write_text(text[text.index("\nFROM scratch") :])
    stage = tmp_path / "stage"
    stage.mkdir()
    run(CONTAINER / "rootfs", program, stage / "rootfs")
    (stage / "state").mkdir()
    (stage / "rootfs/var/lib/waypost").rename(stage / "state/waypost")
    # A store of its own, without an overlay and without namespaces: this may run in a container itself.
    store = ["--storage-driver", "vfs", "--root", tmp_path / "store", "--runroot", tmp_path / "run"]
    build = ["build", "--isolation", "chroot", "--build-context", f"build={stage}", "-f", tmp_path / "Containerfile"]
    run("buildah", *store, *build, "-t", f"oci-archive:{tmp_path / 'image.tar'}:engine", stage)
    root, config = unpacked(tmp_path / "image.tar", "engine", tmp_path / "unpacked")
    # As it comes: another test has run what the fixture has unpacked.
    layout = image[1].parent / "layout"
    described = json.loads((layout / "index.json").read_text())["manifests"][0]
    tag = described["annotations"]["org.opencontainers.image.ref.name"]
    run("umoci", "unpack", "--image", f"{layout}:{tag}", tmp_path / "ours")
    assert files_of(root) == files_of(tmp_path / "ours/rootfs")
    ours = json.loads(image[1].read_text())["config"]
    settings = ["User", "ExposedPorts", "Entrypoint", "Cmd", "WorkingDir", "StopSignal"]
    assert {name: config["config"].get(name) for name in settings} == {name: ours.get(name) for name in settings}
    # Where programs are looked for is the engine's own; nobody looks.
    own = {variable for variable in ours["Env"] if not variable.startswith("PATH=")}
    assert own and own <= set(config["config"]["Env"])
