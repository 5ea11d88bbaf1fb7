import type { Scalar, Shader } from './shader.ts';

/**
 * The interface of a shader, read out of its text as scripts/build-shaders.ts writes it (minified, one line per
 * declaration), where wgsl_reflect has checked it: a page need not download it beside the text.
 * @param parts of the text; functions that shaders have in common are one string for all of them
 */
export function reflect(name: string, parts: readonly string[]): Shader {
  const code = parts.join('\n');
  const declared = (kind: string) =>
    [...code.matchAll(new RegExp(`^${kind} ([A-Za-z]\\w*)(?::(\\w+))?(?:=(.*))?;$`, 'gm'))].map(
      ([, tunable, type, value]) =>
        [tunable!, { ...(type && { type }), ...(value !== undefined && { value }) }] as const,
    );
  const aliases = Object.fromEntries(declared('alias')) as Shader['aliases'];
  const bindings = [...code.matchAll(/^@group\(0\)@binding\((\d+)\)var<storage(?:,(\w+))?>(\w+):(.*);$/gm)].map(
    ([, binding, access = 'read', operand, type]) => {
      const element = /^array<(.*?)(?:,\w+)?>$/.exec(type!)?.[1];
      const settled = aliases[element ?? '']?.value ?? element ?? type!;
      return [
        operand!,
        {
          binding: Number(binding),
          access: access as 'read',
          element: SCALARS[/(?:^|<|vec\d)(f16|[fuih])(?:32)?>*$/.exec(settled)![1]!]!,
          width: Number(/vec(\d)/.exec(settled)?.[1] ?? 1),
          array: element !== undefined,
        },
      ] as const;
    },
  );
  const struct = /^@group\(0\)@binding\(0\)var<uniform>args:(\w+);$/m.exec(code)?.[1];
  const fields = struct && new RegExp(`^struct ${struct}\\{(.*?),?\\};?$`, 'm').exec(code)![1]!.split(',');
  return {
    name,
    features: [...code.matchAll(/^enable (\w+);$/gm)].map(([, feature]) => feature!),
    workgroupSize: /@workgroup_size\((.*?)\)/
      .exec(code)![1]!
      .split(',')
      .map((part) => (/^\d/.test(part) ? Number.parseInt(part, 10) : part)),
    // Scalars of four bytes, one after the other.
    args: fields
      ? {
          size: 4 * fields.length,
          fields: Object.fromEntries(
            fields.map((field, i) => {
              const [argument, type] = field.split(':') as [string, 'u32'];
              return [argument, { offset: 4 * i, type }];
            }),
          ),
        }
      : null,
    bindings: Object.fromEntries(bindings.sort(([, a], [, b]) => a.binding - b.binding)),
    constants: Object.fromEntries(
      declared('const').filter(([constant, { type }]) => type && /^[A-Z][A-Z0-9_]*$/.test(constant)),
    ) as Shader['constants'],
    aliases,
    overrides: Object.fromEntries(declared('override')) as Shader['overrides'],
    code,
  };
}

const SCALARS: Readonly<Record<string, Scalar>> = { f: 'f32', u: 'u32', i: 'i32', h: 'f16', f16: 'f16' };
