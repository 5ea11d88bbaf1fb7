/** An adapter's name as part of a file's. */
export const slug = (name: string) =>
  name
    .toLowerCase()
    .replace(/[-( ]+(llvm|device).*/, '') // llvmpipe and SwiftShader name their compiler, too
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
