import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  // Works from any folder of a web server.
  base: './',
  build: { outDir: 'dist', emptyOutDir: true, target: 'es2022' },
  worker: { format: 'es' },
  // The library's sources lie outside of the root.
  server: { fs: { allow: ['../..'] } },
});
