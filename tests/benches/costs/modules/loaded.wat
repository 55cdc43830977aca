;; What a module needs to be loaded, and no callback: Envoy makes a context for each stream and never calls in.
(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32) (i32.const 1024)))
