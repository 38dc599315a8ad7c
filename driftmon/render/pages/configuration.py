"""Configuration: what the daemon really goes by, defaults filled in and secrets left out, in the file's words."""

from __future__ import annotations

from driftmon.render.pages.words import moment, text


def configuration(redacted: str, config_file: str, loaded_ms: int) -> str:
    """The body of the page; `redacted` is YAML."""
    return (
        f'<h1>Configuration</h1><p class="soft">{text(config_file)}, loaded {moment(loaded_ms)} UTC. Defaults are '
        "filled in, secrets left out.</p>"
        f'<pre class="card scroll" tabindex="0" aria-label="The configuration">{_lines(redacted)}</pre>'
    )


def _lines(yaml: str) -> str:
    return "\n".join(text(line) for line in yaml.splitlines())
