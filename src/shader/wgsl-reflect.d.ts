// The package's bare name fails to load as an ES module; this path works but has no declarations of its own.
declare module "wgsl_reflect/wgsl_reflect.module.js" {
  export * from "wgsl_reflect";
}
