"""Shell: what every page stands in: head, navigation, the place that is kept fresh.

Law: a page is complete without its script, links are relative so that any prefix of a proxy works, and
nothing is fetched from elsewhere: POLICY would stop it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from driftmon.render.pages.words import moment, text

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
NAVIGATION: Final = (("", "Overview"), ("alerts", "Alerts"), ("status", "Status"), ("config", "Configuration"))
MARK: Final = (
    '<svg class="mark" viewBox="0 0 32 20" aria-hidden="true">'
    '<path class="ground" d="M1 19C7 19 8 4 12 4s5 15 11 15Z"/>'
    '<path class="bars" d="M9 19c6 0 7-17 11-17s5 17 11 17"/></svg>'
)


@dataclass(frozen=True, slots=True)
class Shell:
    """`root` is the way up to `/` ("./", "../../"), `here` the page's entry in NAVIGATION, `version` tags assets.

    `as_of_ms` is the wall clock; `firing` and `refresh_s` stand in the title and say how often to look again.
    """

    root: str
    here: str
    firing: int
    as_of_ms: int
    version: str
    assets: str
    refresh_s: int = 10


def document(shell: Shell, title: str, body: str) -> str:
    """A whole page around `body`."""
    count = f"({shell.firing}) " if shell.firing else ""
    root = text(shell.root)
    asset = f"?v={shell.assets}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{count}{text(title)} · driftmon</title>\n"
        f'<link rel="icon" type="image/svg+xml" href="{root}assets/icon.svg{asset}">\n'
        f'<link rel="stylesheet" href="{root}assets/page.css{asset}">\n'
        f'<script src="{root}assets/page.js{asset}" defer></script>\n</head>\n'
        f'<body data-refresh="{shell.refresh_s}">\n<a class="skip" href="#main">Skip to content</a>\n'
        f'{_header(shell)}\n<main id="main" tabindex="-1">\n{body}\n</main>\n{_footer(shell)}\n</body>\n</html>\n'
    )


def _header(shell: Shell) -> str:
    root = text(shell.root)
    links = []
    for path, name in NAVIGATION:
        current = ' aria-current="page"' if path == shell.here else ""
        badge = ""
        if path == "alerts" and shell.firing:
            badge = f' <b class="count">{shell.firing}<span class="hidden"> firing</span></b>'
        links.append(f'<li><a href="{root}{path}"{current}>{name}{badge}</a></li>')
    return (
        f'<header data-live="header"><a class="brand" href="{root}">{MARK}driftmon</a>'
        f'<nav aria-label="Pages"><ul>{"".join(links)}</ul></nav>'
        f'<p class="clock"><span class="pulse" aria-hidden="true"></span>as of {moment(shell.as_of_ms)} UTC</p>'
        "</header>"
    )


def _footer(shell: Shell) -> str:
    root = text(shell.root)
    links = (
        ("metrics", "metrics"),
        ("api/v1/report", "report as JSON"),
        ("openapi.json", "API"),
        ("-/healthy", "health"),
        ("-/ready", "readiness"),
    )
    listed = " · ".join(f'<a href="{root}{path}">{name}</a>' for path, name in links)
    return f"<footer><p>driftmon {text(shell.version)} · {listed}</p><p>Divergences in nats, times in UTC.</p></footer>"


def trouble(shell: Shell, status: int, heading: str, detail: str) -> str:
    """A page for what cannot be shown."""
    back = f'<p><a href="{text(shell.root)}">Overview</a></p>'
    body = f'<h1>{text(heading)}</h1>\n<p class="card">{text(detail)}</p>\n{back}'
    return document(shell, f"{status} {heading}", body)
