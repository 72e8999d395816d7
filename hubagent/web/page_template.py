"""The status page's document: one Jinja2 template with its style and script inside; see page.py.

Jinja2 escapes every value (autoescape). The template holds no logic but loops and conditions on a page.View.
"""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark;
  --bg:#f4f5f7; --card:#fff; --ink:#1b2330; --soft:#5a6577; --line:#dfe3e9; --link:#1756b5;
  --good:#14713f; --good-bg:#e3f4ea; --warn:#855300; --warn-bg:#fdf1d6; --bad:#b3211c; --bad-bg:#fce8e6; }
@media (prefers-color-scheme: dark) { :root {
  --bg:#12151b; --card:#1b2029; --ink:#e7eaf0; --soft:#9ea9ba; --line:#2d3440; --link:#8ab8ff;
  --good:#6fdb9e; --good-bg:#14301f; --warn:#f2c265; --warn-bg:#362a10; --bad:#ff958c; --bad-bg:#3b1a19; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--bg); color:var(--ink); line-height:1.5;
  font:16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
.wrap { max-width:62rem; margin:0 auto; padding:1.25rem 1rem 2.5rem; }
a { color:var(--link); text-underline-offset:.15em; }
a:focus-visible { outline:3px solid var(--link); outline-offset:2px; border-radius:3px; }
header { display:flex; flex-wrap:wrap; justify-content:space-between; align-items:baseline; gap:.25rem 1rem;
  margin-bottom:.9rem; color:var(--soft); font-size:.9rem; }
header strong { color:var(--ink); font-size:1.05rem; letter-spacing:-.01em; }
.hero { border-radius:.9rem; padding:1.2rem 1.3rem; margin-bottom:1rem; border:1px solid transparent; }
.hero h1 { margin:0; font-size:1.7rem; line-height:1.2; letter-spacing:-.02em; display:flex; gap:.65rem;
  align-items:center; }
.hero h1::before { content:""; flex:none; width:.85rem; height:.85rem; border-radius:50%;
  background:currentColor; box-shadow:0 0 0 .3rem color-mix(in srgb, currentColor 22%, transparent); }
.hero p { margin:.45rem 0 0; color:var(--ink); overflow-wrap:anywhere; }
.hero .url { font-size:1.1rem; font-weight:600; }
.good { background:var(--good-bg); border-color:color-mix(in srgb, var(--good) 25%, transparent); }
.warn { background:var(--warn-bg); border-color:color-mix(in srgb, var(--warn) 25%, transparent); }
.bad { background:var(--bad-bg); border-color:color-mix(in srgb, var(--bad) 25%, transparent); }
.good h1, .good h2, b.good { color:var(--good); }
.warn h1, .warn h2, b.warn { color:var(--warn); }
.bad h1, .bad h2, b.bad { color:var(--bad); }
section { background:var(--card); border:1px solid var(--line); border-radius:.9rem; padding:1rem 1.3rem;
  margin-bottom:1rem; }
section.warn { background:var(--warn-bg); } section.bad { background:var(--bad-bg); }
h2 { margin:0 0 .5rem; font-size:1.05rem; letter-spacing:-.01em; }
dl.tiles { display:flex; flex-wrap:wrap; gap:1rem; margin:0 0 1rem; }
dl.tiles > div { flex:1 1 9.5rem; background:var(--card); border:1px solid var(--line); border-radius:.9rem;
  padding:.8rem 1.1rem; }
dt { color:var(--soft); font-size:.85rem; }
dd { margin:0; overflow-wrap:anywhere; }
dd.value { font-size:1.5rem; font-weight:650; line-height:1.3; letter-spacing:-.02em;
  font-variant-numeric:tabular-nums; }
dd.value.warn { color:var(--warn); background:none; }
dd.value.bad { color:var(--bad); background:none; }
dd.note { color:var(--soft); font-size:.85rem; }
ul, ol { margin:.2rem 0; padding-left:1.25rem; } li { margin:.3rem 0; overflow-wrap:anywhere; }
table { width:100%; border-collapse:collapse; }
th { text-align:left; color:var(--soft); font-weight:500; font-size:.85rem; }
th, td { padding:.5rem .9rem .5rem 0; border-bottom:1px solid var(--line); vertical-align:top; }
tr:last-child td, tr:last-child th[scope=row] { border-bottom:0; }
th[scope=row] { color:var(--ink); font-weight:600; font-size:1rem; }
td { overflow-wrap:anywhere; } td.num, td.count { font-variant-numeric:tabular-nums; }
.pill { display:inline-block; white-space:nowrap; border-radius:1rem; padding:.05rem .65rem; font-size:.85rem;
  font-weight:600; }
.pill.good { color:var(--good); } .pill.bad { color:var(--bad); } .pill.warn { color:var(--warn); }
code { font:.92em ui-monospace, "DejaVu Sans Mono", Consolas, monospace; background:color-mix(in srgb,
  currentColor 9%, transparent); padding:.08em .35em; border-radius:.3em; overflow-wrap:anywhere; }
pre { margin:.4rem 0 0; white-space:pre-wrap; overflow-wrap:anywhere;
  font:.88rem/1.5 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; }
del { color:var(--bad); } ins { color:var(--good); text-decoration:none; }
.tag { color:var(--soft); font-size:.85rem; }
.hint { margin:.6rem 0 0; }
#lost { display:none; } #lost.shown { display:block; }
footer { color:var(--soft); font-size:.85rem; display:flex; flex-wrap:wrap; gap:.3rem 1.2rem; }
@media (max-width:38rem) {
  thead { position:absolute; clip-path:inset(50%); width:1px; height:1px; overflow:hidden; }
  tr { display:grid; grid-template-columns:1fr auto; gap:.1rem .8rem; padding:.6rem 0;
    border-bottom:1px solid var(--line); }
  tr:last-child { border-bottom:0; } td, th[scope=row] { border:0; padding:0; }
  td.count { font-size:.9rem; color:var(--soft); }
  td.count[data-unit]::after { content:" " attr(data-unit); }
  td.num, td.detail { grid-column:1 / -1; font-size:.9rem; color:var(--soft); }
  td.num:empty, td.num[data-zero] { display:none; } td.num::after { content:" restarts"; }
  dl.tiles { gap:.7rem; } dl.tiles > div { padding:.7rem .9rem; }
  .hero h1 { font-size:1.4rem; } }
"""

SCRIPT: Final = """
(() => {
  const every = 10000, lost = document.getElementById('lost');
  let at = Date.now();
  async function refresh() {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, {cache: 'no-store', signal: AbortSignal.timeout(8000)});
      if (!answer.ok) throw new Error(answer.status);
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = next.querySelector('main');
      if (!fresh) throw new Error('no page');
      for (const id of ['headline', 'body', 'looked']) {
        const here = document.getElementById(id), there = next.getElementById(id);
        if (here && there && here.innerHTML !== there.innerHTML) here.replaceWith(there);
      }
      document.title = next.title;
      at = Date.now();
      lost.className = 'bad';
    } catch (error) {
      lost.querySelector('span').textContent = new Date(at).toLocaleTimeString();
      lost.className = 'bad shown';
    }
  }
  setInterval(refresh, every);
  document.addEventListener('visibilitychange', refresh);
})();
"""

TEMPLATE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{ view.title }}</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3C\
circle cx='8' cy='8' r='7' fill='{{ view.icon_colour }}'/%3E%3C/svg%3E">
<noscript><meta http-equiv="refresh" content="60"></noscript>
<style>{{ style }}</style>
</head>
<body>
<div class="wrap">
<header><strong>hubagent</strong><span id="looked">{{ view.looked }}</span></header>
<main>
<section id="lost" class="bad" role="alert"><h2>No answer</h2>
<p>The agent has not answered since <span></span>. What follows is from then. The notebook server itself may
well be fine: it does not depend on the agent.</p></section>
<div id="headline" class="hero {{ view.tone }}" role="status">
<h1>{{ view.headline }}</h1>
{% if view.url %}<p class="url">{% if view.link %}<a href="{{ view.link }}">{{ view.url }}</a>\
{% else %}{{ view.url }}{% endif %}</p>{% endif %}
<p>{{ view.summary }}</p>
</div>
<div id="body">
{% if view.problems %}
<section class="{{ view.tone }}"><h2>{{ view.problems_title }}</h2>
<ul>{% for problem in view.problems %}<li><b>{{ problem.component }}</b>
<span class="tag">{{ problem.reason }}</span><br>{{ problem.message|code }}</li>{% endfor %}</ul></section>
{% endif %}
{% if view.config_errors %}
<section class="{{ view.tone }}"><h2>The configuration file was refused</h2>
<pre>{{ view.config_errors }}</pre></section>
{% endif %}
{% if view.pending or view.changes %}
<section class="warn"><h2>Waiting for your permission to interrupt users</h2>
{% if view.changes %}<ul>{% for change in view.changes %}<li><code>{{ change.key }}</code>:
<del>{{ change.old }}</del> <span aria-hidden="true">→</span> <ins>{{ change.new }}</ins></li>
{% endfor %}</ul>{% endif %}
{% if view.pending %}<ul>{% for step in view.pending %}<li><b>{{ step.what }}</b>: {{ step.reason|code }}<br>
<span class="tag">{{ step.notice }}</span></li>{% endfor %}</ul>{% endif %}
<p class="hint">To apply this now: <code>hubagent apply --allow-disruption</code>. Or set
<code>apply.disruptive: window</code>, and it is applied in <code>apply.window</code>.</p></section>
{% endif %}
{% if view.tiles %}
<dl class="tiles">{% for tile in view.tiles %}<div><dt>{{ tile.name }}</dt>\
<dd class="value {{ tile.tone }}">{{ tile.value }}</dd>
{% if tile.note %}<dd class="note">{{ tile.note }}</dd>{% endif %}</div>{% endfor %}</dl>
{% endif %}
{% if view.components %}
<section><h2>Components</h2>
<table><thead><tr><th scope="col">Component</th><th scope="col">State</th><th scope="col">Restarts</th>\
<th scope="col">Detail</th></tr></thead>
<tbody>{% for component in view.components %}<tr><th scope="row">{{ component.name }}</th>\
<td><span class="pill {{ component.tone }}">{{ component.mark }} {{ component.state }}</span></td>\
<td class="num"{% if component.restarts in ("0", "") %} data-zero{% endif %}>{{ component.restarts }}</td>\
<td class="detail">{{ component.detail }}</td></tr>{% endfor %}</tbody></table></section>
{% endif %}
{% if view.images %}
<section><h2>Images</h2>
<table class="images"><thead><tr><th scope="col">Server</th><th scope="col">State</th>\
<th scope="col">Detail</th></tr></thead>
<tbody>{% for image in view.images %}<tr><th scope="row">{{ image.name }}</th>\
<td><span class="pill {{ image.tone }}">{{ image.state }}</span></td>\
<td class="detail">{{ image.detail }}</td></tr>{% endfor %}</tbody></table></section>
{% endif %}
{% if view.pools %}
<section><h2>Warm servers</h2>
<table class="pools"><thead><tr><th scope="col">Server</th><th scope="col">Ready</th>\
<th scope="col">In use</th><th scope="col">Memory</th><th scope="col">Detail</th></tr></thead>
<tbody>{% for pool in view.pools %}<tr><th scope="row">{{ pool.name }}</th>\
<td><span class="pill {{ pool.tone }}">{{ pool.ready }}</span></td>\
<td class="count" data-unit="in use">{{ pool.in_use }}</td>\
<td class="count">{{ pool.memory }}</td>\
<td class="detail">{{ pool.detail }}</td></tr>{% endfor %}</tbody></table></section>
{% endif %}
{% if view.failure %}
<section><h2>Last failure{{ view.failure_when }}</h2><pre>{{ view.failure }}</pre></section>
{% endif %}
{% if view.steps %}
<section><h2>What was done last</h2>
<ol>{% for step in view.steps %}<li><b>{{ step.what }}</b>: {{ step.reason|code }}<br>
<span class="tag">{{ step.notice }}</span></li>{% endfor %}</ol></section>
{% endif %}
</div>
</main>
<footer><a href="/metrics">Metrics for Prometheus</a><a href="/status.json">This page as JSON</a>
<span>{{ view.version }}</span></footer>
</div>
<script>{{ script }}</script>
</body>
</html>
"""
