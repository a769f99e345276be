"""What contributors meet on GitHub: workflows and forms parse, and agree with the metadata."""

import configparser
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import repinv

ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(
    set((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) - {GITHUB / "ISSUE_TEMPLATE/config.yml"}
)
SYSTEMS = {
    "ubuntu": "POSIX :: Linux",
    "macos": "MacOS",
    "windows": "Microsoft :: Windows",
}
pytestmark = pytest.mark.skipif(
    not GITHUB.exists(), reason="needs the checkout: .github is not beside tests/"
)


def _read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _events(workflow):
    """What starts it: YAML 1.1 reads the key `on` as true."""
    return workflow[True]


def _steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


@pytest.fixture(scope="module")
def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def classifiers(setup):
    return setup["metadata"]["classifiers"].strip().split("\n")


@pytest.fixture(scope="module")
def matrix():
    return _read(GITHUB / "workflows" / "tests.yml")["jobs"]["suite"]["strategy"]["matrix"]


def _pythons(classifiers):
    found = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", c) for c in classifiers]
    return [match[1] for match in found if match]


def test_every_python_of_the_classifiers_is_tested_and_no_other(matrix, classifiers):
    assert matrix["python"] == _pythons(classifiers)


def test_the_oldest_python_is_the_same_everywhere(matrix, setup):
    oldest = min(matrix["python"], key=lambda version: int(version.split(".")[1]))
    assert setup["options"]["python_requires"] == f">={oldest}"
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert tools["mypy"]["python_version"] == oldest
    assert tools["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    assert f"OLDEST_PYTHON ?= python{oldest}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
    (step,) = [
        step
        for step in _read(GITHUB / "workflows" / "tests.yml")["jobs"]["oldest"]["steps"]
        if "setup-python" in step.get("uses", "")
    ]
    assert step["with"]["python-version"] == oldest


def test_every_system_of_the_classifiers_is_tested_and_no_other(matrix, classifiers):
    prefix = "Operating System :: "
    claimed = {c.removeprefix(prefix) for c in classifiers if c.startswith(prefix)}
    assert {SYSTEMS[system.split("-")[0]] for system in matrix["system"]} == claimed


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_and_nothing_more(path):
    workflow = _read(path)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    more = {
        name: job["permissions"]
        for name, job in workflow["jobs"].items()
        if job.get("permissions", {"contents": "read"}) != {"contents": "read"}
    }
    assert more == ({"publish": {"id-token": "write"}} if path.stem == "release" else {})
    for step in _steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_to_a_major_version(path):
    for step in _steps(_read(path)):
        if "uses" in step:
            assert re.search(r"@(v\d+|release/v\d+)$", step["uses"]), step["uses"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_calls_is_there(path):
    workflow = _read(path)
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))
    for step in _steps(workflow):
        words = step.get("run", "").split()
        if words[:1] == ["make"]:
            assert words[1] in targets, step["run"]
        for script in re.findall(r"\.ci/[\w-]+", step.get("run", "")):
            assert (ROOT / script).exists(), script
    names = set(workflow["jobs"])
    for job in workflow["jobs"].values():
        needs = job.get("needs", [])
        assert {needs} <= names if isinstance(needs, str) else set(needs) <= names
        assert "uses" in job or job["timeout-minutes"] <= 60
        if "uses" in job:
            called = ROOT / job["uses"]
            assert "workflow_call" in _events(_read(called))


def test_only_a_tag_of_a_version_is_released():
    release = _read(GITHUB / "workflows" / "release.yml")
    assert _events(release) == {"push": {"tags": ["v*"]}}
    jobs = release["jobs"]
    assert set(jobs["publish"]["needs"]) == {"tests", "wheel"}
    assert jobs["tests"]["needs"] == jobs["wheel"]["needs"] == "version"
    assert jobs["version"]["steps"][-1]["run"] == '.ci/check-tag "$GITHUB_REF_NAME"'


def test_pull_requests_are_tested():
    for name in ("tests", "docs", "wheel"):
        events = _events(_read(GITHUB / "workflows" / f"{name}.yml"))
        assert {"push", "pull_request"} <= set(events)
        assert events["push"] == {"branches": ["main"]}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("tag", "said"),
    [
        (f"v{repinv.__version__}", f"v{repinv.__version__} is version {repinv.__version__}\n"),
        (repinv.__version__, f"has version {repinv.__version__}; the tag is"),
        ("v9.9.9", f"Tag v{repinv.__version__}."),
    ],
)
def test_a_tag_is_checked_against_the_version(tag, said):
    done = subprocess.run(
        ["bash", ".ci/check-tag", tag], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert said in done.stdout + done.stderr
    assert (done.returncode == 0) == (tag == f"v{repinv.__version__}")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_what_github_needs(path):
    form = _read(path)
    assert set(form) <= {"name", "description", "title", "labels", "assignees", "body"}
    assert form["name"]
    assert form["description"]
    kinds = {"markdown", "textarea", "input", "dropdown", "checkboxes"}
    assert {field["type"] for field in form["body"]} <= kinds
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert fields
    ids = [field["id"] for field in fields]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[\w-]+", name) for name in ids)
    assert all(field["attributes"]["label"] for field in fields)


def test_there_is_a_form_for_bugs_features_and_encoders():
    assert {path.stem for path in FORMS} == {"bug", "feature", "encoder"}
    config = _read(GITHUB / "ISSUE_TEMPLATE" / "config.yml")
    assert all(set(link) == {"name", "url", "about"} for link in config["contact_links"])


def test_actions_and_pins_are_kept_up_to_date():
    updates = _read(GITHUB / "dependabot.yml")["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"github-actions", "pip"}


def test_one_address_of_the_project_is_used_everywhere(setup):
    home = setup["metadata"]["url"]
    lines = setup["metadata"]["project_urls"].strip().split("\n")
    urls = dict(line.split(" = ") for line in lines)
    assert set(urls) == {"Documentation", "Changelog", "Source", "Issues"}
    assert urls["Source"] == home
    texts = [*ROOT.glob("*.md"), ROOT / "CITATION.cff", ROOT / ".readthedocs.yaml"]
    texts += [path for path in GITHUB.rglob("*") if path.is_file()]
    pages = re.compile(r"https://(?:github\.com/\w+/repinv\b|[\w-]+\.readthedocs\.io\b)")
    found = {url for path in texts for url in pages.findall(path.read_text(encoding="utf-8"))}
    assert found == {home, urls["Documentation"]}


def test_links_between_the_pages_for_contributors_lead_somewhere():
    for name in ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / link).exists(), f"{name}: {link}"
    headings = re.findall(r"^#+ (.+)$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    texts = [*ROOT.glob("*.md"), GITHUB / "pull_request_template.md"]
    for path in texts:
        for anchor in re.findall(r"CONTRIBUTING\.md#([\w-]+)", path.read_text(encoding="utf-8")):
            assert anchor in anchors, f"{path.name}: {anchor}"
