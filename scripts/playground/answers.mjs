// Made-up answers of a server, for what a model would hardly say.

const event = (value) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;

const chunk = (text, loops, rest = {}) => ({
  id: 'cmpl-1', object: 'text_completion', created: 1, model: 'adder', usage: null,
  choices: [{ index: 0, text, logprobs: null, finish_reason: null, stop_reason: null, loops: [loops], ...rest }],
});

const top = (token) => [{ token, id: 7, prob: 0.7 }, { token: '<img src=x onerror="window.broken=1">', id: 8, prob: 0.2 }, { token: ' ', id: 9, prob: 0.0001 }];

const lens = (token) => [{
  token, id: 7,
  loops: [
    { loop: 1, entropy: 1.9, delta: null, gate: 0.25, top: top('<b>bold</b>').map((t, i) => ({ ...t, id: t.id + (i === 0 ? 10 : 0) })) },
    { loop: 2, entropy: 0.5, delta: 0.0004, gate: 0.75, top: top(token) },
  ],
}];

const evil = '<script>window.broken=1</script>';

export const answers = {
  markup: [
    event(chunk(evil, 2, { lens: lens(evil) })), event(chunk('', 1)), event(chunk('é\n', 2)), event(chunk(' tail', 1)),
    event(chunk('', 1, { finish_reason: 'stop' })), event('[DONE]'),
  ].join(''),
  shown: [evil, '·', 'é↵\n', ' tail', '■'],
  broken: [
    event(chunk('a', 2)),
    event({ error: { message: 'the engine <img src=x onerror=1> failed', type: 'server_error', param: null, code: 'engine_error' } }), event('[DONE]'),
  ].join(''),
};
