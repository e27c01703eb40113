// run: one answer at one depth, as a completion or as the next turn of a chat.

const running = { controller: null };

function showEmpty() {
  kept.panes = [];
  byId('answer').className = byId('answer').className.replace(/ ?(chat|compare)\b/g, '');
  byId('answer').replaceChildren(el('p', { class: 'empty' }, "The answer's tokens come here, each coloured by the loops that it took."));
  lensMessage('Choose a token to see what it would have been after each of its loops: click it, or go to it with Tab and the arrow keys and press Enter.');
  byId('readout').textContent = '\u00a0';
}

// begin is the frame of every run: it allows one at a time, with the button that stops it.
async function begin(work) {
  if (running.controller) return;
  running.controller = new AbortController();
  byId('run').disabled = true;
  byId('stop').disabled = false;
  lensMessage('Choose a token to see what it would have been after each of its loops.');
  byId('readout').textContent = '\u00a0';
  const actions = byId('run').parentElement;
  if (byId('result').getBoundingClientRect().top > innerHeight / 2) actions.scrollIntoView({ block: 'start' }); // on a phone: Stop, and the answer below it
  try {
    await work(running.controller.signal);
  } catch (error) {
    if (error.name !== 'AbortError') {
      byId('answer').replaceChildren(errorBox(error));
    } else {
      say('Stopped.');
    }
  } finally {
    running.controller = null;
    kept.saveAnswer();
    const lost = document.activeElement === byId('stop') || document.activeElement === document.body;
    byId('run').disabled = false;
    byId('stop').disabled = true;
    if (lost) byId('run').focus({ preventScroll: true }); // a disabled button would lose the keyboard's place
  }
}

function depthName() {
  const loops = byId('loops').value;
  const policy = byId('policy').value;
  return policy === 'none' ? plural(Number(loops), 'loop') : `${policy}, up to ${plural(Number(loops), 'loop')}`;
}

const userBubble = (prompt) => el('p', { class: 'user' }, el('span', { class: 'unseen' }, 'You: '), prompt);

function runOne() {
  return begin(async (signal) => {
    const card = models.current();
    const loops = numberOf('loops');
    const scale = new Scale(card ? card.loops.min : 1, loops);
    scale.legend(byId('legend'));
    const pane = new Pane(depthName(), scale);
    const answer = byId('answer');
    const request = requestOf(loops, byId('with-lens').checked);
    const prompt = byId('prompt').value;
    const talks = isChat();
    answer.classList.remove('compare');
    if (talks && answer.classList.contains('chat')) {
      if (!chat.turns.length) {
        kept.panes = [];
        answer.replaceChildren();
      }
    } else {
      kept.panes = [];
      answer.replaceChildren();
    }
    kept.panes.push({ pane, prompt });
    answer.classList.toggle('chat', talks);
    if (talks) answer.append(userBubble(prompt));
    answer.append(pane.node);
    if (talks) pane.node.scrollIntoView({ block: 'nearest' });
    say('Running.');
    try {
      await pane.run(request, signal);
    } finally {
      if (talks && !pane.error && pane.tokens.list.length) {
        chat.turns.push({ role: 'user', content: prompt }, { role: 'assistant', content: pane.tokens.text });
        byId('prompt').value = '';
      }
    }
    if (!pane.error) say(`Done. ${pane.summary()}. ${pane.tokens.text.slice(0, 500)}`);
  });
}

function clearAll() {
  if (running.controller) running.controller.abort();
  chat.turns = [];
  showEmpty();
  kept.saveAnswer();
  byId('prompt').focus();
}
