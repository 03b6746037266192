// A click on a column's head sorts by it, a second one turns the order round. Rows without a value stay last.
const table = document.getElementById('cells');
if (table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener('click', () => {
    const up = head.getAttribute('aria-sort') !== 'ascending';
    heads.forEach(h => h.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const value = row => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const body = table.tBodies[0];
    [...body.rows].sort((a, b) => {
      const x = value(a), y = value(b);
      if (x === '' || y === '') return (x === '') - (y === '');
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? order : -order;
    }).forEach(row => body.append(row));
    table.dispatchEvent(new Event('sorted'));
  }));
}

// The part that answers back: numbers from #data, drawn again for each choice.
const source = document.getElementById('data');
if (source) explore(JSON.parse(source.textContent));

function explore(data) {
  const $ = id => document.getElementById(id), svg = 'http://www.w3.org/2000/svg';
  const better = (a, b) => data.higher ? a > b : a < b;
  const rows = table ? [...table.tBodies[0].rows] : [];
  const texts = new Map(rows.map(row => [row, row.cells[1].textContent.toLowerCase()]));
  let most = 150; // rows laid out at once: a browser takes long over more, and nobody reads them
  const heads = table ? [...table.tHead.rows[0].cells].map(h => h.textContent.replace(/ms$/, '').trim()) : [];
  const column = { p50: heads.indexOf('p50'), p90: heads.indexOf('p90'), fps: heads.indexOf('frames/s') };
  let timed = [], shown = 0;

  const option = (select, text, value) => select.append(new Option(text, value));
  data.measurements.forEach((m, i) => option($('measurement'), `${m.device}, ${m.format}, ${m.threads || 'all'} ${m.threads === 1 ? 'thread' : 'threads'}, ${m.size}`, i));
  for (const side of ['left', 'right']) {
    if (data.input) option($(side), 'input', 'input');
    if (data.target) option($(side), 'target', 'target');
    data.cells.forEach((c, i) => c.picture && option($(side), c.label, i));
  }
  const picture = value => value === 'input' ? data.input : value === 'target' ? data.target : data.cells[value]?.picture;

  function look() {
    $('under').src = picture($('right').value) ?? '';
    $('over').src = picture($('left').value) ?? '';
    $('under').alt = $('right').selectedOptions[0]?.textContent ?? '';
    $('over').alt = $('left').selectedOptions[0]?.textContent ?? '';
    $('over').style.clipPath = `inset(0 ${100 - $('slide').value}% 0 0)`;
  }
  function show(i) {
    const c = data.cells[i], t = timed[i];
    shown = i;
    if (c.picture) $('right').value = i;
    $('about').textContent = `${c.label}: ${data.rank} ${c.quality.toFixed(4)}${c.spread === null ? '' : ` ± ${c.spread.toFixed(4)}`}` +
      (t ? `, ${t.toFixed(1)} ms (${(1000 / t).toFixed(1)} frames/s)` : '') + (c.like_best ? '; not told from the best' : '') +
      (c.beats_input ? '' : '; no better than the input handed back');
    document.querySelectorAll('#map .now').forEach(p => p.classList.remove('now'));
    $('map').querySelector(`[data-i="${i}"]`)?.classList.add('now');
    look();
  }

  // Mean over seeds of what was measured so; undefined where nothing was.
  const time_of = (c, m) => {
    const v = c.trials.map(t => data.latency[t]?.[m]?.[0]).filter(x => x > 0);
    return v.length ? v.reduce((a, b) => a + b) / v.length : undefined;
  };
  function front_of(choices) {
    const sorted = [...choices].sort((a, b) => timed[a] - timed[b]);
    let best;
    return sorted.filter(i => (best === undefined || better(data.cells[i].quality, best)) && ((best = data.cells[i].quality), true));
  }
  const node = (name, attributes, parent, text) => {
    const n = document.createElementNS(svg, name);
    for (const k in attributes) n.setAttribute(k, attributes[k]);
    if (text !== undefined) n.textContent = text;
    parent.append(n);
    return n;
  };
  // The range that holds all but the odd ones, which stay at the edge.
  function robust(v) {
    const s = [...v].sort((a, b) => a - b), q = p => s[Math.round(p * (s.length - 1))];
    const iqr = q(.75) - q(.25), low = Math.max(s[0], q(.25) - 3 * iqr), high = Math.min(s.at(-1), q(.75) + 3 * iqr);
    const room = (high - low || Math.abs(high) || 1) * .06;
    return [low - room, high + room];
  }
  function draw(visible, front, budget) {
    const W = 640, H = 420, L = 62, B = 44;
    const root = document.createElementNS(svg, 'svg');
    root.setAttribute('viewBox', `0 0 ${W} ${H}`);
    root.setAttribute('role', 'group');
    root.setAttribute('aria-label', `${data.rank} against latency`);
    if (visible.length) {
      const xs = visible.map(i => Math.log10(timed[i])), [x0, x1] = [Math.min(...xs) - .05, Math.max(...xs) + .05];
      const [y0, y1] = robust(visible.map(i => data.cells[i].quality));
      const x = t => L + (Math.log10(t) - x0) / (x1 - x0) * (W - L - 14);
      const up = v => Math.min(1, Math.max(0, (v - y0) / (y1 - y0)));
      const y = v => data.higher ? H - B - up(v) * (H - B - 14) : 14 + up(v) * (H - B - 14);
      const digits = Math.max(0, Math.ceil(1 - Math.log10((y1 - y0) / 5)));
      for (let k = 0; k < 5; k++) {
        const v = y0 + (y1 - y0) * (k + .5) / 5, t = 10 ** (x0 + (x1 - x0) * (k + .5) / 5);
        node('line', { x1: L, x2: W - 14, y1: y(v), y2: y(v), class: 'grid' }, root);
        node('text', { x: L - 6, y: y(v) + 4, 'text-anchor': 'end' }, root, v.toFixed(digits));
        node('text', { x: x(t), y: H - B + 18, 'text-anchor': 'middle' }, root, Number(t.toPrecision(2)));
      }
      node('text', { x: (L + W) / 2, y: H - 6, 'text-anchor': 'middle' }, root, 'p50, ms (left is faster)');
      node('text', { x: 14, y: 12, 'text-anchor': 'start' }, root, `${data.rank} (up is better)`);
      if (budget > 0 && 1000 / budget > 10 ** x0 && 1000 / budget < 10 ** x1)
        node('line', { x1: x(1000 / budget), x2: x(1000 / budget), y1: 14, y2: H - B, class: 'budget' }, root);
      if (front.length > 1) node('polyline', { points: front.map(i => `${x(timed[i])},${y(data.cells[i].quality)}`).join(' '), class: 'line' }, root);
      const on = new Set(front);
      for (const i of [...visible].reverse()) {
        const v = data.cells[i].quality, outside = v < y0 || v > y1;
        const p = outside
          ? node('rect', { x: x(timed[i]) - 4, y: y(v) - 4, width: 8, height: 8 }, root)
          : node('circle', { cx: x(timed[i]), cy: y(v), r: on.has(i) ? 6 : 4 }, root);
        p.dataset.i = i;
        p.setAttribute('class', `point${on.has(i) ? ' on' : ''}${data.cells[i].beats_input ? '' : ' worse'}`);
        p.setAttribute('role', 'button');
        p.setAttribute('aria-label', data.cells[i].label);
        if (on.has(i)) p.setAttribute('tabindex', 0);
        node('title', {}, p, `${data.cells[i].label}${outside ? ` (off the scale: ${v.toPrecision(4)})` : ''}`);
      }
    } else node('text', { x: W / 2, y: H / 2, 'text-anchor': 'middle' }, root, 'no such cell');
    $('map').replaceChildren(root);
  }
  function fill_table(m, words) {
    const put = (row, at, v) => {
      if (at < 0) return;
      const text = v > 0 ? v.toFixed(1) : '';
      if (row.cells[at].textContent === text) return;
      row.cells[at].textContent = text;
      row.cells[at].dataset.v = v > 0 ? v : '';
    };
    let n = 0;
    for (const row of table ? table.tBodies[0].rows : []) {
      const [p50, p90] = data.latency[row.dataset.trial]?.[m] ?? [];
      const fits = words.every(w => texts.get(row).includes(w)) && (!(budget() > 0) || 1000 / p50 >= budget());
      put(row, column.p50, p50);
      put(row, column.p90, p90);
      put(row, column.fps, p50 > 0 ? 1000 / p50 : undefined);
      n += fits;
      row.hidden = !fits || n > most;
    }
    $('count').textContent = `${n} of ${rows.length} rows`;
    $('more').hidden = n <= most;
  }
  // The winners' cards, of the pictures' size: what the page was written with until something else is asked for.
  const cards = new Map([...document.querySelectorAll('.cards')].map(e => [e, e.innerHTML]));
  const questions = [['Best picture', 0], ['Best at 15 frames/s', 15], ['Best at 30 frames/s', 30], ['Best at 60 frames/s', 60]];
  const first = (choices, wins) => choices.reduce((a, i) => a === undefined || wins(i, a) ? i : a, undefined);
  function fill_cards(m, choices, asked) {
    for (const [e, written] of cards) {
      const mine = e.dataset.size === data.measurements[m].size;
      if (!asked || !mine) { if (e.innerHTML !== written) e.innerHTML = written; continue; }
      const heads = new Map(), say = (i, head) => i !== undefined && heads.set(i, [...heads.get(i) ?? [], head]);
      for (const [head, fps] of questions)
        say(first(choices.filter(i => 1000 / timed[i] >= fps), (a, b) => better(data.cells[a].quality, data.cells[b].quality)), head);
      say(first(choices, (a, b) => timed[a] < timed[b]), 'Fastest');
      e.replaceChildren(...[...heads].map(([i, words]) => {
        const card = document.createElement('div'), add = (tag, text) => card.appendChild(document.createElement(tag)).append(text);
        const c = data.cells[i];
        card.className = 'card';
        add('h3', '');
        words.forEach((w, k) => card.firstChild.append(...k ? [document.createElement('br'), w] : [w]));
        add('p', c.label);
        card.lastChild.className = 'big';
        add('p', `${data.rank} ${c.quality.toFixed(4)}, ${timed[i].toFixed(1)} ms (${(1000 / timed[i]).toFixed(1)} frames/s)`);
        return card;
      }));
    }
  }
  const budget = () => Number($('budget').value) || 0;
  const said = c => `${c.label} (${data.rank} ${c.quality.toFixed(4)}, ${timed[data.cells.indexOf(c)].toFixed(1)} ms)`;

  function update() {
    const m = $('measurement').value, words = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
    timed = data.cells.map(c => time_of(c, m));
    const named = data.cells.map((c, i) => i).filter(i => timed[i] && words.every(w => data.cells[i].label.toLowerCase().includes(w)));
    const choices = named.filter(i => data.cells[i].beats_input && 1000 / timed[i] >= budget());
    const front = front_of(choices);
    draw(named, front, budget());
    fill_table(m, words);
    fill_cards(m, choices, m !== initial || budget() > 0 || words.length > 0);
    const best = choices.map(i => data.cells[i]).reduce((a, c) => !a || better(c.quality, a.quality) ? c : a, null);
    const fast = choices.map(i => data.cells[i]).reduce((a, c) => !a || timed[data.cells.indexOf(c)] < timed[data.cells.indexOf(a)] ? c : a, null);
    $('winner').textContent = best
      ? `The best of these${budget() ? ` at ${budget()} frames/s or more` : ''}: ${said(best)}. Fastest that beats the input: ${said(fast)}.`
      : `No cell that beats the input${budget() ? ` reaches ${budget()} frames/s` : ' was measured so'}.`;
    show(best ? data.cells.indexOf(best) : named[0] ?? shown);
  }

  const at = e => e.target.closest?.('.point')?.dataset.i;
  for (const kind of ['pointerover', 'click', 'focusin']) $('map').addEventListener(kind, e => at(e) !== undefined && show(+at(e)));
  $('map').addEventListener('keydown', e => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key], front = [...$('map').querySelectorAll('.on')].sort((a, b) => timed[a.dataset.i] - timed[b.dataset.i]);
    const now = front.findIndex(p => p === document.activeElement);
    if (step && now >= 0 && front[now + step]) { front[now + step].focus(); e.preventDefault(); }
  });
  $('measurement').addEventListener('change', update);
  for (const id of ['budget', 'filter']) $(id).addEventListener('input', update);
  table?.addEventListener('sorted', update);
  $('more').addEventListener('click', () => { most = Infinity; update(); });
  for (const id of ['left', 'right', 'slide']) $(id).addEventListener('input', look);
  if (!data.cells.some(c => c.picture)) $('look').querySelectorAll('.pair, #slide, .sides').forEach(e => e.hidden = true);
  const initial = $('measurement').value;
  $('explore').hidden = !data.measurements.length;
  if (data.measurements.length) update();
}
