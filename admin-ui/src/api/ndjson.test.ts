import { expect, test } from 'vitest';
import { pieces } from '@/testing/server';
import { readLines } from './ndjson';

async function all(lines: AsyncIterable<string>): Promise<string[]> {
  const read: string[] = [];
  for await (const line of lines) read.push(line);
  return read;
}

test.each([
  { name: 'whole lines', sent: ['{"a":1}\n{"a":2}\n'], read: ['{"a":1}', '{"a":2}'] },
  { name: 'a line cut anywhere', sent: ['{"a', '":1', '}\n'], read: ['{"a":1}'] },
  { name: 'blank lines keep the connection open and say nothing', sent: ['\n\n{"a":1}\n', '\n'], read: ['{"a":1}'] },
  { name: 'a last line without an end', sent: ['{"a":1}\n{"a":2}'], read: ['{"a":1}', '{"a":2}'] },
  { name: 'nothing', sent: [], read: [] },
])('reads $name', async ({ sent, read }) => {
  expect(await all(readLines(pieces(sent)))).toEqual(read);
});

test('a character cut in two comes out whole', async () => {
  const bytes = new TextEncoder().encode('"für"\n');
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  expect(await all(readLines(body))).toEqual(['"für"']);
});

test('a connection that breaks is an error after what came before it', async () => {
  const lines = readLines(pieces(['{"a":1}\n'], new Error('reset')));
  expect((await lines.next()).value).toBe('{"a":1}');
  await expect(lines.next()).rejects.toThrow('reset');
});

test('whoever stops reading ends the body', async () => {
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('{}\n')),
    cancel: () => {
      cancelled = true;
    },
  });
  for await (const line of readLines(endless)) {
    expect(line).toBe('{}');
    break;
  }
  expect(cancelled).toBe(true);
});
