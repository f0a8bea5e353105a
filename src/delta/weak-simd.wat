;; The weak sum of sums.ts, for weak-simd.ts: of bytes [at, end), coming after bytes whose sum is `sum`.
;; 32 sums run side by side, each over every 32nd byte; then they are put together. The first 128 bytes of the memory are scratch.
(module
  (memory (export "memory") 5)
  (func (export "weak") (param $at i32) (param $end i32) (param $m i32) (param $sum i32) (result i32)
    (local $stride v128) (local $p i32) (local $i i32) (local $bytes v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $e v128) (local $f v128) (local $g v128) (local $h v128)
    ;; $stride = m^32 in every lane
    local.get $m  local.get $m  i32.mul  local.tee $p
    local.get $p  i32.mul  local.tee $p
    local.get $p  i32.mul  local.tee $p
    local.get $p  i32.mul  local.tee $p
    local.get $p  i32.mul
    i32x4.splat  local.set $stride
    (if (i32.ge_u (i32.sub (local.get $end) (local.get $at)) (i32.const 32)) (then
      ;; The sum so far is the last of 32 lanes, one stride before the first byte.
      (local.set $h (i32x4.replace_lane 3 (local.get $h) (local.get $sum)))
      (loop $next
        (local.set $bytes (v128.load (local.get $at)))
        (local.set $a (i32x4.add (i32x4.mul (local.get $a) (local.get $stride)) (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (local.get $bytes)))))
        (local.set $b (i32x4.add (i32x4.mul (local.get $b) (local.get $stride)) (i32x4.extend_high_i16x8_u (i16x8.extend_low_i8x16_u (local.get $bytes)))))
        (local.set $c (i32x4.add (i32x4.mul (local.get $c) (local.get $stride)) (i32x4.extend_low_i16x8_u (i16x8.extend_high_i8x16_u (local.get $bytes)))))
        (local.set $d (i32x4.add (i32x4.mul (local.get $d) (local.get $stride)) (i32x4.extend_high_i16x8_u (i16x8.extend_high_i8x16_u (local.get $bytes)))))
        (local.set $bytes (v128.load offset=16 (local.get $at)))
        (local.set $e (i32x4.add (i32x4.mul (local.get $e) (local.get $stride)) (i32x4.extend_low_i16x8_u (i16x8.extend_low_i8x16_u (local.get $bytes)))))
        (local.set $f (i32x4.add (i32x4.mul (local.get $f) (local.get $stride)) (i32x4.extend_high_i16x8_u (i16x8.extend_low_i8x16_u (local.get $bytes)))))
        (local.set $g (i32x4.add (i32x4.mul (local.get $g) (local.get $stride)) (i32x4.extend_low_i16x8_u (i16x8.extend_high_i8x16_u (local.get $bytes)))))
        (local.set $h (i32x4.add (i32x4.mul (local.get $h) (local.get $stride)) (i32x4.extend_high_i16x8_u (i16x8.extend_high_i8x16_u (local.get $bytes)))))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (br_if $next (i32.ge_u (i32.sub (local.get $end) (local.get $at)) (i32.const 32))))
      ;; The 32 lanes, one after the other.
      (v128.store (i32.const 0) (local.get $a))
      (v128.store (i32.const 16) (local.get $b))
      (v128.store (i32.const 32) (local.get $c))
      (v128.store (i32.const 48) (local.get $d))
      (v128.store (i32.const 64) (local.get $e))
      (v128.store (i32.const 80) (local.get $f))
      (v128.store (i32.const 96) (local.get $g))
      (v128.store (i32.const 112) (local.get $h))
      (local.set $sum (i32.const 0))
      (loop $lane
        (local.set $sum (i32.add (i32.mul (local.get $sum) (local.get $m)) (i32.load (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 4)))
        (br_if $lane (i32.lt_u (local.get $i) (i32.const 128))))))
    (block $done
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (loop $byte
        (local.set $sum (i32.add (i32.mul (local.get $sum) (local.get $m)) (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $byte (i32.lt_u (local.get $at) (local.get $end)))))
    local.get $sum))
