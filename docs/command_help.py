"""A directive that prints the help of every command, as the command line prints it."""

from __future__ import annotations

from typing import Any

import click
from docutils import nodes
from docutils.parsers.rst import Directive

from repinv.app.commands.main import cli


class CommandHelp(Directive):
    """The help of a program and of its commands, each under a heading of its own."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Sections of literal text."""
        return [_section(name, text) for name, text in _helps(self.arguments[0], cli)]


def _helps(name: str, command: click.Command) -> list[tuple[str, str]]:
    """Names and helps of a command and of those below it."""
    context = click.Context(command, info_name=name, max_content_width=88)
    found = [(name, command.get_help(context))]
    if isinstance(command, click.Group):
        for one in command.list_commands(context):
            below = command.get_command(context, one)
            if below is not None:
                found += _helps(f"{name} {one}", below)
    return found


def _section(name: str, text: str) -> nodes.section:
    """A section with a heading and the help below it."""
    section = nodes.section(ids=[nodes.make_id(name)])
    section += nodes.title(name, name)
    section += nodes.literal_block(text, text, language="text")
    return section


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
