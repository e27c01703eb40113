// kept: the form and the last answer outlive a reload, in this tab only.

const kept = {
  panes: [], // what the answer shows: {pane, prompt}
  restored: false,

  write(key, value) {
    try {
      sessionStorage.setItem(key, JSON.stringify(value));
    } catch {
      sessionStorage.removeItem(key); // too large, or not allowed: then it is lost, as before
    }
  },

  read(key) {
    try {
      return JSON.parse(sessionStorage.getItem(key));
    } catch {
      return null;
    }
  },

  fields: () => [...document.querySelectorAll('#model, #ask :is(input, select, textarea), #bench input')],

  saveForm() {
    kept.write('loopserve-form', kept.fields().map((field) => [field.id || `${field.name}=${field.value}`, /radio|checkbox/.test(field.type) ? field.checked : field.value]));
  },

  saveAnswer() {
    const { className } = byId('answer');
    kept.write('loopserve-answer', { className, turns: chat.turns, panes: kept.panes.map(({ pane, prompt }) => ({ prompt, ...pane.kept() })) });
  },

  // restore is called once, when the models are known. wanted is a model that the page's address names.
  restore(wanted) {
    kept.restored = true;
    const form = new Map(kept.read('loopserve-form') ?? []);
    const set = (only) => {
      for (const field of kept.fields()) {
        const key = field.id || `${field.name}=${field.value}`;
        if (!form.has(key) || (only && !only.includes(key)) || (key === 'model' && (wanted || !models.list.some((m) => m.id === form.get(key))))) continue;
        if (/radio|checkbox/.test(field.type)) field.checked = form.get(key);
        else field.value = form.get(key);
      }
    };
    set(['model']);
    fitModel();
    set(['policy']);
    fitPolicy(false);
    set();
    fitLoops();
    fitKind();
    const answer = kept.read('loopserve-answer');
    if (!answer || !answer.panes.length) return;
    chat.turns = answer.turns;
    kept.panes = answer.panes.map((one) => ({ pane: Pane.from(one), prompt: one.prompt }));
    const box = byId('answer');
    box.className = answer.className;
    box.classList.toggle('numbers', byId('numbers').checked);
    box.replaceChildren();
    for (const { pane, prompt } of kept.panes) {
      if (box.classList.contains('chat')) box.append(userBubble(prompt));
      box.append(pane.node);
    }
    kept.panes[0].pane.tokens.scale.legend(byId('legend'));
    const slowest = Math.max(...kept.panes.map(({ pane }) => pane.totalMS ?? 0));
    for (const { pane } of kept.panes) pane.compareTo(slowest);
  },
};
