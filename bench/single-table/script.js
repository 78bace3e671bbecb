// The script that the guide of the example single-table-design describes, written out.
//
//   script.js dynamodb PREFIX         the tables PREFIX-users …, and functions that are held
//   script.js sqlite OLD.db NEW.db    the same tables in a file, and a row that the application asks
//
// The application is held, each table is read, transformed and written, counts and a sample of each
// table are compared, the application is switched and let go. Says at its end, in one line of JSON,
// how long its parts took.
'use strict';
const { isDeepStrictEqual } = require('util');
const stores = require('../shared/stores');

const GATEWAY = 'tyler-setup-graphql-gateway';
const HANDLERS = ['tyler-setup-users-handler', 'tyler-setup-contractors-handler',
  'tyler-setup-secrets-handler'];
const SAMPLE = 100; // validate-migrated-data.js --sample-size 100
const OLD = ['users', 'contractors', 'config', 'refresh-tokens', 'audit'];
const TARGETS = { users: 'entities', contractors: 'entities', config: 'entities',
  'refresh-tokens': 'cache', audit: 'events' };

// ---------------------------------------------------------------- one row, its items

class Transform {
  constructor(is) {
    this.is = is; // how the store says a text, a number and a document
    this.names = new Map(); // of users, for the copies in contractors
  }

  textOf(value) {
    return this.is.value(value);
  }

  users(row) {
    const { text } = this.is;
    const id = this.textOf(row.id);
    this.names.set(id, row.name);
    const items = [{ ...row, PK: text(`USER#${id}`), SK: text('PROFILE'),
      GSI1PK: text(`EMAIL#${this.textOf(row.email).toLowerCase()}`), GSI1SK: text(`USER#${id}`),
      entityType: text('USER') }];
    const role = this.textOf(row.role);
    if (role !== null && role !== undefined) {
      items.push({ PK: text(`ROLE#${role}`), SK: text(`USER#${id}`), name: row.name,
        entityType: text('ROLE_MEMBER') });
    }
    return items;
  }

  contractors(row) {
    const { text } = this.is;
    const id = this.textOf(row.id);
    const item = { ...row, PK: text(`CONTRACTOR#${id}`), SK: text('PROFILE'),
      GSI1PK: text(`EMAIL#${this.textOf(row.email).toLowerCase()}`),
      GSI1SK: text(`CONTRACTOR#${id}`), entityType: text('CONTRACTOR') };
    const sponsor = this.names.get(this.textOf(row.sponsorId));
    if (sponsor !== undefined) item.sponsorName = sponsor;
    return [item];
  }

  'refresh-tokens'(row) {
    const { text, number } = this.is;
    return [{ ...row, PK: text(`TOKEN#${this.textOf(row.token)}`),
      SK: text(`USER#${this.textOf(row.userId)}`),
      ttl: number(Math.floor(Date.parse(this.textOf(row.expiresAt)) / 1000)),
      entityType: text('REFRESH_TOKEN') }];
  }

  audit(row) {
    const { text } = this.is;
    const { timestamp, ...others } = row;
    return [{ ...others, PK: text(`USER#${this.textOf(row.userId)}`),
      SK: text(`EVENT#${this.textOf(timestamp)}#${this.textOf(row.id)}`),
      GSI1PK: text(`ACTION#${this.textOf(row.action)}`), GSI1SK: timestamp,
      entityType: text('AUDIT') }];
  }

  settings(section, values) {
    const { text, document } = this.is;
    return { PK: text(`CONFIG#${section}`), SK: text('SETTINGS'), settings: document(values),
      entityType: text('CONFIG') };
  }
}

// ---------------------------------------------------------------- where it works

class Dynamo {
  constructor(prefix) {
    const named = (table) => `${prefix}-${table}`;
    const { LambdaClient } = require('@aws-sdk/client-lambda');
    this.lambda = require('@aws-sdk/client-lambda');
    this.functions = new LambdaClient({});
    this.prefix = prefix;
    this.source = this.target = stores.open('dynamodb', named);
    this.is = { value: this.source.value, text: (text) => ({ S: text }),
      number: (number) => ({ N: String(number) }), document: (values) => ({ M: values }) };
  }

  put(table, items) {
    return this.target.put(table, items);
  }

  // What else a function has stays.
  async settings(name, change) {
    const FunctionName = name;
    const found = await this.functions.send(
      new this.lambda.GetFunctionConfigurationCommand({ FunctionName }));
    const Variables = { ...found.Environment?.Variables, ...change };
    for (const key of Object.keys(Variables)) if (Variables[key] === null) delete Variables[key];
    await this.functions.send(new this.lambda.UpdateFunctionConfigurationCommand({ FunctionName,
      Environment: { Variables } }));
  }

