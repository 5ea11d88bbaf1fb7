/** `wgslim tune`, and that other commands take what it found. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TuneDocument } from '../../src/cli/commands/tune.ts';
import { type Fixture, makeFixture, wgslim } from './fixture.ts';

let fixture: Fixture;
const cache = process.env.XDG_CACHE_HOME;
beforeAll(async () => {
  fixture = await makeFixture();
  process.env.MESA_SHADER_CACHE_DIR ??= cache ?? join(homedir(), '.cache');
  process.env.XDG_CACHE_HOME = join(fixture.folder, 'cache');
});
afterAll(async () => {
  if (cache === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = cache;
  await rm(fixture.folder, { recursive: true });
});

async function tuned(...args: string[]): Promise<TuneDocument> {
  const { code, stdout, stderr } = await wgslim('tune', ...args, '--quiet', '--json');
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

describe('tune', () => {
  it('measures the choices of a model and keeps them', async () => {
    const document = await tuned(fixture.model, '--train', '--batch', '8', '--seconds', '60');
    expect(document.left).toEqual([]);
    const keys = document.choices.map(({ key }) => key);
    expect(keys).toContain('conv g1 o4 i1 kh3 kw3 oh8 ow8 n8 d1 s1 y1');
    expect(keys).toContain('gradient g1 o4 i1 kh3 kw3 oh8 ow8 n8 d1 s1');
    for (const { best, excluded } of document.choices) {
      expect(best).not.toBeNull();
      expect(excluded).toEqual([]);
    }
    const kept = JSON.parse(await readFile(document.file!, 'utf8'));
    expect(Object.keys(kept.choices).sort()).toEqual([...keys].sort());
    // Whatever was chosen, answers stay right.
    const { code, stdout } = await wgslim('eval', fixture.model, '--data', fixture.data, '--quiet', '--json');
    expect(code).toBe(0);
    process.env.WGSLIM_TUNED = 'off';
    const untuned = await wgslim('eval', fixture.model, '--data', fixture.data, '--quiet', '--json');
    delete process.env.WGSLIM_TUNED;
    expect(JSON.parse(stdout).top1).toBe(JSON.parse(untuned.stdout).top1);
  });

  it.each([
    ['codes', {}, ['conv g1 o4 i1 kh3 kw3 oh8 ow8 n8 d1 s1 y1 w4', 'dense m8 o3 k256 w4']],
    [
      'bytes',
      { activations: { bits: 8 } },
      ['int8conv g1 o4 i1 kh3 kw3 oh8 ow8 n8 d1 s1 w4', 'int8product m8 o3 k256 w4'],
    ],
  ])('measures the kernels of packed weights that a compressed model uses: %s', async (name, activations, packed) => {
    const recipe = join(fixture.folder, `${name}.json`);
    const stages = [{ kind: 'quantize', name: 'quantize', weights: { bits: 4 }, ...activations }];
    await writeFile(recipe, JSON.stringify({ name, stages }));
    const model = join(fixture.folder, `${name}.wgslim`);
    const args = [fixture.model, '--data', fixture.data, '--recipe', recipe, '-o', model, '--quiet'];
    expect((await wgslim('compress', ...args)).code).toBe(0);
    const predicted = async () => {
      const { code, stdout } = await wgslim('eval', model, '--data', fixture.data, '--quiet', '--json');
      expect(code).toBe(0);
      return JSON.parse(stdout).top1;
    };
    const before = await predicted();
    const document = await tuned(model, '--batch', '8');
    const keys = document.choices.map(({ key }) => key);
    expect(keys).toEqual(expect.arrayContaining(packed));
    for (const { best, excluded } of document.choices) {
      expect(best).not.toBeNull();
      expect(excluded).toEqual([]);
    }
    const kept = JSON.parse(await readFile(document.file!, 'utf8'));
    expect(Object.keys(kept.choices)).toEqual(expect.arrayContaining(keys));
    expect(await predicted()).toBe(before);
    const profiled = await wgslim('profile', model, '--batch', '8', '--quiet', '--json');
    expect(profiled.code).toBe(0);
    expect(JSON.parse(profiled.stdout)).toHaveProperty('adapter');
  });

  it('keeps nothing on a dry run, and leaves what the time does not suffice for', async () => {
    const document = await tuned('--dry-run', '--seconds', '0.001');
    expect(document.file).toBeUndefined();
    expect(document.choices.length + document.left.length).toBe(7);
    expect(document.left.length).toBeGreaterThanOrEqual(6);
  });

  it('prints a table for people', async () => {
    const { code, stdout } = await wgslim('tune', fixture.model, '--batch', '2', '--quiet');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^kernel and shape +rule +time +best +time +gain\n/);
    expect(stdout).toMatch(/choices measured, \d+ of them other than the rule’s/);
    expect(stdout).toContain('Kept in ');
  });

  it('ends with 2 where the command line is wrong', async () => {
    for (const args of [['--train'], [join(fixture.folder, 'missing.onnx')], [fixture.model, '--seconds', '-1']]) {
      const { code, stderr } = await wgslim('tune', ...args, '--quiet');
      expect({ code, lines: stderr.trimEnd().split('\n').length }).toEqual({ code: 2, lines: 1 });
    }
  });
});
