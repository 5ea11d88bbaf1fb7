/** The scalar types that a storage buffer may hold, and their names in TypeScript. */
export type Scalar = 'f32' | 'u32' | 'i32' | 'f16';

/** What `scripts/build-shaders.ts` reflects out of a `.wgsl` file. */
export interface Shader {
  readonly name: string;
  readonly features: readonly string[];
  readonly workgroupSize: readonly (number | string)[];
  /** The uniform struct at binding 0; null where the shader takes none. */
  readonly args: {
    readonly size: number;
    readonly fields: Readonly<Record<string, { readonly offset: number; readonly type: 'u32' | 'i32' | 'f32' }>>;
  } | null;
  readonly bindings: Readonly<
    Record<
      string,
      {
        readonly binding: number;
        readonly access: 'read' | 'read_write';
        readonly element: Scalar;
        /** Scalars per array element: 4 for array<vec4f>. */
        readonly width: number;
        readonly array: boolean;
      }
    >
  >;
  /** `const` declarations at the top of the module that a variant may set by name (WGSL cannot size registers otherwise). */
  readonly constants: Readonly<Record<string, { readonly type: string; readonly value: string }>>;
  readonly aliases: Readonly<Record<string, { readonly value: string }>>;
  readonly overrides: Readonly<Record<string, { readonly type: string; readonly value?: string }>>;
  readonly code: string;
}

/** Names of a shader's tunables, each with the value that a variant gives it. */
export type Tunables<S extends Shader> = {
  readonly [K in keyof S['constants'] | keyof S['overrides']]?: number | boolean;
} & { readonly [K in keyof S['aliases']]?: string };

/** The uniform struct's fields. */
export type Args<S extends Shader> = S['args'] extends { fields: infer F }
  ? { readonly [K in keyof F]: number }
  : undefined;
