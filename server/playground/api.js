// api: requests to the server, its errors, its event streams, and the API key.

const byId = (id) => document.getElementById(id);

// el makes an element. Strings among children become text, never HTML.
function el(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    e.setAttribute(name, value === true ? '' : String(value));
  }
  e.append(...children);
  return e;
}

// ServerError is an error as the server tells it: its message names field, value and remedy.
class ServerError extends Error {
  constructor(status, detail, retryAfter) {
    super(detail.message);
    this.status = status;
    this.code = detail.code;
    this.param = detail.param;
    this.retryAfter = retryAfter;
  }

  get where() {
    return [this.status || '', this.code || ''].filter(Boolean).join(' ');
  }
}

const apiKey = {
  pending: null,
  get: () => sessionStorage.getItem('loopserve-key'),
  set: (key) => sessionStorage.setItem('loopserve-key', key),

  // ask opens the dialog, once for all requests that wait for it, and resolves to whether a key was given.
  ask(why) {
    apiKey.pending ??= new Promise((resolve) => {
      const dialog = byId('key-dialog');
      const before = document.activeElement;
      let given = false;
      byId('key-why').textContent = why;
      byId('key-value').value = '';
      byId('key-cancel').onclick = () => dialog.close();
      byId('key-form').onsubmit = (event) => {
        event.preventDefault();
        const key = byId('key-value').value.trim();
        if (!key) return;
        apiKey.set(key);
        given = true;
        dialog.close();
      };
      dialog.onclose = () => {
        apiKey.pending = null;
        if (before instanceof HTMLElement) before.focus();
        resolve(given);
      };
      byId('key').hidden = false;
      dialog.showModal();
    });
    return apiKey.pending;
  },
};

// call sends a request and returns the response, whose status is good. Paths are relative to the page, so that it works
// behind a proxy that serves it in a folder.
async function call(method, path, body, signal) {
  for (;;) {
    const key = apiKey.get();
    const headers = {};
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (key) headers.Authorization = `Bearer ${key}`;
    let response;
    try {
      response = await fetch(path, {
        method, headers, signal, credentials: 'omit', cache: 'no-store',
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ServerError(0, { message: `The server cannot be reached: ${error.message}`, code: null, param: null });
    }
    if (response.ok) return response;
    const failure = await failureOf(response);
    if (failure.status !== 401) throw failure;
    // Another request may have got a key meanwhile.
    if (apiKey.get() === key && !(await apiKey.ask(failure.message))) throw failure;
  }
}

async function failureOf(response) {
  let detail = { message: `${response.status} ${response.statusText}`.trim(), code: null, param: null };
  try {
    const answer = await response.json();
    if (answer.error && answer.error.message) detail = answer.error;
  } catch {
    // a proxy's page, or nothing: the status has to do
  }
  return new ServerError(response.status, detail, response.headers.get('Retry-After'));
}

// pause lets the page do what else is due: a long answer may come at once.
const pause = () => new Promise((go) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    go();
  };
  port2.postMessage(null);
});

// events are the JSON values of a stream of server-sent events, up to [DONE].
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let since = performance.now();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      rest += value;
      for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
        const lines = rest.slice(0, end).split('\n').filter((line) => line.startsWith('data:'));
        rest = rest.slice(end + 2);
        const data = lines.map((line) => line.slice(5).trimStart()).join('\n');
        if (data === '[DONE]') return;
        if (!data) continue;
        const event = JSON.parse(data);
        if (event.error && !event.object) throw new ServerError(0, event.error, null);
        yield event;
        if (performance.now() - since < 8) continue;
        await pause();
        since = performance.now();
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
  throw new ServerError(0, { message: 'The connection ended before the answer did.', code: null, param: null });
}

// errorBox shows an error with the server's own words.
function errorBox(error) {
  const box = el('p', { class: 'error', role: 'alert' }, error.message || String(error));
  const notes = [];
  if (error.where) notes.push(error.where);
  if (error.param) notes.push(`field ${error.param}`);
  if (error.retryAfter) notes.push(`try again in ${error.retryAfter} s`);
  if (notes.length) box.append(el('span', { class: 'note' }, notes.join(' · ')));
  return box;
}

// say tells screen readers what has happened.
function say(text) {
  byId('live').textContent = text;
}

// ms writes milliseconds with as many digits as they are worth.
function ms(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return `${value.toFixed(digits)} ms`;
}

function plural(n, word) {
  return `${n} ${word}${n === 1 ? '' : 's'}`;
}
