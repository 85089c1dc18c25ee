import { readSafetensors } from "../../io/safetensors.ts";
import { cast, type HostTensor } from "../../tensor/host-tensor.ts";
import { glyphnetBase64 } from "./glyphnet.weights.ts";

/** The trained weights of `glyphnet`, stored as f16 and given as f32, by tensor name. */
export function glyphnetWeights(): Map<string, HostTensor> {
  const bytes = Uint8Array.from(atob(glyphnetBase64), (c) => c.charCodeAt(0));
  const { tensors } = readSafetensors(bytes, { file: "the built-in weights of glyphnet" });
  return new Map([...tensors].map(([name, t]) => [name, cast(t, "f32")]));
}
