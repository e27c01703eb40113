// tokens: an answer as tokens that can be reached. The whole answer is one stop of the Tab key; arrow keys move inside it,
// Enter or a click opens a token's lens.
//
// Tokens are drawn by animation frame, some at a time, in pages that begin where a line does. Three pages are in the document,
// so that a long answer costs a frame no more than a short one; scrolling and the keyboard bring the others.

const pageTokens = 100;
const frameTokens = 40; // nodes made in one frame
const shownPages = 3;

// nextFrame is where to draw. A page that nobody looks at gets no frames, and goes on nevertheless.
const nextFrame = () => new Promise((go) => {
  const once = () => {
    clearTimeout(timer);
    go();
  };
  const timer = setTimeout(once, 200);
  requestAnimationFrame(once);
});

class Tokens {
  // opened is called with the index of the token that was chosen.
  constructor(box, scale, name, opened) {
    this.box = box;
    this.scale = scale;
    this.opened = opened;
    this.list = []; // {text, loops, lens, end, node}
    this.drawn = 0; // of them have a node
    this.pages = []; // {node, from}: from is the index of the first token
    this.first = 0; // page in the document
    this.until = 0; // page that is not in it any more
    this.frame = null;
    box.setAttribute('role', 'group');
    box.setAttribute('aria-label', `${name}: arrow keys go from token to token, Enter opens the loop lens`);
    box.addEventListener('keydown', (event) => this.key(event));
    box.addEventListener('click', (event) => this.open(this.indexOf(event.target)));
    box.addEventListener('scroll', () => this.scrolled(), { passive: true });
    for (const kind of ['focusin', 'mouseover']) box.addEventListener(kind, (event) => this.tell(this.indexOf(event.target)));
  }

  get text() {
    return this.list.map((token) => token.text).join('');
  }

  add(token) {
    this.list.push(token);
    this.frame ??= nextFrame().then(() => this.draw());
  }

  // settled waits until all tokens are drawn.
  async settled() {
    while (this.frame) await this.frame;
  }

  // draw gives some tokens their nodes. It reads the layout before it writes, so that a frame lays out once.
  draw() {
    const { box } = this;
    const follow = this.until === this.pages.length && box.scrollHeight - box.scrollTop - box.clientHeight < 40; // the reader has not scrolled up
    if (follow && this.until - this.first > shownPages) { // in a frame of its own, in which nothing that is seen moves
      const { scrollTop, scrollHeight } = box;
      this.pages[this.first++].node.remove();
      box.scrollTop = scrollTop - (scrollHeight - box.scrollHeight);
      this.frame = nextFrame().then(() => this.draw());
      return;
    }
    const last = this.pages.at(-1);
    const start = last ? this.lineStart(last) : 0;
    let page = last;
    if (start >= 0) {
      page = { node: el('span'), from: start };
      this.pages.push(page);
      page.node.append(...this.list.slice(start, this.drawn).map((token) => token.node));
      if (follow || this.pages.length === 1) {
        box.append(page.node);
        this.until++;
      }
    }
    const to = Math.min(this.drawn + frameTokens, this.list.length);
    const fresh = document.createDocumentFragment();
    for (; this.drawn < to; this.drawn++) fresh.append(this.make(this.drawn));
    page.node.append(fresh);
    if (follow) box.scrollTop = box.scrollHeight;
    this.frame = this.drawn < this.list.length ? nextFrame().then(() => this.draw()) : null;
  }

  // lineStart is where the page after a full one begins: a token that begins a line, so that no line changes when a page
  // goes; -1 while there is none. Of a page outside the document nobody knows the lines.
  lineStart({ node, from }) {
    const full = from + pageTokens;
    if (this.drawn <= full) return -1;
    if (!node.isConnected || this.drawn > full + pageTokens) return this.drawn;
    for (let i = full; i < this.drawn; i++) {
      if (this.list[i].node.offsetTop > this.list[i - 1].node.offsetTop) return i;
    }
    return -1;
  }

  make(index) {
    const token = this.list[index];
    const shown = token.text === '' ? glyph(token) : token.text.replaceAll('\n', '↵\n');
    token.node = el('span', {
      class: `token ${this.scale.of(token.loops)}${token.text === '' ? ' textless' : ''}`,
      role: 'button', tabindex: index === 0 ? 0 : -1, 'data-loops': token.loops, 'data-index': index,
    }, shown);
    this.describe(index);
    return token.node;
  }

  // scrolled brings the pages before or after those in the document when the reader comes near.
  scrolled() {
    const { box } = this;
    if (this.first > 0 && box.scrollTop < box.clientHeight) this.turn(-1);
    else if (this.until < this.pages.length && box.scrollHeight - box.scrollTop < 2 * box.clientHeight) this.turn(1);
  }

  // turn moves the pages in the document by one, and leaves what is read where it is.
  turn(way) {
    const anchor = this.pages[way < 0 ? this.first : this.until - 1].node.firstChild;
    const before = anchor.offsetTop;
    if (way < 0) {
      this.box.prepend(this.pages[--this.first].node);
      if (this.until - this.first > shownPages) this.pages[--this.until].node.remove();
    } else {
      this.pages[this.until - 1].node.after(this.pages[this.until++].node); // an error may stand behind them
      if (this.until - this.first > shownPages) this.pages[this.first++].node.remove();
    }
    this.box.scrollTop += anchor.offsetTop - before;
  }

  // reveal brings a token's page, and those beside it, into the document.
  reveal(index) {
    const at = this.pages.findLastIndex((page) => page.from <= index);
    if (at >= this.first && at < this.until) return;
    for (const page of this.pages) page.node.remove();
    this.first = Math.max(0, at - 1);
    this.until = Math.min(this.first + shownPages, this.pages.length);
    this.box.prepend(...this.pages.slice(this.first, this.until).map((page) => page.node));
  }

  describe(index) {
    const { node } = this.list[index];
    if (!node) return;
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
    this.list[this.at ?? 0].node.tabIndex = -1;
    this.at = index;
    this.reveal(index);
    const { node } = this.list[index];
    node.tabIndex = 0;
    node.focus();
  }

  key(event) {
    const index = this.indexOf(event.target);
    if (index < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.drawn - 1;
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
    const edge = this.pages[way > 0 ? this.until - 1 : this.first];
    if (index >= edge.from && index < edge.from + pageTokens && (way > 0 ? this.until < this.pages.length : this.first > 0)) this.turn(way);
    const here = this.list[index].node.getBoundingClientRect();
    let best = index;
    let line = null;
    for (let i = index + way; i >= 0 && i < this.drawn && this.list[i].node.isConnected; i += way) {
      const there = this.list[i].node.getBoundingClientRect();
      if ((there.top - here.top) * way < here.height / 2) continue;
      line ??= there.top;
      if (Math.abs(there.top - line) > here.height / 2) break;
      const far = (j) => Math.abs(this.list[j].node.getBoundingClientRect().left - here.left);
      if (best === index || far(i) < far(best)) best = i;
    }
    return best;
  }

  // mark marks the token whose lens is shown, of all answers.
  mark(index) {
    if (Tokens.marked) Tokens.marked.removeAttribute('aria-current');
    Tokens.marked = this.list[index].node;
    Tokens.marked.setAttribute('aria-current', 'true');
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
