// settings: the models that are served, and the form that fits itself to the chosen one.

const models = {
  list: [],
  current: () => models.list.find((m) => m.id === byId('model').value),
};

// defaultThresholds are those of docs/api.md; a model's own policy brings its own.
const defaultThresholds = { delta: 0.03, gate: 0.5, kl: 0.001, entropy: 0.001, argmax: 5 };

const policyNames = {
  none: 'none: all loops', delta: 'delta: the hidden state has settled', gate: 'gate: the exit probability is reached',
  kl: 'kl: the prediction has settled', entropy: 'entropy: the uncertainty has settled', argmax: 'argmax: the same token for several loops',
};

async function loadModels() {
  const select = byId('model');
  let cards;
  try {
    cards = (await (await call('GET', 'v1/models')).json()).data;
  } catch (error) {
    select.replaceChildren(el('option', { value: '' }, 'none'));
    const again = el('button', { type: 'button' }, 'Try again');
    again.addEventListener('click', loadModels);
    byId('answer').replaceChildren(errorBox(error), again);
    return;
  }
  models.list = cards.filter((card) => !card.parent); // aliases are what the slider is for
  select.replaceChildren(...models.list.map((card) => el('option', { value: card.id }, card.id)));
  const wanted = new URLSearchParams(location.search).get('model');
  if (models.list.some((card) => card.id === wanted)) select.value = wanted;
  showEmpty();
  fitModel();
  if (!kept.restored) kept.restore(wanted);
}

// fitModel sets ranges, policies and hints for the chosen model.
function fitModel() {
  const card = models.current();
  if (!card) return;
  const { loops } = card;
  const slider = byId('loops');
  slider.min = loops.min;
  slider.max = loops.max;
  slider.value = loops.default;
  const parts = [`${loops.min} to ${loops.max}`, `default ${loops.default}`];
  if (loops.trained) parts.push(`trained at ${loops.trained}`);
  byId('loops-hint').textContent = parts.join(' · ');
  byId('about').textContent = card.description || `Context of ${card.max_model_len} tokens.`;
  const policy = byId('policy');
  const before = policy.value;
  policy.replaceChildren(...loops.exit_policies.map((name) => el('option', { value: name }, policyNames[name] || name)),
    el('option', { value: 'auto' }, `auto: ${loops.auto.exit_policy}, ${loops.auto.exit_threshold}`));
  policy.value = [...loops.exit_policies, 'auto'].includes(before) ? before : 'none';
  byId('depths').value = [...powers(loops, 4), 'auto'].join(', ');
  byId('bench-loops').value = powers(loops, 16).join(', ');
  fitPolicy(false);
  fitLoops();
}

// powers are powers of two in the model's range, at most so many.
function powers(loops, most) {
  const out = [];
  for (let n = 1; n <= loops.max && out.length < most; n *= 2) if (n >= loops.min) out.push(n);
  return out.length ? out : [loops.default];
}

function fitPolicy(chosen) {
  const { loops } = models.current() ?? {};
  if (!loops) return;
  const name = byId('policy').value;
  const none = name === 'none';
  byId('loops-name').textContent = none ? 'Loops' : 'Max loops';
  const threshold = byId('threshold');
  const least = byId('min-loops');
  threshold.disabled = none;
  least.disabled = none;
  threshold.value = '';
  threshold.placeholder = none ? '' : ([loops.auto.exit_policy, 'auto'].includes(name) ? loops.auto.exit_threshold : defaultThresholds[name]) ?? '';
  least.placeholder = none ? '' : name === 'auto' ? loops.auto.min_loops : loops.min;
  if (none) least.value = '';
  if (chosen && name === 'auto') {
    byId('loops').value = loops.auto.loops;
    fitLoops();
  }
}

function fitLoops() {
  byId('loops-value').textContent = byId('loops').value;
}

const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
const isChat = () => chosen('kind') === 'chat';
const isCompare = () => chosen('depth') === 'many';

function fitKind() {
  byId('system-field').hidden = !isChat();
  byId('prompt-label').textContent = isChat() ? 'Your message' : 'Prompt';
  byId('one-field').hidden = isCompare();
  byId('many-field').hidden = !isCompare();
  byId('with-lens').disabled = isCompare(); // it would be measured, too
  byId('clear').textContent = isChat() ? 'New chat' : 'Clear';
}
