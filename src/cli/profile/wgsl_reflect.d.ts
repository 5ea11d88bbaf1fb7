/** `wgsl_reflect` must be imported by its module file in Node; this gives that path the package's types. */
declare module 'wgsl_reflect/wgsl_reflect.module.js' {
  export * from 'wgsl_reflect';
}
