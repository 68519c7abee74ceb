"""What CI checks, piece by piece: ``nox -l`` lists the sessions, ``nox -s lint`` runs one.

Light sessions make a small environment of their own and keep it. Those that need torch run in the active environment,
into which CONTRIBUTING.md's setup has installed the project with its extra ``dev``, or see its packages: 5 GB are not
installed twice.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import nox

nox.options.sessions = ["lint", "contracts", "types", "tests"]
nox.options.reuse_venv = "yes"

TABLE = nox.project.load_toml("pyproject.toml")
EXTRA = TABLE["project"]["optional-dependencies"]

OLDEST = ("tests/decode", "tests/evaluation", "tests/model", "tests/exported", "tests/data", "tests/test_pipeline.py")
"""What of the suite is run with the oldest packages: what leans on them."""

EXTRAS = (
    *(f"first_party/{name}" for name in ("test_huggingface.py", "test_parquet_shards.py", "test_same_images.py")),
    "remote/test_s3.py",
)
"""Tests that skip where an optional package is absent, as it is with the extra ``test``."""

ACTIVE = os.environ.get("PATH", "")
"""Where the active environment's Python is found, before a session puts its own in front."""

EXAMPLES = {
    "bench-asl": ("run --model asl --dataset digit-scenes", "asl"),
    "bench-shapes": ("run --model bce --dataset shapes", "shapes; 400 drawn pictures"),
    "bench-exact-match": ("run --model bce --dataset digit-scenes", "exact"),
}
"""Each example: a run with it, and what the table then shows that it would not show without."""

SANITIZED = {
    "memory": ("address,undefined", ()),
    "threads": ("thread", ("beam", "screening")),
    "release": ("", ()),
}
"""How the C++ tests are built, and which of them where not all: those that search in several threads."""

HASTY = {"digit-scenes": ("--set", "dataset.train_images=1000")}
"""Seconds instead of a minute; the numbers do not matter here."""


def dev(*names: str) -> list[str]:
    """Return the requirements of the extra ``dev`` called ``names``: versions stand in pyproject.toml alone."""
    return [requirement for requirement in EXTRA["dev"] if re.split(r"[^\w-]", requirement)[0] in names]


def least(requirements: list[str]) -> list[str]:
    """Return the requirements with the least version that each allows as the only one; without this project's own."""
    return [text.replace(">=", "==", 1) for text in requirements if not text.startswith("multilabel-bench")]


def sources(*folders: str) -> list[str]:
    """Return the C++ files of these folders, headers included."""
    return sorted(str(path) for folder in folders for path in Path(folder).iterdir() if path.suffix in {".h", ".cpp"})


def elsewhere(session: nox.Session) -> None:
    """Leave the checkout, whose ``bench/`` has no compiled module and would hide the installed one."""
    session.chdir(session.create_tmp())


def see_active(session: nox.Session) -> None:
    """Have the session's environment find the packages of the active one behind its own."""
    where = ("-c", "import sysconfig; print(sysconfig.get_path('purelib'))")
    active = session.run(str(shutil.which("python")), *where, external=True, silent=True)
    own = session.run("python", *where, silent=True)
    line = f"import site; site.addsitedir({str(active).strip()!r})\n"
    (Path(str(own).strip()) / "active.pth").write_text(line, encoding="utf-8")


