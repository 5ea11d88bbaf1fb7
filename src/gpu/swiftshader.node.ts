import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

/** The folder where wgslim keeps what it may make again at any time. */
export function cacheFolder(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'wgslim');
}

/**
 * Unpacks SwiftShader out of npm `@sparticuz/chromium` (a development dependency; a published wgslim does without)
 * once into the cache folder. Undefined where the package is not installed.
 */
export function unpackSwiftShader(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  const archive = findArchive();
  if (!archive) return undefined;
  const target = join(cacheFolder(), `swiftshader-${archive.version}`);
  if (existsSync(join(target, 'libvk_swiftshader.so'))) return target;
  mkdirSync(dirname(target), { recursive: true });
  const temporary = mkdtempSync(`${target}.`);
  for (const { name, data } of readTar(brotliDecompressSync(readFileSync(archive.path)))) {
    writeFileSync(join(temporary, name), data, { mode: 0o755 });
  }
  try {
    renameSync(temporary, target);
  } catch {
    rmSync(temporary, { recursive: true, force: true }); // another process was first
  }
  return existsSync(join(target, 'libvk_swiftshader.so')) ? target : undefined;
}

function findArchive(): { path: string; version: string } | undefined {
  try {
    let folder = dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium'));
    while (!existsSync(join(folder, 'bin')) && folder !== dirname(folder)) folder = dirname(folder);
    const path = join(folder, 'bin', 'swiftshader.tar.br');
    if (!existsSync(path)) return undefined;
    const manifest = readdirSync(folder).includes('package.json')
      ? (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string })
      : { version: 'unknown' };
    return { path, version: manifest.version };
  } catch {
    return undefined;
  }
}

/** Regular files at the top level of a ustar archive: all that this one holds. */
function* readTar(bytes: Buffer): Generator<{ name: string; data: Buffer }> {
  for (let offset = 0; offset + 512 <= bytes.length; ) {
    const name = bytes.toString('utf8', offset, offset + 100).replace(/\0.*$/s, '');
    if (!name) return;
    const size = Number.parseInt(bytes.toString('utf8', offset + 124, offset + 136), 8) || 0;
    const type = bytes[offset + 156];
    const file = name.split('/').at(-1) as string;
    if ((type === 0x30 || type === 0) && file)
      yield { name: file, data: bytes.subarray(offset + 512, offset + 512 + size) };
    offset += 512 + Math.ceil(size / 512) * 512;
  }
}
