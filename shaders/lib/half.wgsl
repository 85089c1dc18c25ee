// The value of half precision that is nearest, ties to even, whatever the adapter's own conversion does; beyond the largest one, that.
// Values below the smallest normal one are left to the conversion.
fn nearest_half(v: vec4<f32>) -> vec4<f32> {
  let most = vec4<f32>(65504.0);
  let bits = bitcast<vec4<u32>>(v);
  let nearest = bitcast<vec4<f32>>((bits + 0xfffu + ((bits >> vec4<u32>(13u)) & vec4<u32>(1u))) & vec4<u32>(0xffffe000u));
  // Not clamp: a NaN is to stay one.
  return select(select(nearest, clamp(v, -most, most), abs(v) > most), v, v != v);
}
