;; Loops over bytes that take most of the time of remote_write: copies of snappy, and comparisons of label blocks. With 16
;; bytes at a time they take a fifth of the time of JavaScript. byte-loops.ts describes the memory and calls them.
;;
;; scripts/build-wasm writes byte-loops-code.ts from this file.
(module
  (memory (export "memory") 1)

  ;; The next element of the block, and where its bytes belong. `inflate` moves both.
  (global $at (export "at") (mut i32) (i32.const 0))
  (global $to (export "to") (mut i32) (i32.const 0))

  ;; Copies `bytes` (at least 1) in steps of 16. Reads and writes up to 15 bytes more than that.
  (func $copy (param $to i32) (param $from i32) (param $bytes i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $to) (local.get $bytes)))
    (loop $next
      (v128.store (local.get $to) (v128.load (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $to) (local.get $end)))))

  ;; Decompresses elements of a snappy block from `at` on, until an element begins at or behind `pause`, or ends behind
  ;; `end`, or is not valid. Then `at` and `to` are those of the first element that is left: JavaScript says what is
  ;; wrong with it. The caller has 16 bytes of room behind `end` and behind `limit`.
  ;;
  ;; begin: the first byte of the output; limit: the byte behind its last
  (func (export "inflate") (param $pause i32) (param $end i32) (param $begin i32) (param $limit i32)
    (local $at i32) (local $to i32) (local $tag i32) (local $from i32) (local $bytes i32) (local $next i32)
    (local.set $at (global.get $at))
    (local.set $to (global.get $to))
    (block $stop
      (loop $element
        (br_if $stop (i32.ge_u (local.get $at) (local.get $pause)))
        (local.set $tag (i32.load8_u (local.get $at)))
        (local.set $bytes (i32.add (i32.shr_u (local.get $tag) (i32.const 2)) (i32.const 1)))
        (if (i32.eqz (i32.and (local.get $tag) (i32.const 3)))
          (then
            ;; A literal. Above 60 its length is in the next 1 to 4 bytes. JavaScript reads one with more than 2.
            (local.set $from (i32.add (local.get $at) (i32.const 1)))
            (if (i32.gt_u (local.get $bytes) (i32.const 60))
              (then
                (br_if $stop (i32.gt_u (local.get $bytes) (i32.const 62)))
                (local.set $next (i32.sub (local.get $bytes) (i32.const 60)))
                (local.set $bytes
                  (i32.add
                    (select
                      (i32.load8_u (local.get $from))
                      (i32.load16_u (local.get $from))
                      (i32.eq (local.get $next) (i32.const 1)))
                    (i32.const 1)))
                (local.set $from (i32.add (local.get $from) (local.get $next)))))
            (local.set $next (i32.add (local.get $from) (local.get $bytes))))
          (else
            ;; A copy of earlier output: its offset is in 11 bits, in 2 bytes, or in 4.
            (if (i32.eq (i32.and (local.get $tag) (i32.const 3)) (i32.const 1))
              (then
                (local.set $bytes
                  (i32.add (i32.and (i32.shr_u (local.get $tag) (i32.const 2)) (i32.const 7)) (i32.const 4)))
                (local.set $from
                  (i32.or
                    (i32.shl (i32.and (local.get $tag) (i32.const 0xe0)) (i32.const 3))
                    (i32.load8_u offset=1 (local.get $at))))
                (local.set $next (i32.add (local.get $at) (i32.const 2))))
              (else
                (if (i32.eq (i32.and (local.get $tag) (i32.const 3)) (i32.const 2))
                  (then
                    (local.set $from (i32.load16_u offset=1 (local.get $at)))
                    (local.set $next (i32.add (local.get $at) (i32.const 3))))
                  (else
                    (local.set $from (i32.load offset=1 (local.get $at)))
                    (local.set $next (i32.add (local.get $at) (i32.const 5)))))))
            (br_if $stop (i32.eqz (local.get $from)))
            (br_if $stop (i32.gt_u (local.get $from) (i32.sub (local.get $to) (local.get $begin))))
            (local.set $from (i32.sub (local.get $to) (local.get $from)))))
        (br_if $stop (i32.gt_u (local.get $next) (local.get $end)))
        (br_if $stop (i32.gt_u (local.get $bytes) (i32.sub (local.get $limit) (local.get $to))))
        (if (i32.and
              (i32.ne (i32.and (local.get $tag) (i32.const 3)) (i32.const 0))
              (i32.lt_u (i32.sub (local.get $to) (local.get $from)) (i32.const 16)))
          (then
            ;; The copy overlaps what it writes: byte by byte.
            (local.set $at (i32.add (local.get $to) (local.get $bytes)))
            (loop $byte
              (i32.store8 (local.get $to) (i32.load8_u (local.get $from)))
              (local.set $from (i32.add (local.get $from) (i32.const 1)))
              (local.set $to (i32.add (local.get $to) (i32.const 1)))
              (br_if $byte (i32.lt_u (local.get $to) (local.get $at)))))
          (else
            (call $copy (local.get $to) (local.get $from) (local.get $bytes))
            (local.set $to (i32.add (local.get $to) (local.get $bytes)))))
        (local.set $at (local.get $next))
        (br $element)))
    (global.set $at (local.get $at))
    (global.set $to (local.get $to)))

  ;; 1 if `length` bytes are equal at both places, else 0.
  (func (export "equal") (param $one i32) (param $other i32) (param $length i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $one) (local.get $length)))
    (block $rest
      (loop $next
        (br_if $rest (i32.lt_u (i32.sub (local.get $end) (local.get $one)) (i32.const 16)))
        (if (v128.any_true (v128.xor (v128.load (local.get $one)) (v128.load (local.get $other))))
          (then (return (i32.const 0))))
        (local.set $one (i32.add (local.get $one) (i32.const 16)))
        (local.set $other (i32.add (local.get $other) (i32.const 16)))
        (br $next)))
    (block $equal
      (loop $byte
        (br_if $equal (i32.eq (local.get $one) (local.get $end)))
        (if (i32.ne (i32.load8_u (local.get $one)) (i32.load8_u (local.get $other)))
          (then (return (i32.const 0))))
        (local.set $one (i32.add (local.get $one) (i32.const 1)))
        (local.set $other (i32.add (local.get $other) (i32.const 1)))
        (br $byte)))
    (i32.const 1)))
