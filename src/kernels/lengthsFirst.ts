/**
 * Asks for the lengths of a shader's arrays before it begins; the test never holds. SwiftShader works a length out by four
 * divisions, and compilers ask for it at every access to clamp the index: not inside of a loop, if it is known before.
 */
export function lengthsFirst(code: string): string {
  if (!code.includes('for(')) return code;
  const arrays = [...code.matchAll(/^@group\(0\)@binding\(\d+\)var<storage[^>]*>(\w+):array<.*>;$/gm)];
  // An array of a size of its own has no length to ask for.
  const lengths = arrays.filter(([text]) => !/,\w+>;$/.test(text)).map(([, name]) => `arrayLength(&${name})`);
  if (lengths.length === 0) return code;
  return code.replace(/^@compute[^{]*\{/m, `$&if(${lengths.join('+')}==0){return;}`);
}
