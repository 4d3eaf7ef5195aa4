"""The look of the report: light or dark as the reader's system, printable."""

STYLE = """
:root {
  color-scheme: light dark;
  --text: #1f2328; --muted: #59636e; --line: #d1d9e0; --page: #ffffff;
  --panel: #f6f8fa; --accent: #0072b2; --pooled: #e8f1f8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6edf3; --muted: #9da7b1; --line: #3d444d; --page: #14181d;
    --panel: #1e242b; --accent: #56b4e9; --pooled: #1c2f3d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem;
  background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 {
  font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line);
}
p, ul, dl { margin: 0 0 1rem; }
.lead { color: var(--muted); margin-bottom: 1.5rem; }
.label {
  background: var(--panel); border-left: 4px solid var(--accent);
  border-radius: 4px; padding: .7rem 1rem; margin: 0 0 .75rem;
}
.label strong { display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td {
  padding: .4rem .7rem; border-bottom: 1px solid var(--line);
  text-align: left; white-space: nowrap;
}
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 400; }
tr.pooled th { font-weight: 600; }
td.number, th.number {
  text-align: right; font-variant-numeric: tabular-nums;
}
tr.pooled { background: var(--pooled); font-weight: 600; }
td.undefined { color: var(--muted); font-style: italic; font-weight: 400; }
figure { margin: 0 0 2rem; }
figure img {
  display: block; width: 100%; height: auto; background: #ffffff;
  border: 1px solid var(--line); border-radius: 4px;
}
figcaption { color: var(--muted); font-size: .9rem; margin-top: .4rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1rem; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
dd.run { font-family: ui-monospace, Menlo, Consolas, monospace;
  font-size: .85rem; white-space: pre-wrap; }
@media (max-width: 40rem) {
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .6rem; }
}
@media print {
  body { max-width: none; padding: 0; }
  figure, .label, tr { break-inside: avoid; }
}
"""
