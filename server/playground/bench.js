// bench: POST /v1/bench, its progress, its plots and its numbers.

// turn counts what was begun to be shown: who finds it changed after a wait must not show anything more.
const bench = { id: null, turn: 0, urls: [] };

function benchRequest() {
  return {
    model: byId('model').value, loops: numbersOf('bench-loops'), concurrency: numbersOf('bench-clients'),
    prompt_tokens: numbersOf('bench-prompt'), max_tokens: numbersOf('bench-tokens'), runs: numberOf('bench-runs'),
    warmup: numberOf('bench-warmup'), force: byId('bench-force').checked,
  };
}

async function startBench() {
  byId('bench-start').disabled = true;
  leaveBench();
  try {
    const job = await (await call('POST', 'v1/bench', benchRequest())).json();
    await watchBench(job.id);
  } catch (error) {
    benchFailed(error);
  } finally {
    byId('bench-start').disabled = false;
  }
}

// lastBench shows what the server remembers: one that runs, or the last.
async function lastBench() {
  if (bench.id) return;
  const { turn } = bench;
  try {
    const [job] = (await (await call('GET', 'v1/bench')).json()).data;
    if (job && turn === bench.turn) await watchBench(job.id);
  } catch (error) {
    benchFailed(error);
  }
}

async function watchBench(id) {
  const turn = leaveBench();
  const current = () => turn === bench.turn;
  bench.id = id;
  byId('bench-cancel').disabled = false;
  let job = null;
  try {
    for await (job of events(await call('GET', `v1/bench/${id}/events`))) {
      if (!current()) return;
      showProgress(job);
    }
    if (job.status === 'done') await showResult(id, current);
    else if (job.error) throw new ServerError(0, job.error, null);
    if (current()) say(`Benchmark ${job.status}.`);
  } finally {
    if (current()) byId('bench-cancel').disabled = true;
  }
}

async function cancelBench() {
  byId('bench-cancel').disabled = true;
  try {
    await call('DELETE', `v1/bench/${bench.id}`);
    byId('bench-start').focus();
  } catch (error) {
    benchFailed(error);
  }
}

function showProgress({ status, model, progress: { done, total, now } }) {
  const bar = byId('bench-progress');
  bar.max = Math.max(total, 1);
  bar.value = status === 'done' ? bar.max : done;
  const where = status === 'running' && now.concurrency ? `: ${plural(now.loops, 'loop')}, ${plural(now.concurrency, 'client')}` : '';
  byId('bench-status').textContent = `${model}, ${status}${where} (${done} of ${plural(total, 'run')})`;
}

function benchFailed(error) {
  byId('bench-status').replaceChildren(errorBox(error));
}

// leaveBench shows none any more, also where one is still being fetched. It returns the turn of what comes next.
function leaveBench() {
  bench.id = null;
  byId('bench-cancel').disabled = true;
  for (const url of bench.urls) URL.revokeObjectURL(url);
  bench.urls = [];
  byId('plot-latency').replaceChildren();
  byId('plot-throughput').replaceChildren();
  byId('bench-table').replaceChildren();
  byId('bench-files').replaceChildren();
  return ++bench.turn;
}

async function showResult(id, current) {
  const { result } = await (await call('GET', `v1/bench/${id}`)).json();
  if (!current()) return;
  byId('bench-table').replaceChildren(benchTable(result));
  if (result.fit) {
    const { a_ms: a, b_ms_per_loop: b, r2 } = result.fit;
    byId('bench-status').textContent = `${result.model}: latency ≈ ${a.toPrecision(3)} ms ${b < 0 ? '−' : '+'} ${Math.abs(b).toPrecision(3)} ms per loop (r² ${r2.toFixed(3)})`;
  }
  const fit = byId('bench-status').textContent;
  await showPlot(id, 'latency', `Latency against loops of ${result.model}. ${fit}`, current);
  await showPlot(id, 'throughput', `Tokens per second against concurrency of ${result.model}; the table has the numbers.`, current);
  if (!current()) return;
  for (const [format, name] of [['json', 'JSON'], ['csv', 'CSV'], ['benchstat', 'benchstat']]) {
    const button = el('button', { type: 'button', class: 'quiet' }, name);
    button.addEventListener('click', () => saveFile(`v1/bench/${id}?format=${format}`, `${id}.${format === 'benchstat' ? 'txt' : format}`).catch(benchFailed));
    byId('bench-files').append(button);
  }
}

// showPlot fetches the plot, since an image's own request would carry no key, and shows it as an image, which runs
// nothing of what it holds.
async function showPlot(id, kind, description, current) {
  const blob = await (await call('GET', `v1/bench/${id}/plot.svg?kind=${kind}`)).blob();
  if (!current()) return;
  const url = URL.createObjectURL(blob);
  bench.urls.push(url);
  byId(`plot-${kind}`).replaceChildren(el('img', { src: url, alt: description }));
}

async function saveFile(path, name) {
  const url = URL.createObjectURL(await (await call('GET', path)).blob());
  el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function benchTable(result) {
  const columns = [
    ['loops', (p) => p.loops], ['clients', (p) => p.concurrency], ['prompt', (p) => p.prompt_tokens], ['new', (p) => p.max_tokens],
    ['first token', (p) => ms(p.ttft_ms.p50)], ['per token', (p) => ms(p.tpot_ms.p50)], ['total', (p) => ms(p.e2e_ms.p50)],
    ['total, min to p90', (p) => `${ms(p.e2e_ms.min)} to ${ms(p.e2e_ms.p90)}`], ['tokens/s', (p) => p.tokens_per_second.p50?.toFixed(0) ?? '–'],
    ['block call', (p) => ms(p.ms_per_block_call)],
  ];
  const head = el('tr', {}, ...columns.map(([name]) => el('th', { scope: 'col' }, name)));
  const rows = result.points.map((p) => el('tr', {}, ...columns.map(([, value]) => el('td', {}, String(value(p))))));
  return el('table', {}, el('caption', {}, `Medians over ${plural(result.runs, 'run')}, from the last benchmark`), el('thead', {}, head), el('tbody', {}, ...rows));
}
