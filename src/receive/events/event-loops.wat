;; Reads JSON events that have the layout and the labels of earlier ones. event-loops.ts describes the memory, adds layouts
;; and templates, and takes what is read.
;;
;; A layout is the bytes between the values of an event: +0 the next layout, +4 how many holes, +8 for each hole and for the
;; end: what the hole is, and the address and length of the run in front of it (12 bytes).
;; A template is a layout with the values of labels: +0 layout, +4 block, +8 whether a negative value is unusual, +12 the
;; template of the event that followed the last time, +16 the next one with this slot of the hashes, +20 length and +24 bytes
;; of the labels: each value with its closing quotation mark.
;;
;; scripts/build-wasm writes event-loops-code.ts from this file.
(module
  (memory (export "memory") 24)

  (global $seed (export "seed") (mut i64) (i64.const 0))
  ;; The first layout.
  (global $layouts (export "layouts") (mut i32) (i32.const 0))
  ;; The template of the event before, or 0.
  (global $last (export "last") (mut i32) (i32.const 0))
  ;; The number of columns of attributes, and the bytes that a value of them can have.
  (global $columns (export "columns") (mut i32) (i32.const 0))
  (global $valueMax (export "valueMax") (mut i32) (i32.const 0))
  ;; What `scan` has read: rows, bytes of texts, and a bit for each column that has a value.
  (global $rows (export "rows") (mut i32) (i32.const 0))
  (global $text (export "text") (mut i32) (i32.const 0))
  (global $used (export "used") (mut i32) (i32.const 0))

  (global $number (mut f64) (f64.const 0))
  (global $time (mut f64) (f64.const 0))
  (global $value (mut f64) (f64.const 0))

  ;; 1 if `length` bytes are equal at both places, else 0.
  (func $same (param $one i32) (param $other i32) (param $length i32) (result i32)
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
    (block $four
      (loop $next
        (br_if $four (i32.lt_u (i32.sub (local.get $end) (local.get $one)) (i32.const 4)))
        (if (i32.ne (i32.load (local.get $one)) (i32.load (local.get $other))) (then (return (i32.const 0))))
        (local.set $one (i32.add (local.get $one) (i32.const 4)))
        (local.set $other (i32.add (local.get $other) (i32.const 4)))
        (br $next)))
    (block $equal
      (loop $byte
        (br_if $equal (i32.eq (local.get $one) (local.get $end)))
        (if (i32.ne (i32.load8_u (local.get $one)) (i32.load8_u (local.get $other)))
          (then (return (i32.const 0))))
        (local.set $one (i32.add (local.get $one) (i32.const 1)))
        (local.set $other (i32.add (local.get $other) (i32.const 1)))
        (br $byte)))
    (i32.const 1))

  ;; The position of the closing quotation mark of a string without escapes, or 0. Zeros follow the body.
  (func $endOfString (param $at i32) (result i32)
    (local $bytes v128) (local $mask i32)
    (loop $next
      (local.set $bytes (v128.load (local.get $at)))
      (local.set $mask
        (i8x16.bitmask
          (v128.or
            (v128.or
              (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 34)))
              (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 92))))
            (i8x16.lt_u (local.get $bytes) (i8x16.splat (i32.const 32))))))
      (if (i32.eqz (local.get $mask))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $next))))
    (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $mask))))
    (select (local.get $at) (i32.const 0) (i32.eq (i32.load8_u (local.get $at)) (i32.const 34))))

  ;; Reads a number of at most 15 digits into $number. Returns the position behind it, or 0.
  (func $scanNumber (param $at i32) (result i32)
    (local $negative i32) (local $first i32) (local $mantissa i64) (local $digit i32) (local $digits i32)
    (local $scale i32) (local $magnitude f64)
    (local.set $negative (i32.eq (i32.load8_u (local.get $at)) (i32.const 45)))
    (local.set $at (i32.add (local.get $at) (local.get $negative)))
    (local.set $first (local.get $at))
    (block $whole
      (loop $next
        (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
        (br_if $whole (i32.gt_u (local.get $digit) (i32.const 9)))
        (local.set $mantissa
          (i64.add (i64.mul (local.get $mantissa) (i64.const 10)) (i64.extend_i32_u (local.get $digit))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.set $digits (i32.sub (local.get $at) (local.get $first)))
    (if (i32.eqz (local.get $digits)) (then (return (i32.const 0))))
    (if (i32.and
          (i32.gt_u (local.get $digits) (i32.const 1))
          (i32.eq (i32.load8_u (local.get $first)) (i32.const 48)))
      (then (return (i32.const 0))))
    (if (i32.eq (local.get $digit) (i32.const -2))
      (then
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $first (local.get $at))
        (block $fraction
          (loop $next
            (local.set $digit (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
            (br_if $fraction (i32.gt_u (local.get $digit) (i32.const 9)))
            (local.set $mantissa
              (i64.add (i64.mul (local.get $mantissa) (i64.const 10)) (i64.extend_i32_u (local.get $digit))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next)))
        (local.set $scale (i32.sub (local.get $at) (local.get $first)))
        (if (i32.eqz (local.get $scale)) (then (return (i32.const 0))))
        (local.set $digits (i32.add (local.get $digits) (local.get $scale)))))
    (if (i32.gt_u (local.get $digits) (i32.const 15)) (then (return (i32.const 0))))
    ;; An exponent.
    (if (i32.eq (i32.or (local.get $digit) (i32.const 32)) (i32.const 53)) (then (return (i32.const 0))))
    (local.set $magnitude (f64.convert_i64_u (local.get $mantissa)))
    (if (local.get $scale)
      (then
        (local.set $magnitude
          (f64.div
            (local.get $magnitude)
            (f64.load offset=512 (i32.shl (local.get $scale) (i32.const 3)))))))
    (global.set $number
      (select (f64.neg (local.get $magnitude)) (local.get $magnitude) (local.get $negative)))
    (local.get $at))

  ;; Reads an event of a layout. Returns the position behind it, or 0. The values of texts are at 1024 (where each begins)
  ;; and at 1280 (where it ends), by hole.
  (func $event (param $layout i32) (param $at i32) (result i32)
    (local $hole i32) (local $end i32) (local $record i32) (local $kind i32) (local $from i32) (local $x f64)
    (local.set $record (i32.add (local.get $layout) (i32.const 8)))
    (local.set $end (i32.shl (i32.load offset=4 (local.get $layout)) (i32.const 2)))
    (global.set $time (f64.const nan))
    (loop $next
      (if (i32.eqz
            (call $same
              (local.get $at)
              (i32.load offset=4 (local.get $record))
              (i32.load offset=8 (local.get $record))))
        (then (return (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.load offset=8 (local.get $record))))
      (if (i32.eq (local.get $hole) (local.get $end)) (then (return (local.get $at))))
      (local.set $kind (i32.load (local.get $record)))
      (local.set $from (local.get $at))
      (if (i32.le_u (local.get $kind) (i32.const 1))
        (then
          (local.set $at (call $scanNumber (local.get $at)))
          (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
          (if (i32.eqz (local.get $kind))
            (then
              (if (f64.gt (f64.abs (global.get $number)) (f64.const 9000000000000)) (then (return (i32.const 0))))
              ;; As Math.round.
              (local.set $x (f64.mul (global.get $number) (f64.const 1000)))
              (global.set $time (f64.floor (local.get $x)))
              (if (f64.ge (f64.sub (local.get $x) (global.get $time)) (f64.const 0.5))
                (then (global.set $time (f64.add (global.get $time) (f64.const 1)))))
              (global.set $time (f64.copysign (global.get $time) (local.get $x))))
            (else (global.set $value (global.get $number)))))
        (else
          (local.set $at (call $endOfString (local.get $at)))
          (if (i32.eqz (local.get $at)) (then (return (i32.const 0))))
          (if (i32.and
                (i32.ge_u (local.get $kind) (i32.const 3))
                (i32.gt_u (i32.sub (local.get $at) (local.get $from)) (global.get $valueMax)))
            (then (return (i32.const 0))))))
      (i32.store offset=1024 (local.get $hole) (local.get $from))
      (i32.store offset=1280 (local.get $hole) (local.get $at))
      (local.set $hole (i32.add (local.get $hole) (i32.const 4)))
      (local.set $record (i32.add (local.get $record) (i32.const 12)))
      (br $next))
    (unreachable))

  ;; 1 if the event that was read last has the labels of a template of its layout.
  (func $hasLabels (param $template i32) (param $layout i32) (result i32)
    (local $hole i32) (local $end i32) (local $record i32) (local $labels i32) (local $rest i32) (local $length i32)
    (local.set $labels (i32.add (local.get $template) (i32.const 24)))
    (local.set $rest (i32.load offset=20 (local.get $template)))
    (local.set $record (i32.add (local.get $layout) (i32.const 8)))
    (local.set $end (i32.shl (i32.load offset=4 (local.get $layout)) (i32.const 2)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $hole) (local.get $end)))
        (if (i32.eq (i32.load (local.get $record)) (i32.const 2))
          (then
            ;; With the quotation mark.
            (local.set $length
              (i32.add
                (i32.sub (i32.load offset=1280 (local.get $hole)) (i32.load offset=1024 (local.get $hole)))
                (i32.const 1)))
            (if (i32.gt_u (local.get $length) (local.get $rest)) (then (return (i32.const 0))))
            (if (i32.eqz
                  (call $same
                    (i32.load offset=1024 (local.get $hole))
                    (local.get $labels)
                    (local.get $length)))
              (then (return (i32.const 0))))
            (local.set $labels (i32.add (local.get $labels) (local.get $length)))
            (local.set $rest (i32.sub (local.get $rest) (local.get $length)))))
        (local.set $hole (i32.add (local.get $hole) (i32.const 4)))
        (local.set $record (i32.add (local.get $record) (i32.const 12)))
        (br $next)))
    (i32.eqz (local.get $rest)))

  ;; The slot of the labels of the event that was read last: the address of the first template with this hash.
  (func $slot (param $layout i32) (result i32)
    (local $hole i32) (local $end i32) (local $record i32) (local $at i32) (local $to i32) (local $hash i64)
    (local.set $hash (i64.xor (global.get $seed) (i64.extend_i32_u (local.get $layout))))
    (local.set $record (i32.add (local.get $layout) (i32.const 8)))
    (local.set $end (i32.shl (i32.load offset=4 (local.get $layout)) (i32.const 2)))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $hole) (local.get $end)))
        (if (i32.eq (i32.load (local.get $record)) (i32.const 2))
          (then
            (local.set $at (i32.load offset=1024 (local.get $hole)))
            ;; With the quotation mark.
            (local.set $to (i32.add (i32.load offset=1280 (local.get $hole)) (i32.const 1)))
            (block $text
              (loop $eight
                (br_if $text (i32.lt_u (i32.sub (local.get $to) (local.get $at)) (i32.const 8)))
                (local.set $hash
                  (i64.mul
                    (i64.xor (local.get $hash) (i64.load (local.get $at)))
                    (i64.const 0x9e3779b97f4a7c15)))
                (local.set $hash (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 29))))
                (local.set $at (i32.add (local.get $at) (i32.const 8)))
                (br $eight)))
            (block $rest
              (loop $byte
                (br_if $rest (i32.eq (local.get $at) (local.get $to)))
                (local.set $hash
                  (i64.mul
                    (i64.xor (local.get $hash) (i64.load8_u (local.get $at)))
                    (i64.const 0xbf58476d1ce4e5b9)))
                (local.set $hash (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 31))))
                (local.set $at (i32.add (local.get $at) (i32.const 1)))
                (br $byte)))))
        (local.set $hole (i32.add (local.get $hole) (i32.const 4)))
        (local.set $record (i32.add (local.get $record) (i32.const 12)))
        (br $next)))
    (i32.add
      (i32.const 8192)
      (i32.shl
        (i32.and (i32.wrap_i64 (i64.shr_u (local.get $hash) (i64.const 20))) (i32.const 16383))
        (i32.const 2))))

  ;; The slot of an event of a layout, for a new template. 0 if the event has not this layout.
  (func (export "slotOf") (param $layout i32) (param $at i32) (result i32)
    (if (i32.eqz (call $event (local.get $layout) (local.get $at))) (then (return (i32.const 0))))
    (call $slot (local.get $layout)))

  (func $skipSpace (param $at i32) (result i32)
    (local $byte i32)
    (loop $next
      (local.set $byte (i32.load8_u (local.get $at)))
      (if (i32.or
            (i32.or (i32.eq (local.get $byte) (i32.const 32)) (i32.eq (local.get $byte) (i32.const 10)))
            (i32.or (i32.eq (local.get $byte) (i32.const 13)) (i32.eq (local.get $byte) (i32.const 9))))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))))
    (local.get $at))

  ;; Reads events from `at` on, with a comma and white space between them (`isArray`) or white space alone. Stops before an
  ;; event that has no template, after `most` events, or at `pause`. Returns the position behind the last event.
  (func (export "scan")
    (param $at i32) (param $pause i32) (param $most i32) (param $isArray i32) (param $textBase i32)
    (result i32)
    (local $end i32) (local $behind i32) (local $expected i32) (local $layout i32) (local $tried i32)
    (local $template i32) (local $hole i32) (local $holesEnd i32) (local $record i32) (local $column i32)
    (local $cell i32) (local $row i32) (local $from i32) (local $length i32) (local $text i32)
    (local.set $end (local.get $at))
    (global.set $used (i32.const 0))
    (block $stop
      (loop $next
        (br_if $stop (i32.ge_u (local.get $row) (local.get $most)))
        (br_if $stop (i32.ge_u (local.get $at) (local.get $pause)))
        (br_if $stop (i32.ne (i32.load8_u (local.get $at)) (i32.const 123)))
        (local.set $behind (i32.const 0))
        (local.set $tried (i32.const 0))
        (local.set $expected (i32.const 0))
        (if (global.get $last)
          (then (local.set $expected (i32.load offset=12 (global.get $last)))))
        (if (local.get $expected)
          (then
            (local.set $layout (i32.load (local.get $expected)))
            (local.set $tried (local.get $layout))
            (local.set $behind (call $event (local.get $layout) (local.get $at)))))
        (if (i32.eqz (local.get $behind))
          (then
            (local.set $layout (global.get $layouts))
            (block $known
              (loop $other
                (br_if $stop (i32.eqz (local.get $layout)))
                (if (i32.ne (local.get $layout) (local.get $tried))
                  (then
                    (local.set $behind (call $event (local.get $layout) (local.get $at)))
                    (br_if $known (local.get $behind))))
                (local.set $layout (i32.load (local.get $layout)))
                (br $other)))))
        (block $found
          (if (i32.and
                (i32.ne (local.get $expected) (i32.const 0))
                (i32.eq (local.get $layout) (local.get $tried)))
            (then
              (local.set $template (local.get $expected))
              (br_if $found (call $hasLabels (local.get $template) (local.get $layout)))))
          (local.set $template (i32.load (call $slot (local.get $layout))))
          (loop $same
            (br_if $stop (i32.eqz (local.get $template)))
            (if (i32.eq (i32.load (local.get $template)) (local.get $layout))
              (then (br_if $found (call $hasLabels (local.get $template) (local.get $layout)))))
            (local.set $template (i32.load offset=16 (local.get $template)))
            (br $same)))
        (br_if $stop
          (i32.and
            (i32.load offset=8 (local.get $template))
            (f64.lt (global.get $value) (f64.const 0))))
        ;; The texts have 256 KiB.
        (br_if $stop
          (i32.gt_u
            (i32.add (local.get $text) (i32.sub (local.get $behind) (local.get $at)))
            (i32.const 262000)))
        (local.set $cell (i32.shl (local.get $row) (i32.const 2)))
        (local.set $column (global.get $columns))
        (block $cleared
          (loop $clear
            (br_if $cleared (i32.eqz (local.get $column)))
            (local.set $column (i32.sub (local.get $column) (i32.const 1)))
            (i32.store offset=180224
              (i32.add (i32.shl (local.get $column) (i32.const 13)) (local.get $cell))
              (i32.const 0))
            (br $clear)))
        (local.set $record (i32.add (local.get $layout) (i32.const 8)))
        (local.set $hole (i32.const 0))
        (local.set $holesEnd (i32.shl (i32.load offset=4 (local.get $layout)) (i32.const 2)))
        (block $copied
          (loop $copy
            (br_if $copied (i32.eq (local.get $hole) (local.get $holesEnd)))
            (if (i32.ge_u (i32.load (local.get $record)) (i32.const 3))
              (then
                (local.set $column (i32.sub (i32.load (local.get $record)) (i32.const 3)))
                (local.set $from (i32.load offset=1024 (local.get $hole)))
                (local.set $length (i32.sub (i32.load offset=1280 (local.get $hole)) (local.get $from)))
                (memory.copy
                  (i32.add (i32.const 245760) (local.get $text))
                  (local.get $from)
                  (local.get $length))
                (i32.store offset=114688
                  (i32.add (i32.shl (local.get $column) (i32.const 13)) (local.get $cell))
                  (i32.add (local.get $textBase) (local.get $text)))
                (i32.store offset=180224
                  (i32.add (i32.shl (local.get $column) (i32.const 13)) (local.get $cell))
                  (local.get $length))
                (local.set $text (i32.add (local.get $text) (local.get $length)))
                (global.set $used (i32.or (global.get $used) (i32.shl (i32.const 1) (local.get $column))))))
            (local.set $hole (i32.add (local.get $hole) (i32.const 4)))
            (local.set $record (i32.add (local.get $record) (i32.const 12)))
            (br $copy)))
        (i32.store offset=73728 (local.get $cell) (i32.load offset=4 (local.get $template)))
        (f64.store offset=81920 (i32.shl (local.get $row) (i32.const 3)) (global.get $time))
        (f64.store offset=98304 (i32.shl (local.get $row) (i32.const 3)) (global.get $value))
        (if (global.get $last)
          (then (i32.store offset=12 (global.get $last) (local.get $template))))
        (global.set $last (local.get $template))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (local.set $end (local.get $behind))
        (local.set $at (call $skipSpace (local.get $behind)))
        (if (local.get $isArray)
          (then
            (br_if $stop (i32.ne (i32.load8_u (local.get $at)) (i32.const 44)))
            (local.set $at (call $skipSpace (i32.add (local.get $at) (i32.const 1))))))
        (br $next)))
    (global.set $rows (local.get $row))
    (global.set $text (local.get $text))
    (local.get $end)))
