// scale: loops as colours. Few loops are pale and many are strong, in one order of hues that differ in lightness, too, so
// that it is read without colour vision. The number itself always stands beside it.

const colours = 9; // .s0 to .s8 of the style

class Scale {
  constructor(min, max) {
    this.min = Math.min(min, max);
    this.max = Math.max(min, max);
    this.steps = Math.min(colours, this.max - this.min + 1);
  }

  step(loops) {
    const inside = Math.min(Math.max(loops, this.min), this.max);
    return Math.floor(((inside - this.min) * this.steps) / (this.max - this.min + 1));
  }

  // colour is the class of a step: the steps that there are spread over all colours.
  colour(step) {
    return `s${this.steps === 1 ? colours - 1 : Math.round((step * (colours - 1)) / (this.steps - 1))}`;
  }

  of(loops) {
    return this.colour(this.step(loops));
  }

  // ranges are the loops of each step: [first, last].
  ranges() {
    const out = [];
    for (let loops = this.min; loops <= this.max; loops++) {
      const step = this.step(loops);
      out[step] ??= [loops, loops];
      out[step][1] = loops;
    }
    return out;
  }

  legend(list) {
    list.replaceChildren(...this.ranges().map(([first, last], step) => {
      const name = first === last ? `${first}` : `${first}–${last}`;
      return el('li', { class: this.colour(step), title: `${name} loops` }, name);
    }));
  }
}
