"""Print the oldest version of every dependency that pyproject.toml allows, as constraints for pip."""

import itertools
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
for requirement in itertools.chain(project["dependencies"], *project["optional-dependencies"].values()):
    if not requirement.startswith(f"{project['name']}["):
        name, version = requirement.split(">=")
        print(f"{name.partition('[')[0]}=={version}")  # constraints have no extras
print("pyparsing<3.3")  # it deprecates what matplotlib of that time calls, and in the tests warnings are errors
