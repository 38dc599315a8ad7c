"""The replay page's style: two palettes, one for dark screens; nothing is fetched."""

from typing import Final

CSS: Final = """
:root { color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --ink: #1d2327; --soft: #667079; --rule: #e4e7e9; --accent: #1f6f8b;
  --live: #1f6f8b; --ref: #b4bcc2; --bad: #c0392b; --alert: rgba(192,57,43,.13); --floor: rgba(102,112,121,.16);
  --bounds: rgba(31,111,139,.20); --mark: #7a4fb5; --good: #2f7d4f; --cold: #eef0f1; --heat: 192,57,43; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14181b; --card: #1c2226; --ink: #e4e9ec; --soft: #96a2aa; --rule: #303940; --accent: #66bfdc;
  --live: #58b4d3; --ref: #5d6870; --bad: #ef7d6f; --alert: rgba(239,125,111,.17); --floor: rgba(150,162,170,.20);
  --bounds: rgba(88,180,211,.24); --mark: #b798e8; --good: #7cc79a; --cold: #232a2f; --heat: 239,125,111; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 36px 24px 72px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 44px 0 4px; }
p { margin: 4px 0 12px; max-width: 78ch; } .soft, figcaption { color: var(--soft); } a { color: var(--accent); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 22px 0 0; }
.tile, .card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
.tile { padding: 12px 16px; } .tile b { display: block; font-size: 22px; font-weight: 600; line-height: 1.25;
  font-variant-numeric: tabular-nums; } .tile span { color: var(--soft); font-size: 13px; }
.card { padding: 16px 18px; margin: 12px 0; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 12.5px; padding: 4px 14px 8px 0;
  vertical-align: bottom; }
td { padding: 7px 14px 7px 0; border-top: 1px solid var(--rule); vertical-align: top; }
td.n, th.n { text-align: right; } td.n, td.w { white-space: nowrap; }
td.t { overflow-wrap: break-word; min-width: 8em; max-width: 30em; } td.why { min-width: 22em; }
th.n { min-width: 5.5em; max-width: 11em; overflow-wrap: anywhere; } td .soft { font-size: 12.5px; }
td ul { margin: 3px 0 0; padding: 0; list-style: none; color: var(--soft); font-size: 13px; }
tr.best td { background: color-mix(in srgb, var(--good) 13%, transparent); }
tr.best td:first-child { box-shadow: inset 3px 0 var(--good); padding-left: 10px; }
.badge { font-size: 11.5px; padding: 1px 8px; border-radius: 99px; border: 1px solid var(--rule); color: var(--soft);
  white-space: nowrap; margin-left: 4px; } .badge.bad { color: var(--bad); border-color: currentColor; }
.badge.good { color: var(--good); border-color: currentColor; }
pre { background: var(--page); border: 1px solid var(--rule); border-radius: 8px; padding: 12px 14px; margin: 8px 0 0;
  overflow-x: auto; font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
details.card > summary { cursor: pointer; font-weight: 600; overflow-wrap: anywhere; }
details.card > summary::marker { color: var(--soft); } details.card[open] > summary { margin-bottom: 10px; }
figure { margin: 6px 0 18px; } figcaption { font-size: 13px; margin-bottom: 2px; }
svg { display: block; width: 100%; height: auto; min-width: 560px; } svg text { font: 11px system-ui, sans-serif;
  fill: var(--soft); } svg .name { fill: var(--accent); font-size: 12px; }
.grid { stroke: var(--rule); fill: none; } .line { stroke: var(--live); stroke-width: 1.6; fill: none;
  stroke-linejoin: round; } .bounds { fill: var(--bounds); } .floor { fill: var(--floor); }
path.limit { stroke: var(--bad); stroke-dasharray: 5 4; fill: none; } svg text.limit { fill: var(--bad); }
.alert { fill: var(--alert); } path.mark { stroke: var(--mark); stroke-width: 1.5; }
svg text.mark { fill: var(--mark); }
.cold { fill: var(--cold); } .fired { fill: var(--bad); } .h1 { fill: rgba(var(--heat),.14); }
.h2 { fill: rgba(var(--heat),.30); } .h3 { fill: rgba(var(--heat),.48); } .h4 { fill: rgba(var(--heat),.70); }
.h5 { fill: rgba(var(--heat),.95); }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 12.5px; color: var(--soft); margin: 0 0 8px; }
.key i { display: inline-block; width: 18px; height: 9px; margin-right: 6px; border-radius: 2px; }
.k-line { background: var(--live); height: 3px !important; vertical-align: middle; }
.k-bounds { background: var(--bounds); }
.k-floor { background: var(--floor); } .k-alert { background: var(--alert); } .k-ref { background: var(--ref); }
.k-live { background: var(--live); }
.k-fired { background: var(--bad); height: 3px !important; vertical-align: middle; }
.bars { display: grid; grid-template-columns: minmax(90px, max-content) 1fr 132px 76px; gap: 3px 12px; font-size: 13px;
  align-items: center; font-variant-numeric: tabular-nums; min-width: 520px; } .bars .r { text-align: right; }
.bars .label { overflow-wrap: anywhere; max-width: 260px; } .bars .up { color: var(--bad); }
.bar { display: block; height: 6px; border-radius: 2px; min-width: 1px; } .bar.p { background: var(--ref); }
.bar.q { background: var(--live); margin-top: 1px; }
footer { margin-top: 48px; padding-top: 14px; border-top: 1px solid var(--rule); font-size: 13px; color: var(--soft); }
@media print { details.card { break-inside: avoid; } }
"""
