// compare: the same prompt at several depths, side by side.

function runCompare() {
  return begin(async (signal) => {
    const depths = numbersOf('depths').map((d) => (typeof d === 'string' ? d.toLowerCase() : d));
    const answer = byId('answer');
    answer.classList.remove('chat');
    answer.classList.add('compare');
    if (depths.length < 1 || depths.length > 12) {
      throw new ServerError(0, { message: `Loops, side by side: ${depths.length} are given: write 1 to 12, as in 1, 2, 4, auto.`, code: null, param: null });
    }
    const { loops } = models.current();
    const deepest = Math.max(...depths.map((d) => (d === 'auto' ? loops.auto.loops : Number(d) || loops.min)));
    const scale = new Scale(loops.min, Math.min(deepest, loops.max));
    scale.legend(byId('legend'));
    const panes = depths.map((depth) => new Pane(compareName(depth), scale));
    for (const pane of panes) pane.mark('waiting');
    answer.replaceChildren(...panes.map((pane) => pane.node));
    kept.panes = panes.map((pane) => ({ pane }));
    say(`Running at ${plural(depths.length, 'loop count')}.`);
    await warmUp(depths[0], signal);
    for (const [i, pane] of panes.entries()) {
      const request = requestOf(depths[i], false);
      request.body.prefix_cache = false; // or the first run would pay for the prompts of the others
      request.body.seed = panes[0].request ? panes[0].request.body.seed : request.body.seed;
      await pane.run(request, signal);
      const slowest = Math.max(...panes.map((p) => p.totalMS ?? 0));
      for (const p of panes) p.compareTo(slowest);
    }
    say(`Done. ${panes.map((pane) => (pane.error ? `${pane.name}: ${pane.error.message}` : pane.summary())).join('. ')}`);
  });
}

function compareName(depth) {
  if (depth === 'auto') return 'auto';
  const policy = byId('policy').value;
  const name = typeof depth === 'number' ? plural(depth, 'loop') : `loops ${depth}`;
  return policy === 'none' ? name : `${policy}, ${name}`;
}

// warmUp brings the model into memory and its paths into caches, so that the first depth is not measured cold.
async function warmUp(depth, signal) {
  try {
    await answerTo(requestOf(depth, false), 1, { prefix_cache: false }, signal);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    // the run that counts will say it
  }
}