@nox.session(reuse_venv=False)
def main_job(session: nox.Session) -> None:
    """Install into a fresh environment and run the paper's model: README command 1."""
    session.run("python", "-m", "pip", "install", "-qq", ".")
    elsewhere(session)
    session.run("bench", "run", "--model", "cnn-rnn", "--dataset", "digit-scenes")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run every test, README command 2; ``nox -s tests -- tests/store`` runs a part."""
    session.run("pytest", "-q", "-n", "2", "--slow", "--durations=10", *session.posargs)


@nox.session(venv_backend="none")
def weights(session: nox.Session) -> None:
    """Train digits-cnn anew as a whole, and compare it with the weights that are shipped; CI trains it for seconds."""
    session.run("pytest", "-q", "tests/first_party/shipped_weights.py", *session.posargs)


@nox.session(venv_backend="none")
def speed(session: nox.Session) -> None:
    """Run the benchmarks, stored under .benchmarks; ``nox -s speed -- tests/benchmarks/test_encode.py`` runs a part."""
    stored = ("--benchmark-autosave", "--benchmark-columns=median,iqr,rounds")
    session.run("pytest", "-q", "--benchmark-only", *stored, *(session.posargs or ["tests/benchmarks"]))


@nox.session(venv_backend="none")
def summary(session: nox.Session) -> None:
    """Print the table on top of docs/performance.md from what ``nox -s speed`` stored last, or from named files."""
    session.run("python", "-P", "benchmarks/summary.py", *session.posargs)


@nox.session(venv_backend="none")
def compare_speed(session: nox.Session) -> None:
    """Compare two commits by interleaved rounds: ``nox -s compare_speed -- OLD NEW``; status 1 where NEW is slower."""
    session.run("python", "benchmarks/compare_speed.py", *session.posargs)


@nox.session(venv_backend="none")
def memory(session: nox.Session) -> None:
    """Measure what each stage holds in memory by the number of images: ``nox -s memory -- --sizes 1000,10000``."""
    session.run("python", "-P", "benchmarks/memory.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style of Python and C++; nothing is changed."""
    session.install(*dev("ruff", "clang-format"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("clang-format", "--dry-run", "--Werror", *sources("csrc", "csrc/tests"))


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.run("mypy")


@nox.session
def contracts(session: nox.Session) -> None:
    """Check which room imports which, and what plugins import: .importlinter."""
    session.install(*dev("import-linter"))
    session.run(
        "lint-imports",
        env={"PYTHONPATH": os.pathsep.join((".", "plugins", *(f"examples/{name}" for name in EXAMPLES)))},
    )


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation as a site into site/; a broken link or a name without a docstring is an error."""
    session.install(*EXTRA["docs"])
    session.run("mkdocs", "build", "--strict", "--quiet", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(venv_backend="none")
def extras(session: nox.Session) -> None:
    """Test the optional packages, none of which may be absent."""
    session.run("python", "-c", "import datasets, moto.server, pyarrow, s3fs")
    session.run("pytest", "-q", *(f"tests/{name}" for name in EXTRAS))


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """Test with the oldest Python and the least versions that pyproject.toml allows, in an environment of their own."""
    packages = least([*TABLE["project"]["dependencies"], *EXTRA["test"], *EXTRA["parquet"], *EXTRA["sklearn"]])
    session.install(*least(TABLE["build-system"]["requires"]), "cmake", "ninja")
    session.install("--no-build-isolation", ".", *packages)
    # What old packages say of what newer ones have changed is no fault.
    session.run("pytest", "-q", "-W", "default", *(session.posargs or OLDEST))


@nox.session
def ray(session: nox.Session) -> None:
    """Compare on a cluster of two nodes, in an environment of its own that has the active one's packages behind it."""
    see_active(session)
    session.install(*EXTRA["ray"])
    session.run("python", "-m", "pytest", "-q", "--slow", "tests/test_cluster.py", *session.posargs)


@nox.session(reuse_venv=False)
@nox.parametrize("example", list(EXAMPLES), ids=list(EXAMPLES))
def examples(session: nox.Session, example: str) -> None:
    """Install an example into a fresh environment, as a third party would: its checks, a run and its table.

    The environment has the packages of the active one behind its own, so that torch is not installed once more. Its
    tests are run by tests/test_example_plugin.py.
    """
    see_active(session)
    session.install(f"./examples/{example}")
    elsewhere(session)
    session.run("python", "-m", "bench", "plugin", "check", example)
    arguments, shown = EXAMPLES[example]
    command = arguments.split()
    session.run("python", "-m", "bench", *command, "--set", "epochs=2", *HASTY.get(command[-1], ()))
    table = session.run("python", "-m", "bench", "table", silent=True)
    if not re.search(rf"(^|\s){re.escape(shown)}\b", str(table)):
        session.error(f"bench table does not show '{shown}':\n{table}")


@nox.session
def cpp(session: nox.Session) -> None:
    """Run the C++ tests under sanitizers, and as released; ``nox -s cpp -- threads`` runs one way of building them."""
    session.install("cmake", "ninja")
    for name in session.posargs or SANITIZED:
        sanitizers, tests = SANITIZED[name]
        build = str(Path(session.create_tmp()) / name)
        # Without any optimization the threads' sanitizer takes minutes; with some, lines and names are still told.
        kind = (
            ("-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g")
            if sanitizers
            else ("-DCMAKE_BUILD_TYPE=Release",)
        )
        options = (*kind, "-DMLB_PYTHON=OFF", "-DMLB_TESTS=ON", f"-DMLB_SANITIZE={sanitizers}")
        session.run("cmake", "-S", ".", "-B", build, "-G", "Ninja", *options, silent=True)
        targets = ("--target", *(f"test_{test}" for test in tests)) if tests else ()
        session.run("cmake", "--build", build, *targets, silent=True)
        chosen = ("-R", f"^({'|'.join(tests)})$") if tests else ()
        session.run("ctest", "--test-dir", build, "--output-on-failure", *chosen)


@nox.session(venv_backend="none")
def threads(session: nox.Session) -> None:
    """Disturb one decoder from several threads under ThreadSanitizer; ``nox -s threads -- 100`` does it for longer."""
    built = Path(session.create_tmp()) / "sanitized"
    shutil.rmtree(built, ignore_errors=True)
    options = ("-Ccmake.define.MLB_SANITIZE=thread", "-Ccmake.build-type=RelWithDebInfo")
    session.run("python", "-m", "pip", "install", "-qq", ".", "--no-deps", "--target", str(built), *options)
    runtime = session.run("g++", "-print-file-name=libtsan.so", external=True, silent=True)
    env = {
        "LD_PRELOAD": str(runtime).strip(),
        "PYTHONPATH": str(built),
        # Of what is not instrumented, as CPython and NumPy, it sees the locks alone.
        "TSAN_OPTIONS": "exitcode=66 ignore_noninstrumented_modules=1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    script = str(Path("tests/faults/decoder_threads.py").absolute())
    session.run("python", "-P", script, *(session.posargs or ["10"]), env=env)


@nox.session(venv_backend="none")
def faults(session: nox.Session) -> None:
    """Kill, starve, lock and damage runs, exports and reports: ``nox -s faults -- --kills 1000 --seed 7``.

    ``--ledger FILE`` counts what earlier sittings did.
    """
    session.run("python", "-P", "tests/faults/campaign.py", *session.posargs)


@nox.session(venv_backend="none")
def fuzz(session: nox.Session) -> None:
    """Give every reader damaged inputs: ``nox -s fuzz -- --count 100000``, or some as in ``nox -s fuzz -- csv``.

    ``nox -s fuzz -- --ledger FILE --until 1000000`` goes on, sitting after sitting, until every reader had so many.
    """
    session.run("python", "-P", "tests/faults/fuzz.py", *(session.posargs or ["--count", "2000"]))


@nox.session
def clang_tidy(session: nox.Session) -> None:
    """Check C++ statically, bindings and tests too: .clang-tidy."""
    session.install("cmake", "ninja", "pybind11", *dev("clang-tidy"))
    build = str(Path(session.create_tmp()) / "tidy")
    pybind11 = session.run("python", "-m", "pybind11", "--cmakedir", silent=True)
    options = ("-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DMLB_TESTS=ON", f"-Dpybind11_DIR={str(pybind11).strip()}")
    session.run("cmake", "-S", ".", "-B", build, "-G", "Ninja", *options, silent=True)
    units = [path for path in sources("csrc", "csrc/tests") if path.endswith(".cpp")]
    # A process for each file, as many at once as there are cores.
    check = ("xargs", "-P", str(os.cpu_count()), "-n", "1", "clang-tidy", "--quiet", "-p", build)
    session.run("sh", "-c", f"printf '%s\\n' {shlex.join(units)} | {shlex.join(check)}", external=True)


@nox.session(venv_backend="none")
def stubtest(session: nox.Session) -> None:
    """Check that the stubs of the compiled modules say of them what is so."""
    elsewhere(session)
    # What the stubs import is read by the session types; here it would be most of the work.
    Path("mypy.ini").write_text("[mypy]\nfollow_imports = skip\n", encoding="utf-8")
    modules = ("bench.decode._beam", "bench.model._update")
    session.run("python", "-m", "mypy.stubtest", "--mypy-config-file", "mypy.ini", *modules)


@nox.session(venv_backend="none")
def licences(session: nox.Session) -> None:
    """Write THIRD_PARTY.md anew from what is installed: the licence of every dependency, weight and data set."""
    session.run("python", "-P", ".ci/third_party.py")


@nox.session
def sbom(session: nox.Session) -> None:
    """Write what the active environment holds as CycloneDX JSON: build/sbom.cdx.json."""
    session.install("cyclonedx-bom>=7")
    target = Path("build", "sbom.cdx.json")
    target.parent.mkdir(exist_ok=True)
    form = ("--of", "JSON", "--output-reproducible", "--pyproject", "pyproject.toml", "-o", str(target))
    session.run("cyclonedx-py", "environment", *form, str(shutil.which("python", path=ACTIVE)))
    parts = json.loads(target.read_text(encoding="utf-8"))
    for part in (parts["metadata"]["component"], *parts["components"]):
        # Where a checkout lies is nobody's business.
        if references := part.get("externalReferences"):
            references[:] = [each for each in references if not each["url"].startswith("file:")]
    target.write_text(json.dumps(parts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
