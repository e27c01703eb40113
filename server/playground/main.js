// main: the wiring.

const tabs = [byId('tab-ask'), byId('tab-bench')];

function openTab(tab) {
  for (const t of tabs) {
    const mine = t === tab;
    t.setAttribute('aria-selected', String(mine));
    t.tabIndex = mine ? 0 : -1;
    byId(t.getAttribute('aria-controls')).hidden = !mine;
  }
  if (tab.id === 'tab-bench') lastBench();
}

tabs.forEach((tab, i) => {
  tab.addEventListener('click', () => openTab(tab));
  tab.addEventListener('keydown', (event) => {
    const to = { ArrowRight: (i + 1) % tabs.length, ArrowLeft: (i + tabs.length - 1) % tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    tabs[to].focus();
    openTab(tabs[to]);
  });
});

byId('model').addEventListener('change', fitModel);
byId('policy').addEventListener('change', () => fitPolicy(true));
byId('loops').addEventListener('input', fitLoops);
byId('numbers').addEventListener('change', () => byId('answer').classList.toggle('numbers', byId('numbers').checked));
for (const radio of document.querySelectorAll('input[name=kind], input[name=depth]')) radio.addEventListener('change', fitKind);
byId('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  if (isCompare()) runCompare();
  else runOne();
});
byId('prompt').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) byId('ask').requestSubmit();
});
byId('stop').addEventListener('click', () => running.controller && running.controller.abort());
byId('clear').addEventListener('click', clearAll);
byId('bench').addEventListener('submit', (event) => {
  event.preventDefault();
  startBench();
});
byId('bench-cancel').addEventListener('click', cancelBench);
byId('key').addEventListener('click', async () => {
  if (await apiKey.ask('The key that this page sends with its requests.')) loadModels();
});

for (const id of ['ask', 'bench', 'model']) for (const kind of ['input', 'change']) byId(id).addEventListener(kind, kept.saveForm);

byId('key').hidden = apiKey.get() === null;
fitKind();
loadModels();
