import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { minifyWgsl } from '../../scripts/minifyWgsl.ts';

const root = fileURLToPath(new URL('../../shaders', import.meta.url));
const files = (readdirSync(root, { recursive: true }) as string[]).filter((file) => file.endsWith('.wgsl')).sort();

/** Words, numbers and runs of other characters, without what separates them: the same before and after. */
function tokens(code: string): string[] {
  const bare = code.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/\/\/.*$/gm, ' ');
  return bare.match(/[\w.]+|[^\w\s.]/g) ?? [];
}

describe('minifyWgsl', () => {
  it.each(files)('%s keeps every token, in order', (file) => {
    const code = readFileSync(join(root, file), 'utf8');
    const small = minifyWgsl(code);
    expect(tokens(small)).toEqual(tokens(code));
    expect(small.length).toBeLessThan(code.length);
    expect(small).not.toMatch(/\/\/|\/\*| {2}|\n\n/);
    // `specialise` finds tunables at the start of a line.
    const tunables = (text: string) => text.match(/^(const [A-Z]|alias |override )\w+/gm) ?? [];
    expect(tunables(small)).toEqual(expect.arrayContaining(tunables(code)));
  });

  it('keeps apart what would read as something else', () => {
    expect(minifyWgsl('let a = b - -c;')).toBe('let a=b- -c;');
    expect(minifyWgsl('var<private> x : array< u32 , 4 > = y;')).toBe('var<private>x:array<u32,4> =y;');
    expect(minifyWgsl('a /* one /* two */ // three\n */ b')).toBe('a b');
    expect(minifyWgsl('if (a) { return 1u; } // end\n\nconst X: u32 = 2u;')).toBe('if(a){return 1u;}\nconst X:u32=2u;');
    expect(minifyWgsl('let p = & x ; let q = a & & b;')).toBe('let p= &x;\nlet q=a& &b;');
  });
});
