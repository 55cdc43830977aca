;; The Lua script's job by hand: one header names the version, v1 to v4; what is unknown or absent becomes v1.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "grpcsvc")
  (data (i32.const 64) "x-canary-cluster")
  ;; The digit of the version is at 143.
  (data (i32.const 128) "outbound|9080|v1|reviews.default.svc.cluster.local")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32) (i32.const 65536))
  (func $digit (result i32)
    (local $status i32)
    (local $digit i32)
    (local.set $status (call $get (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 512) (i32.const 516)))
    (if (i32.eqz (local.get $status)) (then
      (if (i32.eq (i32.load (i32.const 516)) (i32.const 2)) (then
        (if (i32.eq (i32.load8_u (i32.load (i32.const 512))) (i32.const 118 (; v ;))) (then
          (local.set $digit (i32.load8_u offset=1 (i32.load (i32.const 512))))
          (if (i32.lt_u (i32.sub (local.get $digit) (i32.const 49 (; 1 ;))) (i32.const 4)) (then
            (return (local.get $digit))))))))))
    (i32.const 49 (; 1 ;)))
  (func (export "proxy_on_request_headers") (param $context i32) (param $count i32) (param $end i32) (result i32)
    (i32.store8 (i32.const 143) (call $digit))
    (drop (call $set (i32.const 0) (i32.const 64) (i32.const 16) (i32.const 128) (i32.const 50)))
    (i32.const 0)))
