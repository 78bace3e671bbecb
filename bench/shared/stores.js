// What the scripts for Node read and write. A store has count, batches, get, put and validated, and
// knows what a value is.
//
//   stores.js which      by which means it reads SQLite
'use strict';

const ROWS_A_TRANSACTION = 1000;
const ITEMS_A_BATCH = 25; // what BatchWriteItem takes

// ---------------------------------------------------------------- SQLite

// Both have exec, prepare, iterate, get and run. sql.js is no third: it keeps the whole database in
// memory, so its peak would tell about sql.js.
function sqlite() {
  try {
    const Database = require('better-sqlite3');
    const version = require('better-sqlite3/package.json').version;
    return { name: `better-sqlite3 ${version}`, open: (path) => new Database(path) };
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND' && error.code !== 'ERR_DLOPEN_FAILED') throw error;
  }
  const { DatabaseSync } = require('node:sqlite');
  return { name: `node:sqlite of ${process.version}`, open: (path) => new DatabaseSync(path) };
}

function sqliteDriver() {
  const driver = sqlite();
  const { version } = driver.open(':memory:').prepare('SELECT sqlite_version() AS version').get();
  return `${driver.name} with SQLite ${version}`;
}

const quoted = (name) => `"${name.replaceAll('"', '""')}"`;

class Sqlite {
  constructor(path) {
    this.database = sqlite().open(path);
    // better-sqlite3 looks up each reference at each insert; here that is done once, at the end.
    this.database.exec('PRAGMA foreign_keys = OFF');
    this.inserts = new Map();
    this.value = (value) => value;
    this.asId = (id) => id;
  }

  ask(sql) {
    return this.database.prepare(sql).get().n;
  }

  get(table, key) {
    const columns = Object.keys(key);
    const sql = `SELECT * FROM ${quoted(table)} WHERE ` +
      columns.map((column) => `${quoted(column)} = ?`).join(' AND ');
    return this.database.prepare(sql).get(...Object.values(key));
  }

  count(table) {
    return this.ask(`SELECT count(*) AS n FROM ${quoted(table)}`);
  }

  *batches(table) {
    let rows = [];
    for (const row of this.database.prepare(`SELECT * FROM ${quoted(table)}`).iterate()) {
      rows.push(row);
      if (rows.length === ROWS_A_TRANSACTION) {
        yield rows;
        rows = [];
      }
    }
    if (rows.length) yield rows;
  }

  insertOf(table, row) {
    const columns = Object.keys(row);
    const shape = `${table} ${columns}`;
    if (!this.inserts.has(shape)) {
      const statement = this.database.prepare(
        `INSERT INTO ${quoted(table)} (${columns.map(quoted).join(', ')}) ` +
          `VALUES (${columns.map(() => '?').join(', ')})`);
      this.inserts.set(shape, { columns, statement });
    }
    return this.inserts.get(shape);
  }

  // All rows have the columns of the first.
  put(table, rows) {
    const { columns, statement } = this.insertOf(table, rows[0]);
    this.database.exec('BEGIN');
    for (const row of rows) statement.run(...columns.map((column) => row[column]));
    this.database.exec('COMMIT');
  }

  validated(table) {
    let unresolved = 0;
    for (const [column, parent] of Object.entries(table.references)) {
      unresolved += this.ask(
        `SELECT count(*) AS n FROM ${quoted(table.name)} AS child ` +
          `WHERE ${quoted(column)} IS NOT NULL AND NOT EXISTS ` +
          `(SELECT 1 FROM ${quoted(parent)} AS parent WHERE parent.id = child.${quoted(column)})`);
    }
    return { rows: this.count(table.name), unresolved };
  }
}

// ---------------------------------------------------------------- DynamoDB

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class DynamoDb {
  constructor(named) {
    this.sdk = require('@aws-sdk/client-dynamodb');
    this.client = new this.sdk.DynamoDBClient({});
    this.named = named; // how a table is called there
    this.ids = new Map(); // table -> its ids, as far as it was validated
    this.value = (value) => (value === undefined || value.NULL ? null : value.S);
    this.asId = (id) => ({ S: id });
  }

  async *pages(table, more) {
    let ExclusiveStartKey;
    do {
      const page = await this.client.send(new this.sdk.ScanCommand({
        TableName: this.named(table), ConsistentRead: true, ExclusiveStartKey, ...more }));
      yield page;
      ExclusiveStartKey = page.LastEvaluatedKey;
    } while (ExclusiveStartKey);
  }

  async count(table) {
    let count = 0;
    for await (const page of this.pages(table, { Select: 'COUNT' })) count += page.Count;
    return count;
  }

  async get(table, Key) {
    const answer = await this.client.send(new this.sdk.GetItemCommand({
      TableName: this.named(table), Key, ConsistentRead: true }));
    return answer.Item;
  }

  async *batches(table) {
    for await (const page of this.pages(table)) if (page.Items.length) yield page.Items;
  }

  async put(table, items) {
    for (let at = 0; at < items.length; at += ITEMS_A_BATCH) {
      const batch = items.slice(at, at + ITEMS_A_BATCH);
      const requests = batch.map((Item) => ({ PutRequest: { Item } }));
      await this.write({ [this.named(table)]: requests });
    }
  }

  async write(requests) {
    for (let tries = 0; Object.keys(requests).length; ++tries) {
      if (tries) await pause(Math.min(5000, 50 * 2 ** tries));
      const answer = await this.client.send(
        new this.sdk.BatchWriteItemCommand({ RequestItems: requests }));
      requests = answer.UnprocessedItems ?? {};
    }
  }

  async validated(table) {
    const columns = ['id', ...Object.keys(table.references)];
    const names = Object.fromEntries(columns.map((column, at) => [`#${at}`, column]));
    const ids = new Set();
    let unresolved = 0;
    const pages = this.pages(table.name, { ExpressionAttributeNames: names,
      ProjectionExpression: Object.keys(names).join(', ') });
    for await (const page of pages) {
      for (const item of page.Items) {
        ids.add(item.id.S);
        for (const [column, parent] of Object.entries(table.references)) {
          const leads = this.value(item[column]);
          if (leads !== null && !this.ids.get(parent).has(leads)) ++unresolved;
        }
      }
    }
    this.ids.set(table.name, ids);
    return { rows: ids.size, unresolved };
  }
}

const open = (kind, where) => (kind === 'sqlite' ? new Sqlite(where) : new DynamoDb(where));

module.exports = { open };

if (require.main === module && process.argv[2] === 'which') console.log(sqliteDriver());
