"""The build hook of hatchling: a wheel, and an editable install, hold the page of `sgdsheet open`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

specification = importlib.util.spec_from_file_location("build_page", Path(__file__).with_name("build.py"))
assert specification is not None
assert specification.loader is not None
page = importlib.util.module_from_spec(specification)
specification.loader.exec_module(page)


class PageBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the page to the wheel, and to the folder of an editable install."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node from PyPI, where the page has to be built and the machine has no Node of its own."""
        return [] if page.is_built() or page.node_of_machine() else [page.NODE_FROM_PYPI]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page; without it, the package is complete but for `sgdsheet open`, which tells how to get it."""
        if self.target_name != "wheel":
            return
        if version != "editable":  # such an install finds them in the repository
            for path in sorted((Path(self.root) / "docs" / "pictures").glob("[!_]*.png")):
                if (Path(self.root) / "sgdsheet" / "apps" / "examples" / f"{path.stem}.py").is_file():
                    build_data["force_include"][str(path)] = f"sgdsheet/apps/web/pictures/{path.name}"
        try:
            page.build()
        except page.PageMissing as error:
            self.app.display_warning(f"Without the page of `sgdsheet open`: {error}")
            return
        build_data["artifacts"].append("sgdsheet/apps/web/page/**")