  async hold() {
    await this.settings(GATEWAY, { MAINTENANCE_MODE: 'true' });
    for (const one of HANDLERS) await this.settings(one, { READ_ONLY_MODE: 'true' });
  }

  async switchOver() {
    const ENTITY_TABLE = `${this.prefix}-entities`;
    await this.settings(GATEWAY, { ENTITY_TABLE, EVENT_TABLE: `${this.prefix}-events`,
      CACHE_TABLE: `${this.prefix}-cache`, USE_NEW_SCHEMA: 'true', MAINTENANCE_MODE: null });
    for (const one of HANDLERS) {
      await this.settings(one, { ENTITY_TABLE, USE_NEW_SCHEMA: 'true', READ_ONLY_MODE: null });
    }
  }
}

class Files {
  constructor(from, to) {
    this.source = stores.open('sqlite', from);
    this.target = stores.open('sqlite', to);
    this.is = { value: this.source.value, text: (text) => text, number: (number) => number,
      document: JSON.stringify };
  }

  // A statement writes items of one shape.
  put(table, items) {
    const shapes = new Map();
    for (const item of items) {
      const columns = Object.keys(item).length;
      if (!shapes.has(columns)) shapes.set(columns, []);
      shapes.get(columns).push(item);
    }
    for (const alike of shapes.values()) this.target.put(table, alike);
  }

  flag(name, value) {
    this.source.database.prepare('UPDATE flags SET value = ? WHERE name = ?').run(value, name);
  }

  hold() {
    this.flag('read_only', 'yes');
  }

  switchOver() {
    this.flag('side', 'new');
    this.flag('read_only', 'no');
  }
}

// ---------------------------------------------------------------- the migration

class Migration {
  constructor(place) {
    this.place = place;
    this.transform = new Transform(place.is);
    this.counts = new Map(); // of the old tables
    this.written = new Map(); // items in each new table
    this.samples = new Map(); // table -> some of its items
  }

  async check() {
    for (const table of OLD) this.counts.set(table, await this.place.source.count(table));
    for (const table of Object.values(TARGETS)) this.written.set(table, 0);
  }

  hold() {
    return this.place.hold();
  }

  async copy() {
    for (const table of OLD) {
      const each = Math.max(1, Math.floor(this.counts.get(table) / SAMPLE));
      this.samples.set(table, []);
      if (table === 'config') {
        await this.put(table, await this.grouped(), 1);
        continue;
      }
      for await (const rows of this.place.source.batches(table)) {
        await this.put(table, rows.flatMap((row) => this.transform[table](row)), each);
      }
    }
  }

  async grouped() {
    const sections = new Map();
    for await (const rows of this.place.source.batches('config')) {
      for (const row of rows) {
        const section = this.place.is.value(row.section);
        if (!sections.has(section)) sections.set(section, {});
        sections.get(section)[this.place.is.value(row.key)] = row.value;
      }
    }
    return [...sections].map(([section, values]) => this.transform.settings(section, values));
  }

  async put(table, items, each) {
    const target = TARGETS[table];
    const sample = this.samples.get(table);
    for (let at = 0; at < items.length && sample.length < SAMPLE; at += each) sample.push(items[at]);
    await this.place.put(target, items);
    this.written.set(target, this.written.get(target) + items.length);
  }

  async validate() {
    for (const [table, written] of this.written) {
      const there = await this.place.target.count(table);
      if (there !== written) throw new Error(`${table}: ${there} items and not ${written}`);
    }
    for (const [table, sample] of this.samples) {
      for (const item of sample) {
        const there = await this.place.target.get(TARGETS[table], { PK: item.PK, SK: item.SK });
        for (const [name, value] of Object.entries(item)) {
          if (!isDeepStrictEqual(there?.[name], value)) {
            throw new Error(`${table}: ${name} of ${JSON.stringify(item.PK)} differs`);
          }
        }
      }
    }
  }

  switchOver() {
    return this.place.switchOver();
  }
}

async function main([kind, ...where]) {
  const migration = new Migration(kind === 'sqlite' ? new Files(...where) : new Dynamo(...where));
  const took = {};
  let began = process.hrtime.bigint();
  for (const part of ['check', 'hold', 'copy', 'validate', 'switchOver']) {
    await migration[part]();
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
