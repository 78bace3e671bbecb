// The script that the guide of the example environment-copy describes, written out.
//
//   engine.js sqlite SOURCE.db TARGET.db TABLES.json ENVIRONMENT MAPPINGS
//   engine.js dynamodb SOURCE_SUFFIX TARGET_SUFFIX TABLES.json ENVIRONMENT MAPPINGS
//
// Tables come in the order of their dependencies. Every new id is remembered in a map of its table,
// and references are looked up there. TABLES.json: [{"name": …, "references": {column: table}}, …].
// Says at its end, in one line of JSON, how long its parts took.
'use strict';
const { createHash } = require('crypto');
const fs = require('fs');
const stores = require('../shared/stores');

// Two groups of eight signs, as the guide shows its ids.
function newId(table, id, environment) {
  const hex = createHash('sha256').update(`${table}:${id}:${environment}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 16)}`;
}

class Engine {
  constructor(source, target, tables, environment, mappings) {
    Object.assign(this, { source, target, tables, environment, mappings });
    this.maps = new Map(); // table -> (source id -> target id)
    this.counts = new Map();
    this.before = new Map();
  }

  // Every table is there on both sides, and how many rows there are.
  async check() {
    for (const { name } of this.tables) {
      this.counts.set(name, await this.source.count(name));
      this.before.set(name, await this.target.count(name));
    }
  }

  async copy() {
    for (const table of this.tables) {
      this.maps.set(table.name, new Map());
      for await (const rows of this.source.batches(table.name)) {
        await this.target.put(table.name, rows.map((row) => this.mapped(table, row)));
      }
    }
  }

  mapped(table, row) {
    const { value, asId } = this.source;
    const id = value(row.id);
    const made = newId(table.name, id, this.environment);
    this.maps.get(table.name).set(id, made);
    const written = { ...row, id: asId(made) };
    for (const [column, parent] of Object.entries(table.references)) {
      const old = value(row[column]);
      if (old === null || old === undefined) continue;
      const leads = this.maps.get(parent).get(old);
      if (leads === undefined) throw new Error(`${table.name}.${column}: ${old} leads nowhere`);
      written[column] = asId(leads);
    }
    return written;
  }

  // As many rows as there were, and each reference of the new side resolves there.
  async validate() {
    for (const table of this.tables) {
      const { rows, unresolved } = await this.target.validated(table);
      const expected = this.counts.get(table.name) + this.before.get(table.name);
      if (rows !== expected) throw new Error(`${table.name}: ${rows} rows and not ${expected}`);
      if (unresolved) throw new Error(`${table.name}: ${unresolved} references lead nowhere`);
    }
  }

  // "Complete source -> target ID mapping", which is also what a rollback would need.
  report() {
    const file = fs.openSync(this.mappings, 'w');
    for (const [table, ids] of this.maps) {
      fs.writeSync(file, JSON.stringify({ table, ids: Object.fromEntries(ids) }) + '\n');
    }
    fs.closeSync(file);
  }
}

// A file, or how a table of the environment is called.
const place = (kind, where) => (kind === 'sqlite' ? where : (table) => `${table}-${where}`);

async function main([kind, from, to, tablesFile, environment, mappings]) {
  const tables = JSON.parse(fs.readFileSync(tablesFile, 'utf8'));
  const engine = new Engine(
    stores.open(kind, place(kind, from)), stores.open(kind, place(kind, to)), tables, environment,
    mappings);
  const took = {};
  let began = process.hrtime.bigint();
  for (const part of ['check', 'copy', 'validate', 'report']) {
    await engine[part]();
    const now = process.hrtime.bigint();
    took[part] = Number(now - began) / 1e9;
    began = now;
  }
  console.log(JSON.stringify(took));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
