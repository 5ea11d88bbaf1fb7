/**
 * WGSL without comments and needless blanks, one line per declaration of the module, for shorter bundles. Names stay:
 * tunables are set by name at the start of their lines, and messages of the compiler show them.
 */
export function minifyWgsl(code: string): string {
  const bare = withoutComments(code)
    .replace(/\s+/g, ' ')
    // A blank is needed between two words, and between two operators (`a - -b`, `array<u32> = …`).
    .replace(/ ?([(){}[\],;:@]) ?/g, '$1')
    .replace(/(\w) (?=[^\w ])/g, '$1')
    .replace(/([^\w ]) (?=\w)/g, '$1')
    .trim();
  return declarations(bare).join('\n');
}

/** Comments become blanks; those between slash and star nest. */
function withoutComments(code: string): string {
  let out = '';
  for (let at = 0; at < code.length; ) {
    const two = code.slice(at, at + 2);
    if (two === '//') {
      const end = code.indexOf('\n', at);
      at = end < 0 ? code.length : end;
    } else if (two === '/*') {
      let depth = 0;
      do {
        const mark = code.slice(at, at + 2);
        if (mark === '/*') depth++;
        if (mark === '*/') depth--;
        at += mark === '/*' || mark === '*/' ? 2 : 1;
      } while (depth > 0 && at < code.length);
      out += ' ';
    } else {
      out += code[at++];
    }
  }
  return out;
}

/** Cuts after every semicolon or closing brace outside of all brackets. */
function declarations(code: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < code.length; at++) {
    const c = code[at]!;
    if ('({['.includes(c)) depth++;
    if (')}]'.includes(c)) depth--;
    if (depth === 0 && (c === ';' || c === '}')) {
      // A struct may be followed by a semicolon that does nothing.
      const end = c === '}' && code[at + 1] === ';' ? at + 2 : at + 1;
      parts.push(code.slice(start, end));
      start = end;
      at = end - 1;
    }
  }
  if (start < code.length) parts.push(code.slice(start));
  return parts;
}
