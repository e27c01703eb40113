// tokens: an answer as tokens that can be reached. The whole answer is one stop of the Tab key; arrow keys move inside it,
// Enter or a click opens a token's lens.

class Tokens {
  // opened is called with the index of the token that was chosen.
  constructor(box, scale, name, opened) {
    this.box = box;
    this.scale = scale;
    this.opened = opened;
    this.list = []; // {text, loops, lens, end, node}
    box.setAttribute('role', 'group');
    box.setAttribute('aria-label', `${name}: arrow keys go from token to token, Enter opens the loop lens`);
    box.addEventListener('keydown', (event) => this.key(event));
    box.addEventListener('click', (event) => this.open(this.indexOf(event.target)));
    for (const kind of ['focusin', 'mouseover']) box.addEventListener(kind, (event) => this.tell(this.indexOf(event.target)));
  }

  get text() {
    return this.list.map((token) => token.text).join('');
  }

  add(token) {
    const index = this.list.length;
    const shown = token.text === '' ? glyph(token) : token.text.replaceAll('\n', '↵\n');
    token.node = el('span', {
      class: `token ${this.scale.of(token.loops)}${token.text === '' ? ' textless' : ''}`,
      role: 'button', tabindex: index === 0 ? 0 : -1, 'data-loops': token.loops, 'data-index': index,
    }, shown);
    this.list.push(token);
    this.describe(index);
    const down = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
    this.box.append(token.node);
    if (down) this.box.scrollTop = this.box.scrollHeight; // follow, unless the reader has scrolled up
  }

  describe(index) {
    const { node } = this.list[index];
    node.setAttribute('title', this.line(index));
    node.setAttribute('aria-label', this.line(index));
  }

  // line is what is known of a token, in words.
  line(index) {
    const token = this.list[index];
    const name = token.lens ? token.lens.token : token.text;
    const what = name === '' ? glyphName(token) : quoteToken(name);
    const parts = [`token ${index + 1}: ${what}`, plural(token.loops, 'loop')];
    const last = token.lens && token.lens.loops.at(-1);
    const guess = last && last.top.find((g) => g.id === token.lens.id);
    if (guess) parts.push(`probability ${percent(guess.prob)}`);
    if (token.end) parts.push(`ended by ${token.end}`);
    return parts.join(', ');
  }

  indexOf(target) {
    const node = target.closest('.token');
    return node ? Number(node.dataset.index) : -1;
  }

  tell(index) {
    if (index >= 0) byId('readout').textContent = this.line(index);
  }

  open(index) {
    if (index < 0) return;
    this.focus(index);
    this.opened(index);
  }

  focus(index) {
    for (const token of this.list) token.node.tabIndex = -1;
    const { node } = this.list[index];
    node.tabIndex = 0;
    node.focus();
  }

  key(event) {
    const index = this.indexOf(event.target);
    if (index < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.list.length - 1;
    const to = {
      ArrowRight: Math.min(index + 1, last), ArrowLeft: Math.max(index - 1, 0),
      ArrowDown: this.below(index, 1), ArrowUp: this.below(index, -1), Home: 0, End: last,
    }[event.key];
    if (to !== undefined) this.focus(to);
    else if (event.key === 'Enter' || event.key === ' ') this.open(index);
    else return;
    event.preventDefault();
  }

  // below is the nearest token of the next line in a direction.
  below(index, way) {
    const here = this.list[index].node.getBoundingClientRect();
    let best = index;
    let line = null;
    for (let i = index + way; i >= 0 && i < this.list.length; i += way) {
      const there = this.list[i].node.getBoundingClientRect();
      if ((there.top - here.top) * way < here.height / 2) continue;
      line ??= there.top;
      if (Math.abs(there.top - line) > here.height / 2) break;
      const far = (j) => Math.abs(this.list[j].node.getBoundingClientRect().left - here.left);
      if (best === index || far(i) < far(best)) best = i;
    }
    return best;
  }

  mark(index) {
    this.list.forEach(({ node }, i) => {
      if (i === index) node.setAttribute('aria-current', 'true');
      else node.removeAttribute('aria-current');
    });
  }
}

// glyph stands for a token that is no text of its own: the one that ends the text, or a part of a character.
function glyph(token) {
  return token.end === 'stop' ? '■' : '·';
}

function glyphName(token) {
  return token.end === 'stop' ? 'end of text' : 'no text of its own yet';
}

function quoteToken(text) {
  return `“${text.replaceAll('\n', '↵').replaceAll('\t', '⇥')}”`;
}

function percent(p) {
  if (p > 0 && p < 0.001) return '<0.1 %';
  return `${(p * 100).toFixed(1)} %`;
}
