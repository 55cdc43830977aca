;; Sets the filter state that access logs show.
;; As many times as the configuration has bytes.
(module
  (import "env" "proxy_set_property" (func $set (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "canary")
  (data (i32.const 64) "version=v1 reason=weight")
  (global $times (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_configure") (param $context i32) (param $bytes i32) (result i32)
    (global.set $times (local.get $bytes))
    (i32.const 1))
  (func (export "proxy_on_request_headers") (param $context i32) (param $count i32) (param $end i32) (result i32)
    (local $left i32)
    (local.set $left (global.get $times))
    (loop $again
      (drop (call $set (i32.const 0) (i32.const 6) (i32.const 64) (i32.const 24)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    (i32.const 0)))
