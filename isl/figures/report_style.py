"""The look of the report: light or dark as the reader's system, printable."""

STYLE = """
:root {
  color-scheme: light dark;
  --text: #1f2328; --muted: #59636e; --line: #d1d9e0; --page: #ffffff;
  --panel: #f6f8fa; --accent: #0072b2; --warning: #b35900; --stripe: #fff8ef;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6edf3; --muted: #9da7b1; --line: #3d444d; --page: #14181d;
    --panel: #1e242b; --accent: #56b4e9; --warning: #e69f00;
    --stripe: #2a2418;
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
  font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line);
}
h3 { font-size: 1rem; margin: 1.75rem 0 .6rem; }
p, ul, dl { margin: 0 0 1rem; }
a { color: var(--accent); }
.lead { color: var(--muted); margin-bottom: 1.5rem; }
.label, .warnings {
  background: var(--panel); border-left: 4px solid var(--accent);
  border-radius: 4px; padding: .7rem 1rem; margin: 0 0 .75rem;
}
.label strong { display: block; }
.warnings {
  background: var(--stripe); border-color: var(--warning);
  padding-left: 2.2rem;
}
.warnings li { margin: .25rem 0; }
.scroll { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td {
  padding: .35rem .7rem; border-bottom: 1px solid var(--line);
  text-align: left; white-space: nowrap;
}
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 400; }
tbody th a { color: inherit; text-decoration-color: var(--line); }
tr.group th {
  background: var(--panel); font-weight: 600; padding-top: .6rem;
}
td.number, th.number {
  text-align: right; font-variant-numeric: tabular-nums;
}
.interval { display: block; color: var(--muted); font-size: .8rem; }
td.undefined { color: var(--muted); font-style: italic; }
figure { margin: 0 0 1.5rem; }
img { display: block; width: 100%; height: auto; }
figure > img {
  background: #ffffff; border: 1px solid var(--line); border-radius: 4px;
}
figcaption { color: var(--muted); font-size: .9rem; margin-top: .4rem; }
.pair {
  display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
}
.compare {
  --at: 50; width: 100%;
  max-width: min(40rem, calc(var(--aspect) * 36rem));
}
.stage {
  position: relative; overflow: hidden; border-radius: 4px;
  border: 1px solid var(--line); cursor: ew-resize; touch-action: pan-y;
}
.stage .over {
  position: absolute; inset: 0;
  clip-path: inset(0 0 0 calc(var(--at) * 1%));
}
.stage .light { position: absolute; inset: 0; display: none; }
.compare:has(:checked) .light {
  display: block; clip-path: inset(0 calc(100% - var(--at) * 1%) 0 0);
}
.compare:has(:checked) .when-true, .when-light { display: none; }
.compare:has(:checked) .when-light { display: inline; }
.stage::after {
  content: ""; position: absolute; inset: 0 auto; width: 2px;
  left: calc(var(--at) * 1% - 1px); background: #ffffff;
  box-shadow: 0 0 0 1px #000000; pointer-events: none;
}
.tag {
  position: absolute; top: .4rem; padding: 0 .45rem; border-radius: 3px;
  background: rgb(0 0 0 / .65); color: #ffffff; font-size: .8rem;
  pointer-events: none;
}
.tag.left { left: .4rem; }
.tag.right { right: .4rem; }
.compare input[type=range] { width: 100%; accent-color: var(--accent); }
.tiles .names, .tiles .values { font-size: .8rem; color: var(--muted); }
.tiles .names { display: grid; grid-template-columns: repeat(4, 1fr); }
.tiles img { border-radius: 3px; }
.tiles .values { margin: .15rem 0 .8rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .35rem 1rem; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
dd.run { font-family: ui-monospace, Menlo, Consolas, monospace;
  font-size: .85rem; white-space: pre-wrap; }
summary { cursor: pointer; color: var(--accent); margin-bottom: .5rem; }
@media (max-width: 40rem) {
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .6rem; }
}
@media print {
  body { max-width: none; padding: 0; }
  figure, .label, tr { break-inside: avoid; }
}
"""

# The slider works with the keyboard; dragging on the picture moves it, too.
SCRIPT = """
for (const figure of document.querySelectorAll('.compare')) {
  const range = figure.querySelector('input[type=range]');
  const stage = figure.querySelector('.stage');
  const show = () => figure.style.setProperty('--at', range.value);
  const follow = event => {
    if (event.type === 'pointermove' && !event.buttons) return;
    const box = stage.getBoundingClientRect();
    range.value = 100 * (event.clientX - box.left) / box.width;
    show();
  };
  range.addEventListener('input', show);
  stage.addEventListener('pointerdown', follow);
  stage.addEventListener('pointermove', follow);
  stage.addEventListener('dragstart', event => event.preventDefault());
  show();
}
"""
