;; The least that a filter can do for a route: reads one header, and names one cluster whatever it holds.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $set (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "grpcsvc")
  (data (i32.const 64) "x-canary-cluster")
  (data (i32.const 128) "outbound|9080|v1|reviews.default.svc.cluster.local")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_request_headers") (param $context i32) (param $count i32) (param $end i32) (result i32)
    (drop (call $get (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 512) (i32.const 516)))
    (drop (call $set (i32.const 0) (i32.const 64) (i32.const 16) (i32.const 128) (i32.const 50)))
    (i32.const 0)))
