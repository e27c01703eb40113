// request: the form as a body of the API. What is left empty is left out, and what makes no sense is sent as it is: the
// server's message says more than this page could.

function numberOf(id) {
  const text = byId(id).value.trim();
  if (text === '') return undefined;
  return Number.isFinite(Number(text)) ? Number(text) : text;
}

// numbersOf reads a list of numbers, and leaves what is none of them to the server.
function numbersOf(id) {
  const items = byId(id).value.split(/[\s,;]+/).filter(Boolean);
  return items.map((item) => (Number.isFinite(Number(item)) ? Number(item) : item));
}

const chat = { turns: [] }; // {role, content}

// requestOf is {path, body}. loops is a number, or 'auto' for the model's own policy and cap.
function requestOf(loops, lens) {
  const body = {
    model: byId('model').value, stream: true, stream_options: { include_usage: true }, return_loops: true,
    temperature: numberOf('temperature'),
    // Always a seed, so that a token's lens can be asked for later: the same request gives the same tokens.
    seed: numberOf('seed') ?? crypto.getRandomValues(new Uint32Array(1))[0],
  };
  depthOf(body, loops);
  if (lens) body.return_lens = numberOf('lens-top') ?? true;
  const prompt = byId('prompt').value;
  if (!isChat()) {
    return { path: 'v1/completions', body: { ...body, prompt, max_tokens: numberOf('max-tokens') } };
  }
  const system = byId('system').value;
  const messages = [...(system ? [{ role: 'system', content: system }] : []), ...chat.turns, { role: 'user', content: prompt }];
  return { path: 'v1/chat/completions', body: {
    ...body, messages, max_completion_tokens: numberOf('max-tokens'),
    reasoning_format: 'none', // each token is shown with its loops, a thought's too
  } };
}

function depthOf(body, loops) {
  if (loops === 'auto') {
    body.exit_policy = 'auto';
    return;
  }
  body.loops = loops;
  body.exit_policy = byId('policy').value;
  if (body.exit_policy === 'none') return;
  body.exit_threshold = numberOf('threshold');
  body.min_loops = numberOf('min-loops');
}

const mostTokens = (path, tokens) => ({ [path === 'v1/completions' ? 'max_tokens' : 'max_completion_tokens']: tokens });

// answerTo is the whole answer to a request, as far as some tokens, with more fields.
async function answerTo({ path, body }, tokens, fields, signal) {
  const response = await call('POST', path, { ...body, stream: false, stream_options: undefined, ...mostTokens(path, tokens), ...fields }, signal);
  return response.json();
}
