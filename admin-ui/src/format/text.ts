/** The first line of a message that may have many, as its title. */
export function firstLine(text = ''): string {
  return text.trim().split('\n')[0]?.trim() ?? '';
}

/** What stands below the first line. */
export function afterFirstLine(text = ''): string {
  return text.trim().split('\n').slice(1).join('\n').trim();
}
