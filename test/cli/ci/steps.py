# SPDX-License-Identifier: Apache-2.0
# Takes the commands out of a CI example: steps.py github|gitlab FILE FOLDER writes one script a step, 01.sh, 02.sh, …,
# and beside it NN.name. Lines that install packages go to `packages` (one a line) and out of the scripts; steps that are
# the service's own (`uses:`) go to `uses`; files that are handed to the service go to `files`.
import pathlib, re, sys
import yaml

service, path, out = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
page = yaml.safe_load(open(path))
out.mkdir(parents=True, exist_ok=True)
steps, uses, files, packages = [], [], [], []
if service == "github":
    (job,) = page["jobs"].values()
    variables = page.get("env", {})
    for step in job["steps"]:
        if "run" in step:
            steps.append((step["name"], step["run"]))
        else:
            uses.append(step["uses"])
            files += [v for k, v in step.get("with", {}).items() if k.endswith("_file")]
else:
    (job,) = [v for v in page.values() if isinstance(v, dict) and "script" in v]
    variables = page.get("variables", {})
    # The two lists are one script of the service's shell.
    steps.append(("script", "\n".join(job["before_script"] + job["script"])))
    files += job["artifacts"]["reports"].values()

install = re.compile(r"apt-get update && apt-get install -y --no-install-recommends ([a-z0-9 .+-]+)")
for i, (name, text) in enumerate(steps, 1):
    lines = []
    for line in text.splitlines():
        m = install.fullmatch(line.strip())
        if m:
            packages += m[1].split()
        else:
            assert "apt-get" not in line, line
            lines.append(line)
    (out / f"{i:02}.sh").write_text("\n".join(lines) + "\n")
    (out / f"{i:02}.name").write_text(name + "\n")
assert {"WEFT_REPOSITORY", "WEFT_REVISION"} <= set(variables), variables
for name, words in ("packages", packages), ("uses", uses), ("files", files):
    (out / name).write_text("".join(w + "\n" for w in words))
