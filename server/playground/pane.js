// pane: one answer with its numbers, as it streams in.

const metricNames = [
  ['first', 'first token'], ['each', 'per token'], ['total', 'total'], ['tokens', 'tokens'], ['loops', 'loops per token'], ['end', 'ended by'],
];

class Pane {
  constructor(name, scale) {
    this.name = name;
    this.state = el('span', { class: 'state' }, '');
    this.box = el('div', { class: 'tokens' });
    this.tokens = new Tokens(this.box, scale, name, (index) => this.openLens(index));
    this.values = {};
    const metrics = el('dl', { class: 'metrics' });
    for (const [key, label] of metricNames) {
      this.values[key] = el('dd', {}, '–');
      metrics.append(el('div', {}, el('dt', {}, label), this.values[key]));
    }
    this.bar = el('span', { class: 'fill', 'aria-hidden': 'true' });
    this.node = el('section', { class: 'pane', 'aria-label': name },
      el('h3', {}, name, this.state), this.box, el('div', { class: 'gauge total', 'aria-hidden': 'true' }, this.bar), metrics);
    this.totalMS = null;
    this.request = null;
    this.tail = ''; // text that no token brought
  }

  async settled() {
    await this.tokens.settled();
    this.box.append(this.tail);
  }

  mark(state) {
    this.state.textContent = state;
    this.node.dataset.state = state;
  }

  // run streams a request into the pane. It throws only when it was stopped.
  async run(request, signal) {
    this.request = request;
    this.mark('running');
    this.box.setAttribute('aria-busy', 'true');
    try {
      const response = await call('POST', request.path, request.body, signal);
      for await (const event of events(response)) this.take(event);
      await this.settled();
      this.mark('done');
    } catch (error) {
      await this.settled();
      if (error.name === 'AbortError') {
        this.mark('stopped');
        throw error;
      }
      this.mark('failed');
      this.box.append(errorBox(error));
      this.error = error;
    } finally {
      this.box.removeAttribute('aria-busy');
    }
  }

  take(event) {
    for (const choice of event.choices) {
      const text = choice.text ?? (choice.delta && choice.delta.content) ?? '';
      const loops = choice.loops ?? [];
      if (loops.length) {
        this.tokens.add({ text, loops: Math.max(...loops), lens: choice.lens && choice.lens.at(-1), end: choice.finish_reason });
      } else if (text !== '') { // what a stop string has held back
        this.tail += text;
      }
      if (choice.finish_reason) this.values.end.textContent = choice.stop_reason ?? choice.finish_reason;
    }
    this.values.tokens.textContent = this.tokens.list.length;
    if (event.usage) this.takeUsage(event.usage);
    if (event.timings) this.takeTimings(event.timings);
  }

  takeUsage({ completion_tokens: tokens, completion_tokens_details: { loops } }) {
    this.values.tokens.textContent = tokens;
    const saved = loops.saved ? `, ${loops.saved} saved` : '';
    this.values.loops.textContent = `${Number(loops.mean.toFixed(2))}${saved}`;
    this.values.loops.title = `${loops.total} loops in all, at most ${loops.max} for a token`;
  }

  takeTimings(timings) {
    const { time_to_first_token_ms: first, mean_itl_ms: each, generation_time_ms: rest } = timings;
    this.totalMS = first === null ? null : first + (rest ?? 0);
    this.values.first.textContent = ms(first);
    this.values.each.textContent = ms(each);
    this.values.total.textContent = ms(this.totalMS);
  }

  // compareTo draws the total as a share of the slowest.
  compareTo(slowest) {
    this.bar.style.width = this.totalMS === null || !slowest ? '0' : `${(this.totalMS / slowest) * 100}%`;
  }

  summary() {
    const n = this.tokens.list.length;
    return `${this.name}: ${plural(n, 'token')}, ${this.values.loops.textContent} loops per token, ${this.values.total.textContent}`;
  }

  // openLens shows a token's lens. Where none came with the answer the same request is made once more, with the lens:
  // the same seed gives the same tokens.
  async openLens(index) {
    this.tokens.mark(index);
    const token = this.tokens.list[index];
    const title = `${this.name}, ${this.tokens.line(index)}.`;
    byId('lens-title').scrollIntoView({ block: 'nearest' });
    const ticket = (Pane.ticket = (Pane.ticket ?? 0) + 1); // a later choice wins
    const notes = [];
    if (!token.lens) {
      lensMessage('The request runs once more, with the lens…');
      try {
        await this.fetchLens(index);
      } catch (error) {
        if (ticket === Pane.ticket) byId('lens').replaceChildren(errorBox(error));
        return;
      }
      if (ticket !== Pane.ticket) return;
    }
    if (!token.lens) {
      lensMessage('The server sent no lens for this token.');
      return;
    }
    if (token.again) notes.push('From a second run of the same request, which the times above leave out.');
    if (token.lens.loops.length !== token.loops) notes.push(`This run took ${plural(token.lens.loops.length, 'loop')} for the token, and the answer above ${token.loops}.`);
    showLens(title, token.lens, notes);
    say(`Loop lens of ${title} ${lensInWords(token.lens)}`);
  }

  async fetchLens(index) {
    const top = Math.min(Math.max(Math.trunc(Number(byId('lens-top').value)) || 5, 1), 20);
    const { path, body } = this.request;
    const response = await call('POST', path, { ...body, ...mostTokens(path, index + 1), return_lens: top });
    let i = 0;
    for await (const event of events(response)) {
      for (const lens of event.choices.flatMap((choice) => choice.lens ?? [])) {
        const token = this.tokens.list[i];
        if (i <= index && !token.lens) Object.assign(token, { lens, again: true });
        if (i <= index) this.tokens.describe(i);
        i++;
      }
    }
  }

  // kept is what a reload needs of the pane. Lenses are left out: the request brings them again.
  kept() {
    const values = Object.fromEntries(metricNames.map(([key]) => [key, this.values[key].textContent]));
    return {
      name: this.name, min: this.tokens.scale.min, max: this.tokens.scale.max, state: this.node.dataset.state, request: this.request, values,
      totalMS: this.totalMS, tail: this.tail, tokens: this.tokens.list.map(({ text, loops, end }) => [text, loops, end]),
    };
  }

  static from(kept) {
    const pane = new Pane(kept.name, new Scale(kept.min, kept.max));
    Object.assign(pane, { request: kept.request, totalMS: kept.totalMS, tail: kept.tail });
    for (const [text, loops, end] of kept.tokens) pane.tokens.add({ text, loops, end });
    for (const [key, value] of Object.entries(kept.values)) pane.values[key].textContent = value;
    pane.mark(kept.state);
    pane.settled();
    return pane;
  }
}

function lensInWords(lens) {
  return lens.loops.map((loop) => `After loop ${loop.loop} ${loop.top.length ? `${visible(loop.top[0].token)} ${percent(loop.top[0].prob)}` : 'nothing'}`).join('. ');
}
