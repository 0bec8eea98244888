/** The longest line that is read: a rollout with all its evidence stays far below. In UTF-16 units. */
const LONGEST_LINE = 16 * 1024 * 1024;

/** Reads a body line by line as it arrives. Blank lines, which keep a connection open, are left out. Ends the body when left. */
export async function* readLines(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LONGEST_LINE) throw new Error(`a line of the stream is longer than ${LONGEST_LINE}`);
      for (const line of lines) if (line.trim() !== '') yield line;
      if (done) {
        if (rest.trim() !== '') yield rest;
        return;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
