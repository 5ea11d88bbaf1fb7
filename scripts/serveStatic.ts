/** A static server on loopback, for pages that tests and benchmarks open. */
import { readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
};

export interface Site {
  url: string;
  /** Paths asked for, in order. */
  requests: string[];
  close(): Promise<void>;
}

/** Serves `pages` by path, then the files of a folder. */
export async function serveStatic(pages: ReadonlyMap<string, string | Uint8Array>, folder?: string): Promise<Site> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    requests.push(path);
    void answer(path, response);
  });
  const answer = async (path: string, response: ServerResponse) => {
    const name = path.endsWith('/') ? `${path}index.html` : path;
    const body = pages.get(name) ?? (folder && (await readFile(join(folder, normalize(name))).catch(() => undefined)));
    if (body === undefined || body === '') {
      // Browsers ask for an icon whether or not there is one.
      response.writeHead(name === '/favicon.ico' ? 204 : 404).end();
      return;
    }
    response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream' }).end(body);
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, requests, close };
}
