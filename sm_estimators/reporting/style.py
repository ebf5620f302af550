"""How the page looks: one style sheet, in the page itself."""

STYLE = """
:root { color-scheme: light; --ink: #20262d; --soft: #55606b; --line: #d5dbe1; --wash: #f4f6f8;
  --accent: #0b5a8a; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere; }
main, header, footer { max-width: 1080px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 14px; }
h2 { font-size: 1.25rem; margin: 40px 0 8px; padding-top: 14px; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 24px 0 6px; }
p { margin: 8px 0; max-width: 76ch; }
a { color: var(--accent); }
.note { color: var(--soft); font-size: 0.875rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; padding: 0;
  margin: 14px 0; }
dl.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 10px;
  margin: 0 0 14px; }
dl.cards div { background: var(--wash); border: 1px solid var(--line); border-radius: 6px;
  padding: 8px 12px; }
dl.cards dt { color: var(--soft); font-size: 0.8rem; }
dl.cards dd { margin: 0; font-size: 1.15rem; font-weight: 600; }
dl.cards dd small { font-weight: 400; font-size: 0.85rem; color: var(--soft); }
.scroll { overflow-x: auto; margin: 10px 0; max-width: 100%; }
table { border-collapse: collapse; min-width: min(100%, 480px);
  font-size: 0.875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 2px 0 6px; }
th, td { padding: 4px 16px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 500; max-width: 26ch; }
td.number, th.number { text-align: right; }
td.number { white-space: nowrap; }
td.word, th.word { text-align: left; min-width: 7ch; }
.chip { display: inline-block; background: var(--wash); border: 1px solid var(--line);
  border-radius: 4px; padding: 0 6px; margin: 1px 0; font-size: 0.8125rem; }
.more { color: var(--soft); }
.says { background: var(--wash); border-left: 4px solid var(--accent); padding: 8px 14px;
  margin: 10px 0; }
.says p { margin: 4px 0; }
figure { margin: 14px 0; min-width: 0; }
figcaption { font-size: 0.875rem; margin-bottom: 2px; }
figcaption span { color: var(--soft); }
img { max-width: 100%; height: auto; display: block; }
.wide img { min-width: 620px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(235px, 1fr));
  gap: 6px 22px; }
.grid figure { margin: 8px 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr));
  gap: 6px 30px; align-items: start; }
.key { display: inline-block; width: 0.9em; height: 0.9em; border-radius: 2px; margin: 0 4px 0 0;
  vertical-align: -1px; }
footer { margin-top: 40px; padding-bottom: 40px; color: var(--soft); font-size: 0.875rem; }
footer h2 { color: var(--ink); }
@media (max-width: 480px) { main, header, footer { padding-left: 14px; padding-right: 14px; }
  h1 { font-size: 1.4rem; } th, td { padding-right: 10px; } }
@media print { .scroll { overflow: visible; } nav { display: none; } }
"""
