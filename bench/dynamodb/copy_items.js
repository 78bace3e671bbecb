// The same as copy_items.py with the SDK for Node, without its document layer.
//
//   copy_items.js SOURCE TARGET SEGMENTS VARIANT
//
// The segments are scanned side by side; each writes its items 25 a request, one request at a time.
'use strict';
const stores = require('../shared/stores');

function changed(item, variant) {
  if (variant === 'raw') return item;
  const label = { S: `${item.operationType.S} ${item.status.S}` };
  if (variant === 'computed') return { ...item, label };
  const { operationType, ...others } = item;
  return { ...others, kind: operationType, label };
}

async function main([source, target, segmentsText, variant]) {
  const TotalSegments = Number(segmentsText);
  const store = stores.open('dynamodb', (table) => table);
  const segments = (each) =>
    Promise.all(Array.from({ length: TotalSegments }, (_, Segment) => each({ Segment, TotalSegments })))
      .then((counts) => counts.reduce((sum, count) => sum + count, 0));

  const took = {};
  let began = process.hrtime.bigint();
  const ends = (part) => {
    const now = process.hrtime.bigint();
    took[part] = Number(now - began) / 1e9;
    began = now;
  };

  const copied = await segments(async (segment) => {
    let count = 0;
    for await (const page of store.pages(source, segment)) {
      await store.put(target, page.Items.map((item) => changed(item, variant)));
      count += page.Items.length;
    }
    return count;
  });
  ends('copy');
  for (const table of [source, target]) {
    const there = await segments(async (segment) => {
      let count = 0;
      for await (const page of store.pages(table, { Select: 'COUNT', ...segment })) count += page.Count;
      return count;
    });
    if (there !== copied) throw new Error(`${copied} items were copied, and ${table} has ${there}`);
  }
  ends('validate');
  console.log(JSON.stringify(took));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
