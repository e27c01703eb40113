// lens: what a token would have been after each of its loops.

// showLens draws the lens of a token in the panel. notes are sentences about where it comes from.
function showLens(title, lens, notes) {
  const panel = byId('lens');
  const strongest = (name) => Math.max(...lens.loops.map((loop) => loop[name] ?? 0), 1e-9);
  const most = { entropy: strongest('entropy'), delta: strongest('delta') };
  const settled = settledAt(lens);
  const head = el('p', { class: 'lens-head' }, el('strong', {}, title));
  head.append(settled > 0
    ? ` The most likely token is the one it became from loop ${settled} on.`
    : ' After its last loop another token was more likely: this one was drawn.');
  const list = el('ol', { class: 'lens-loops', 'aria-label': 'Loops' });
  for (const loop of lens.loops) list.append(lensLoop(loop, lens.id, most));
  panel.replaceChildren(head, ...notes.map((note) => el('p', { class: 'hint' }, note)), list);
}

// settledAt is the first loop from which on the most likely token is the one that was taken; 0: none.
function settledAt(lens) {
  let first = 0;
  for (const loop of lens.loops) {
    const same = loop.top.length > 0 && loop.top[0].id === lens.id;
    if (!same) first = 0;
    else if (first === 0) first = loop.loop;
  }
  return first;
}

function lensLoop(loop, chosen, most) {
  const row = el('li', { class: 'lens-loop', value: loop.loop });
  const facts = el('div', { class: 'facts' }, el('strong', {}, `Loop ${loop.loop}`));
  if (loop.entropy !== null) facts.append(fact('entropy', loop.entropy, 'nats', most.entropy));
  if (loop.delta !== null) facts.append(fact('change', loop.delta, '', most.delta));
  if (loop.gate !== null) facts.append(fact('gate', loop.gate, '', 1));
  const guesses = el('ul', { class: 'guesses', 'aria-label': `After loop ${loop.loop}` });
  for (const guess of loop.top) {
    const mine = guess.id === chosen;
    const bar = el('span', { class: 'fill', 'aria-hidden': 'true' });
    bar.style.width = `${Math.min(Math.max(guess.prob, 0), 1) * 100}%`;
    const item = el('li', { class: mine ? 'guess mine' : 'guess', title: `id ${guess.id}` }, bar,
      el('span', { class: 'name' }, visible(guess.token)), el('span', { class: 'share' }, percent(guess.prob)));
    if (mine) item.append(el('span', { class: 'unseen' }, ', the token it became'));
    guesses.append(item);
  }
  row.append(facts, guesses);
  return row;
}

function fact(name, value, unit, most) {
  const digits = value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : value.toPrecision(3);
  const bar = el('span', { class: 'fill', 'aria-hidden': 'true' });
  bar.style.width = `${Math.min(Math.max(value / most, 0), 1) * 100}%`;
  return el('span', { class: 'fact' }, el('span', { class: 'gauge' }, bar), `${name} ${digits}${unit ? ` ${unit}` : ''}`);
}

// visible makes white space seen.
function visible(text) {
  if (text === '') return '(empty)';
  return text.replaceAll('\n', '↵').replaceAll('\t', '⇥').replaceAll(' ', '␣');
}

function lensMessage(text) {
  byId('lens').replaceChildren(el('p', { class: 'empty' }, text));
}
