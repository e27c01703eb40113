// Prints, as one JSON document, what gen.go needs of the npm packages
// @unicode/unicode-{8,9,16,17}.0.0 in the folder given as argument.
import { readdirSync, existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = resolve(process.argv[2]);
const load = async (path) => (await import(pathToFileURL(path))).default;

// Groups of categories (Letter, Mark, ...) are unions of the others.
const groups = new Set(['Cased_Letter', 'Letter', 'Mark', 'Number', 'Other',
  'Punctuation', 'Separator', 'Symbol', 'Unassigned', 'Any', 'Assigned', 'ASCII']);

async function points(version, property, value) {
  const dir = join(root, version, property, value);
  for (const name of ['code-points.mjs', 'code-points.js']) {
    if (existsSync(join(dir, name))) return load(join(dir, name));
  }
  throw new Error(`no code points in ${dir}`);
}

async function property(version, name, skip = new Set()) {
  const out = {};
  for (const value of readdirSync(join(root, version, name))) {
    if (value.includes('.') || skip.has(value)) continue;
    out[value] = [...await points(version, name, value)];
  }
  return out;
}

async function lowercase(version) {
  const out = [];
  const special = await points(version, 'Special_Casing', 'Lowercase');
  for (const [from, to] of await points(version, 'Simple_Case_Mapping', 'Lowercase')) {
    if (!special.has(from)) out.push([from, to]);
  }
  for (const [from, to] of special) out.push([from, ...to]);
  return out.sort((a, b) => a[0] - b[0]);
}

console.log(JSON.stringify({
  category8: await property('8', 'General_Category', groups),
  category9: await property('9', 'General_Category', groups),
  category16: await property('16', 'General_Category', groups),
  category17: await property('17', 'General_Category', groups),
  grapheme16: await property('16', 'Grapheme_Cluster_Break'),
  lower17: await lowercase('17'),
}));
